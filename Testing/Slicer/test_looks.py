"""How the outputs look: what the user has set stays when the same pair is registered again."""

import pytest
import slicer

import runtime
from hetreg.config import RegisterConfig
from HetRegUncertaintyLib import colors, overlays, results, sampledata
from HetRegUncertaintyLib.parameters import Overlay

CONFIG = RegisterConfig(device="cpu")


@pytest.fixture
def first(panel, smallPair):
    """The outputs of a first registration of the small pair."""
    return panel.logic.register(*smallPair, config=CONFIG)


def brighten(fixed, moving, factor):
    """Other voxels, so that the noise in their unit is another."""
    for node in (fixed, moving):
        slicer.util.updateVolumeFromArray(node, factor * slicer.util.arrayFromVolume(node))


def test_windowAndColoursOfTheUserStayAndNoValueIsHidden(panel, smallPair, first):
    node, greys = first["noise_sd"], slicer.util.getNode("vtkMRMLColorTableNodeGrey")
    overlays.setWindow(node, 0.01, 0.08)
    overlays.setThreshold(node, 0.05, 0.1)
    node.GetDisplayNode().SetAndObserveColorNodeID(greys.GetID())
    brighten(*smallPair, 3.0)
    assert panel.logic.register(*smallPair, config=CONFIG, outputs=first)["noise_sd"] is node
    assert overlays.windowOf(node) == pytest.approx((0.01, 0.08))
    assert not node.GetDisplayNode().GetApplyThreshold()
    assert node.GetDisplayNode().GetColorNode() is greys


def test_automaticWindowFollowsTheData(panel, smallPair, first):
    before = overlays.windowOf(first["noise_sd"])[1]
    brighten(*smallPair, 3.0)
    nodes = panel.logic.register(*smallPair, config=CONFIG, outputs=first)
    for role in colors.styles():
        if role in nodes:
            assert colors.hasRobustWindow(nodes[role], role), role
    assert overlays.windowOf(nodes["noise_sd"])[1] > 2.0 * before


def test_whatIsTouchedAndPutBackHidesNothingAndStaysAutomatic(panel, smallPair, first):
    """The sliders round to three significant digits."""
    node = first["noise_sd"]
    overlays.setWindow(node, *(float(f"{v:.2e}") for v in overlays.windowOf(node)))
    assert colors.hasRobustWindow(node, "noise_sd")
    overlays.setThreshold(node, *(float(f"{v:.2e}") for v in overlays.rangeOf(node)))
    assert not node.GetDisplayNode().GetApplyThreshold()
    node.GetDisplayNode().AutoWindowLevelOn()
    assert colors.hasRobustWindow(node, "noise_sd")
    overlays.setWindow(node, 0.01, 0.02)
    assert overlays.windowOf(node) == pytest.approx((0.01, 0.02))
    assert not node.GetDisplayNode().GetAutoWindowLevel()


def test_aWindowThatASavedSceneGivesBackRoundedBeginsAtZero(first):
    """Else the least number of the legend is -1e-07; one that the user has begun below zero stays."""
    node = first["noise_sd"]
    for low, shown in ((-1e-7, 0.0), (-0.01, -0.01)):
        overlays.setWindow(node, low, 0.08)
        overlays.showLegend(first, "noise_sd")
        assert overlays.windowOf(node) == pytest.approx((shown, 0.08), abs=1e-9)


def test_aRunThatFailsAtTheEndLeavesTheWindow(panel, smallPair, first, monkeypatch):
    node = first["noise_sd"]
    overlays.setThreshold(node, 0.05, 0.1)
    before = overlays.windowOf(node), overlays.thresholdOf(node)
    brighten(*smallPair, 3.0)
    monkeypatch.setattr(results, "_connect", lambda *_arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        panel.logic.register(*smallPair, config=CONFIG, outputs=first)
    assert (overlays.windowOf(node), overlays.thresholdOf(node)) == before


def test_automaticWindowOfALoadedSceneFollowsToo(panel, smallPair, first, tmp_path):
    assert slicer.util.saveScene(str(tmp_path / "run.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "run.mrb"))
    loaded = {n.GetAttribute(results.ROLE): n for n in slicer.util.getNodesByClass(results.VOLUME)}
    maps = set(colors.styles()) & set(first)
    assert maps <= set(loaded)
    assert [role for role in maps if not colors.hasRobustWindow(loaded[role], role)] == []


def test_volumeChosenForAMapGetsItsStyle(panel, smallPair):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "mine")
    slicer.util.updateVolumeFromArray(node, 100.0 * slicer.util.arrayFromVolume(smallPair[0]))
    node.CreateDefaultDisplayNodes()
    overlays.setWindow(node, 5.0, 6.0)
    panel.logic.register(*smallPair, config=CONFIG, outputs={"noise_sd": node})
    assert colors.hasRobustWindow(node, "noise_sd")
    assert node.GetDisplayNode().GetColorNode() is colors.colorNode("heat")


def test_contoursStayAsTheUserHasThem(panel):
    nodes = sampledata.load()
    inputs = [nodes[name] for name in ("fixed", "moving")]
    own = nodes["moving_segmentation"]
    found = panel.logic.register(*inputs, movingSegmentation=own, config=CONFIG)
    moved = found["moved_segmentation"]
    display, segmentID = moved.GetDisplayNode(), moved.GetSegmentation().GetNthSegmentID(0)
    assert not display.GetVisibility2DFill()
    display.SetVisibility2DFill(True)
    display.SetSegmentVisibility(segmentID, False)
    panel.logic.register(*inputs, movingSegmentation=own, config=CONFIG, outputs=found)
    assert display.GetVisibility2DFill()
    assert not display.GetSegmentVisibility(segmentID)


def test_displayThatTheUserHasRemovedIsMadeAnew(panel, smallPair):
    panel.ui.registerButton.click()
    p = panel.logic.getParameterNode()
    slicer.mrmlScene.RemoveNode(p.noiseSd.GetScalarVolumeDisplayNode())
    for overlay in (Overlay.SNR_WEIGHT, Overlay.NOISE_SD):
        p.overlay = overlay
    assert runtime.errors() == []
    assert colors.hasRobustWindow(p.noiseSd, "noise_sd")
    assert p.noiseSd.GetScalarVolumeDisplayNode().GetColorNode() is colors.colorNode("heat")


@pytest.mark.parametrize("kind", ["LabelMap", "Vector"])
def test_otherKindsOfVolumeHoldNoOutput(panel, smallPair, kind):
    node = slicer.mrmlScene.AddNewNodeByClass(f"vtkMRML{kind}VolumeNode", "other")
    with pytest.raises(ValueError, match="'other' cannot hold the output 'noise_sd'"):
        panel.logic.register(*smallPair, outputs={"noise_sd": node})


def test_labelMapAsMovingImage(panel, smallPair):
    """It has no grey values to copy."""
    fixed, moving = smallPair
    labelMap = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    slicer.util.updateVolumeFromArray(labelMap, (100 * slicer.util.arrayFromVolume(moving)).astype("int16"))
    labelMap.CopyOrientation(moving)
    labelMap.CreateDefaultDisplayNodes()
    moved = panel.logic.register(fixed, labelMap, config=CONFIG)["moved"]
    assert moved.GetScalarVolumeDisplayNode() is not None


def test_slidersFollowWhatIsSetElsewhereInSlicer(panel, smallPair):
    """With the mouse in a view or in Volumes: a slider that is then moved changes its own end alone."""
    panel.ui.registerButton.click()
    display = panel.logic.getParameterNode().noiseSd.GetDisplayNode()
    display.SetWindowLevelMinMax(0.01, 0.05)
    display.SetThreshold(0.02, 0.06)
    display.SetApplyThreshold(True)
    runtime.process_events(0.1)
    window, threshold = panel.ui.windowRangeWidget, panel.ui.thresholdRangeWidget
    assert (window.minimumValue, window.maximumValue) == pytest.approx((0.01, 0.05))
    assert (threshold.minimumValue, threshold.maximumValue) == pytest.approx((0.02, 0.06))
    window.setMaximumValue(0.04)
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == pytest.approx((0.01, 0.04))
