"""Several runs in one scene: the views go to the pair that is shown, and the result says which it is."""

import itertools

import numpy as np
import pytest
import slicer
import vtk
from registering import chooseSmallPair, register

import runtime
from HetRegUncertaintyLib import layout


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
