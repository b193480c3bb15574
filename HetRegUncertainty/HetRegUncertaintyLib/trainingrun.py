"""One training in its own process: what state it is in, what it reported, how it ended. Knows no widget.

It is told to pause, go on or stop by a word in a file that it looks at: PythonSlicer, which launches it, may
not hand on standard input on every system.
"""

import os
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from pathlib import Path

from slicer.i18n import tr as _

from hetreg.config import TrainConfig
from hetreg.datasets.split import read_split

from .process import HetRegProcess, event
from .trainingplot import Curves, isValidated

CHECKPOINT, MODEL, LOG, CONFIG, SPLIT = "last.ckpt", "best.pt", "log.jsonl", "config.json", "split.json"
BAD_INPUT = 2  # exit code: its sentence is enough
NO_MEASURE = ("step", "time")  # of what a validation reports


class State(Enum):
    """Where a training is between Start and its end."""

    IDLE = "idle"
    STARTING = "starting"  # the process is up, no step was reported yet
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    STOPPING = "stopping"


class TrainingRun:
    """onChange() is called after everything that happens, onLog(text) with what is said beside the events.

    process: the QProcess to use, or what acts like one.
    """

    def __init__(self, onChange, onLog, process=None):
        self._onChange, self._onLog = onChange, onLog
        self._process = HetRegProcess(self._onEvent, onLog, self._onEnd, process)
        self.curves, self.folder, self.configFile = Curves(), "", ""
        self._control = None
        self._forget()

    def _forget(self):
        self.last, self.pairs, self.previewFolder, self.previews, self.checks = {}, {}, "", 0, 0
        self.model, self.note, self.failed, self.finished = "", "", False, False
        self._ending, self._goesOn = "", ""  # how it ended, and that Continue goes on
        self._asked, self._said, self._isHeard = "", "", False  # the last word to it, and of it; any event

    @property
    def state(self):
        """What is going on: what was asked for last is what holds, and it may have to be seen yet."""
        if not self.running:
            return State.IDLE
        if self._asked == "stop":
            return State.STOPPING
        if self._asked == "pause":
            return State.PAUSED if self._said == "paused" else State.PAUSING
        return State.RUNNING if self.last else State.STARTING

    @property
    def running(self):
        """True from Start to the end of the process."""
        return self._process.running

    @property
    def outcome(self):
        """How it ended, "" before; with how to go on while there is something to go on with."""
        mayGoOn = self._goesOn and canContinue(self.folder)
        return f"{self._ending.rstrip('.')}. {self._goesOn}" if mayGoOn else self._ending

    def start(self, configFile, folder):
        """Train with a configuration file into a run folder; a run that is there goes on."""
        if self.running:
            raise RuntimeError(_("A training is running: stop it first."))
        self._forget()
        self.folder, self.curves = str(folder), formerCurves(folder)
        self.configFile = str(configFile)
        self._control = Path(configFile).with_suffix(".control")
        self._forgetControl()
        arguments = ["--config", configFile, "--output", folder, "--control", self._control]
        self._process.start(["train", *arguments, "--json"])
        self._onChange()

    def pause(self):
        """Pause after the step that is being made."""
        if self.state is State.RUNNING:
            self._ask("pause")

    def resume(self):
        """Go on after a pause."""
        if self.state in (State.PAUSED, State.PAUSING):
            self._ask("resume")

    def stop(self):
        """Stop after the step, with a checkpoint. Asked a second time: end the process at once."""
        if self.state is State.STOPPING:
            self._process.kill()
        elif self.running:
            self._ask("stop")

    def stopAndWait(self, seconds):
        """Before Slicer or the panel goes away: stop, and kill what has not stopped by then."""
        if self.running:
            if self.state is not State.STOPPING:
                self.stop()
            if not self._process.wait(seconds):
                self._process.kill()
                self._process.wait(seconds)

    def _ask(self, word):
        if self._tell(word) or word == "stop":  # told or not, the second time ends the process
            self._asked = word
        self._onChange()

    def _tell(self, word):
        """Write a word for the training. Returns whether that could be done."""
        try:
            self._control.write_text(word, encoding="utf-8")
        except OSError as error:
            problem = _("The command '{word}' could not be sent to the training: {error}")
            self._onLog(problem.format(word=word.strip(), error=error))
            return False
        return True

    def _forgetControl(self):
        with suppress(OSError):  # mostly there is none
            self._control.unlink()

    def _onEvent(self, content):
        kind = content["event"]
        self._hear(kind)
        if kind in ("step", "validation"):
            self.curves.add(content)
        self._say(kind, content)
        if kind == "step":
            self.last = content
        elif kind == "validation":
            self.checks += 1
        elif kind == "data":
            self.pairs = content
        elif kind == "preview":
            self.previewFolder, self.previews = str(content.get("folder", "")), self.previews + 1
        elif kind == "stopped":
            stopped = _("Stopped after step {step}.").format(step=content.get("step", "?"))
            self._ending = f"{stopped} {content.get('note', '')}".rstrip()
        elif kind == "done":
            self._ending, self.finished = f"{_('Finished.')} {content.get('note', '')}".rstrip(), True
            self.model = str(content.get("model", ""))
        elif kind == "progress":
            self.note = str(content.get("message", ""))
        self._onChange()

    def _hear(self, kind):
        if not self._isHeard and self._asked == "stop":
            self._tell("stop\n")  # what it found at its start does not count, and this is not the same
        self._isHeard = True
        if kind in ("paused", "resumed"):
            self._said = kind

    def _say(self, kind, content):
        """What belongs into the log."""
        if kind == "note":
            self._onLog(str(content.get("text", "")))
        elif kind == "left_out":
            file, reason = content.get("file", "?"), content.get("reason", "")
            self._onLog(_("Left out: {file}: {reason}").format(file=file, reason=reason))
        elif kind == "validation" and isValidated(content):
            measured = (n for n in content if n not in NO_MEASURE and isinstance(content[n], float))
            text = ", ".join(f"{name} {content[name]:.4g}" for name in measured)
            self._onLog(_("Step {step}, validation: {text}").format(step=content.get("step"), text=text))

    def _onEnd(self, code, problem):
        self._forgetControl()
        self.failed = bool(problem or not self._ending) and not self._process.killed
        if self.failed:
            self._ending = problem or _("The training ended without giving a reason.")
            kept = _("The checkpoint in the output folder was kept: Continue resumes from there.")
            self._goesOn = "" if code == BAD_INPUT else kept
        elif not self.finished:
            self._ending = _("Stopped immediately.") if problem else self._ending
            self._goesOn = _("Continue resumes from there.")
        if not self.model and os.path.isfile(os.path.join(self.folder, MODEL)):
            self.model = os.path.join(self.folder, MODEL)
        self._onChange()


def canContinue(folder):
    """True if a folder holds a checkpoint: of a run that was stopped, crashed, or has finished."""
    return bool(folder) and os.path.isfile(os.path.join(str(folder), CHECKPOINT))


def reasonUntested(folder):
    """Why a run has nothing to evaluate its model on, "" if it has."""
    files = [os.path.join(folder, name) for name in (CONFIG, SPLIT)]
    try:
        untested = _isWithoutTest(*files, *(os.stat(file).st_mtime_ns for file in files))
    except (OSError, ValueError):  # the evaluation says what is wrong with them
        return ""
    reason = _("This run has no test patients: train on more patients, or with a split file that names some.")
    return reason if untested else ""


@lru_cache(maxsize=1)
def _isWithoutTest(config, split, *_changed):
    """True if nobody is for the test, and there are no phantoms, of which new ones can be made."""
    isSimulated = "phantom" in TrainConfig.load(config).dataset.split("+")
    return not isSimulated and not read_split(Path(split)).get("test")


def formerCurves(folder):
    """What a run in this folder reported before; empty where there is none."""
    curves, path = Curves(), os.path.join(str(folder), LOG)
    if canContinue(folder) and os.path.isfile(path):
        with open(path, encoding="utf-8", errors="replace") as file:
            for content in filter(None, (event(line.strip()) for line in file)):
                curves.add(content)
    return curves
