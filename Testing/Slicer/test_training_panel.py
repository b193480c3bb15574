"""The panel of HetRegTraining before and after a run: form, check of the data, handing over of the model."""

from pathlib import Path

import pytest
import qt
import slicer

import runtime
from hetreg import registry
from hetreg.config import TrainConfig
from HetRegUncertaintyLib import (
    modelmenu,
    traininglayout,
    trainingparameters,
)
from HetRegUncertaintyLib.parameters import outputParameter
from HetRegUncertaintyLib.trainingparameters import Dataset, LengthUnit, Method, Network, trainConfig
from HetRegUncertaintyLib.trainingrun import State, TrainingRun
from runtime import wait


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
        "smoothness_on",
    ]
    p.method = Method("adareg")
    assert not ui.smoothnessOnWidget.visible  # its smoothness is of its own kind
    p.method = Method("nll")
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
    p.dataset = Dataset("phantom")
    assert training.ui.startButton.enabled


# --- the data
def test_checkListsPairsAndRejectedFiles(training, fake, tmp_path):
    ui, p = training.ui, training.logic.getParameterNode()
    p.dataset = Dataset("pairs")
    ui.folderEdit.currentPath = str(tmp_path)
    ui.checkButton.click()
    assert not ui.checkButton.enabled
    wait(lambda: ui.checkButton.enabled)
    assert ui.dataLabel.text.startswith(
        "Pairs: 2 (1 for training, 0 for validation, 1 for test). Patients: 1."
    )
    assert "Pairs with labels of both images: 1." in ui.dataLabel.text
    rows = [[ui.pairsTable.item(n, i).text() for i in range(ui.pairsTable.columnCount)] for n in range(2)]
    assert rows[0] == ["a1", "a", "training", "32 × 32", "1.25 × 1.25", "both", ""]
    assert rows[1][-2:] == ["none", "frame 31 of 30"]
    assert ui.rejectedTable.item(0, 1).text() == f"no image in {tmp_path}"
    assert ui.rejectedTable.item(1, 1).text().startswith("has no partner: ")
    p.seed += 1
    assert not ui.pairsTable.visible  # another seed is another split
    assert "check again" in ui.dataLabel.text
    assert not Path(p.outputFolder).exists()


def test_reasonsOfWhatIsLeftOutCanBeRead(training, fake, tmp_path):
    ui, p = training.ui, training.logic.getParameterNode()
    p.dataset, p.folder = Dataset("pairs"), str(tmp_path)
    ui.checkButton.click()
    wait(lambda: ui.checkButton.enabled)
    runtime.process_events(0.1)
    table = ui.rejectedTable
    column, text = table.columnWidth(1), table.item(1, 1).text()
    needed = table.fontMetrics().boundingRect(0, 0, column - 8, 10000, qt.Qt.TextWordWrap, text)
    assert table.columnWidth(0) + column <= table.viewport().width
    assert table.rowHeight(1) >= needed.height() > table.rowHeight(0)


# --- the model for the other module
def test_modelIsHandedOver(training, panel, tmp_path):
    assert not training.ui.useButton.enabled
    model = tmp_path / "run-1" / "best.pt"
    model.parent.mkdir()
    model.write_bytes(b"weights")
    training.parent.enter()
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
    panel.parent.exit()
    panel.parent.enter()
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
    wait(lambda: not training.dataCheck.running, 180)
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


def test_selfTestLeavesTheSectionsAsTheyWere(training):
    """Reload and Test calls setUp, the test and tearDown by itself, and no doCleanups."""
    import HetRegTraining

    case, section = HetRegTraining.HetRegTrainingTest(), training.ui.dataCollapsibleButton
    section.collapsed = True
    case.setUp()
    case.test_panel()
    assert not section.collapsed
    case.tearDown()
    assert section.collapsed
    section.collapsed = False
