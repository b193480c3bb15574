"""The panel of HetRegTraining: real buttons, a trainer in its own process, then nodes and files are read."""

import os
import sys
from pathlib import Path

import pytest
import slicer

import runtime
from hetreg import registry
from hetreg.config import TrainConfig
from HetRegUncertaintyLib import (
    modelmenu,
    process,
    traininglayout,
    trainingparameters,
    trainingplot,
    trainingpreview,
    trainingtest,
)
from HetRegUncertaintyLib.parameters import outputParameter
from HetRegUncertaintyLib.trainingparameters import Dataset, LengthUnit, Method, Network, trainConfig
from HetRegUncertaintyLib.trainingrun import State, TrainingRun, nextFolder
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


# --- the form
def test_everyOptionOfEveryMethodHasARow():
    assert set(registry.method_options()) <= set(trainingparameters.OPTIONS)


def test_rowsAreShownWhereTheyAreUsed(training):
    ui, p = training.ui, training.logic.getParameterNode()
    assert ui.phantomKindComboBox.visible
    assert not ui.folderEdit.visible
    ui.datasetComboBox.setCurrentIndex(list(Dataset).index(Dataset("pairs")))
    assert ui.folderEdit.visible
    assert not ui.phantomsSpinBox.visible
    p.method = Method("nll")
    assert [n for n in trainingparameters.OPTIONS if getattr(ui, outputParameter(n) + "Widget").visible] == [
        "smoothness",
        "bidirectional",
    ]
    assert ui.methodHelpLabel.text == registry.METHODS["nll"].help


def test_panelValuesReachTheCore(training):
    ui, p = training.ui, training.logic.getParameterNode()
    assert trainConfig(p) == TrainConfig(epochs=20)
    ui.methodComboBox.setCurrentIndex(list(Method).index(Method("beta_nll")))
    ui.betaWidget.value = 0.25
    ui.gammaWidget.value = 1.5  # not used by the method: it must not reach the configuration
    ui.lengthSpinBox.value = 70
    ui.lengthUnitComboBox.setCurrentIndex(list(LengthUnit).index(LengthUnit.STEPS))
    ui.batchSpinBox.value = 3
    ui.seedSpinBox.value = 5
    ui.learningRateSpinBox.value = 0.002
    ui.augmentCheckBox.checked = False
    ui.deviceComboBox.setCurrentIndex(1)
    expected = TrainConfig(
        method="beta_nll",
        beta=0.25,
        steps=70,
        batch=3,
        seed=5,
        learning_rate=0.002,
        augment=False,
        device="cpu",
    )
    assert trainConfig(p) == expected


def test_everyMethodAndArchitectureGivesAConfiguration(training):
    p = training.logic.getParameterNode()
    p.bidirectional = True
    for network in Network:
        for method in Method:
            p.network, p.method, p.augment = network, method, method.value != "oracle_weight"
            config = trainConfig(p)
            assert (config.network, config.method) == (network.value, method.value)


def test_whatIsMissingIsSaid(training):
    p = training.logic.getParameterNode()
    p.dataset = Dataset("pairs")
    assert not training.ui.startButton.enabled
    assert "folder of the data" in training.ui.startButton.toolTip
    assert training.ui.statusLabel.text == training.ui.startButton.toolTip
    p.dataset, p.outputFolder = Dataset("phantom"), ""
    assert "output folder" in training.ui.startButton.toolTip
    p.outputFolder = "/somewhere"
    assert training.ui.startButton.enabled


def test_newFolder(training, tmp_path):
    training.ui.newFolderButton.click()
    assert training.ui.outputFolderEdit.currentPath == str(tmp_path / "run-2")
    (tmp_path / "run-1").mkdir()
    (tmp_path / "heart").mkdir()
    assert nextFolder(str(tmp_path / "run-7")) == str(tmp_path / "run-2")
    assert nextFolder(str(tmp_path / "heart")) == str(tmp_path / "heart-1")
    assert nextFolder("").startswith(os.path.expanduser("~"))


# --- the data
def test_checkListsPairsAndRejectedFiles(training, fake, tmp_path):
    ui, p = training.ui, training.logic.getParameterNode()
    p.dataset = Dataset("pairs")
    ui.folderEdit.currentPath = str(tmp_path)
    ui.checkButton.click()
    assert not ui.checkButton.enabled
    wait(lambda: ui.checkButton.enabled)
    assert "2 pairs of 1 patients: 1 for training, 0 for validation, 1 for test" in ui.dataLabel.text
    row = [ui.pairsTable.item(0, i).text() for i in range(ui.pairsTable.columnCount)]
    assert row == ["a1", "a", "training", "32 × 32", "1.25 × 1.25", "1, 3"]
    assert ui.rejectedTable.item(0, 1).text() == f"no image in {tmp_path}"
    p.seed += 1
    assert not ui.pairsTable.visible  # another seed is another split
    assert not Path(p.outputFolder).exists()


# --- a run
def test_startPauseResumeStop(training, fake):
    ui = training.ui
    fake("long")
    ui.startButton.click()
    assert ui.stopButton.visible
    assert not ui.startButton.visible
    assert not ui.dataCollapsibleButton.enabled
    wait(lambda: len(steps(training)) >= 3)
    assert "batch" in ui.statusLabel.text
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
    fake("slow")
    training.ui.startButton.click()
    wait(lambda: len(steps(training)) >= 5)
    training.ui.stopButton.click()
    wait(lambda: not training.section.running)
    fake("")
    training.ui.startButton.click()
    wait(lambda: not training.section.running)
    assert steps(training)[-1] == 40
    assert steps(training)[0] > 1
    assert training.ui.statusLabel.text == "Finished."


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
    training.exit()
    assert slicer.app.layoutManager().layout == former
    training.enter()


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
    assert "Continue goes on from there" in text
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
    assert training.ui.stopButton.text == "End at once"
    training.ui.stopButton.click()
    wait(lambda: not training.section.running)
    assert training.ui.statusLabel.text.startswith("Ended at once")
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
    fake("slow")
    training.ui.startButton.click()
    wait(lambda: len(steps(training)) >= 3)
    slicer.mrmlScene.Clear(0)
    assert training.section.running
    assert training.ui.outputFolderEdit.currentPath == training.section.run.folder
    wait(lambda: not training.section.running)
    assert training.ui.statusLabel.text == "Finished."
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
    assert not training.section.running
    assert "Stopped" in training.ui.statusLabel.text
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
    with pytest.raises(RuntimeError, match="going on"):
        training.section.run.start("x", "y")
    training.ui.stopButton.click()
    wait(lambda: not training.section.running)


# --- the model for the other module
def test_modelIsHandedOver(training, panel, tmp_path):
    assert not training.ui.useButton.enabled
    model = tmp_path / "run-1" / "best.pt"
    model.parent.mkdir()
    model.write_bytes(b"weights")
    training.enter()
    assert training.ui.modelFileLabel.text == str(model)
    training.ui.useButton.click()
    assert slicer.util.moduleSelector().selectedModule == "HetRegUncertainty"
    assert panel.ui.modelComboBox.currentText == "Trained: run-1"
    assert panel.logic.getParameterNode().model == str(model)
    texts = [panel.ui.modelComboBox.itemText(i) for i in range(panel.ui.modelComboBox.count)]
    panel.ui.modelComboBox.setCurrentIndex(0)
    assert panel.logic.getParameterNode().model == "auto"
    panel.ui.modelComboBox.setCurrentIndex(texts.index("Trained: run-1"))
    assert panel.logic.getParameterNode().model == str(model)
    model.unlink()
    panel.exit()
    panel.enter()
    assert "Trained: run-1" not in [
        panel.ui.modelComboBox.itemText(i) for i in range(panel.ui.modelComboBox.count)
    ]


def test_modelsTrainedHereAreKept(training, tmp_path):
    files = [tmp_path / f"{i}.pt" for i in range(12)]
    for file in files:
        file.touch()
        modelmenu.addUserModel(str(file))
    modelmenu.addUserModel(str(files[5]))
    kept = modelmenu.userModels()
    assert kept[:2] == [str(files[5]), str(files[11])]
    assert len(kept) == modelmenu.MAX_USER_MODELS
    files[11].unlink()
    assert str(files[11]) not in modelmenu.userModels()


def test_runWithoutAWidget():
    """The logic of a run needs no panel."""
    log = []
    run = TrainingRun(lambda: None, log.append)
    assert (run.running, run.state) == (False, State.IDLE)
    run.pause()
    run.resume()
    run.stop()
    assert not run.running


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


def test_outputFolderThatIsAFile(training, tmp_path):
    training.logic.getParameterNode().outputFolder = str(tmp_path / "file")
    (tmp_path / "file").write_text("x")
    training.ui.startButton.click()
    wait(lambda: not training.section.running)
    assert "file cannot be written" in training.ui.statusLabel.text
    assert (tmp_path / "file").read_text() == "x"
    assert training.ui.startButton.enabled


@pytest.mark.parametrize("content", ["missing", "empty", "rubbish"])
def test_brokenDataFolder(training, tmp_path, content):
    folder = tmp_path / "data"
    if content != "missing":
        folder.mkdir()
    if content == "rubbish":
        (folder / "a_ED.nrrd").write_bytes(b"rubbish")
        (folder / "a_ES.nrrd").write_bytes(b"rubbish")
    p = training.logic.getParameterNode()
    p.dataset, p.folder = Dataset("pairs"), str(folder)
    training.ui.checkButton.click()
    wait(lambda: not training.dataCheck.running)
    expected = "no data folder" if content == "missing" else "No pairs were found"
    assert expected in training.ui.dataLabel.text
    assert training.ui.rejectedTable.visible == (content == "rubbish")
    assert not training.ui.pairsTable.visible
    training.ui.startButton.click()
    wait(lambda: not training.section.running, 180)
    assert training.section.run.failed
    assert training.ui.statusLabel.text
    assert "Traceback" not in training.ui.statusLabel.text
    assert not traininglayout.isShown()
    assert training.ui.startButton.enabled


@pytest.mark.slow
def test_selfTestOfTheModule(training):
    import unittest

    import HetRegTraining

    suite = unittest.defaultTestLoader.loadTestsFromTestCase(HetRegTraining.HetRegTrainingTest)
    outcome = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(suite)
    assert outcome.testsRun >= 5
    assert outcome.wasSuccessful()
