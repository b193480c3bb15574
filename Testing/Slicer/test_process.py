"""The process beside Slicer: lines cut anywhere, stray output, crashes, and no process left behind."""

import ntpath
import os
import sys
import time
from types import SimpleNamespace

import pytest
import qt

import runtime
from HetRegUncertaintyLib import process
from HetRegUncertaintyLib.process import HetRegProcess, Lines, event
from runtime.played_process import FakeProcess


class Heard:
    """A HetRegProcess with everything that it called back."""

    def __init__(self, qprocess=None):
        self.events, self.log, self.ends = [], [], []
        self.process = HetRegProcess(self.events.append, self.log.append, self._end, qprocess)

    def _end(self, code, problem):
        self.ends.append((code, problem))

    def wait(self, seconds=60.0):
        end = time.monotonic() + seconds
        while not self.ends and time.monotonic() < end:
            runtime.process_events(0.02)
        return self.ends


@pytest.fixture
def runs(program, tmp_path):
    """runs(text): from now on this Python program is run instead of the command line."""

    def install(text):
        file = tmp_path / "program.py"
        file.write_text(text, encoding="utf-8")
        program(file)

    return install


def test_linesHoweverTheyAreCut():
    text = 'eins\n{"event": "ä"}\n\x1b[31mrot\x1b[0m\r\n 10%\r 20%\n'.encode()
    for size in (1, 2, 3, 7, 100):
        lines = Lines()
        found = [line for i in range(0, len(text), size) for line in lines.add(text[i : i + size])]
        assert found == ["eins", '{"event": "ä"}', "rot", " 20%"]
    lines.add(b"no end")
    assert lines.end() == ["no end"]
    assert lines.end() == []


@pytest.mark.parametrize("line", ["{broken", "[1, 2]", '{"other": 1}', '{"event": 3}', "text", ""])
def test_whatIsNoEvent(line):
    assert event(line) is None


def test_eventsAndStrayOutput():
    fake = FakeProcess()
    heard = Heard(fake)
    heard.process.start(["train", "--json"])
    assert fake.started[1] == ["-m", "hetreg", "train", "--json"]
    fake.says(b'warning\n{"event": "step", "st')
    fake.says(b'ep": 3}\n{"event": "do')
    fake.output = b'ne"}'
    fake.ends(0)
    assert heard.events == [{"event": "step", "step": 3}, {"event": "done"}]
    assert heard.log == ["warning"]
    assert heard.ends == [(0, "")]
    assert not heard.process.running


def test_secondStartIsRefused():
    heard = Heard(FakeProcess())
    heard.process.start([])
    with pytest.raises(RuntimeError, match="in progress"):
        heard.process.start([])


def test_errorOfTheCommandIsItsSentence():
    fake = FakeProcess()
    heard = Heard(fake)
    heard.process.start([])
    fake.errors = b"noise\nhetreg: There is no folder x.\n"
    fake.ends(2)
    heard.process.start([])
    fake.says(b'{"event": "error", "message": "Out of memory."}\n')
    fake.ends(1)
    heard.process.start([])
    fake.errors = b"KeyError: 3\n"
    fake.ends(1)
    (_code, first), (_code, second), (_code, third) = heard.ends
    assert (first, second) == ("There is no folder x.", "Out of memory.")
    assert "error code 1" in third
    assert "KeyError: 3" in third


def test_anInterruptedCommandIsSaidWithoutWhatToType():
    fake = FakeProcess()
    heard = Heard(fake)
    heard.process.start([])
    fake.errors = b"hetreg: cancelled, resume with: hetreg train --resume run\n"
    fake.ends(130)
    assert heard.ends == [(130, "It was interrupted from outside.")]


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_theRepositoryMayLieInAFolderWithASpace(runs, tmp_path, monkeypatch):
    python = tmp_path / "my files" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(python))
    runs("import sys; print(sys.argv[3])")
    heard = Heard()
    heard.process.start(["train"])
    assert heard.wait() == [(0, "")]
    assert heard.log == ["train"]


@pytest.mark.skipif(os.name == "nt", reason="it has no signals")
def test_crashIsSaid(runs):
    runs(
        "import os, signal, sys; print('last words', file=sys.stderr); sys.stderr.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    heard = Heard()
    heard.process.start([])
    ((code, problem),) = heard.wait()
    assert code == -1
    assert "crashed" in problem
    assert "last words" in problem


def test_crashBehindALauncherIsSaid():
    """PythonSlicer is one: it ends with 1 whatever came of what it launched, and says so in a line."""
    fake = FakeProcess()
    heard = Heard(fake)
    heard.process.start([])
    fake.errors = b"last words\nerror: [/opt/Slicer/bin/python-real] exit abnormally - Report the problem.\n"
    fake.ends(1)
    heard.process.start([])
    fake.errors = b"KeyError: 3\n"
    fake.ends(1)
    (crash, first), (code, second) = heard.ends
    assert (crash, code) == (-1, 1)
    assert first == "The process crashed or was terminated from outside (1). Its last message was: last words"
    assert "error code 1" in second


def test_whatIsClosedCallsNothingBack():
    fake = FakeProcess()
    heard = Heard(fake)
    heard.process.start([])
    heard.process.close()
    fake.says(b'{"event": "step"}\nwarning\n')
    fake.ends(9, qt.QProcess.CrashExit)
    assert (heard.events, heard.log, heard.ends) == ([], [], [])
    assert not heard.process.running


def test_pluginsOfSlicersItkAreNotForIt(monkeypatch):
    monkeypatch.setenv("ITK_AUTOLOAD_PATH", "/opt/Slicer/lib/ITKFactories")
    fake = FakeProcess()
    Heard(fake).process.start([])
    assert not fake.environment.contains("ITK_AUTOLOAD_PATH")
    assert fake.environment.contains("PYTHONPATH")


def test_noConsoleFlashesUpOnWindows(monkeypatch):
    runs = []
    fake = SimpleNamespace(run=lambda *a, **k: runs.append((a[0], k["creationflags"])), CREATE_NO_WINDOW=7)
    monkeypatch.setattr(process, "subprocess", fake)
    monkeypatch.setattr(process, "os", SimpleNamespace(name="nt", path=ntpath, environ={}))
    process.killTree(12)
    ((command, flags),) = runs
    assert command == [r"C:\Windows\System32\taskkill.exe", "/F", "/T", "/PID", "12"]
    assert flags == 7


def test_nothingInTheWorkingFolderIsRun(tmp_path, monkeypatch):
    for name in ("SimpleITK.py", "random.py"):
        (tmp_path / name).write_text("raise SystemExit('of the working folder')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep)  # an empty entry means that folder, too
    heard = Heard()
    heard.process.start(["models", "--json"])
    assert heard.wait() == [(0, "")]


def test_slicersOwnPythonComesFirst(tmp_path, monkeypatch):
    monkeypatch.setattr(process.shutil, "which", lambda name: "./PythonSlicer.EXE")  # so on Windows
    assert process.python() == sys.executable
    own = tmp_path / "bin" / "PythonSlicer"
    own.parent.mkdir()
    own.touch()
    monkeypatch.setattr(process, "slicer", SimpleNamespace(app=SimpleNamespace(slicerHome=str(tmp_path))))
    assert process.python() == str(own)


def test_programThatIsMissing(monkeypatch):
    monkeypatch.setattr(process, "python", lambda: "/no/such/python")
    heard = Heard()
    heard.process.start([])
    ((_code, problem),) = heard.wait()
    assert "/no/such/python could not be started" in problem


def test_killTakesTheWholeTree(runs):
    runs(
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('child', p.pid, flush=True); time.sleep(600)"
    )
    heard = Heard()
    heard.process.start([])
    runtime.wait(lambda: heard.log)
    child = int(heard.log[0].split()[1])
    heard.process.kill()
    assert heard.wait()
    assert not heard.process.running
    assert not isAlive(child)


def isAlive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_commandLineIsFoundFromAnywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    heard = Heard()
    heard.process.start(["--version"])
    assert heard.wait() == [(0, "")]
    assert heard.log[0].startswith("hetreg ")
    assert os.getcwd() == str(tmp_path)
