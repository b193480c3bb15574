"""Runs `python -m hetreg ...` beside Slicer and hands on what it says: JSON lines as events, the rest as log.

The process has its own memory: Slicer stays responsive, and a crash of the process cannot take Slicer along.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import qt
import slicer
from slicer.i18n import tr as _

import hetreg

TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LAST_LINES = 20
# What the launcher that PythonSlicer is says of a program that crashed; its own exit code is then a plain 1.
CRASHED = "exit abnormally - Report the problem"
INTERRUPTED = 130  # exit code: what is said with it is for who types commands
ITK_PLUGINS = "ITK_AUTOLOAD_PATH"  # Slicer's own: no other ITK can load them


def python():
    """The interpreter: Slicer's PythonSlicer, or the one that runs this.

    Never one in the working folder, where Windows looks first.
    """
    own = os.path.join(slicer.app.slicerHome, "bin", "PythonSlicer" + (".exe" if os.name == "nt" else ""))
    found = own if os.path.isfile(own) else shutil.which("PythonSlicer") or ""
    return found if os.path.isabs(found) else sys.executable


class Lines:
    """Whole lines out of pieces of bytes, however they were cut."""

    def __init__(self):
        self._rest = b""

    def add(self, data):
        """The lines that are complete now."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [clean(line) for line in whole]

    def end(self):
        """The line that was never ended, if there is one."""
        rest, self._rest = self._rest, b""
        return [clean(rest)] if rest.strip() else []


def clean(line):
    """Text of a line without terminal codes; of a progress bar, its last state."""
    text = TERMINAL_CODES.sub("", line.decode("utf-8", errors="replace"))
    return text.rstrip("\r\n ").rsplit("\r", 1)[-1]


def event(line):
    """The event of a JSON line, or None for anything else that was printed."""
    if not line.startswith("{"):
        return None
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("event"), str) else None


class HetRegProcess:
    """One run of the command line at a time.

    onEvent(dict) is called for each JSON line, onLog(text) for any other line, and onEnd(exit code, problem)
    once: problem is "" after exit code 0, otherwise one sentence. killed: whether `kill` ended the last run.
    process: a QProcess, or what acts like one.
    """

    def __init__(self, onEvent, onLog, onEnd, process=None):
        self._onEvent, self._onLog, self._onEnd = onEvent, onLog, onEnd
        self._process = process or qt.QProcess()
        self._output, self._errors, self._last = Lines(), Lines(), []
        self._ended, self.killed, self._crashed, self._message = True, False, False, ""
        self._process.connect("readyReadStandardOutput()", self._onOutput)
        self._process.connect("readyReadStandardError()", self._onErrors)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._onError)

    @property
    def running(self):
        """True between `start` and the call of onEnd."""
        return not self._ended

    def start(self, arguments):
        """Run `python -m hetreg` with these arguments. Raises RuntimeError while one is running."""
        if self.running:
            raise RuntimeError(_("A run is in progress: stop it first."))
        self._ended, self.killed, self._crashed, self._message = False, False, False, ""
        self._last = []
        self._output, self._errors = Lines(), Lines()
        environment = qt.QProcessEnvironment.systemEnvironment()
        folders = [os.path.dirname(os.path.dirname(hetreg.__file__))]
        folders += filter(None, environment.value("PYTHONPATH", "").split(os.pathsep))
        environment.insert("PYTHONPATH", os.pathsep.join(folders))
        environment.insert("PYTHONSAFEPATH", "1")  # no modules of the folder that Slicer was started in
        environment.insert("PYTHONUNBUFFERED", "1")
        environment.insert("PYTHONIOENCODING", "utf-8")
        environment.remove(ITK_PLUGINS)
        self._process.setProcessEnvironment(environment)
        self._process.start(python(), ["-m", "hetreg", *map(str, arguments)])

    def kill(self):
        """End it and everything that it started, at once."""
        if self.running:
            self.killed = True
            killTree(int(self._process.processId()))
            self._process.kill()

    def close(self):
        """End it, and call nothing back any more: what would hear it goes away."""
        self._onEvent = self._onLog = self._onEnd = _ignore
        self.kill()

    def wait(self, seconds):
        """Wait for its end; False if it still runs. Events are handed on."""
        if self.running:
            self._process.waitForFinished(round(1000 * seconds))
        return not self.running

    def _onOutput(self):
        self._handOn(self._output.add(_bytes(self._process.readAllStandardOutput())))

    def _onErrors(self):
        self._keep(self._errors.add(_bytes(self._process.readAllStandardError())))

    def _handOn(self, lines):
        for line in lines:
            content = event(line)
            if content is None:
                self._keep([line])
            else:
                if content["event"] == "error":
                    self._message = str(content.get("message", ""))
                self._onEvent(content)

    def _keep(self, lines):
        for line in filter(str.strip, lines):
            if CRASHED in line:
                self._crashed = True
            else:
                self._last = [*self._last, line][-LAST_LINES:]
            self._onLog(line)

    def _onError(self, error):
        if error == qt.QProcess.FailedToStart:
            self._end(-1, _("{python} could not be started.").format(python=python()))

    def _onFinished(self, code, status):
        self._onOutput()
        self._onErrors()
        self._handOn(self._output.end())
        self._keep(self._errors.end())
        crashed = self._crashed or status == qt.QProcess.CrashExit
        self._end(-1 if crashed else code, self._problem(code, crashed))

    def _problem(self, code, crashed):
        """One sentence on what went wrong, "" if nothing did."""
        if self.killed:
            return _("It was stopped.")
        if code == INTERRUPTED:
            return _("It was interrupted from outside.")
        if crashed or code < 0:
            return self._withLastLine(
                _("The process crashed or was terminated from outside ({code}).").format(code=code)
            )
        if code == 0:
            return ""
        said = [line.removeprefix("hetreg: ") for line in self._last if line.startswith("hetreg: ")]
        if self._message or said:
            return self._message or said[-1]
        return self._withLastLine(_("The process ended with the error code {code}.").format(code=code))

    def _withLastLine(self, sentence):
        last = self._last[-1].strip() if self._last else ""
        return sentence + (" " + _("Its last message was: {line}").format(line=last) if last else "")

    def _end(self, code, problem):
        if not self._ended:
            self._ended = True
            self._onEnd(code, problem)


def killTree(pid):
    """Kill a process and all that came from it, children first. PythonSlicer is a launcher: it has one."""
    if pid <= 0:
        return
    if os.name == "nt":
        taskkill = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
        command = [taskkill, "/F", "/T", "/PID", str(pid)]
        subprocess.run(  # without a console that flashes up
            command, capture_output=True, check=False, creationflags=subprocess.CREATE_NO_WINDOW
        )
        return
    for one in reversed([pid, *_descendants(pid)]):
        try:
            os.kill(one, signal.SIGKILL)
        except OSError:  # it has ended by itself
            continue


def _descendants(pid):
    """Everything that a process started, parents before their children."""
    children = {}
    for child, parent in _processes():
        children.setdefault(parent, []).append(child)
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(0), [])
        found += below
        waiting += below
    return found


def _processes():
    """[(pid, parent's pid)] of every process: from /proc where there is one, else from ps."""
    if os.path.isdir("/proc/self"):
        pairs = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    pairs.append((int(name), int(file.read().rpartition(")")[2].split()[1])))
            except (OSError, ValueError, IndexError):  # it ended meanwhile
                continue
        return pairs
    done = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=False)
    return [tuple(map(int, line.split())) for line in done.stdout.splitlines() if len(line.split()) == 2]


def _ignore(*_said):
    """Stands for what went away."""


def _bytes(data):
    """Bytes of a QByteArray; older PythonQt gives text."""
    content = data.data()
    return content.encode("utf-8", errors="replace") if isinstance(content, str) else bytes(content)
