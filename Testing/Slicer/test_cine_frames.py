"""Frames of a cine in the panel: one is kept as moving volume, a pair stays with the frame it was made of."""

import numpy as np
import pytest
import slicer

from hetreg.config import RegisterConfig
from HetRegUncertaintyLib import labels, results, sequences, volumes


def arrayOf(node):
    return slicer.util.arrayFromVolume(node).copy()


def nodeIDs():
    scene = slicer.mrmlScene
    return {scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes())}


def test_theRowIsThereForACine(panel, movie):
    ui, p = panel.ui, panel.logic.getParameterNode()
    assert not ui.keepFrameButton.visible
    assert not ui.everyFrameCheckBox.visible
    p.fixedVolume = movie
    assert ui.keepFrameButton.visible
    assert ui.everyFrameCheckBox.visible
    assert "keep it as moving volume" in ui.statusLabel.text
    p.movingVolume = movie
    assert "keep it as moving volume" in ui.statusLabel.text
    assert not ui.registerButton.enabled


def test_aSequenceOfOneFrameIsNone(movie):
    sequence = sequences.sequenceOf(movie)
    assert sequence.GetName() == "cine"
    for value in ("40", "80"):
        sequence.RemoveDataNodeAtValue(value)
    assert sequences.sequenceOf(movie) is None
    assert sequences.sequenceOf(None) is None


def test_theKeptFrameStays(panel, movie, goTo):
    p = panel.logic.getParameterNode()
    p.movingVolume = movie  # and no fixed one
    goTo(movie, 2)
    shown = arrayOf(movie)
    panel.ui.keepFrameButton.click()
    assert p.fixedVolume is movie
    assert p.movingVolume.GetName() == f"{movie.GetName()} frame 3"
    goTo(movie, 0)
    np.testing.assert_array_equal(arrayOf(p.movingVolume), shown)
    assert panel.ui.registerButton.enabled


def test_aPairOfACineIsThatOfItsFrame(ready, movie, goTo):
    """The cine goes on, the result stays with the frame that was registered."""
    p, ui = ready.logic.getParameterNode(), ready.ui
    ui.everyFrameCheckBox.checked = False
    shown = arrayOf(movie)
    ui.registerButton.click()
    fixed, moving = results.inputsOf(p.transform)
    assert fixed.GetName() == f"{movie.GetName()} frame 2"
    assert moving is p.movingVolume
    assert p.fixedVolume is movie
    goTo(movie, 0)
    np.testing.assert_array_equal(arrayOf(fixed), shown)
    goTo(movie, 1)
    before, transform = slicer.util.getNodesByClass("vtkMRMLVolumeNode"), p.transform
    ui.registerButton.click()  # again: the kept frame and the outputs are used again
    assert slicer.util.getNodesByClass("vtkMRMLVolumeNode") == before
    assert p.transform is transform


def test_ofAPairThatFailsNoFrameIsKept(ready, monkeypatch, raisesInSlot):
    ready.ui.everyFrameCheckBox.checked = False
    before = nodeIDs()
    monkeypatch.setattr(results, "addToScene", lambda *_, **__: 1 / 0)
    with raisesInSlot(ZeroDivisionError, "division"):
        ready.ui.registerButton.click()
    assert nodeIDs() == before


def test_aKeptFrameThatWasChangedIsKeptAnew(movie):
    first = sequences.keepFrame(movie)
    assert sequences.keepFrame(movie) is first
    slicer.util.updateVolumeFromArray(first, arrayOf(first) + 1)
    second = sequences.keepFrame(movie)
    assert second is not first
    assert second.GetName() != first.GetName()


def test_theShownFrameOfASequenceOnOtherTimes(movie, goTo):
    """Played beside the first one: of each time of that, the browser shows the frame nearest before it."""
    browser, first = sequences.browserOf(movie), sequences.sequenceOf(movie)
    second = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "other times")
    second.SetIndexName(first.GetIndexName())
    second.SetIndexUnit(first.GetIndexUnit())
    for number, value in enumerate(("0", "15", "30", "70")):
        slicer.util.updateVolumeFromArray(movie, np.full((2, 4, 4), 10.0 * number))
        second.SetDataNodeAtValue(movie, value)
    browser.AddSynchronizedSequenceNode(second)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    shown = browser.GetProxyNode(second)
    for item in (0, 1, 2):
        goTo(movie, item)
        kept = sequences.keepFrame(shown)
        assert sequences.shownFrame(shown) == arrayOf(shown).max() / 10.0
        assert kept.GetName() == f"{shown.GetName()} frame {sequences.shownFrame(shown) + 1}"
        np.testing.assert_array_equal(arrayOf(kept), arrayOf(shown))
    assert sequences.shownFrame(shown) == 3


def test_withoutTheModuleOfSequences(panel, smallPair, monkeypatch):
    monkeypatch.delattr(slicer.modules, "sequences")
    panel._onParameters()
    assert not panel.ui.keepFrameButton.visible
    assert panel.ui.registerButton.enabled


@pytest.mark.parametrize("how", ["shifted", "under a transform"])
def test_aKeptFrameThatLiesElsewhereIsKeptAnew(movie, how):
    """As a pair with the one that was moved would be registered from there."""
    first = sequences.keepFrame(movie)
    if how == "shifted":
        first.SetOrigin(*np.add(first.GetOrigin(), (0.0, 7.0, 0.0)))
    else:
        shift = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "shift")
        shift.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.diag([1.0, -1.0, -1.0, 1.0])))
        first.SetAndObserveTransformNodeID(shift.GetID())
    second = sequences.keepFrame(movie)
    places = [volumes.imageFromNode(node).ijk_to_lps for node in (movie, second)]
    np.testing.assert_allclose(places[1], places[0])
    assert second is not first
    assert second.GetName() != first.GetName()


def test_aKeptFrameThatLostItsVoxelsIsKeptAnew(movie):
    first = sequences.keepFrame(movie)
    first.SetAndObserveImageData(None)
    assert sequences.keepFrame(movie) is not first


@pytest.mark.parametrize("what", [sequences.browserOf, sequences.sequenceOf])
def test_theRowGoesWithTheSequence(ready, movie, what):
    """And Register does what it says. Slicer crashes if the browser is asked while the sequence goes."""
    ui = ready.ui
    assert "every frame" in ui.registerButton.toolTip
    slicer.mrmlScene.RemoveNode(what(movie))
    slicer.app.processEvents()
    assert not ui.keepFrameButton.visible
    assert not ui.everyFrameCheckBox.visible
    assert "to the fixed image" in ui.registerButton.toolTip


def test_theTableOfACineStaysWhenItsSequenceIsGone(ready, movie):
    """A pair of what the volume still shows is another run, though it is of the same two nodes."""
    table = results.outputsOf(register(ready))["numbers"].GetTable()
    slicer.mrmlScene.RemoveNode(sequences.sequenceOf(movie))
    slicer.app.processEvents()
    ofCine = ready.logic.getParameterNode().transform
    former = results.outputsOf(ofCine)
    assert not set(results.outputsOf(register(ready)).values()) & set(former.values())
    assert results.outputsOf(ofCine) == former
    assert former["numbers"].GetTable() == table


def register(panel):
    """Click Register; returns the transform."""
    panel.ui.registerButton.click()
    assert "done" in panel.ui.statusLabel.text.lower()
    return panel.logic.getParameterNode().transform


def test_aSequenceThatGoesDuringTheRun(ready, movie, monkeypatch, raisesInSlot):
    original = ready.run.execute

    def execute(work):
        slicer.mrmlScene.RemoveNode(sequences.sequenceOf(movie))
        return original(work)

    monkeypatch.setattr(ready.run, "execute", execute)
    with raisesInSlot(ValueError, "The sequence was changed during the run"):
        ready.ui.registerButton.click()
    assert not ready.ui.everyFrameCheckBox.visible


def test_aSequenceAndTheSceneGo(ready, movie):
    slicer.mrmlScene.RemoveNode(sequences.sequenceOf(movie))
    slicer.mrmlScene.Clear()
    slicer.app.processEvents()
    assert not ready.ui.everyFrameCheckBox.visible


def test_aSequenceAndThePanelGo(ready, movie, monkeypatch):
    """The panel that Slicer has put away does nothing any more."""
    shown = []
    slicer.mrmlScene.RemoveNode(sequences.sequenceOf(movie))
    slicer.util.reloadScriptedModule("HetRegUncertainty")
    monkeypatch.setattr(ready.cineRow, "show", shown.append)
    slicer.app.processEvents()
    assert not shown


def test_aTransformThatIsPlayedTooIsRefused(ready, movie):
    """Each frame would lie where the one that is shown lies."""
    p = ready.logic.getParameterNode()
    above = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "motion")
    places = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "places")
    for value in ("0", "40", "80"):
        places.SetDataNodeAtValue(above, value)
    browser = sequences.browserOf(movie)
    with slicer.util.NodeModify(browser):
        browser.AddSynchronizedSequenceNode(places)
        browser.AddProxyNode(above, places, False)
    movie.SetAndObserveTransformNodeID(above.GetID())
    with pytest.raises(ValueError, match="'cine' lies under 'motion', which is in a sequence"):
        ready.logic.registerSequence(movie, p.movingVolume)


def test_aShownFrameThatIsTheMovingOneIsRefused(ready, movie, goTo, raisesInSlot):
    goTo(movie, 0)
    ready.ui.everyFrameCheckBox.checked = False
    before = nodeIDs()
    with raisesInSlot(ValueError, "The frame that is shown is the moving one: go to another"):
        ready.ui.registerButton.click()
    assert nodeIDs() == before


def test_aSegmentationOfAnotherFrameIsNotCarried(ready, movie, goTo):
    p, ui = ready.logic.getParameterNode(), ready.ui
    p.movingSegmentation = drawn = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    goTo(movie, 0)
    ui.keepFrameButton.click()  # the one that was kept
    assert p.movingSegmentation is drawn
    goTo(movie, 2)
    p.movingVolume = movie
    ui.keepFrameButton.click()
    assert p.movingSegmentation is None


def test_theResultNamesTheFrame(ready, movie, goTo):
    ready.ui.registerButton.click()
    assert "cine, frame 2 of 3" in ready.ui.numbersLabel.text
    goTo(movie, 2)
    assert "cine, frame 3 of 3" in ready.ui.numbersLabel.text


def test_segmentsOfAPlaneHaveAnArea(panel, movie, goTo, uncertainModel):
    """As of an echo, whose pixels have no thickness."""
    sequence = sequences.sequenceOf(movie)
    for n in range(sequence.GetNumberOfDataNodes()):
        node = sequence.GetNthDataNode(n)
        slicer.util.updateVolumeFromArray(node, arrayOf(node)[:1])
    goTo(movie, 1)
    goTo(movie, 0)
    kept = sequences.keepFrame(movie)
    image = labels.volumes.imageFromNode(kept)
    block = np.zeros(image.array.shape, np.int32)
    block[:, 20:40, 20:40] = 1
    drawn = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    segments = {1: labels.newSegment(1, "LV", (1, 0, 0))}
    drawn.SetAndObserveSegmentation(labels.segmentationFromLabels([image.like(block, "labels")], segments))
    config = RegisterConfig(model=uncertainModel)
    nodes = panel.logic.registerSequence(movie, kept, movingSegmentation=drawn, config=config)
    areas = slicer.util.arrayFromTableColumn(nodes["numbers"], "LV, area (cm²)")
    assert areas[0] == pytest.approx(400 * np.prod(movie.GetSpacing()[:2]) / 100)
    (chart,) = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    assert chart.GetYAxisTitle() == "Area (cm²)"
