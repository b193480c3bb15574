"""What a training is told, what it says to that, and what its run takes that for, without any process."""

import json

import pytest
import qt

from HetRegUncertaintyLib.trainingrun import State, TrainingRun
from runtime.played_process import FakeProcess


class Told:
    """A run of a training that is played by hand."""

    def __init__(self, folder):
        self.log, self.process = [], FakeProcess()
        self.run = TrainingRun(lambda: None, self.log.append, self.process)
        self.file, self.folder = folder / "run.control", folder / "run"
        self.run.start(folder / "run.json", self.folder)

    def hears(self, *kinds):
        for kind in kinds:
            self.process.says(json.dumps({"event": kind, "step": 1}).encode() + b"\n")
        return self.run.state


@pytest.fixture
def told(tmp_path):
    (tmp_path / "run").mkdir()
    return Told(tmp_path)


def test_aQuickResumeAndPauseOfWhichTheTrainingSawNothing(told):
    assert told.hears("step") is State.RUNNING
    told.run.pause()
    assert told.hears("alive") is State.PAUSING  # a long step
    assert told.hears("paused") is State.PAUSED
    told.run.resume()
    told.run.pause()
    assert told.file.read_text() == "pause"
    assert told.hears("alive") is State.PAUSED
    told.run.resume()
    assert told.hears("resumed", "step") is State.RUNNING


def test_aQuickResumeAndPauseThatTheTrainingSaw(told):
    told.hears("step")
    told.run.pause()
    told.hears("paused")
    told.run.resume()
    told.run.pause()
    assert told.hears("resumed", "step") is State.PAUSING
    assert told.hears("paused") is State.PAUSED


def test_aPauseThatIsTakenBackBeforeTheTrainingSaysAnything(told):
    told.hears("step")
    told.run.pause()
    told.run.resume()
    assert told.hears("paused", "resumed") is State.RUNNING
    told.run.pause()
    told.run.resume()
    told.run.pause()
    assert told.hears("paused", "resumed") is State.PAUSING  # it saw the first, and then the second word
    assert told.hears("paused") is State.PAUSED


def test_aStopBeforeTheTrainingLooksIsSaidAgain(told):
    """What lies in the file at its start was said to a former one, as far as it knows."""
    told.run.stop()
    found = told.file.read_text()
    assert found == "stop"
    told.hears("progress")
    assert told.file.read_text() != found
    assert told.file.read_text().strip() == "stop"


def test_aFailureWhileItStopsIsNoStop(told):
    """Its work since the last checkpoint is lost."""
    told.hears("step")
    (told.folder / "last.ckpt").write_text("1")
    told.run.stop()
    problem = "last.ckpt could not be written: is the disk full?"
    told.process.says(json.dumps({"event": "error", "message": problem}).encode() + b"\n")
    told.process.ends(2)
    assert (told.run.failed, told.run.outcome) == (True, problem)


@pytest.mark.parametrize("end", ["done", "stopped"])
def test_aRunThatBroughtNothingSaysSoWhereItsEndIsSaid(told, end):
    note = "On the validation pairs best.pt is not as good as given.pt, which the run started from: use it."
    told.hears("step")
    told.process.says(json.dumps({"event": end, "step": 3, "note": note}).encode() + b"\n")
    told.process.ends(0)
    ended = {"done": "Finished.", "stopped": "Stopped after step 3."}[end]
    assert told.run.outcome.startswith(f"{ended} {note}")


def test_aTrainingThatWasEndedAtOnceHasNotFailed(told):
    told.hears("step")
    told.run.stop()
    told.run.stop()
    told.process.ends(9, qt.QProcess.CrashExit)
    assert (told.run.failed, told.run.outcome) == (False, "Stopped immediately.")


def test_aWordThatCannotBeWrittenChangesNothing(told):
    told.hears("step")
    told.file.mkdir()
    told.run.pause()
    assert told.run.state is State.RUNNING
    assert "The command 'pause' could not be sent" in told.log[-1]
    told.run.stop()
    assert told.run.state is State.STOPPING  # so that the second time ends the process
    assert "The command 'stop' could not be sent" in told.log[-1]
