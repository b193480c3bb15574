"""Undo and Redo of Slicer, where a user has switched them on: the panel shows what is in the scene again."""

import pytest
import slicer
from registering import chooseSmallPair, register, selected

import runtime
from HetRegUncertaintyLib import overlays, results

KINDS = (
    "vtkMRMLScalarVolumeNode",
    "vtkMRMLScalarVolumeDisplayNode",
    "vtkMRMLTransformNode",
    "vtkMRMLTableNode",
)


@pytest.fixture
def scene():
    """The scene, with Undo for new nodes of these kinds."""
    defaults = []
    for kind in KINDS:
        node = slicer.mrmlScene.CreateNodeByClass(kind)
        node.UnRegister(None)
        node.SetUndoEnabled(True)
        slicer.mrmlScene.AddDefaultNode(node)
        defaults.append(node)
    slicer.mrmlScene.SetUndoOn()
    yield slicer.mrmlScene
    slicer.mrmlScene.SetUndoOff()
    slicer.mrmlScene.ClearUndoStack()
    slicer.mrmlScene.ClearRedoStack()
    for node in defaults:
        node.SetUndoEnabled(False)


def shown(panel):
    """What Result and Inspect show."""
    window = panel.ui.windowRangeWidget
    runtime.process_events(0.1)
    return panel.ui.numbersLabel.text, window.minimumValue, window.maximumValue


def test_aSecondRunUndone(panel, smallPair, scene, plainModel, uncertainModel):
    p = panel.logic.getParameterNode()
    p.model = plainModel
    node = register(panel)["noise_sd"]
    first = shown(panel)
    for volume in smallPair:
        slicer.util.updateVolumeFromArray(volume, 3 * slicer.util.arrayFromVolume(volume))
    p.model = uncertainModel
    register(panel)
    second = shown(panel)
    assert "Displacement SD" in second[0]
    scene.Undo()
    assert "Displacement SD" not in results.summaryOf(p.transform)[0]
    assert shown(panel) == first
    assert overlays.windowOf(node)[1] == pytest.approx(first[2], rel=0.01)
    scene.Redo()
    assert shown(panel) == second


def test_anotherPairUndone(panel, smallPair, scene):
    """Its nodes are gone; the first result is whole, and can be shown again."""
    first = register(panel)
    text = panel.ui.numbersLabel.text
    chooseSmallPair(panel, 5, "Other ES", "Other ED")
    register(panel)
    scene.Undo()
    assert selected(panel) == {}
    assert panel.ui.numbersLabel.text == "No result yet."
    assert "Done" not in panel.ui.statusLabel.text
    panel.ui.transformSelector.setCurrentNode(first["transform"])
    assert panel.ui.numbersLabel.text == text
