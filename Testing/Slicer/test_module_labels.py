"""Segmentations and label maps: read as labels, matched by name, moved whole where they overlap."""

import numpy as np
import pytest
import slicer
import vtk

from hetreg.image import Image
from HetRegUncertaintyLib import labels, results, sampledata, volumes

NAMES = {1: ("myocardium", (1.0, 0.8, 0.2)), 3: ("cavity", (0.9, 0.2, 0.2))}


def labelImage(names=(1, 3), shape=(3, 8, 10)):
    """A ring and what it holds, on an oblique grid."""
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    place = np.eye(4)
    place[:3, :3] = rotation * (1.3, 0.9, 6.0)
    place[:3, 3] = (12.0, -30.0, 45.0)
    array = np.zeros(shape, np.uint8)
    array[:, 2:5, 3:7], array[1, 5:7, 3:7] = names
    return Image(array, place, "labels")


def addSegmentation(image, names=NAMES):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "s")
    segments = {value: labels.newSegment(value, *look) for value, look in names.items()}
    node.SetAndObserveSegmentation(labels.segmentationFromLabels([image], segments))
    return node


def addLabelMap(image, colors=None):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "l")
    node.SetIJKToRASMatrix(volumes.ijkToRasMatrix(image))
    node.SetAndObserveImageData(volumes.imageDataFromArray(image.array))
    if colors:
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetAndObserveColorNodeID(colors.GetID())
    return node


def addColors(names):
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", "colors")
    table.SetTypeToUser()
    table.SetNumberOfColors(len(names))
    for i, name in enumerate(names):
        table.SetColor(i, name, 0.1 * i, 0.5, 0.5, 1.0)
    return table


def merged(arrays):
    """The one array of labels that do not overlap."""
    return np.sum(arrays, axis=0)


def matched(moving, fixed, image):
    """The fixed labels of the only layer."""
    (layer,), _names, _notes = labels.layersFromNodes(moving, fixed, image, image)
    return layer["fixed_seg"].array


def names(node):
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegment(i).GetName() for i in range(segmentation.GetNumberOfSegments())]


def called(segments):
    """Names of what `labelsFromNode` has found."""
    return [segment.GetName() for _id, segment in segments.values()]


def voxels(node, name, volume):
    segmentID = node.GetSegmentation().GetSegmentIdBySegmentName(name)
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentID, volume) > 0


def fillMyocardium(node, volume):
    """Draw the myocardium as many do: filled, with the cavity inside."""
    filled = voxels(node, "LV myocardium", volume) | voxels(node, "LV cavity", volume)
    segmentID = node.GetSegmentation().GetSegmentIdBySegmentName("LV myocardium")
    slicer.util.updateSegmentBinaryLabelmapFromArray(filled.astype(np.uint8), node, segmentID, volume)
    return filled


def test_segmentationRoundTrip():
    image = labelImage()
    arrays, found = labels.labelsFromNode(addSegmentation(image), image)
    np.testing.assert_array_equal(merged(arrays), np.where(image.array == 3, 2, image.array))
    assert called(found) == ["myocardium", "cavity"]
    np.testing.assert_allclose(found[2][1].GetColor(), NAMES[3][1])


def test_segmentationUnderAParentTransform():
    image = labelImage()
    node = addSegmentation(image)
    move = np.eye(4)
    move[:3, 3] = volumes.RAS_TO_LPS[:3, :3] @ image.ijk_to_lps[:3, 0]
    parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "parent")
    parent.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(move))
    node.SetAndObserveTransformNodeID(parent.GetID())
    arrays, _names = labels.labelsFromNode(node, image)
    np.testing.assert_array_equal(merged(arrays)[:, :, 1:] > 0, image.array[:, :, :-1] > 0)


def test_segmentationOnAnotherGrid():
    image = labelImage()
    place = image.ijk_to_lps.copy()
    place[:3, :3] /= 2.0
    place[:3, 3] -= 0.25 * (image.ijk_to_lps[:3, :3] @ np.ones(3))
    fine = Image(np.zeros(tuple(2 * n for n in image.array.shape), np.float32), place, "fine")
    arrays, _names = labels.labelsFromNode(addSegmentation(image), fine)
    np.testing.assert_array_equal(merged(arrays)[::2, ::2, ::2] > 0, image.array > 0)


def test_labelMapNode():
    image = labelImage()
    (array,), found = labels.labelsFromNode(addLabelMap(image), image)
    np.testing.assert_array_equal(array, image.array)
    assert set(found) == {1, 3}


def test_labelMapOnAnotherGridIsReadAsOnTheCommandLine():
    """Of half the voxel size: each sample lies half way between voxels."""
    from hetreg.resample import resample_like

    j, i = np.mgrid[:64, :64]
    disc = (((i - 31.2) ** 2 + (j - 30.7) ** 2) < 8.0**2).astype(np.uint8)
    fine = Image.from_array(disc[None], (1, 1, 1))
    coarse = Image.from_array(np.zeros((1, 32, 32), np.float32), (2, 2, 1), origin_lps=(0.5, 0.5, 0))
    (array,), _names = labels.labelsFromNode(addLabelMap(fine), coarse)
    np.testing.assert_array_equal(array, resample_like(fine, coarse, labels=True))
    assert 4 * array.sum() == pytest.approx(disc.sum(), rel=0.02)


def test_labelsOfALabelMapAreItsNumbers():
    """Also those beyond 16 bits, as an atlas has them."""
    image = labelImage()
    large = image.like(np.where(image.array == 3, 65538, 40000 * (image.array == 1)), "large")
    (array,), found = labels.labelsFromNode(addLabelMap(large), image)
    np.testing.assert_array_equal(array, large.array)
    assert called(found) == ["Label 40000", "Label 65538"]
    (layer,), _names, _notes = labels.layersFromNodes(addLabelMap(large), None, image, image)
    np.testing.assert_array_equal(layer["moving_seg"].array, large.array)


@pytest.mark.parametrize("value", [1.5, np.nan, 2.0**40])
def test_aLabelMapOfOtherNumbersIsRefused(value):
    image = labelImage()
    other = image.like(np.where(image.array == 3, value, image.array), "other")
    with pytest.raises(
        ValueError, match="'l' is not a label map: whole numbers up to 2147483647 are accepted"
    ):
        labels.labelsFromNode(addLabelMap(other), image)


def test_segmentationOutsideTheImageIsRefused():
    image = labelImage()
    place = image.ijk_to_lps.copy()
    place[:3, 3] += 1000.0
    with pytest.raises(ValueError, match="no label inside"):
        labels.labelsFromNode(addSegmentation(image), Image(image.array, place, "elsewhere"))


def test_segmentsAreMatchedByName():
    image = labelImage()
    swapped = addSegmentation(labelImage((3, 1)), {1: NAMES[3], 3: NAMES[1]})
    expected = np.where(image.array == 3, 2, image.array)
    np.testing.assert_array_equal(matched(addSegmentation(image), swapped, image), expected)


def test_labelMapsWithOtherColorTables():
    """Names from the colour tables differ: the values decide. Against a segmentation they cannot."""
    image = labelImage()
    first = addLabelMap(image, addColors(["none", "jake", "Peach", "Brain"]))
    second = addLabelMap(image, addColors(["none", "a", "b", "c"]))
    np.testing.assert_array_equal(matched(first, second, image), image.array)
    (layer,), _names, notes = labels.layersFromNodes(first, addSegmentation(image), image, image)
    assert "fixed_seg" not in layer
    assert notes[0].startswith("No Dice of jake, Brain of 'l' and myocardium, cavity of 's': only")


def test_sameSegmentationTwice(panel):
    """Register is grey and says why; the logic refuses it with the same sentence."""
    panel.ui.sampleButton.click()
    p = panel.logic.getParameterNode()
    panel.ui.fixedSegmentationSelector.setCurrentNode(p.movingSegmentation)
    reason = panel.ui.statusLabel.text
    assert not panel.ui.registerButton.enabled
    assert "'Phantom ED labels' is chosen as moving and as fixed segmentation" in reason
    with pytest.raises(ValueError, match="as moving and as fixed") as caught:
        panel.logic.register(
            p.fixedVolume,
            p.movingVolume,
            movingSegmentation=p.movingSegmentation,
            fixedSegmentation=p.movingSegmentation,
        )
    assert str(caught.value) == reason


def test_segmentsWithEqualNames(panel, raisesInSlot):
    """No Dice of the wrong segments; without a fixed segmentation each is carried along."""
    panel.ui.sampleButton.click()
    p = panel.logic.getParameterNode()
    for node in (p.movingSegmentation, p.fixedSegmentation):
        for i in (0, 1):
            node.GetSegmentation().GetNthSegment(i).SetName("Segment_1")
    with raisesInSlot(ValueError, "'Phantom ED labels' has several segments named 'Segment_1'"):
        panel.ui.registerButton.click()
    panel.ui.fixedSegmentationSelector.setCurrentNode(None)
    panel.ui.registerButton.click()
    assert names(p.movedSegmentation).count("Segment_1") == 2


def test_onlyCommonSegmentsHaveADice(panel):
    panel.ui.sampleButton.click()
    p = panel.logic.getParameterNode()
    p.fixedSegmentation.GetSegmentation().GetNthSegment(0).SetName("something else")
    panel.ui.registerButton.click()
    assert "Dice, RV cavity" not in panel.ui.numbersLabel.text
    assert "Dice, LV cavity" in panel.ui.numbersLabel.text
    assert "RV cavity" in names(p.movedSegmentation)


def test_overlappingSegmentsAreMovedWhole(panel):
    """A filled myocardium stays filled, with the Dice of the filled one; the cavity inside is not lost."""
    panel.ui.sampleButton.click()
    p = panel.logic.getParameterNode()
    panel.ui.registerButton.click()
    ring = voxels(p.movedSegmentation, "LV myocardium", p.fixedVolume)
    cavity = voxels(p.movedSegmentation, "LV cavity", p.fixedVolume)
    summary, found = results.summaryOf(p.transform)
    for node, volume in ((p.movingSegmentation, p.movingVolume), (p.fixedSegmentation, p.fixedVolume)):
        truth = fillMyocardium(node, volume)
    panel.ui.registerButton.click()
    moved = voxels(p.movedSegmentation, "LV myocardium", p.fixedVolume)
    np.testing.assert_array_equal(moved, ring | cavity)
    np.testing.assert_array_equal(voxels(p.movedSegmentation, "LV cavity", p.fixedVolume), cavity)
    value = next(value for value, name in found.items() if name == "LV myocardium")
    filled, _names = results.summaryOf(p.transform)
    expected = 2.0 * (moved & truth).sum() / (moved.sum() + truth.sum())
    assert filled["dice_after"][value] == pytest.approx(expected, abs=1e-5)
    others = [other for other in summary["dice_after"] if other != value]
    assert [filled["dice_after"][v] for v in others] == [summary["dice_after"][v] for v in others]
    assert list(filled["dice_before"]) == list(summary["dice_before"])


def test_segmentationOfSurfaces(panel):
    """It is read as voxels of its image; the user's node keeps its surfaces and gets nothing else."""
    panel.ui.sampleButton.click()
    p = panel.logic.getParameterNode()
    former = voxels(p.movingSegmentation, "LV cavity", p.movingVolume)
    segmentation = p.movingSegmentation.GetSegmentation()
    p.movingSegmentation.CreateClosedSurfaceRepresentation()
    segmentation.SetSourceRepresentationName("Closed surface")
    segmentation.RemoveRepresentation(labels.BINARY)
    image = volumes.imageFromNode(p.movingVolume)
    arrays, found = labels.labelsFromNode(p.movingSegmentation, image)
    value = list(found)[called(found).index("LV cavity")]
    read = np.any([array == value for array in arrays], axis=0)
    assert 2.0 * (read & former).sum() / (read.sum() + former.sum()) > 0.9
    panel.ui.registerButton.click()
    assert "Done" in panel.ui.statusLabel.text
    assert "Dice, LV cavity" in panel.ui.numbersLabel.text
    assert not segmentation.ContainsRepresentation(labels.BINARY)


def test_segmentationThatCannotBecomeVoxels():
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "strange")
    node.GetSegmentation().SetSourceRepresentationName("Something")
    segment = slicer.vtkSegment()
    segment.SetName("something")
    segment.AddRepresentation("Something", vtk.vtkPolyData())
    node.GetSegmentation().AddSegment(segment)
    with pytest.raises(ValueError, match="'strange' has no binary labelmap, and none could be made"):
        labels.labelsFromNode(node, labelImage())


def test_labelsWithoutOverlapAreOneLayer():
    """What does not overlap travels together, as one label image."""
    nodes = sampledata.load()
    moving, fixed = (volumes.imageFromNode(nodes[name]) for name in ("moving", "fixed"))
    layers, found, _notes = labels.layersFromNodes(
        nodes["moving_segmentation"], nodes["fixed_segmentation"], moving, fixed
    )
    assert len(layers) == 1
    assert set(np.unique(layers[0]["moving_seg"].array)) == {0, *found}
