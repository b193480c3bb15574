"""Several runs in one scene: what of a former run stays whole, what is let go, and what is left to see."""

import numpy as np
import pytest
import slicer
from registering import chooseSmallPair, register

import runtime
from hetreg.progress import Cancelled
from HetRegUncertaintyLib import layout, results, sequences
from HetRegUncertaintyLib.parameters import Deformation, outputParameter


def voxels(nodes):
    """Copies of the voxels of all volumes among the outputs."""
    found = {role: node for role, node in nodes.items() if results.OUTPUTS[role] == results.VOLUME}
    return {role: slicer.util.arrayFromVolume(node).copy() for role, node in found.items()}


def assertWhole(nodes, before, pair):
    """The run still has its outputs, inputs and voxels."""
    assert results.outputsOf(nodes["transform"]) == nodes
    assert results.inputsOf(nodes["transform"]) == pair
    for role, array in voxels(nodes).items():
        np.testing.assert_array_equal(array, before[role], err_msg=role)


def foregrounds():
    """Names of the foregrounds of all views."""
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    nodes = [slicer.mrmlScene.GetNodeByID(c.GetForegroundVolumeID() or "") for c in composites]
    return {node.GetName() for node in nodes if node is not None}


def legends():
    return slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")


@pytest.mark.parametrize("emptied", [(), ("transform",), ("transform", "noise_sd", "moved")])
def test_anotherPairKeepsTheFirstResult(panel, smallPair, emptied):
    first = register(panel)
    before = voxels(first)
    second = chooseSmallPair(panel, 5, "Other ES", "Other ED")
    for role in emptied:
        setattr(panel.logic.getParameterNode(), outputParameter(role), None)
    nodes = register(panel)
    assertWhole(first, before, smallPair)
    assert results.outputsOf(nodes["transform"]) == nodes
    assert results.inputsOf(nodes["transform"]) == second
    assert not {node.GetID() for node in nodes.values()} & {node.GetID() for node in first.values()}
    assert nodes["noise_sd"].GetName() == "Other ES noise SD"
    assert nodes["transform"].GetName() == "Other ED to Other ES"
    assert "is updated, unless it is a result of another pair or run." in panel.ui.noiseSdSelector.toolTip


def test_nodesChosenByHandAreUsedForAnotherPair(panel, smallPair):
    register(panel)
    chooseSmallPair(panel, 5, "Other ES", "Other ED")
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "mine")
    panel.ui.noiseSdSelector.setCurrentNode(mine)
    nodes = register(panel)
    assert nodes["noise_sd"] == mine
    assert results.outputsOf(nodes["transform"])["noise_sd"] == mine
    assert nodes["moved"].GetName() == "Other ED moved"


def test_theFormerMovedImageAsMovingImage(panel, smallPair):
    """A registration on top of another does not write into its own input."""
    first = register(panel)
    before = voxels(first)
    panel.ui.movingSelector.setCurrentNode(first["moved"])
    nodes = register(panel)
    assertWhole(first, before, smallPair)
    assert results.inputsOf(nodes["transform"]) == (smallPair[0], first["moved"])


def test_samePairWithANewTransform(panel, smallPair):
    """The maps are overwritten, so the former transform no longer says that they are its own."""
    first = register(panel)
    panel.ui.transformSelector.setCurrentNode(None)
    nodes = register(panel)
    assert nodes["noise_sd"] == first["noise_sd"]
    assert results.outputsOf(nodes["transform"]) == nodes
    assert results.outputsOf(first["transform"]) == {"transform": first["transform"]}
    panel.ui.transformSelector.setCurrentNode(first["transform"])
    assert foregrounds() == set()


def test_failureAfterTheFormerTransformLostItsMaps(panel, smallPair, monkeypatch, raisesInSlot):
    first = register(panel)
    before = voxels(first)
    panel.ui.transformSelector.setCurrentNode(None)
    original = results._connect

    def fail(*arguments):
        original(*arguments)
        raise MemoryError("not enough memory")

    monkeypatch.setattr(results, "_connect", fail)
    with raisesInSlot(MemoryError, "not enough memory"):
        panel.ui.registerButton.click()
    assertWhole(first, before, smallPair)


def test_outputsThatWereNotMadeAreLetGo(panel, plainModel):
    panel.ui.sampleButton.click()
    first = register(panel)
    assert set(first) == set(results.OUTPUTS)
    panel.logic.getParameterNode().deformation = Deformation.GRID
    chooseSmallPair(panel, 5, "Other ES", "Other ED")
    panel.logic.getParameterNode().model = plainModel
    second = register(panel)
    assert set(second) == set(results.OUTPUTS) - {"moved_segmentation", "displacement_sd_mm"}
    assert panel.ui.movedSegmentationSelector.currentNode() is None
    assert panel.ui.displacementSdSelector.currentNode() is None
    for role in ("moved_segmentation", "transform"):
        assert not first[role].GetDisplayVisibility(), role
    assert second["transform"].GetDisplayVisibility()
    panel.ui.transformSelector.setCurrentNode(first["transform"])
    assert first["moved_segmentation"].GetDisplayVisibility()
    assert first["transform"].GetDisplayVisibility()
    assert not second["transform"].GetDisplayVisibility()


def test_samePairWithoutSegmentations(panel):
    panel.ui.sampleButton.click()
    first = register(panel)
    p = panel.logic.getParameterNode()
    p.fixedSegmentation = p.movingSegmentation = None
    assert "moved_segmentation" not in register(panel)
    assert not slicer.mrmlScene.IsNodePresent(first["moved_segmentation"])
    assert foregrounds() == {"Phantom ED moved", "Phantom ES noise SD"}


def test_aMapThatTheNewRunDoesNotGiveGoes(panel, smallPair, plainModel, uncertainModel):
    """It would stay beside the overwritten maps as if it were of the same run."""
    p = panel.logic.getParameterNode()
    count = slicer.mrmlScene.GetNumberOfNodes()
    p.model = plainModel
    register(panel)
    without = slicer.mrmlScene.GetNumberOfNodes()
    p.model = uncertainModel
    assert register(panel)["displacement_sd_mm"].GetName() == "ES displacement SD"
    p.model = plainModel
    register(panel)
    assert slicer.mrmlScene.GetNumberOfNodes() == without > count
    p.model = uncertainModel
    assert register(panel)["displacement_sd_mm"].GetName() == "ES displacement SD"
    kept = p.displacementSdMm
    panel.ui.displacementSdSelector.setCurrentNode(None)  # "Create new": the user keeps the former one
    p.model = plainModel
    register(panel)
    assert slicer.mrmlScene.IsNodePresent(kept)


def test_contoursShownByHandStay(panel):
    """What another run shows is hidden once, when the run is shown; not at every change."""
    panel.ui.sampleButton.click()
    first = register(panel)
    chooseSmallPair(panel, 5, "Other ES", "Other ED")
    register(panel)
    first["moved_segmentation"].SetDisplayVisibility(True)
    panel.ui.opacitySlider.value = 0.9
    panel.ui.linkedLayoutCheckBox.checked = False
    panel.parent.exit()
    panel.parent.enter()
    assert first["moved_segmentation"].GetDisplayVisibility()


@pytest.mark.parametrize("how", ["new", "deleted", "deleted elsewhere"])
def test_noRunLeavesNothingInTheViews(panel, smallPair, how):
    former = slicer.app.layoutManager().layout
    transform = register(panel)["transform"]
    panel.logic.getParameterNode().deformation = Deformation.GRID
    assert foregrounds() == {"ED moved", "ES noise SD"}
    if how == "new":
        panel.ui.transformSelector.setCurrentNode(None)
        assert not transform.GetDisplayVisibility()
    elif how == "deleted":
        slicer.mrmlScene.RemoveNode(transform)
    else:
        panel.parent.exit()
        slicer.mrmlScene.RemoveNode(transform)
        assert len(legends()) == 1
        panel.parent.enter()
    assert legends() == []
    assert foregrounds() == set()
    assert not panel.ui.overlayComboBox.enabled
    assert panel.ui.linkedLayoutCheckBox.enabled
    panel.ui.linkedLayoutCheckBox.click()
    assert slicer.app.layoutManager().layout == former
    assert not panel.ui.linkedLayoutCheckBox.enabled


def test_withoutItsFixedImageARunCannotBeShown(panel, smallPair):
    """Nor after the user has chosen another layout."""
    register(panel)
    slicer.mrmlScene.RemoveNode(smallPair[0])
    for _twice in range(2):
        for widget in (panel.ui.overlayComboBox, panel.ui.deformationComboBox, panel.ui.legendCheckBox):
            assert not widget.enabled, widget.name
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    assert not panel.ui.linkedLayoutCheckBox.checked


@pytest.mark.parametrize("role", ["moved", "residual", "inverse_transform", "transform"])
def test_aRemovedResultGivesWayToNoOtherNode(panel, smallPair, role):
    """Slicer's selectors take the next node of their list, another result or one of the user's."""
    first = register(panel)
    mine = {
        results.VOLUME: slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, smallPair[1], "mine"),
        results.TRANSFORM: slicer.mrmlScene.AddNewNodeByClass(results.TRANSFORM, "mine"),
    }
    before = slicer.util.arrayFromVolume(mine[results.VOLUME]).copy()
    panel.parent.exit()
    slicer.mrmlScene.RemoveNode(first[role])
    panel.parent.enter()
    parameters = panel.logic.getParameterNode()
    assert getattr(parameters, outputParameter(role)) is None
    nodes = register(panel)
    assert set(nodes) == set(first)
    assert not {node.GetID() for node in nodes.values()} & {node.GetID() for node in mine.values()}
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(mine[results.VOLUME]), before)


def test_aRemovedInputGivesWayToNoOtherVolume(panel, smallPair):
    slicer.mrmlScene.RemoveNode(smallPair[0])
    assert panel.ui.fixedSelector.currentNode() is None
    assert panel.logic.getParameterNode().fixedVolume is None
    assert panel.logic.getParameterNode().movingVolume is smallPair[1]
    assert not panel.ui.registerButton.enabled


def test_aRunChosenAgainIsShownAgain(panel, smallPair):
    transform = register(panel)["transform"]
    panel.ui.transformSelector.setCurrentNode(None)
    panel.ui.transformSelector.setCurrentNode(transform)
    assert foregrounds() == {"ED moved", "ES noise SD"}
    assert len(legends()) == 1
    assert layout.isShown()


def test_theUsersOwnForegroundStays(panel, smallPair):
    """Without a run the views belong to the user."""
    transform = register(panel)["transform"]
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    slicer.util.setSliceViewerLayers(background=smallPair[0], foreground=smallPair[1], foregroundOpacity=0.5)
    panel.ui.transformSelector.setCurrentNode(None)
    composite = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceCompositeNode()
    assert composite.GetForegroundVolumeID() == smallPair[1].GetID()
    assert composite.GetBackgroundVolumeID() == smallPair[0].GetID()
    slicer.mrmlScene.RemoveNode(transform)
    assert composite.GetForegroundVolumeID() == smallPair[1].GetID()


@pytest.mark.parametrize("how", ["transform", "sequence", "browser"])
def test_doneIsSaidWhileTheResultIsThere(ready, how):
    """Slicer keeps the transform where only its sequence goes: then not every frame is there any more."""
    ready.ui.registerButton.click()
    assert ready.ui.statusLabel.text.startswith("Every frame done")
    transform = ready.logic.getParameterNode().transform
    browser = sequences.browserOf(transform)
    gone = {"transform": transform, "sequence": browser.GetSequenceNode(transform), "browser": browser}
    slicer.mrmlScene.RemoveNode(gone[how])
    runtime.process_events(0.1)
    assert "done" not in ready.ui.statusLabel.text


def test_whatWentDuringACancelledRunIsNotShown(panel, smallPair, monkeypatch):
    """The panel does not follow the scene while a run goes on."""
    transform = register(panel)["transform"]

    def execute(_work):
        slicer.mrmlScene.RemoveNode(transform)
        raise Cancelled

    monkeypatch.setattr(panel.run, "execute", execute)
    panel.ui.registerButton.click()
    assert panel.ui.statusLabel.text == "Cancelled: nothing was added to the scene."  # it is not as it was
    assert panel.ui.numbersLabel.text == "No result yet."
    assert foregrounds() == set()


def test_leavingTheModuleLeavesTheResultInTheViews(panel, smallPair):
    register(panel)
    for step in (panel.parent.exit, panel.parent.enter):
        step()
        assert foregrounds() == {"ED moved", "ES noise SD"}
        assert len(legends()) == 1
