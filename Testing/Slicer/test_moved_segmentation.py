"""The moved segmentation: its segments are those of the moving one, its grid is that of the fixed image."""

import numpy as np
import pytest
import slicer
import vtk

from hetreg.datasets.phantom import make_pair
from HetRegUncertaintyLib import labels, sampledata

TERMINOLOGY = "Segmentation category~SCT^123037004^Anatomical Structure"


@pytest.fixture
def drawn(smallPair):
    """(fixed, moving, segmentation drawn on the moving image): all under one linear transform."""
    fixed, moving = smallPair
    label = make_pair("mri2d", 3, size=64, slices=2, with_truth=False).moving_label
    segmentation = sampledata.addLabels(label, "ED labels", moving)
    parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "parent")
    turn = vtk.vtkTransform()
    turn.RotateX(30.0)
    turn.Translate(10.0, 20.0, 30.0)
    parent.SetMatrixTransformToParent(turn.GetMatrix())
    for node in (fixed, moving, segmentation):
        node.SetAndObserveTransformNodeID(parent.GetID())
    return fixed, moving, segmentation


def tag(segment, name):
    value = vtk.mutable("")
    return value.get() if segment.GetTag(name, value) else None


def ids(segmentation):
    return [segmentation.GetNthSegmentID(i) for i in range(segmentation.GetNumberOfSegments())]


def test_segmentsKeepTheirIDsAndTags(panel, drawn):
    """With which they are found again, and exported to DICOM."""
    fixed, moving, node = drawn
    source = node.GetSegmentation()
    source.CollapseBinaryLabelmaps()  # as the Segment Editor keeps them: told apart by their label values
    for i, segmentID in enumerate(ids(source)):
        source.GetSegment(segmentID).SetTag("TerminologyEntry", f"{TERMINOLOGY}~{i}")
        source.GetSegment(segmentID).SetTag("Segmentation.Status", "completed")
    moved = panel.logic.register(fixed, moving, movingSegmentation=node)["moved_segmentation"]
    found = moved.GetSegmentation()
    assert ids(found) == ids(source)
    for i, segmentID in enumerate(ids(found)):
        segment = found.GetSegment(segmentID)
        assert segment.GetName() == source.GetSegment(segmentID).GetName()
        assert tag(segment, "TerminologyEntry") == f"{TERMINOLOGY}~{i}"
        assert tag(segment, "Segmentation.Status") == "completed"
        array = slicer.util.arrayFromSegmentBinaryLabelmap(moved, segmentID, fixed)
        assert (
            array.any()
        )  # its label value is that of its own voxels, not of the voxels shared in the source
    source.GetNthSegment(0).SetName("changed since")
    assert found.GetNthSegment(0).GetName() != "changed since"


def test_exportedOnTheFixedGrid(panel, drawn):
    """By Slicer's export to a label map with the segmentation's reference geometry."""
    fixed, moving, node = drawn
    nodes = panel.logic.register(fixed, moving, movingSegmentation=node)
    moved = nodes["moved_segmentation"]
    role = moved.GetReferenceImageGeometryReferenceRole()
    assert moved.GetNodeReference(role) == fixed
    labelMap = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "export")
    export, extent = slicer.modules.segmentations.logic(), slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY
    assert export.ExportAllSegmentsToLabelmapNode(moved, labelMap, extent)
    array = slicer.util.arrayFromVolume(labelMap)
    assert array.shape == slicer.util.arrayFromVolume(fixed).shape
    places = [vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()]
    for volume, place in zip((labelMap, nodes["moved"]), places, strict=True):
        volume.GetIJKToRASMatrix(place)
    np.testing.assert_allclose(*(slicer.util.arrayFromVTKMatrix(place) for place in places), atol=1e-4)
    expected = sum(
        int((slicer.util.arrayFromSegmentBinaryLabelmap(moved, segmentID, nodes["moved"]) > 0).sum())
        for segmentID in ids(moved.GetSegmentation())
    )
    assert int((array > 0).sum()) == expected


def test_aSurfaceOfTheMovedSegmentsIsMadeAnew(panel, drawn):
    """What the user shows in 3D stays there after another registration, with its smoothing."""
    fixed, moving, node = drawn
    nodes = panel.logic.register(fixed, moving, movingSegmentation=node)
    former = nodes["moved_segmentation"].GetSegmentation()
    assert not former.ContainsRepresentation(labels.SURFACE)
    former.SetConversionParameter("Smoothing factor", "0.123")
    nodes["moved_segmentation"].CreateClosedSurfaceRepresentation()
    panel.logic.register(fixed, moving, movingSegmentation=node, outputs=nodes)
    again = nodes["moved_segmentation"].GetSegmentation()
    assert again != former
    assert again.GetNthSegment(0).GetRepresentation(labels.SURFACE).GetNumberOfPoints() > 0
    assert again.GetConversionParameter("Smoothing factor") == "0.123"


def reload(path):
    """Save the scene and load it again."""
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    assert slicer.app.coreIOManager().loadNodes("SceneFile", {"fileName": str(path), "clear": True})


def edit(node, volume):
    """Add a square to the second segment, as with the brush."""
    segmentID = node.GetSegmentation().GetNthSegmentID(1)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentID, volume)
    array[0, :5, :5] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, segmentID, volume)


@pytest.mark.parametrize("reloaded", [False, True])
def test_correctionsByHandAreNotOverwritten(panel, tmp_path, reloaded):
    """The next run gets a segmentation of its own, which is then updated; the corrected one stays."""
    panel.ui.sampleButton.click()
    panel.ui.registerButton.click()
    p = panel.logic.getParameterNode()
    first = p.movedSegmentation
    first.GetSegmentation().CollapseBinaryLabelmaps()  # as the Segment Editor and saving do
    if reloaded:
        reload(tmp_path / "run.mrb")
        p = panel.logic.getParameterNode()
        first = p.movedSegmentation
    panel.ui.registerButton.click()
    assert p.movedSegmentation == first
    edit(first, p.moved)
    edited = first.GetSegmentation()
    for _run in range(2):
        panel.ui.registerButton.click()
        assert p.movedSegmentation.GetName() == f"{first.GetName()}_1"
    assert first.GetSegmentation() == edited
    assert slicer.mrmlScene.IsNodePresent(first)


@pytest.mark.parametrize("reloaded", [False, True])
def test_coloursAndTagsOfTheUserAreKept(panel, tmp_path, reloaded):
    """Those that were not changed follow the moving segmentation."""
    panel.ui.sampleButton.click()
    panel.ui.registerButton.click()
    p = panel.logic.getParameterNode()
    segments = p.movedSegmentation.GetSegmentation()
    segments.GetNthSegment(0).SetColor(0.1, 0.2, 0.3)
    segments.GetNthSegment(1).SetTag("TerminologyEntry", TERMINOLOGY)
    if reloaded:
        reload(tmp_path / "run.mrb")
        p = panel.logic.getParameterNode()
    node = p.movedSegmentation
    p.movingSegmentation.GetSegmentation().GetNthSegment(2).SetColor(0.4, 0.5, 0.6)
    for _run in range(2):
        panel.ui.registerButton.click()
        assert p.movedSegmentation == node
        found = [node.GetSegmentation().GetNthSegment(i) for i in range(3)]
        np.testing.assert_allclose(found[0].GetColor(), (0.1, 0.2, 0.3), atol=1e-3)
        assert tag(found[1], "TerminologyEntry") == TERMINOLOGY
        np.testing.assert_allclose(found[2].GetColor(), (0.4, 0.5, 0.6), atol=1e-3)
        assert slicer.util.arrayFromSegmentBinaryLabelmap(
            node, node.GetSegmentation().GetNthSegmentID(0)
        ).any()


def test_aRecolouredSegmentFollowsInAllElse(panel):
    """Its name is that of the moving segmentation, and so are tags that the user has not changed; another
    structure, of which another name tells, has its own colour."""
    panel.ui.sampleButton.click()
    panel.ui.registerButton.click()
    p = panel.logic.getParameterNode()
    source, node = p.movingSegmentation.GetSegmentation(), p.movedSegmentation
    for i in range(2):
        node.GetSegmentation().GetNthSegment(i).SetColor(0.1, 0.2, 0.3)
    source.GetNthSegment(0).SetTag("TerminologyEntry", TERMINOLOGY)
    source.GetNthSegment(1).SetName("another structure")
    panel.ui.registerButton.click()
    assert p.movedSegmentation == node
    first, second = (node.GetSegmentation().GetNthSegment(i) for i in range(2))
    assert tag(first, "TerminologyEntry") == TERMINOLOGY
    np.testing.assert_allclose(first.GetColor(), (0.1, 0.2, 0.3), atol=1e-3)
    assert second.GetName() == "another structure"
    assert second.GetColor() == source.GetNthSegment(1).GetColor()


def test_theExamplePairIsDrawnOnItsImages():
    nodes = sampledata.load()
    for phase in ("fixed", "moving"):
        node = nodes[f"{phase}_segmentation"]
        role = node.GetReferenceImageGeometryReferenceRole()
        assert node.GetNodeReference(role) == nodes[phase]
        assert ids(node.GetSegmentation())[0] == "Segment_1"
        assert labels.labelsFromNode(node, sampledata.volumes.imageFromNode(nodes[phase]))
