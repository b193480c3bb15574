"""Several runs in one scene: the views go to the pair that is shown, and the result says which it is."""

import itertools

import numpy as np
import pytest
import slicer
import vtk
from registering import chooseSmallPair, register

import runtime
from HetRegUncertaintyLib import deformation, layout


@pytest.mark.parametrize("when", ["before", "after"])
def test_standardViewsShowAnotherPairWhereItIs(panel, smallPair, when):
    """Unlinked before or after its registration: the slices go where the new pair is."""
    slicer.util.setSliceViewerLayers(background=smallPair[0], fit=True, rotateToVolumePlane=True)
    register(panel)
    nodes = chooseSmallPair(panel, 5, "Other ES", "Other ED")
    for node in nodes:
        node.SetOrigin(*np.add(node.GetOrigin(), 50.0 * placeOf(node)[:3, :3].sum(axis=1)))
    if when == "before":
        panel.ui.linkedLayoutCheckBox.click()
    register(panel)
    if when == "after":
        panel.ui.linkedLayoutCheckBox.click()
    assert not layout.isShown()
    for tag in ("Red", "Green", "Yellow"):
        across, at = sliceOf(tag)
        reached = sorted(across @ (corner - at) for corner in cornersOf(nodes[0]))
        assert reached[0] < 1e-3, tag
        assert reached[-1] > -1e-3, tag
        assert runtime.grab(tag).mean() > 3.0, tag


def sliceOf(tag):
    """Normal and centre of a slice view."""
    node = slicer.app.layoutManager().sliceWidget(tag).sliceLogic().GetSliceNode()
    place = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
    return place[:3, 2], place[:3, 3]


def placeOf(node):
    """IJK to RAS of a volume."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def cornersOf(node):
    last = np.array(node.GetImageData().GetDimensions()) - 1
    corners = (np.append(last * corner, 1.0) for corner in itertools.product((0, 1), repeat=3))
    return [(placeOf(node) @ corner)[:3] for corner in corners]


def test_linkedViewsShowTheSameSliceOfAnotherPair(panel, smallPair):
    """They are fitted to the new pair alone, not to what lay over the former one."""
    register(panel)
    for node in chooseSmallPair(panel, 5, "Other ES", "Other ED"):
        node.SetOrigin(*np.add(node.GetOrigin(), [0.0, 90.0, 60.0]))
    register(panel)
    planes = [slicer.util.arrayFromVTKMatrix(v.GetSliceNode().GetSliceToRAS()) for v in layout.sliceLogics()]
    for plane in planes[1:]:
        np.testing.assert_allclose(plane, planes[0], atol=1e-6)


def test_theResultSaysWhichPairItIsOf(panel, smallPair):
    first = register(panel)["transform"]
    assert "ED to ES: " in panel.ui.numbersLabel.text
    chooseSmallPair(panel, 5, "Other ES", "Other ED")
    assert "ED to ES: " in panel.ui.numbersLabel.text
    register(panel)
    assert "Other ED to Other ES: " in panel.ui.numbersLabel.text
    panel.ui.transformSelector.setCurrentNode(first)
    smallPair[1].SetName("<first>")
    panel.parent.exit()
    panel.parent.enter()
    assert "&lt;first&gt; to ES: " in panel.ui.numbersLabel.text


def viewState():
    """Place and field of view of the moved view, and where the 3D view's camera is."""
    view = layout.sliceLogics()[1].GetSliceNode()
    threeD = slicer.mrmlScene.GetSingletonNode(layout.THREE_D, "vtkMRMLViewNode")
    camera = slicer.modules.cameras.logic().GetViewActiveCameraNode(threeD)
    place = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS()).ravel()
    return [*place, *view.GetFieldOfView(), *view.GetXYZOrigin(), *camera.GetPosition()]


def test_theSamePairAgainLeavesTheViewsAlone(panel, smallPair):
    register(panel)
    fitted = viewState()
    for logic in layout.sliceLogics():
        view = logic.GetSliceNode()
        view.SetFieldOfView(*np.divide(view.GetFieldOfView(), (3, 3, 1)))
        logic.SetSliceOffset(logic.GetSliceOffset() + 3.0)
    threeD = slicer.mrmlScene.GetSingletonNode(layout.THREE_D, "vtkMRMLViewNode")
    slicer.modules.cameras.logic().GetViewActiveCameraNode(threeD).SetPosition(0, -400, 0)
    panel.ui.spacingSlider.value = 3.0
    (legend,) = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
    legend.SetPosition(0.05, 0.4)
    legend.SetNumberOfLabels(3)
    placed = viewState()
    register(panel)
    assert viewState() == placed != fitted
    assert panel.ui.spacingSlider.value == 3.0
    (legend,) = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
    assert (legend.GetPosition(), legend.GetNumberOfLabels()) == ((0.05, 0.4), 3)
    smallPair[0].SetOrigin(*np.add(smallPair[0].GetOrigin(), 40.0))
    register(panel)  # the image lies elsewhere
    assert viewState() != placed


def test_anotherPairIsFittedWithASpacingOfItsOwn(panel, smallPair):
    register(panel)
    panel.ui.spacingSlider.value = 3.0
    other = chooseSmallPair(panel, 5, "Other ES", "Other ED")[0]
    other.SetSpacing(0.4, 0.4, 8.0)
    before = viewState()
    register(panel)
    assert viewState() != before
    assert panel.ui.spacingSlider.value == deformation.niceSpacing(other) != 3.0


def test_aTransformThatTheUserHasMadeGetsTheSpacingOfItsPair(panel, smallPair):
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "mine")
    panel.ui.transformSelector.setCurrentNode(mine)
    panel.ui.spacingSlider.value = 3.0
    assert register(panel)["transform"] == mine
    assert panel.ui.spacingSlider.value == deformation.niceSpacing(smallPair[0]) != 3.0


def test_inALayoutOfTheUserTheResultCanStillBeChosen(panel, smallPair):
    """The panel says what the views show, and nothing in it turns grey with the linked views."""
    register(panel)
    ui, manager = panel.ui, slicer.app.layoutManager()
    inspecting = (ui.overlayComboBox, ui.opacitySlider, ui.thresholdRangeWidget, ui.deformationComboBox)
    for which, linked in ((slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView, False), (layout.LAYOUT_ID, True)):
        manager.setLayout(which)
        assert ui.linkedLayoutCheckBox.checked is linked
        assert ui.linkedLayoutCheckBox.enabled
        assert all(widget.enabled for widget in inspecting)
        assert ui.fadeSlider.enabled is linked  # under a map it fades nothing in the standard views
