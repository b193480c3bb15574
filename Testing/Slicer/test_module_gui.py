"""The panel of HetRegUncertainty: real buttons on real MRML, then the nodes are read."""

import numpy as np
import pytest
import qt
import slicer

from HetRegUncertaintyLib import layout, results
from HetRegUncertaintyLib.parameters import outputParameter

VOLUMES = [role for role, className in results.OUTPUTS.items() if className == results.VOLUME]


def ids():
    """IDs of all nodes of the scene."""
    nodes = [slicer.mrmlScene.GetNthNode(i) for i in range(slicer.mrmlScene.GetNumberOfNodes())]
    return {node.GetID() for node in nodes}


def outputs():
    """All nodes that a registration made."""
    nodes = [slicer.mrmlScene.GetNthNode(i) for i in range(slicer.mrmlScene.GetNumberOfNodes())]
    return [node for node in nodes if node.GetAttribute(results.ROLE)]


def later(milliseconds, function):
    """Call a function once while the panel is busy; keep the returned timer."""
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.connect("timeout()", function)
    timer.start(milliseconds)
    return timer


def test_registerMakesEveryOutput(panel, smallPair):
    fixed, moving = smallPair
    panel.ui.registerButton.click()
    p = panel.logic.getParameterNode()
    made = {role for role in results.OUTPUTS if getattr(p, outputParameter(role)) is not None}
    assert made == set(results.OUTPUTS) - {"moved_segmentation"}
    assert results.inputsOf(p.transform) == (fixed, moving)
    assert p.noiseSd.GetName() == "ES noise SD"
    assert p.noiseSd.GetAttribute(results.ROLE) == "noise_sd"
    assert p.noiseSd.GetNodeReference("HetReg.transform") == p.transform
    for node, ends in ((p.transform, (fixed, moving)), (p.inverseTransform, (moving, fixed))):
        roles = (node.GetFixedNodeReferenceRole(), node.GetMovingNodeReferenceRole())
        assert tuple(node.GetNodeReference(role) for role in roles) == ends
    assert "Done" in panel.ui.statusLabel.text
    assert "Correlation" in panel.ui.numbersLabel.text


def test_outputsLieOnTheFixedGrid(panel, smallPair):
    panel.ui.registerButton.click()
    nodes = results.outputsOf(panel.logic.getParameterNode().transform)
    fixed = smallPair[0]
    for role in VOLUMES:
        assert nodes[role].GetImageData().GetDimensions() == fixed.GetImageData().GetDimensions()
        np.testing.assert_allclose(geometry(nodes[role]), geometry(fixed), atol=1e-9)


def geometry(node):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def test_registerTwiceUpdatesTheSameNodes(panel, smallPair):
    panel.ui.registerButton.click()
    first, count = results.outputsOf(panel.logic.getParameterNode().transform), len(ids())
    before = slicer.util.arrayFromVolume(first["noise_sd"]).copy()
    slicer.util.arrayFromVolume(smallPair[0])[:] *= 2.0
    slicer.util.arrayFromVolumeModified(smallPair[0])
    panel.ui.registerButton.click()
    assert results.outputsOf(panel.logic.getParameterNode().transform) == first
    assert len(ids()) == count
    assert not np.allclose(slicer.util.arrayFromVolume(first["noise_sd"]), before)


def test_samplePairWithSegmentations(panel):
    panel.ui.sampleButton.click()
    assert panel.ui.registerButton.enabled
    panel.ui.registerButton.click()
    p = panel.logic.getParameterNode()
    segmentation = p.movedSegmentation.GetSegmentation()
    names = [segmentation.GetNthSegment(i).GetName() for i in range(segmentation.GetNumberOfSegments())]
    assert "LV cavity" in names
    assert "Dice, LV cavity" in panel.ui.numbersLabel.text
    summary, _names = results.summaryOf(p.transform)
    assert min(summary["dice_after"].values()) > min(summary["dice_before"].values())


def test_cancelLeavesTheSceneAlone(panel, smallPair):
    panel.logic.getParameterNode().refine = True
    panel.logic.getParameterNode().refineIterations = 1000
    before, seen = ids(), []

    def cancel():
        seen.append((panel.ui.cancelButton.visible, panel.ui.registerButton.enabled))
        panel.ui.cancelButton.click()

    _timer = later(200, cancel)
    panel.ui.registerButton.click()
    assert seen == [(True, False)]
    assert ids() == before
    assert "Cancelled" in panel.ui.statusLabel.text
    assert not panel.ui.cancelButton.visible
    assert panel.ui.registerButton.enabled
    assert panel.ui.inputsCollapsibleButton.enabled


def test_secondClickWhileRunningDoesNothing(panel, smallPair):
    calls = []
    original = panel.logic.register

    def register(*arguments, **keywords):
        calls.append(1)
        panel.ui.registerButton.click()
        panel.onRegister()
        return original(*arguments, **keywords)

    panel.logic.register = register
    try:
        panel.ui.registerButton.click()
    finally:
        del panel.logic.register
    assert calls == [1]


def test_inputsAreLockedWhileRunning(panel, smallPair, monkeypatch):
    """And what is said is of this run from the beginning on."""
    import hetreg.register

    seen = []
    original = hetreg.register.register_pair

    def register_pair(*arguments, **keywords):
        seen.append((panel.ui.inputsCollapsibleButton.enabled, panel.ui.statusLabel.text))
        return original(*arguments, **keywords)

    monkeypatch.setattr(hetreg.register, "register_pair", register_pair)
    for _run in range(2):
        panel.ui.registerButton.click()
    assert seen == [(False, "Starting...")] * 2
    assert panel.ui.inputsCollapsibleButton.enabled


@pytest.mark.parametrize("when", ["compute", "add"])
def test_failureLeavesTheSceneAlone(panel, smallPair, monkeypatch, raisesInSlot, when):
    import hetreg.register

    def fail(*arguments, **keywords):
        raise MemoryError("not enough memory for this")

    if when == "compute":
        monkeypatch.setattr(hetreg.register, "register_pair", fail)
    else:
        monkeypatch.setattr(results, "_connect", fail)
    before = ids()
    with raisesInSlot(MemoryError, "not enough memory"):
        panel.ui.registerButton.click()
    assert ids() == before
    assert panel.ui.statusLabel.text == "not enough memory for this"
    assert panel.ui.registerButton.enabled


def test_failedUpdateKeepsTheFormerResult(panel, smallPair, monkeypatch, raisesInSlot):
    panel.ui.registerButton.click()
    p = panel.logic.getParameterNode()
    before, count = slicer.util.arrayFromVolume(p.moved).copy(), len(ids())
    grid = slicer.util.arrayFromGridTransform(p.transform).copy()
    slicer.util.arrayFromVolume(smallPair[1])[:] += 1.0
    monkeypatch.setattr(results, "_connect", lambda *_: 1 / 0)
    with raisesInSlot(ZeroDivisionError, "division"):
        panel.ui.registerButton.click()
    assert len(ids()) == count
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(p.moved), before)
    np.testing.assert_array_equal(slicer.util.arrayFromGridTransform(p.transform), grid)


def test_sameVolumeTwice(panel, smallPair):
    p = panel.logic.getParameterNode()
    p.movingVolume = p.fixedVolume
    assert not panel.ui.registerButton.enabled
    assert "same volume" in panel.ui.registerButton.toolTip
    with pytest.raises(ValueError, match="same volume"):
        panel.logic.register(p.fixedVolume, p.fixedVolume)


def test_weightFileToBeChosen(panel, smallPair, tmp_path, raisesInSlot):
    combo = panel.ui.modelComboBox
    panel.ui.weightFileEdit.currentPath = ""  # the field keeps what was chosen before
    combo.setCurrentIndex(combo.count - 1)
    assert not panel.ui.registerButton.enabled
    assert "weight file" in panel.ui.registerButton.toolTip
    wrong = tmp_path / "wrong.pt"
    wrong.write_bytes(b"nothing")
    panel.ui.weightFileEdit.currentPath = str(wrong)
    assert panel.logic.getParameterNode().model == str(wrong)
    before = ids()
    with raisesInSlot(ValueError, "wrong.pt"):
        panel.ui.registerButton.click()
    assert ids() == before


def test_sceneClosedWhileRunning(panel, smallPair):
    panel.logic.getParameterNode().refine = True
    panel.logic.getParameterNode().refineIterations = 1000
    _timer = later(200, lambda: slicer.mrmlScene.Clear(0))
    panel.ui.registerButton.click()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    assert not panel.ui.registerButton.enabled
    assert panel.ui.statusLabel.text == panel.ui.registerButton.toolTip
    assert "Choose a fixed and a moving volume" in panel.ui.statusLabel.text


def test_inputDeletedWhileRunning(panel, smallPair, raisesInSlot):
    panel.logic.getParameterNode().refine = True
    panel.logic.getParameterNode().refineIterations = 20
    _timer = later(50, lambda: slicer.mrmlScene.RemoveNode(smallPair[1]))
    with raisesInSlot(ValueError, "removed from the scene"):
        panel.ui.registerButton.click()
    assert outputs() == []


def test_otherModuleSelectedWhileRunning(panel, smallPair):
    panel.logic.getParameterNode().refine = True
    panel.logic.getParameterNode().refineIterations = 20
    _timer = later(50, panel.parent.exit)
    panel.ui.registerButton.click()
    layoutMeanwhile = slicer.app.layoutManager().layout
    panel.parent.enter()
    assert len(outputs()) == len(results.OUTPUTS) - 1
    assert layout.isShown()
    assert layoutMeanwhile == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    assert "Correlation" in panel.ui.numbersLabel.text


def test_returningToTheModuleLeavesTheViewsAlone(panel, smallPair):
    panel.ui.registerButton.click()
    panel.parent.exit()
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    panel.parent.enter()
    assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    assert "Correlation" in panel.ui.numbersLabel.text


def test_sceneCloseEmptiesThePanel(panel, smallPair):
    panel.ui.registerButton.click()
    slicer.mrmlScene.Clear(0)
    assert panel.ui.fixedSelector.currentNode() is None
    assert not panel.ui.registerButton.enabled
    assert "No result" in panel.ui.numbersLabel.text
    assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


def test_savedSceneRestoresPanelAndResult(panel, smallPair, tmp_path):
    panel.ui.registerButton.click()
    panel.ui.overlayComboBox.setCurrentIndex(3)
    panel.ui.opacitySlider.value = 0.3
    nodes = results.outputsOf(panel.logic.getParameterNode().transform)
    kept = {role: slicer.util.arrayFromVolume(nodes[role]).copy() for role in VOLUMES}
    assert slicer.util.saveScene(str(tmp_path / "run.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "run.mrb"))
    p = panel.logic.getParameterNode()
    nodes = results.outputsOf(p.transform)
    assert panel.ui.overlayComboBox.currentText == "SNR weight"
    assert panel.ui.opacitySlider.value == pytest.approx(0.3)
    assert "Correlation" in panel.ui.numbersLabel.text
    for role, array in kept.items():
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(nodes[role]), array)
    display = nodes["noise_sd"].GetDisplayNode()
    assert display.GetColorNode().GetName() == "HetReg heat"
    assert nodes["noise_sd"].GetAttribute(results.RECORD).startswith("{")
