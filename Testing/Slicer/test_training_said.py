"""What the panel of HetRegTraining says: true of what is there now, and in the words of its own rows."""

import re
import shutil

import pytest
import qt
import slicer

from HetRegUncertaintyLib import traininglayout, trainingplot, trainingsection, trainingwords
from HetRegUncertaintyLib.trainingparameters import Dataset, Device
from HetRegUncertaintyLib.trainingrun import TrainingRun
from runtime import wait
from runtime.played_process import FakeProcess


def run(training):
    training.ui.startButton.click()
    wait(lambda: not training.section.running)


# --- the data
def test_aCheckOfOtherDataIsForgotten(training, fake, tmp_path):
    ui, p = training.ui, training.logic.getParameterNode()
    p.dataset, p.folder = Dataset("pairs"), str(tmp_path)
    fake("slow")
    ui.checkButton.click()
    ui.folderEdit.currentPath = str(tmp_path / "other")
    wait(lambda: not training.dataCheck.running)
    assert ui.dataLabel.text == "The choice of data has changed: check again."
    assert not ui.pairsTable.visible
    assert not ui.rejectedTable.visible
    fake("")
    ui.checkButton.click()
    wait(lambda: not training.dataCheck.running)
    assert ui.pairsTable.visible
    assert ui.dataLabel.text.startswith("Pairs: 2 (")


# --- a run
def test_withoutAValidationPairNothingIsCalledValidation(training, fake):
    """The model can be used from the first check on, too."""
    fake("unvalidated")
    training.ui.startButton.click()
    wait(lambda: training.ui.useButton.enabled or not training.section.running)
    assert training.section.running
    training.ui.stopButton.click()
    wait(lambda: not training.section.running)
    assert training.section.run.curves.validation_steps == []
    assert "validation:" not in training.ui.logText.plainText
    rows = re.findall(
        r"<td>(Validation.*?)</td><td align='right'><b>(.*?)</b>", training.ui.numbersLabel.text
    )
    assert rows == [("Validation", "no pairs")]
    chart = traininglayout.plotViewNode(traininglayout.PLOTS[2]).GetPlotChartNode()
    assert chart.GetTitle() == "No validation"
    table = trainingplot._node("Table", "validation", "").GetTable()
    assert table.GetNumberOfRows() == 0
    assert training.ui.useButton.enabled
    assert training.ui.evaluateButton.enabled


def test_aFailureIsSaidWhileItsSettingsAreThere(training, fake):
    ui, p = training.ui, training.logic.getParameterNode()
    p.device = Device.CUDA
    fake("refused")
    run(training)
    assert "not available" in ui.statusLabel.text
    p.device = Device.CPU
    assert ui.statusLabel.text == ""
    p.device = Device.CUDA
    assert "not available" in ui.statusLabel.text


def test_inTheWarmUpThereIsNoVarianceLossYet():
    run = TrainingRun(lambda: None, lambda _text: None, FakeProcess())
    assert trainingsection.numbers(run) == "No training in this session yet."
    run.curves.add({"event": "step", "step": 1, "loss": 0.5, "variance_loss": None})
    assert numbers(run) == [("Displacement loss", "0.5"), ("Variance loss", "after the warm-up")]
    run.curves.add({"event": "step", "step": 2, "loss": 0.5, "variance_loss": -2.0})
    assert "after the warm-up" not in trainingsection.numbers(run)


def numbers(run):
    """[(label, text)] of the table."""
    return re.findall(r"<td>(.*?)</td><td align='right'><b>(.*?)</b>", trainingsection.numbers(run))


def test_theNumbersAreOfTheRunThatTheyName(training, fake):
    """Also when another output folder is chosen, whose model and evaluation are shown below them."""
    run(training)
    training.ui.newFolderButton.click()
    assert training.ui.outputFolderEdit.currentPath.endswith("run-2")
    assert numbers(training.section.run)[0] == ("Run", "run-1")
    assert "run-1" in training.ui.numbersLabel.text
    assert training.ui.numbersLabel.toolTip == training.section.run.folder


def test_theStartModelIsNotTheBestOfARun():
    run = TrainingRun(lambda: None, lambda _text: None, FakeProcess())
    start = ("Validation Dice, start model", "0.606")
    for step, dice, said in [
        (0, 0.606, [start]),
        (20, 0.603, [start, ("Validation Dice, last (best)", "0.603 (0.603)")]),
        (40, 0.602, [start, ("Validation Dice, last (best)", "0.602 (0.603)")]),
    ]:
        run.curves.add({"event": "validation", "step": step, "dice": dice, "mse": 0.1})
        assert numbers(run) == said


def test_withoutItsFolderARunCannotGoOn(training, fake):
    ui, p = training.ui, training.logic.getParameterNode()
    fake("long")
    ui.startButton.click()
    wait(lambda: training.section.run.curves.steps)
    ui.stopButton.click()
    wait(lambda: not training.section.running)
    assert "Continue resumes" in ui.statusLabel.text
    shutil.rmtree(p.outputFolder)
    p.batch += 1
    assert ui.startButton.text == "Start"
    assert ui.statusLabel.text.startswith("Stopped after step")
    assert "Continue" not in ui.statusLabel.text


def test_aProgramThatCannotBeStartedIsSaidAtOnce(training, monkeypatch):
    """Windows knows it before the start of the process returns."""
    process, fake, said = training.section.run._process, FakeProcess(), []
    fake.start = lambda *_: process._onError(qt.QProcess.FailedToStart)
    monkeypatch.setattr(process, "_process", fake)
    monkeypatch.setattr(slicer.util, "errorDisplay", lambda text, **_more: said.append(text))
    training.ui.startButton.click()
    assert len(said) == 1
    assert "could not be started" in said[0]
    assert training.ui.statusLabel.text == said[0]
    assert not training.section.running
    assert not training.section._timer.active


def test_stopButtonSaysWhatItDoes(training, fake):
    ui = training.ui
    before = ui.stopButton.toolTip
    assert "keep a checkpoint" in before
    fake("deaf")
    ui.startButton.click()
    wait(lambda: training.section.run.curves.steps)
    ui.stopButton.click()
    assert ui.stopButton.text == "Stop immediately"
    assert "without a checkpoint" in ui.stopButton.toolTip
    ui.stopButton.click()
    wait(lambda: not training.section.running)
    assert ui.stopButton.toolTip == before


# --- words
def test_noDeviceInTheWordsOfTheMenu(training, fake):
    fake("refused")
    run(training)
    said = "'Compute on' is 'NVIDIA GPU (CUDA)', which is not available here: accepted are Automatic, CPU."
    assert training.ui.statusLabel.text == said
    assert said in training.ui.logText.plainText


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            "One of the same size, and the same --variance-residual and --integrate, is accepted.",
            "One of the same size, and the same 'Show the residual to the variance network' and "
            "'Integration', is accepted.",
        ),
        (
            "crop is 10: a whole number of at least 16 is accepted.",
            "'Crop' is 10: a whole number of at least 16 is accepted.",
        ),
        (
            "The last checkpoint was kept: try a smaller learning rate, clip, or another weight_mode.",
            "The last checkpoint was kept: try a smaller learning rate, 'Largest gradient', or another "
            "'SNR weight'.",
        ),
        (
            "The run in clip was started with learning_rate = 0.1, not 0.2: the same is accepted.",
            "The run in clip was started with 'Learning rate' = 0.1, not 0.2: the same is accepted.",
        ),
        (
            "There is no data folder /data/clip/weight_mode.",
            "There is no data folder /data/clip/weight_mode.",
        ),
    ],
)
def test_wordsOfTheCommandLine(training, told, said):
    assert trainingwords.inWords(training.ui, told) == said


# --- the scene
def test_layoutsAreKnownFromTheStart(training):
    """A scene that was saved with one of them is loaded before they were ever shown."""
    node = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    assert all(node.IsLayoutDescription(which) for which in traininglayout.OURS)


def test_nothingIsDoneInTheMiddleOfAnImport(training, monkeypatch, tmp_path):
    """Nodes of a scene that is added change the parameters before all of them, and the views, are there."""
    p = training.logic.getParameterNode()
    p.outputFolder = str(tmp_path / "saved")
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    p.outputFolder = str(tmp_path / "run-1")
    during, scene = [], slicer.mrmlScene
    isWhole = lambda _p: during.append(scene.IsBatchProcessing() or scene.IsImporting())  # noqa: E731
    monkeypatch.setattr(training.form, "show", isWhole)
    assert slicer.app.coreIOManager().loadNodes(
        "SceneFile", {"fileName": str(tmp_path / "scene.mrb"), "clear": False}
    )
    assert during
    assert not any(during)
    monkeypatch.undo()
    training._onParameters()
    assert training.ui.outputFolderEdit.currentPath == str(tmp_path / "saved")
