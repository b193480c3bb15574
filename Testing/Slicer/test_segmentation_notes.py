"""What is said of segmentations: labels that were lost, were not compared, or may lie in another place."""

import numpy as np
import pytest
import slicer
import vtk

from hetreg.config import RegisterConfig
from hetreg.datasets.phantom import make_pair
from hetreg.image import Image
from hetreg.progress import Progress
from HetRegUncertaintyLib import labelpairs, labels, results


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_aLabelThatIsLostIsToldOnceInWhateverLayerItLies(layer):
    pair = make_pair("mri2d", 3, size=64, with_truth=False)
    half = Image(pair.fixed.array[:, :, :40].copy(), pair.fixed.ijk_to_lps, "half")
    far = np.zeros(pair.moving.array.shape, np.int32)
    far[:, 20:40, 58:63] = 1
    arrays = [(pair.moving_label.array > 0) * 2, (pair.moving_label.array == 3) * 3]
    arrays.insert(layer, far)
    layers = [{"moving_seg": pair.moving.like(array.astype(np.int32), "drawn")} for array in arrays]
    images = {"fixed": half, "moving": pair.moving}
    result, moved = labels.register(images, layers, RegisterConfig(device="cpu"), Progress())
    assert [image.array.any() for image in moved] == [i != layer for i in range(3)]
    said = [note for note in result.summary["notes"] if "drawn" in note]
    assert said == ["Nothing is left of label 1 of the moving segmentation 'drawn' in the fixed image."]


@pytest.fixture
def example(panel):
    """The panel, with the example pair and its segmentations chosen."""
    panel.ui.sampleButton.click()
    return panel


def register(panel):
    """(summary, {name of a segment: Dice}) of a run that was not refused."""
    panel.ui.registerButton.click()
    assert "Done" in panel.ui.statusLabel.text
    summary, names = results.summaryOf(panel.logic.getParameterNode().transform)
    return summary, {names[value]: dice for value, dice in summary.get("dice_after", {}).items()}


def rename(node, *names):
    for i, name in enumerate(names):
        node.GetSegmentation().GetNthSegment(i).SetName(name)


def test_namesThatDifferInCaseOnlyAreTheSame(example):
    rename(example.logic.getParameterNode().fixedSegmentation, "rv cavity", "LV MYOCARDIUM")
    summary, dice = register(example)
    assert set(dice) == {"RV cavity", "LV myocardium", "LV cavity"}
    assert not any("No Dice" in note for note in summary["notes"])


def test_namesThatAreToldApartByCaseStayApart(example):
    p = example.logic.getParameterNode()
    for node in (p.movingSegmentation, p.fixedSegmentation):
        rename(node, "lv", "LV", "Lv")
    assert set(register(example)[1]) == {"lv", "LV", "Lv"}


def test_segmentsWithoutAPartnerAreNamedAndTheRestIsCompared(example):
    rename(example.logic.getParameterNode().fixedSegmentation, "Segment_1")
    summary, dice = register(example)
    assert set(dice) == {"LV myocardium", "LV cavity"}
    said = "No Dice of RV cavity of 'Phantom ED labels' and Segment_1 of 'Phantom ES labels': only"
    assert next(note for note in summary["notes"] if "Dice" in note).startswith(said)


def test_withoutAnyNameInCommonTheRegistrationGoesOn(example):
    rename(example.logic.getParameterNode().fixedSegmentation, "Segment_1", "Segment_2", "Segment_3")
    summary, dice = register(example)
    assert not dice
    assert sum("Segment_1, Segment_2, Segment_3 of 'Phantom ES labels'" in n for n in summary["notes"]) == 1
    assert example.logic.getParameterNode().movedSegmentation is not None


def test_aSegmentOfOneImageAloneIsNothingToTell(example):
    segmentation = example.logic.getParameterNode().fixedSegmentation.GetSegmentation()
    segmentation.RemoveSegment(segmentation.GetNthSegmentID(0))
    assert not any("Dice" in note for note in register(example)[0]["notes"])


@pytest.mark.parametrize("moved", ["volume", "both"])
def test_aSegmentationThatWasLeftBehindIsTold(example, moved):
    p = example.logic.getParameterNode()
    shift = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "shift")
    matrix = np.eye(4)
    matrix[0, 3] = 5.0
    shift.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    for node in (p.movingVolume, *([p.movingSegmentation] if moved == "both" else [])):
        node.SetAndObserveTransformNodeID(shift.GetID())
    notes = [note for note in register(example)[0]["notes"] if "transform" in note]
    assert len(notes) == (moved == "volume")
    if notes:
        assert notes[0].startswith("'Phantom ED labels' is not under the same transform as 'Phantom ED': if")


def test_aSegmentationThatHasLostItsPlaceIsTold(example):
    p = example.logic.getParameterNode()
    node, drawn = p.movingSegmentation, {p.movingSegmentation: p.movingVolume}
    assert labelpairs.placeNotes(drawn) == []
    shift = np.eye(4)
    shift[0, 3] = 90.0
    node.ApplyTransformMatrix(slicer.util.vtkMatrixFromArray(shift))
    said = "'Phantom ED labels' lies mostly outside of 'Phantom ED': check that it was drawn on that volume."
    assert labelpairs.placeNotes(drawn) == [said]
    node.GetSegmentation().RemoveAllSegments()
    assert labelpairs.placeNotes(drawn) == []


def test_aSegmentInItsPlaceIsEnough(example):
    """A segment of its own beside the image, as of a scout, has not lost the others their place."""
    p = example.logic.getParameterNode()
    node, image = p.movingSegmentation, labels.volumes.imageFromNode(p.movingVolume)
    place = image.ijk_to_lps.copy()
    place[:3, 3] += 500.0
    far = Image(np.ones((1, 4, 4), np.uint8), place, "far")
    added = labels.segmentationFromLabels([far], {1: labels.newSegment(99, "scout", (1, 0, 0))})
    node.GetSegmentation().AddSegment(added.GetNthSegment(0), "scout")
    assert node.GetSegmentation().GetNumberOfLayers(labels.BINARY) > 1
    assert labelpairs.placeNotes({node: p.movingVolume}) == []


@pytest.mark.parametrize("lost", [False, True])
def test_aLabelMapThatHasLostItsPlaceIsTold(example, lost):
    p = example.logic.getParameterNode()
    node, matrix = (
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "drawn"),
        vtk.vtkMatrix4x4(),
    )
    p.movingVolume.GetIJKToRASMatrix(matrix)
    array = np.zeros(slicer.util.arrayFromVolume(p.movingVolume).shape, np.int16)
    array[:, 40:80, 40:80] = 1
    slicer.util.updateVolumeFromArray(node, array)
    node.SetIJKToRASMatrix(matrix)
    if lost:
        node.SetSpacing(*(0.8 * np.array(node.GetSpacing())))
    p.movingSegmentation, p.fixedSegmentation = node, None
    notes = [note for note in register(example)[0]["notes"] if "'drawn'" in note]
    assert len(notes) == lost
    if lost:
        assert notes[0].startswith("'drawn' has the size of 'Phantom ED', but its voxels lie up to ")


def test_anEmptySegmentationIsNamed(example, raisesInSlot):
    """As of one that was made to be drawn into later; nothing is left in the scene of the run."""
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "not drawn yet")
    example.ui.fixedSegmentationSelector.setCurrentNode(empty)
    said = "The segmentation 'not drawn yet' is empty."
    before = slicer.mrmlScene.GetNumberOfNodes()
    with raisesInSlot(ValueError, said):
        example.ui.registerButton.click()
    assert example.ui.statusLabel.text == said
    assert slicer.mrmlScene.GetNumberOfNodes() == before
