"""The panel of HetRegTraining: real buttons, a trainer in its own process, then nodes and files are read."""

import sys
from pathlib import Path

import pytest
import slicer

import runtime
from HetRegUncertaintyLib import (
    process,
    traininglayout,
    trainingplot,
    trainingpreview,
    trainingtest,
)
from HetRegUncertaintyLib.trainingrun import State
from runtime import wait


def steps(training):
    return training.section.run.curves.steps


def trainingNodes():
    scene = slicer.mrmlScene
    nodes = [scene.GetNthNode(i) for i in range(scene.GetNumberOfNodes())]
    return [
        n
        for n in nodes
        if n.GetAttribute(trainingplot.ATTRIBUTE) or n.GetAttribute(trainingpreview.ATTRIBUTE)
    ]


# --- a run
def test_startPauseResumeStop(training, fake):
    ui = training.ui
    fake("long")
    ui.startButton.click()
    assert ui.stopButton.visible
    assert not ui.startButton.visible
    assert not ui.dataCollapsibleButton.enabled
    wait(lambda: len(steps(training)) >= 3)
    assert "Epoch 1, step " in ui.statusLabel.text
    assert "left" in ui.statusLabel.text
    ui.pauseButton.click()
    wait(lambda: training.section.run.state is State.PAUSED)
    assert (ui.pauseButton.text, ui.statusLabel.text) == ("Resume", "Paused.")
    before = len(steps(training))
    runtime.process_events(0.3)
    assert len(steps(training)) == before
    ui.pauseButton.click()
    wait(lambda: len(steps(training)) >= before + 3)
    assert ui.pauseButton.text == "Pause"
    ui.stopButton.click()
    wait(lambda: not training.section.running)
    assert "Stopped after step" in ui.statusLabel.text
    assert ui.startButton.text == "Continue"
    assert ui.startButton.enabled
    assert ui.dataCollapsibleButton.enabled


def test_continuesAfterStop(training, fake):
    fake("long")
    training.ui.startButton.click()
    wait(lambda: len(steps(training)) >= 5)
    training.ui.stopButton.click()
    wait(lambda: not training.section.running)
    stopped = steps(training)[-1]
    training.ui.startButton.click()
    wait(lambda: steps(training))
    assert steps(training)[0] > stopped


def test_twiceInARow(training, fake):
    for _time in range(2):
        training.ui.newFolderButton.click()
        training.ui.startButton.click()
        wait(lambda: not training.section.running)
        assert training.ui.statusLabel.text == "Finished."
        assert steps(training) == list(range(1, 41))
        assert "0.840" in training.ui.numbersLabel.text
    assert len(trainingNodes()) == 3 + 5 + 3 + 4  # charts, series, tables, volumes: no second set


def test_curvesAndPreview(training, fake):
    former = slicer.app.layoutManager().layout
    training.ui.startButton.click()
    wait(lambda: not training.section.running)
    assert traininglayout.isShown()
    table = trainingplot._node("Table", "loss", "")
    array = slicer.util.arrayFromTableColumn(table, "Value")
    assert array[0] > array[-1]
    for tag in traininglayout.PLOTS:
        assert traininglayout.plotViewNode(tag).GetPlotChartNode() is not None
    fixed = slicer.util.getNode("Validation pair, fixed")
    composite = traininglayout.sliceLogic("fixed").GetSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == fixed.GetID()
    assert fixed.GetHideFromEditors()
    training.ui.trainingLayoutCheckBox.checked = False
    assert slicer.app.layoutManager().layout == former
    training.ui.trainingLayoutCheckBox.checked = True
    assert traininglayout.isShown()
    training.parent.exit()
    assert slicer.app.layoutManager().layout == former
    training.parent.enter()


def test_whatIsSaidOfAValidation(training, fake):
    training.ui.startButton.click()
    wait(lambda: not training.section.running)
    log = training.ui.logText.plainText.splitlines()
    assert "Step 10, validation: dice 0.81, mse 0.1, folding 0, loss 0.1" in log
    assert "Samples (training, validation, test)" in training.ui.numbersLabel.text
    assert "8, 2, 2" in training.ui.numbersLabel.text


def test_nothingOfItIsSavedWithTheScene(training, fake, tmp_path):
    training.ui.startButton.click()
    wait(lambda: not training.section.running)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    assert trainingNodes() == []
    assert training.ui.outputFolderEdit.currentPath == str(tmp_path / "run-1")


def test_crashOfTheTrainer(training, fake):
    fake("crash")
    training.ui.startButton.click()
    wait(lambda: not training.section.running)
    text = training.ui.statusLabel.text
    assert "crashed" in text
    assert "illegal memory access" in text
    assert "Continue resumes from there" in text
    assert training.ui.startButton.enabled
    fake("")
    training.ui.startButton.click()
    wait(lambda: not training.section.running)
    assert training.ui.statusLabel.text == "Finished."


def test_messyOutput(training, fake):
    fake("messy")
    training.ui.startButton.click()
    wait(lambda: len(steps(training)) >= 3)
    assert training.section.run.curves.loss[0] == 9.0
    log = training.ui.logText.plainText
    assert "Warning: something" in log
    assert "{broken json" in log
    training.ui.stopButton.click()
    wait(lambda: not training.section.running)


def test_stopTwiceEndsADeafTrainer(training, fake):
    fake("deaf")
    training.ui.startButton.click()
    wait(lambda: len(steps(training)) >= 3)
    child = int(training.ui.logText.plainText.split("child ")[1].split()[0])
    training.ui.stopButton.click()
    assert training.ui.stopButton.text == "Stop immediately"
    training.ui.stopButton.click()
    wait(lambda: not training.section.running)
    assert training.ui.statusLabel.text.startswith("Stopped immediately")
    stat = Path(f"/proc/{child}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_programCannotBeStarted(training, monkeypatch):
    monkeypatch.setattr(process, "python", lambda: "/no/such/python")
    training.ui.startButton.click()
    wait(lambda: not training.section.running)
    assert "could not be started" in training.ui.statusLabel.text
    assert training.ui.startButton.enabled


# --- what happens around a run
def test_sceneClosedWhileTraining(training, fake):
    fake("long")
    training.ui.startButton.click()
    wait(lambda: len(steps(training)) >= 3)
    slicer.mrmlScene.Clear(0)
    assert training.section.running
    assert training.ui.outputFolderEdit.currentPath == training.section.run.folder
    wait(lambda: training.section.run.previews)
    training.ui.stopButton.click()
    wait(lambda: not training.section.running)
    assert training.ui.statusLabel.text.startswith("Stopped after step")
    assert len(trainingNodes()) == 15


def test_otherModuleWhileTraining(training, fake):
    training.ui.startButton.click()
    wait(lambda: len(steps(training)) >= 3)
    slicer.util.selectModule("HetRegUncertainty")
    assert not traininglayout.isShown()
    wait(lambda: not training.section.running)
    assert not traininglayout.isShown()
    slicer.util.selectModule("HetRegTraining")
    assert traininglayout.isShown()
    assert training.ui.statusLabel.text == "Finished."
    assert training.ui.useButton.enabled


def test_closingSlicerAsks(training, fake, monkeypatch):
    asked, answers = [], [False, True]

    def confirm(text, *_arguments, **_keywords):
        asked.append(text)
        return answers.pop(0)

    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", confirm)
    window = slicer.util.mainWindow()
    fake("long")
    training.ui.startButton.click()
    wait(lambda: len(steps(training)) >= 3)
    assert not window.close()
    assert window.visible
    assert training.section.running
    assert window.close()
    assert training.section.running  # Slicer may ask too, and be told to stay open
    assert training.section.run.state is State.RUNNING
    training.ui.stopButton.click()
    wait(lambda: not training.section.running)
    assert len(asked) == 2
    assert training.section.run.folder in asked[0]
    window.show()
    assert window.close()  # nothing runs: nobody is asked
    window.show()


def test_reloadStopsWithACheckpoint(training, fake):
    fake("long")
    training.ui.startButton.click()
    wait(lambda: len(steps(training)) >= 3)
    training.section.run.stopAndWait(20.0)
    assert (Path(training.section.run.folder) / "last.ckpt").is_file()


def test_startedTwiceIsRefused(training, fake):
    fake("long")
    training.ui.startButton.click()
    training.onStart()
    with pytest.raises(RuntimeError, match="is running"):
        training.section.run.start("x", "y")
    training.ui.stopButton.click()
    wait(lambda: not training.section.running)


# --- the real trainer
@pytest.mark.slow
def test_realTrainingPausedStoppedContinuedAndUsed(training, panel):
    """The buttons, the real command line, and the new model in the other module."""
    p, ui, run = training.logic.getParameterNode(), training.ui, training.section.run
    trainingtest.small(p, p.outputFolder, batches=4000)
    ui.startButton.click()
    wait(lambda: len(steps(training)) >= 2, 180)
    ui.pauseButton.click()
    wait(lambda: run.state is State.PAUSED)
    before = len(steps(training))
    runtime.process_events(1.5)
    assert len(steps(training)) == before
    ui.pauseButton.click()
    wait(lambda: len(run.curves.validation_steps) >= 2 and len(steps(training)) >= before + 3, 180)
    ui.stopButton.click()
    wait(lambda: not run.running)
    assert not run.failed, ui.statusLabel.text
    stopped = steps(training)[-1]
    assert "Stopped after step" in ui.statusLabel.text
    assert run.curves.validation_loss[-1] < run.curves.validation_loss[0]
    assert slicer.util.getNode("Validation pair, noise SD").GetImageData() is not None

    ui.startButton.click()
    wait(lambda: steps(training)[-1] > stopped + 10, 180)
    assert min(run.curves.validation_steps) <= 10  # what went before is still in the curves
    ui.stopButton.click()
    wait(lambda: not run.running)

    ui.useButton.click()
    panel.ui.sampleButton.click()
    panel.ui.registerButton.click()
    assert "Done" in panel.ui.statusLabel.text
    assert panel.logic.getParameterNode().transform is not None
    assert runtime.errors() == []


@pytest.mark.slow
def test_selfTestOfTheModule(training, monkeypatch):
    """Also in another language: it goes by numbers, not by words."""
    import unittest

    import HetRegTraining

    monkeypatch.setattr("HetRegUncertaintyLib.evaluationnumbers._", lambda text: text.replace("d: ", "d~: "))
    training.ui.advancedCollapsibleButton.collapsed = True  # as a user may have it
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(HetRegTraining.HetRegTrainingTest)
    outcome = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(suite)
    assert outcome.testsRun >= 5
    assert outcome.wasSuccessful()
