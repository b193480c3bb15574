"""Copies that the user makes of results, as Clone in the Data module does: they are the user's own."""

import pytest
import slicer

from HetRegUncertaintyLib import results

legendOf = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode


@pytest.fixture
def first(panel):
    """{role: node} of the example pair, registered."""
    panel.ui.sampleButton.click()
    return register(panel)


def register(panel):
    panel.ui.registerButton.click()
    assert "Done" in panel.ui.statusLabel.text
    return results.outputsOf(panel.logic.getParameterNode().transform)


def copyOf(node):
    """With the attributes and references of the node and with display nodes of its own."""
    copy = slicer.mrmlScene.AddNewNodeByClass(node.GetClassName())
    copy.Copy(node)
    copy.SetName(f"{node.GetName()} copy")
    for i in range(node.GetNumberOfDisplayNodes()):
        display = slicer.mrmlScene.AddNewNodeByClass(node.GetNthDisplayNode(i).GetClassName())
        display.Copy(node.GetNthDisplayNode(i))
        copy.SetAndObserveNthDisplayNodeID(i, display.GetID())
    return copy


def test_aCopyOfTheTransformHasNoMaps(panel, first):
    copy = copyOf(first["transform"])
    assert results.outputsOf(copy) == {"transform": copy}
    assert results.outputsOf(first["transform"]) == first
    panel.ui.transformSelector.setCurrentNode(copy)
    assert "Correlation" in panel.ui.numbersLabel.text


def test_registeringIntoACopyOfTheTransformLeavesTheFirstRunWhole(panel, first):
    panel.ui.transformSelector.setCurrentNode(copyOf(first["transform"]))
    second = register(panel)
    assert second["transform"].GetName() == "Phantom ED to Phantom ES copy"
    assert not set(first.values()) & set(second.values())
    assert results.outputsOf(first["transform"]) == first
    assert set(second) == set(first)


def test_copiesOfTheMapAndOfTheContoursStayShown(panel, first):
    contours, noise = copyOf(first["moved_segmentation"]), copyOf(first["noise_sd"])
    contours.SetDisplayVisibility(True)
    slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(noise)
    register(panel)
    panel.ui.overlayComboBox.setCurrentIndex(3)
    assert contours.GetDisplayVisibility()
    assert legendOf(noise) is not None
    assert legendOf(first["noise_sd"]) is None


@pytest.mark.parametrize("added", [False, True])
def test_copiesStayTheUsersWhenTheRunIsDeleted(panel, first, tmp_path, added):
    """Also in a scene that was saved and added to another one, where its nodes have other IDs."""
    path, kept = str(tmp_path / "run.mrb"), first["moved_segmentation"]
    copyOf(kept)
    if added:
        assert slicer.util.saveScene(path)
        assert slicer.app.coreIOManager().loadNodes("SceneFile", {"fileName": path, "clear": False})
        kept = panel.logic.getParameterNode().movedSegmentation
        assert kept != first["moved_segmentation"]
    copy = slicer.util.getNodesByClass(kept.GetClassName())[-1]
    assert copy.GetName() == f"{kept.GetName()} copy"
    slicer.mrmlScene.RemoveNode(panel.logic.getParameterNode().transform)
    panel.ui.movedSegmentationSelector.setCurrentNode(None)
    for node in (copy, kept):
        node.SetDisplayVisibility(True)
    register(panel)
    assert copy.GetDisplayVisibility()
    assert not kept.GetDisplayVisibility()


def test_whatTheUserKeepsOfAFormerRunIsNoCopy(panel, first):
    """By Create new in the selector: it is hidden as are the outputs of other runs."""
    kept = first["moved_segmentation"]
    panel.ui.movedSegmentationSelector.setCurrentNode(None)
    assert register(panel)["moved_segmentation"] != kept
    assert results.isOutput(kept)
    assert not kept.GetDisplayVisibility()
    panel.ui.movedSegmentationSelector.setCurrentNode(kept)
    assert register(panel)["moved_segmentation"] == kept
