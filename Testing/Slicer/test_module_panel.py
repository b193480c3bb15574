"""The panel of HetRegUncertainty around a registration: its menus, its values, samples and views."""

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import ctk
import numpy as np
import pytest
import qt
import slicer

import runtime
from hetreg.config import RegisterConfig
from HetRegUncertaintyLib import layout, modelmenu
from HetRegUncertaintyLib.parameters import Device, Dimension, registerConfig

REPOSITORY = Path(__file__).resolve().parents[2]


def test_helpLeadsToThePaper(training):
    for module in (slicer.modules.hetreguncertainty, slicer.modules.hetregtraining):
        assert '<a href="https://arxiv.org/abs/2312.00836">' in module.acknowledgementText


def test_whatIsMissingIsSaid(panel):
    assert not panel.ui.registerButton.enabled
    assert "Choose a fixed and a moving volume" in panel.ui.registerButton.toolTip


def test_modelMenuListsTheShippedModels(panel):
    from hetreg import zoo

    texts = [panel.ui.modelComboBox.itemText(i) for i in range(panel.ui.modelComboBox.count)]
    assert len(texts) == 2 + len(zoo.list_models())
    for text in texts[1:-1]:
        assert text.count("2D") + text.count("3D") == 1, text


def test_modelMenuNamesTheDimensionWhereTheLabelDoesNot(monkeypatch):
    from hetreg import zoo
    from HetRegUncertaintyLib.modelmenu import ModelMenu

    card = dataclasses.replace(zoo.list_models()[0], name="mine", label="Our scanner", ndim=3)
    monkeypatch.setattr(zoo, "list_models", lambda: [card])
    combo, label, path = qt.QComboBox(), qt.QLabel(), ctk.ctkPathLineEdit()
    ModelMenu(combo, label, path, lambda _model: None)
    assert combo.itemText(1) == "Our scanner (3D)"


def test_fixedSegmentationAlone(panel):
    """Register is grey and says why; the logic refuses it with the same sentence."""
    panel.ui.sampleButton.click()
    panel.ui.movingSegmentationSelector.setCurrentNode(None)
    p = panel.logic.getParameterNode()
    reason = panel.ui.registerButton.toolTip
    assert not panel.ui.registerButton.enabled
    assert "is given without a moving one" in reason
    assert panel.ui.statusLabel.text == reason
    with pytest.raises(ValueError, match="is given without a moving one") as caught:
        panel.logic.register(p.fixedVolume, p.movingVolume, fixedSegmentation=p.fixedSegmentation)
    assert str(caught.value) == reason
    panel.ui.fixedSegmentationSelector.setCurrentNode(None)
    assert panel.ui.registerButton.enabled


def test_theStatusIsOfTheChoicesShown(panel, smallPair, raisesInSlot):
    """What was said of a former choice goes when another is made; what is only looked at changes nothing."""
    panel.ui.registerButton.click()
    assert panel.ui.statusLabel.text.startswith("Done in")
    panel.ui.opacitySlider.value = 0.9
    panel.parent.exit()
    panel.parent.enter()
    assert panel.ui.statusLabel.text.startswith("Done in")
    panel.ui.fixedSelector.setCurrentNode(smallPair[1])
    panel.ui.movingSelector.setCurrentNode(smallPair[0])
    assert panel.ui.statusLabel.text == ""
    array = slicer.util.arrayFromVolume(smallPair[1])
    array[0, 0, 0] = np.nan
    slicer.util.arrayFromVolumeModified(smallPair[1])
    with raisesInSlot(ValueError, "NaN"):
        panel.ui.registerButton.click()
    assert "NaN" in panel.ui.statusLabel.text
    panel.ui.refineCheckBox.checked = True
    assert panel.ui.statusLabel.text == ""


def test_statusOfAClosedSceneIsGone(panel, smallPair, tmp_path):
    panel.ui.registerButton.click()
    assert slicer.util.saveScene(str(tmp_path / "run.mrb"))
    path = {"fileName": str(tmp_path / "run.mrb"), "clear": True}
    assert slicer.app.coreIOManager().loadNodes("SceneFile", path)
    assert panel.ui.registerButton.enabled
    assert panel.ui.statusLabel.text == ""


def test_weightFileInTheHomeFolder(panel, smallPair, plainModel, monkeypatch):
    folder, name = os.path.split(plainModel)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, folder)
    combo = panel.ui.modelComboBox
    combo.setCurrentIndex(combo.count - 1)
    panel.ui.weightFileEdit.currentPath = name
    assert not panel.ui.registerButton.enabled
    assert f"The weight file '{name}' has no full path" in panel.ui.statusLabel.text
    panel.ui.weightFileEdit.currentPath = f"~/{name}"
    panel.ui.registerButton.click()
    assert "Done" in panel.ui.statusLabel.text
    assert panel.ui.weightFileEdit.currentPath == f"~/{name}"


def test_aWeightFileThatHasGone(panel, smallPair, plainModel, monkeypatch):
    """It is said on entering the panel, and with the next change, at the latest after a click."""
    monkeypatch.setattr(modelmenu, "LOOK_S", 0.01)
    ui, p = panel.ui, panel.logic.getParameterNode()
    p.model = plainModel
    assert ui.registerButton.enabled
    os.rename(plainModel, f"{plainModel}.away")
    time.sleep(0.02)
    ui.registerButton.click()
    assert not ui.registerButton.enabled
    assert ui.statusLabel.text == ui.registerButton.toolTip == f"There is no weight file {plainModel}."
    os.rename(f"{plainModel}.away", plainModel)
    monkeypatch.setattr(modelmenu, "LOOK_S", 1e9)
    panel.parent.exit()
    panel.parent.enter()
    assert ui.registerButton.enabled


def test_aShippedModelOfAnotherDimension(panel, smallPair):
    """Is said before it is loaded."""
    ui, p = panel.ui, panel.logic.getParameterNode()
    p.model, p.dimension = "cine-mri-2d", Dimension.VOLUME
    own, automatic = Dimension.SLICES.label(), Dimension.AUTO.label()
    said = f"The model works in 2D: choose '{automatic}', '{own}' or another model."
    assert ui.statusLabel.text == ui.registerButton.toolTip == said
    for p.dimension in (Dimension.SLICES, Dimension.AUTO):
        assert ui.registerButton.enabled
    p.model, p.dimension = "echo-3d", Dimension.SLICES
    assert ui.statusLabel.text == said.replace("2D: ", "3D: ").replace(own, Dimension.VOLUME.label())


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"dimension": Dimension.VOLUME}, "The model works in 2D: choose 'Automatic', 'Slice by slice (2D)'"),
        (
            {"device": Device.MPS},
            "'Compute on' is 'Apple GPU (MPS)', which is not available here: accepted are Automatic, ",
        ),
    ],
)
def test_theCoreSpeaksInTheWordsOfThePanel(
    panel, smallPair, plainModel, raisesInSlot, monkeypatch, choice, said
):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    p = panel.logic.getParameterNode()
    p.model = plainModel
    for name, value in choice.items():
        setattr(p, name, value)
    with raisesInSlot(ValueError, said):
        panel.ui.registerButton.click()
    assert panel.ui.statusLabel.text.startswith(said)


def test_logJacobianIsAsItsTooltipSays(panel):
    """The cavity of the example is larger in the moving image: it shrinks on the way to the fixed one."""
    panel.ui.sampleButton.click()
    panel.ui.registerButton.click()
    p = panel.logic.getParameterNode()
    segmentation = p.fixedSegmentation
    segmentID = segmentation.GetSegmentation().GetSegmentIdBySegmentName("LV cavity")
    cavity = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segmentID, p.fixedVolume) > 0
    assert slicer.util.arrayFromVolume(p.logJacobian)[cavity].mean() > 0.2
    assert "above 0 the tissue shrank from moving to fixed" in panel.ui.logJacobianSelector.toolTip


def test_panelValuesReachTheCore(panel):
    p = panel.logic.getParameterNode()
    assert registerConfig(p) == RegisterConfig()
    panel.ui.refineCheckBox.checked = True
    panel.ui.refineSpinBox.value = 7
    panel.ui.gammaSlider.value = 0.25
    panel.ui.dimensionComboBox.setCurrentIndex(1)
    panel.ui.deviceComboBox.setCurrentIndex(1)
    panel.ui.weightModeComboBox.setCurrentIndex(1)
    expected = RegisterConfig(dimension="2d", device="cpu", refine=7, weight_mode="precision", gamma=0.25)
    assert registerConfig(p) == expected


@pytest.mark.parametrize("older", [False, True])
def test_samplesAreRegistered(panel, monkeypatch, older):
    """Both pairs are in Slicer's Sample Data module, with a thumbnail; a click there, as one on Load example
    pair, makes the pair, without network, and shows it."""
    import SampleData

    from HetRegUncertaintyLib import sampledata

    if older:  # than Slicer 5.12
        from runtime import sample_data

        sample_data.forget()
        monkeypatch.delattr(SampleData.SampleDataLogic, "registerCustomSampleDataCategory")
        sys.modules["HetRegUncertainty"].registerSampleData()
    for name in sampledata.SAMPLES:
        source = SampleData.SampleDataLogic().sourceForSampleName(name)
        assert Path(source.thumbnailFileName).is_file()
        runtime.click_sample(name)
        fixed = slicer.util.getNode("Phantom ES")
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 2
        composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        assert {composite.GetBackgroundVolumeID() for composite in composites} == {fixed.GetID()}
        slicer.mrmlScene.Clear()


def test_linkedViewsScrollTogether(panel):
    panel.ui.sampleButton.click()
    panel.ui.registerButton.click()
    first, *others = layout.sliceLogics()
    wanted = first.GetSliceOffset() + 8.0
    first.StartSliceOffsetInteraction()
    first.SetSliceOffset(wanted)
    first.EndSliceOffsetInteraction()
    assert [logic.GetSliceOffset() for logic in others] == pytest.approx([wanted, wanted])


# Both panels are opened; then prints what PyTorch finds in the environment when the panel has it loaded.
ENVIRONMENT = """
import os, sys
sys.path[:0] = ["Testing", "HetRegUncertainty", "HetRegTraining"]
import runtime; runtime.start()
before = dict(os.environ)
runtime.load_modules(["HetRegTraining/HetRegTraining.py", "HetRegUncertainty/HetRegUncertainty.py"])
import slicer
for name in ("HetRegTraining", "HetRegUncertainty"):
    slicer.util.selectModule(name)
ui = slicer.util.getModuleWidget("HetRegUncertainty").ui
ui.sampleButton.click()
assert "torch" not in sys.modules
assert dict(os.environ) == before
def watch(event, arguments):
    if event == "import" and arguments[0] == "torch":
        print(*map(os.environ.get, ("OMP_WAIT_POLICY", "PYTORCH_ENABLE_MPS_FALLBACK")))
sys.addaudithook(watch)
"""


@pytest.mark.parametrize(
    "use", ["ui.registerButton.click()", "ui.dependencyCollapsibleButton.collapsed = False"]
)
def test_openingThePanelsImportsNoTorchAndSetsNothing(use):
    """Others share the environment. It is set when HetReg itself has PyTorch loaded, before that is."""
    kept = {
        k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "PYTORCH_ENABLE_MPS_FALLBACK")
    }
    done = subprocess.run(
        [sys.executable, "-c", ENVIRONMENT + use],
        cwd=REPOSITORY,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout.splitlines() == ["PASSIVE 1"], done.stderr


def test_selfTestOfTheModule(panel):
    import unittest

    import HetRegUncertainty

    suite = unittest.defaultTestLoader.loadTestsFromTestCase(HetRegUncertainty.HetRegUncertaintyTest)
    outcome = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(suite)
    assert outcome.testsRun >= 5
    assert outcome.wasSuccessful()


def test_runtimeErrorsAreSeen():
    assert runtime.errors() == []
