"""What counts as a correction by hand of a moved segmentation, and what Slicer does to it without one."""

import numpy as np
import pytest
import slicer

from hetreg.image import Image
from HetRegUncertaintyLib import handwork, labels, sampledata, volumes

SHAPE = (3, 8, 10)


@pytest.fixture
def filled():
    """(segmentation node of two segments as filled in, volume that it is drawn on), oblique, oddly spaced."""
    place = np.eye(4)
    place[:3, :3], _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    place[:3, :3] *= (1.3671875123, 0.91, 6.123456789)
    place[:3, 3] = (-188.4375, -30.005, 1045.123456)
    array = np.zeros(SHAPE, np.uint8)
    array[:, 2:5, 3:7], array[1, 5:7, 3:7] = 1, 2
    volume = sampledata.addVolume(Image(np.zeros(SHAPE, np.float32), place, "image"), "image")
    node = sampledata.addLabels(Image(array, place, "labels"), "labels", volume)
    remember(node)
    assert node.GetSegmentation().GetNumberOfSegments() == 2
    assert not handwork.isIn(node)
    return node, volume


def remember(node):
    handwork.remember(node, lambda *_step: None)


def hardenIn(node, matrix):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "by hand")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    assert not handwork.isIn(node)
    node.HardenTransform()


def shift(node, _volume):
    move = np.eye(4)
    move[0, 3] = 0.05
    hardenIn(node, move)


def turn(node, volume):
    """The only segment, by a degree around the first corner of its box, which stays where it is."""
    node.GetSegmentation().RemoveSegment(node.GetSegmentation().GetNthSegmentID(1))
    remember(node)
    corner = np.eye(4)
    corner[:3, 3] = (volumes.ijkToRas(volume) @ (3, 2, 0, 1))[:3]
    angle = np.radians(1.0)
    around = np.eye(4)
    around[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    hardenIn(node, corner @ around @ np.linalg.inv(corner))


def roll(node, volume):
    segmentID = node.GetSegmentation().GetNthSegmentID(0)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentID, volume)
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.roll(array, 2, axis=2), node, segmentID, volume)


def rename(node, _volume):
    node.GetSegmentation().GetNthSegment(1).SetName("mine")


def giveAnotherID(node, _volume):
    segmentation = node.GetSegmentation()
    segmentID, segment = segmentation.GetNthSegmentID(1), segmentation.GetNthSegment(1)
    segmentation.RemoveSegment(segmentID)
    segmentation.AddSegment(segment, "another")


def add(node, _volume):
    node.GetSegmentation().AddEmptySegment("mine")


def empty(node, _volume):
    """As it may be left: with no voxels at all, not with zeros."""
    node.GetSegmentation().GetNthSegment(1).AddRepresentation(labels.BINARY, slicer.vtkOrientedImageData())


@pytest.mark.parametrize("correct", [shift, turn, roll, rename, giveAnotherID, add, empty])
def test_aCorrectionIsSeen(filled, correct):
    node, volume = filled
    correct(node, volume)
    assert handwork.isIn(node)


def test_savingAndLoadingIsNone(filled, tmp_path):
    filled[0].GetSegmentation().CollapseBinaryLabelmaps()
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    assert slicer.app.coreIOManager().loadNodes("SceneFile", {"fileName": path, "clear": True})
    (node,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert node.GetAttribute(handwork.FILLED)
    assert not handwork.isIn(node)


def test_anotherExtentIsNone(filled):
    """As the Segment Editor's effects leave it: the same voxels in a larger or smaller array."""
    segment = filled[0].GetSegmentation().GetNthSegment(1)
    former, image = segment.GetRepresentation(labels.BINARY), slicer.vtkOrientedImageData()
    for extent in [(-2, 12, 1, 9, 0, 2), (3, 6, 5, 6, 1, 1)]:
        slicer.vtkOrientedImageDataResample.CopyImage(former, image, extent)
        assert image.GetExtent() == extent
        segment.AddRepresentation(labels.BINARY, image)
        assert not handwork.isIn(filled[0])
