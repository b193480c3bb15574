"""The form of HetRegTraining: every option of the core is in it, and what it says is true."""

import xml.etree.ElementTree as ET
from dataclasses import fields
from pathlib import Path

import pytest

import runtime
from hetreg.config import TrainConfig
from HetRegUncertaintyLib import gpu, trainingform, trainingparameters
from HetRegUncertaintyLib.trainingparameters import (
    ABSENT,
    RENAMED,
    Dataset,
    Decay,
    HetRegTrainingParameterNode,
    Integrate,
    LengthUnit,
    Method,
    Network,
    parameterOf,
    trainConfig,
)
from runtime import parameter_types

FORM = Path(__file__).resolve().parents[2] / "HetRegTraining" / "Resources" / "UI" / "HetRegTraining.ui"
WITHOUT_TOOLTIP = {"QLabel", "QWidget", "qMRMLWidget", "ctkCollapsibleButton"}


READ_BFLOAT16 = gpu.hasBfloat16.__wrapped__  # what is found is else kept


@pytest.fixture
def nvidia(monkeypatch):
    """nvidia(found): whether there seems to be an NVIDIA GPU; at first there is none, and no bfloat16."""

    def say(found):
        monkeypatch.setattr(gpu, "hasNvidia", lambda: found)

    say(False)
    monkeypatch.setattr(gpu, "hasBfloat16", lambda: False)
    return say


@pytest.fixture(scope="module")
def widgets():
    """{name: element} of the form."""
    return {w.get("name"): w for w in ET.parse(FORM).iter("widget")}


def propertyOf(widget, name):
    """Text of a property, "" where the form does not set it."""
    found = [p for p in widget.findall("property") if p.get("name") == name]
    return "".join(found[0].itertext()).strip() if found else ""


def test_everyFieldOfTheCoreIsReachable(widgets):
    bound = {propertyOf(w, "SlicerParameterName") for w in widgets.values()}
    bound |= set(trainingform.PATHS.values())
    names = [f.name for f in fields(TrainConfig)]
    assert [n for n in names if n not in ABSENT and parameterOf(n) not in bound] == []
    assert all(name in names and len(reason) > 20 for name, reason in ABSENT.items())
    assert set(RENAMED) <= set(names)


def test_everyParameterIsOfAFieldOrOfThePanel(widgets):
    """No row is left over that changes nothing."""
    known = {parameterOf(f.name) for f in fields(TrainConfig)}
    known |= {"addPhantoms", "lengthUnit", "trainingLayout", ""}
    assert {propertyOf(w, "SlicerParameterName") for w in widgets.values()} <= known


def test_aTrainingIsCountedInSteps(widgets, training):
    """As in its log, its curves and its end; a batch is what a step learns from."""
    units = {n: propertyOf(w, "suffix").strip() for n, w in widgets.items() if propertyOf(w, "suffix")}
    assert {units[f"{n}SpinBox"] for n in ("warmup", "varianceWarmup", "validateEvery", "stepsPerEpoch")} == {
        "steps"
    }
    assert "batch" not in " ".join(units.values())
    assert LengthUnit.STEPS.label() == "steps"


def test_everyWidgetHasATooltip(widgets):
    bare = [n for n, w in widgets.items() if w.get("class") not in WITHOUT_TOOLTIP]
    assert [n for n in bare if not propertyOf(widgets[n], "toolTip")] == []


def test_slicerUsesEveryAnnotation():
    """Of any other it complains in the log at each start."""
    notes = [
        note
        for parameter in HetRegTrainingParameterNode.allParameters.values()
        for note in parameter_types.splitAnnotations(parameter.unalteredType)[1]
    ]
    assert notes
    assert [n for n in notes if not isinstance(n, parameter_types.Validator | parameter_types.Default)] == []


def test_smallNumbersCanBeTyped(training):
    """The form says how many decimals there are, not the parameter node."""
    ui, p = training.ui, training.logic.getParameterNode()
    ui.alphaWidget.value, ui.learningRateSpinBox.value, ui.smoothnessWidget.value = 0.00002, 0.000003, 0.0004
    assert (p.alpha, p.learningRate, p.smoothness) == (0.00002, 0.000003, 0.0004)


def test_seldomOptionsReachTheCore(training):
    ui, p = training.ui, training.logic.getParameterNode()
    ui.warmupSpinBox.value, ui.varianceWarmupSpinBox.value = 7, 9
    ui.stepsPerEpochSpinBox.value, ui.accumulateSpinBox.value = 30, 4
    ui.clipSpinBox.value = 1.5
    ui.decayComboBox.setCurrentIndex(list(Decay).index(Decay("poly")))
    ui.splitFileEdit.currentPath = "/data/split.json"
    ui.cacheCheckBox.checked = ui.bidirectionalWidget.checked = True
    expected = {
        "warmup": 7,
        "variance_warmup": 9,
        "steps_per_epoch": 30,
        "accumulate": 4,
        "clip": 1.5,
        "decay": "poly",
        "split": "/data/split.json",
        "cache": True,
        "bidirectional": True,
    }
    assert trainConfig(p) == TrainConfig(epochs=20, **expected)
    assert trainConfig(p).total_steps == 600
    p.lengthUnit = LengthUnit.STEPS
    assert not ui.stepsPerEpochSpinBox.visible
    assert (trainConfig(p).total_steps, trainConfig(p).steps_per_epoch) == (20, 100)


def test_folderAndPhantomInOneRun(training):
    ui, p = training.ui, training.logic.getParameterNode()
    assert not ui.addPhantomsCheckBox.visible
    ui.datasetComboBox.setCurrentIndex(list(Dataset).index(Dataset("acdc")))
    ui.folderEdit.currentPath = "/data/acdc"
    assert ui.addPhantomsCheckBox.visible
    assert not ui.phantomsSpinBox.visible
    ui.addPhantomsCheckBox.checked = True
    assert ui.phantomsSpinBox.visible
    assert ui.phantomKindComboBox.visible
    ui.phantomsSpinBox.value = 50
    config = trainConfig(p)
    assert (config.dataset, config.root, config.phantoms) == ("acdc+phantom", "/data/acdc", 50)
    ui.realShareSpinBox.value = 0.25
    assert trainConfig(p).real_share == 0.25
    p.dataset = Dataset("phantom")
    assert not ui.realShareSpinBox.visible
    assert trainConfig(p) == TrainConfig(epochs=20, phantoms=50)


def test_addedNoiseStretchAndWideChangesBelongToTheAugmentation(training):
    ui, p = training.ui, training.logic.getParameterNode()
    ui.extraNoiseSpinBox.value = 0.05
    ui.wideAugmentCheckBox.checked = True
    assert ui.stretchSpinBox.value == TrainConfig().stretch
    ui.stretchSpinBox.value = 0.5
    config = trainConfig(p)
    assert (config.extra_noise, config.wide_augment, config.stretch) == (0.05, True, 0.5)
    ui.augmentCheckBox.checked = False
    assert not ui.extraNoiseSpinBox.visible
    assert not ui.wideAugmentCheckBox.visible
    assert not ui.stretchSpinBox.visible
    config = trainConfig(p)
    assert (config.extra_noise, config.wide_augment, config.stretch) == (0.0, False, TrainConfig().stretch)


def test_theVarianceNetworkMaySeeTheResidual(training):
    ui, p = training.ui, training.logic.getParameterNode()
    assert not trainConfig(p).variance_residual
    ui.varianceResidualCheckBox.checked = True
    assert trainConfig(p).variance_residual


def test_blindSpotsBelongToMethodsWhoseVarianceHasAStepOfItsOwn(training):
    ui, p = training.ui, training.logic.getParameterNode()
    assert trainConfig(p).blind_spots == 0
    ui.blindSpotsWidget.value = 0.2
    assert trainConfig(p).blind_spots == 0.2
    p.method = Method("nll")
    assert not ui.blindSpotsWidget.visible
    assert trainConfig(p).blind_spots == 0


def test_listOfPairsInPlaceOfAFolder(training):
    ui, p = training.ui, training.logic.getParameterNode()
    p.dataset = Dataset("camus")
    assert not ui.listButton.visible
    p.dataset = Dataset("pairs")
    assert ui.listButton.visible
    runtime.answer("file", "/data/pairs.csv")
    ui.listButton.click()
    assert ui.folderEdit.currentPath == "/data/pairs.csv"
    assert trainConfig(p).root == "/data/pairs.csv"
    runtime.answer("file", "")
    ui.listButton.click()
    assert ui.folderEdit.currentPath == "/data/pairs.csv"


def test_checkIsForgottenWhenTheSplitChanges(training, fake):
    ui = training.ui
    ui.checkButton.click()
    runtime.wait(lambda: ui.checkButton.enabled)
    assert ui.pairsTable.visible
    ui.splitFileEdit.currentPath = "/data/other.json"
    assert not ui.pairsTable.visible


@pytest.mark.parametrize("name", trainingparameters.HARDWARE)
def test_optionsOfAnNvidiaGpu(training, nvidia, name):
    p, box = training.logic.getParameterNode(), getattr(training.ui, f"{name}CheckBox")
    training._onParameters()
    assert not box.enabled
    assert "none was found" in box.toolTip
    setattr(p, name, True)
    assert not getattr(trainConfig(p), name)
    p.device = trainingparameters.Device.CUDA
    assert box.enabled
    assert "NVIDIA" not in box.toolTip
    assert getattr(trainConfig(p), name)
    p.device = trainingparameters.Device.CPU
    assert "choose it under Compute on" in box.toolTip
    nvidia(True)
    p.device = trainingparameters.Device.AUTO
    assert box.enabled


@pytest.mark.parametrize(
    ("flags", "able"),
    [
        ("fpu avx512f avx512_bf16 amx_tile", True),
        ("fpu amx_bf16", True),
        ("fpu avx512f", False),
        (None, False),
    ],
)
def test_aProcessorWithBfloat16MayUseIt(training, nvidia, monkeypatch, tmp_path, flags, able):
    processor = tmp_path / "cpuinfo"
    if flags:
        processor.write_text(
            f"model name\t: a name\nflags\t\t: {flags}\nbugs\t: amx_bf16\n", encoding="utf-8"
        )
    monkeypatch.setattr(gpu, "PROCESSOR", str(processor))
    monkeypatch.setattr(gpu, "hasBfloat16", READ_BFLOAT16)
    p, box = training.logic.getParameterNode(), training.ui.ampCheckBox
    p.amp = p.compile = True
    training._onParameters()
    assert box.enabled == able
    assert ("processors" in box.toolTip) != able
    assert trainConfig(p).amp == able
    assert not trainConfig(p).compile
    p.device = trainingparameters.Device.MPS
    assert not box.enabled


def test_badCombinationIsSaidBeforeStart(training):
    training.ui.batchSpinBox.value, training.ui.accumulateSpinBox.value = 6, 4
    assert not training.ui.startButton.enabled
    said = "'Parts of a batch' is 4 and 'Pairs per batch' 6: a divisor of the batch is accepted."
    assert training.ui.statusLabel.text == said
    training.ui.accumulateSpinBox.value = 3
    assert training.ui.startButton.enabled


def test_oracleWeightNeedsAugmentationOff(training):
    p = training.logic.getParameterNode()
    p.method = Method("oracle_weight")
    oracle = Method("oracle_weight").label()
    assert training.ui.startButton.toolTip == (
        f"'Augment' would change the true variance that method '{oracle}' needs: it has to be off."
    )
    training.ui.augmentCheckBox.checked = False
    assert training.ui.startButton.enabled


def test_bidirectionalIsHiddenWhereThereIsNoInverse(training):
    p = training.logic.getParameterNode()
    training.ui.bidirectionalWidget.checked = True
    p.network = Network("transmorph")
    assert not training.ui.bidirectionalWidget.visible
    assert not trainConfig(p).bidirectional
    training.ui.integrateComboBox.setCurrentIndex(list(Integrate).index(Integrate("yes")))
    assert training.ui.bidirectionalWidget.visible
    assert trainConfig(p).bidirectional
    assert trainConfig(p).integrate == "yes"


def test_howARunEndedIsSaidOfItsFolderOnly(training, fake):
    fake("crash")
    training.ui.startButton.click()
    runtime.wait(lambda: not training.section.running)
    folder, text = training._parameterNode.outputFolder, training.ui.statusLabel.text
    assert "encountered. The checkpoint" in text
    training.ui.newFolderButton.click()
    assert training.ui.statusLabel.text == ""
    training.ui.outputFolderEdit.currentPath = folder
    assert training.ui.statusLabel.text == text
