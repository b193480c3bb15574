"""A cine in the panel: a frame is kept as moving volume, all are registered, the results play along."""

import json

import numpy as np
import pytest
import slicer

from builders import tiny_model
from hetreg.config import RegisterConfig
from hetreg.progress import Cancelled, Progress
from HetRegUncertaintyLib import cine, labels, overlays, results, sequences
from HetRegUncertaintyLib.parameters import Deformation

PLAYED = ("moved", "transform", "noise_sd", "snr_weight", "displacement_mm", "displacement_sd_mm")


@pytest.fixture
def drawn(ready):
    """A segmentation on the moving volume, chosen: a block, and half of it once more."""
    p = ready.logic.getParameterNode()
    image = labels.volumes.imageFromNode(p.movingVolume)
    block, half = np.zeros((2, *image.array.shape), np.int32)
    block[:, 20:40, 20:40], half[:, 20:40, 20:30] = 1, 2
    segments = {value: labels.newSegment(value, f"part {value}", (1, 0, 0)) for value in (1, 2)}
    layers = [image.like(array, "labels") for array in (block, half)]
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    node.SetAndObserveSegmentation(labels.segmentationFromLabels(layers, segments))
    p.movingSegmentation = node
    return node


def arrayOf(node):
    return slicer.util.arrayFromVolume(node).copy()


def column(table, title):
    return slicer.util.arrayFromTableColumn(table, title)


def nodeIDs():
    scene = slicer.mrmlScene
    return {scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes())}


def test_eachFrameAsThePairOfIt(ready, movie, drawn, goTo):
    p, logic = ready.logic.getParameterNode(), ready.logic
    ready.ui.registerButton.click()
    assert ready.ui.statusLabel.text.startswith("Every frame done in")
    played = {role: getattr(p, name) for role, name in outputs().items()}
    assert all(played[role] is not None for role in PLAYED)
    assert played["log_jacobian"] is played["inverse_transform"] is None
    for frame in (1, 2):
        goTo(movie, frame)
        alone = logic.register(
            sequences.keepFrame(movie), p.movingVolume, movingSegmentation=drawn, config=config(p)
        )
        for role in ("moved", "noise_sd", "snr_weight", "displacement_mm", "displacement_sd_mm"):
            np.testing.assert_array_equal(arrayOf(played[role]), arrayOf(alone[role]), role)
        ends = [
            node.GetTransformFromParent().TransformPoint(1.0, 2.0, 3.0)
            for node in (played["transform"], alone["transform"])
        ]
        assert ends[0] == ends[1]
        own, other = (
            labels.labelsFromNode(node, labels.volumes.imageFromNode(movie))[0]
            for node in (played["moved_segmentation"], alone["moved_segmentation"])
        )
        np.testing.assert_array_equal(own, other)


def outputs():
    from HetRegUncertaintyLib.parameters import outputParameter

    return {role: outputParameter(role) for role in results.OUTPUTS}


def config(p):
    return RegisterConfig(model=p.model)


def test_theMovingFrameStays(ready, movie, goTo):
    ready.ui.registerButton.click()
    p = ready.logic.getParameterNode()
    goTo(movie, 0)
    np.testing.assert_array_equal(arrayOf(p.moved), arrayOf(p.movingVolume))
    assert not arrayOf(p.noiseSd).any()
    assert (arrayOf(p.snrWeight) == 1).all()
    assert "moving image itself" in ready.ui.numbersLabel.text
    goTo(movie, 1)
    assert arrayOf(p.noiseSd).any()
    assert "moving image itself" not in ready.ui.numbersLabel.text


def test_volumesOfEveryFrame(ready, movie, drawn, goTo):
    ready.ui.registerButton.click()
    p = ready.logic.getParameterNode()
    table, voxel = p.numbers, np.prod(movie.GetSpacing()) / 1000.0
    assert column(table, "Frame").tolist() == [1, 2, 3]
    assert column(table, "time (ms)").tolist() == [0, 40, 80]
    for frame in range(3):
        goTo(movie, frame)
        image = labels.volumes.imageFromNode(movie)
        arrays, found = labels.labelsFromNode(p.movedSegmentation, image)
        assert len(found) == 2
        for value in found:
            count = max((array == value).sum() for array in arrays)
            volume = column(table, f"part {value}, volume (ml)")[frame]
            assert volume == pytest.approx(count * voxel)
    assert column(table, "part 1, volume (ml)")[0] == pytest.approx(2 * 400 * voxel)
    numbers = results.summaryOf(p.transform)[0]
    assert column(table, "Correlation after")[2] == pytest.approx(numbers["ncc_after"])
    (chart,) = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    assert chart.GetNthPlotSeriesNode(1).GetYColumnName() == "part 2, volume (ml)"
    assert chart.GetNthPlotSeriesNode(1).GetTableNode() is table


def test_aSavedSceneStillPlays(ready, movie, tmp_path, goTo):
    ready.ui.registerButton.click()
    goTo(movie, 1)
    expected = arrayOf(ready.logic.getParameterNode().noiseSd)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    slicer.app.processEvents()
    p = ready.logic.getParameterNode()
    goTo(p.fixedVolume, 0)
    assert not arrayOf(p.noiseSd).any()
    goTo(p.fixedVolume, 1)
    np.testing.assert_allclose(arrayOf(p.noiseSd), expected, rtol=1e-5)
    assert results.outputsOf(p.transform)["noise_sd"] is p.noiseSd
    assert "moving image itself" not in ready.ui.numbersLabel.text


def test_aSecondRunLeavesTheFirst(ready, movie):
    ready.ui.registerButton.click()
    p = ready.logic.getParameterNode()
    first, kept = p.transform, arrayOf(p.noiseSd)
    noise = p.noiseSd
    ready.ui.registerButton.click()
    assert p.transform is not first
    assert sequences.browserOf(p.transform) is sequences.browserOf(first)
    ready.ui.everyFrameCheckBox.checked = False
    ready.ui.registerButton.click()
    assert sequences.browserOf(p.transform) is None  # a pair, which no browser goes through
    np.testing.assert_array_equal(arrayOf(noise), kept)


def test_cancelledOrFailedItLeavesTheSceneAlone(ready, movie, monkeypatch, raisesInSlot):
    p, before = ready.logic.getParameterNode(), nodeIDs()
    reports = []
    progress = Progress(lambda _f, message: reports.append(message), lambda: "Frame 3" in reports[-1])
    with pytest.raises(Cancelled):
        ready.logic.registerSequence(movie, p.movingVolume, config=config(p), progress=progress)
    assert nodeIDs() == before
    monkeypatch.setattr(cine, "_addChart", lambda *_: 1 / 0)
    with raisesInSlot(ZeroDivisionError, "division"):
        ready.ui.registerButton.click()
    assert nodeIDs() == before
    assert sequences.browserOf(movie).GetNumberOfSynchronizedSequenceNodes(True) == 1
    assert p.transform is None


def test_badFramesAreNamed(ready, movie):
    p, logic, before = ready.logic.getParameterNode(), ready.logic, nodeIDs()
    with pytest.raises(ValueError, match="shows no sequence"):
        logic.registerSequence(p.movingVolume, movie)
    sequences.sequenceOf(movie).GetNthDataNode(2).SetAndObserveImageData(None)
    with pytest.raises(ValueError, match=r"Frame 3 of 'cine': .* has no voxels"):
        logic.registerSequence(movie, p.movingVolume)
    assert nodeIDs() == before


def test_sequenceThatChangedMeanwhile(ready, movie):
    p, before = ready.logic.getParameterNode(), nodeIDs()

    def execute(compute):
        found = compute(Progress())
        sequence = sequences.sequenceOf(movie)
        sequence.UpdateIndexValue("80", "10")  # so many frames, in another order
        return found

    with pytest.raises(ValueError, match="changed during the run"):
        ready.logic.registerSequence(movie, p.movingVolume, config=config(p), execute=execute)
    assert nodeIDs() == before


def test_placeOfTheCineCounts(ready, movie):
    """A linear transform above it, as a rigid registration gives, moves all frames."""
    p = ready.logic.getParameterNode()
    matrix = np.eye(4)
    matrix[0, 3] = 7.0
    above = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "above")
    above.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    for node in (movie, p.movingVolume):
        node.SetAndObserveTransformNodeID(above.GetID())
    for image in sequences.frameImages(movie):
        expected = labels.volumes.imageFromNode(movie).ijk_to_lps
        np.testing.assert_allclose(image.ijk_to_lps, expected)
    nodes = ready.logic.registerSequence(movie, p.movingVolume, config=config(p))
    record = json.loads(nodes["moved"].GetAttribute(results.RECORD))
    assert record["moving"]["name"] == p.movingVolume.GetName()
    place = slicer.util.arrayFromVTKMatrix(
        labels.volumes.ijkToRasMatrix(labels.volumes.imageFromNode(nodes["moved"]))
    )
    assert place[0, 3] == pytest.approx(-expected[0, 3])


def test_aFixedSegmentationIsLeftOut(ready, drawn):
    p, ui = ready.logic.getParameterNode(), ready.ui
    p.fixedSegmentation, p.movingSegmentation = drawn, None
    assert ui.registerButton.enabled
    assert not ui.fixedSegmentationSelector.enabled
    ui.everyFrameCheckBox.checked = False
    assert ui.fixedSegmentationSelector.enabled
    assert not ui.registerButton.enabled


def test_segmentsOfOneNameHaveColumnsOfTheirOwn(ready, drawn):
    segmentation = drawn.GetSegmentation()
    for i in range(2):
        segmentation.GetNthSegment(i).SetName("LV")
    ready.ui.registerButton.click()
    table = ready.logic.getParameterNode().numbers
    assert column(table, "LV, volume (ml)")[0] > column(table, "LV, volume (ml) 2")[0] > 0


def test_eachOutputIsThereOnce(ready, movie):
    """Slicer makes a node of its own for a sequence that has none."""
    ready.ui.registerButton.click()
    own = set(results.outputsOf(ready.logic.getParameterNode().transform).values())
    everything = slicer.util.getNodesByClass("vtkMRMLDisplayableNode")
    assert {node for node in everything if node.GetAttribute(results.ROLE)} < own


def test_theShownFrameIsShownAtOnce(ready, movie):
    ready.ui.registerButton.click()
    p = ready.logic.getParameterNode()
    assert sequences.shownFrame(movie) == 1
    shown = arrayOf(p.noiseSd)
    sequence = sequences.sequenceOf(p.noiseSd)
    np.testing.assert_array_equal(shown, slicer.util.arrayFromVolume(sequence.GetNthDataNode(1)))
    assert not slicer.util.arrayFromVolume(sequence.GetNthDataNode(0)).any()


def test_coloursFitEveryFrame(ready, movie, goTo, tmp_path):
    """Also where the frame that is shown is the moving one, whose maps are 0."""
    p, ui = ready.logic.getParameterNode(), ready.ui
    tiny_model(rough=1.0).save(tmp_path / "rough.pt")
    p.model = str(tmp_path / "rough.pt")
    goTo(movie, 0)
    ui.registerButton.click()
    window, highest = overlays.windowOf(p.noiseSd), ui.thresholdRangeWidget.maximum
    largest = 0.0
    for frame in range(3):
        goTo(movie, frame)
        largest = max(largest, np.percentile(arrayOf(p.noiseSd), 99.5))
        assert overlays.windowOf(p.noiseSd) == window
    assert window == (0.0, pytest.approx(float(f"{largest:.5g}")))
    assert highest >= 0.99 * max(arrayOf(node).max() for node in framesOf(p.noiseSd))
    lengths = [results.summaryOf(node)[0]["displacement_max_mm"] for node in framesOf(p.transform)]
    p.deformation = Deformation.GLYPHS
    goTo(movie, 0)
    display = p.transform.GetDisplayNode()
    assert max(lengths) > 0.2
    assert display.GetGlyphDisplayRangeMaxMm() == pytest.approx(10 * max(lengths))


def framesOf(node):
    sequence = sequences.browserOf(node).GetSequenceNode(node)
    return [sequence.GetNthDataNode(i) for i in range(sequence.GetNumberOfDataNodes())]


def test_whatWasPutAsideComesBack(ready, movie, drawn, goTo):
    """Although the frame has changed meanwhile."""
    ready.ui.registerButton.click()
    contours = ready.logic.getParameterNode().movedSegmentation
    assert contours.GetDisplayVisibility()
    overlays.putAside(True)
    assert not contours.GetDisplayVisibility()
    goTo(movie, 2)
    overlays.putAside(False)
    assert contours.GetDisplayVisibility()


def test_indexThatIsNoNumberOrIsNamedLikeAColumn(ready, movie):
    sequence, p = sequences.sequenceOf(movie), ready.logic.getParameterNode()
    sequence.SetIndexName("Frame")
    sequence.SetIndexUnit("")
    ready.ui.registerButton.click()
    assert column(p.numbers, "Frame").tolist() == [1, 2, 3]
    assert column(p.numbers, "Frame 2").tolist() == [0, 40, 80]
    sequence.SetIndexType(sequence.TextIndex)
    sequence.UpdateIndexValue("0", "zulu")
    ready.ui.registerButton.click()
    played = sequences.sequenceOf(p.noiseSd)
    assert [played.GetNthIndexValue(i) for i in range(3)] == ["zulu", "40", "80"]
    assert p.numbers.GetTable().GetColumnByName("Frame 2") is None
