"""What is seen after Register: nodes and pixels of the views."""

import ctk
import numpy as np
import pytest
import slicer

import runtime
from HetRegUncertaintyLib import colors, deformation, inspector, layout, overlays, results
from HetRegUncertaintyLib.parameters import Deformation, Overlay


@pytest.fixture
def shown(panel, smallPair):
    """The parameter node after a registration of the small pair."""
    panel.ui.registerButton.click()
    return panel.logic.getParameterNode()


def picture(tag=layout.UNCERTAINTY):
    return runtime.grab(tag).astype(int)


def colourful(pixels):
    """How many pixels are not grey."""
    return int((pixels.max(axis=2) - pixels.min(axis=2) > 25).sum())


def legends():
    found = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
    return [node for node in found if node.GetVisibility()]


def test_linkedLayoutIsShownInTheAcquiredPlane(panel, smallPair, shown):
    assert layout.isShown()
    normal = results.inputsOf(shown.transform)[0]
    import vtk

    matrix = vtk.vtkMatrix4x4()
    normal.GetIJKToRASDirectionMatrix(matrix)
    axis = slicer.util.arrayFromVTKMatrix(matrix)[:3, 2]
    for logic in layout.sliceLogics():
        across = slicer.util.arrayFromVTKMatrix(logic.GetSliceNode().GetSliceToRAS())[:3, 2]
        assert abs(float(axis @ across)) == pytest.approx(1.0, abs=1e-6)
        assert logic.GetSliceCompositeNode().GetLinkedControl()


def test_eachViewHasItsContent(panel, smallPair, shown):
    fixed, moved, uncertainty = (logic.GetSliceCompositeNode() for logic in layout.sliceLogics())
    assert fixed.GetForegroundVolumeID() is None
    assert moved.GetForegroundVolumeID() == shown.moved.GetID()
    assert uncertainty.GetForegroundVolumeID() == shown.noiseSd.GetID()
    assert uncertainty.GetForegroundOpacity() == pytest.approx(0.5)
    assert {n.GetBackgroundVolumeID() for n in (fixed, moved, uncertainty)} == {smallPair[0].GetID()}


def test_overlayIsColouredAndNoneIsGrey(panel, shown):
    panel.ui.legendCheckBox.checked = False
    assert colourful(picture()) > 1000
    shown.overlay = Overlay.NONE
    assert colourful(picture()) == 0
    assert colourful(picture(layout.FIXED)) == 0


def test_everyOverlay(panel, shown):
    composite = layout.sliceLogics()[2].GetSliceCompositeNode()
    for overlay in [o for o in Overlay if o.value]:
        shown.overlay = overlay
        node = results.outputsOf(shown.transform)[overlay.value]
        assert composite.GetForegroundVolumeID() == node.GetID(), overlay
        assert [legend.GetTitleText() for legend in legends()] == [colors.styles()[overlay.value].title]
        assert colourful(picture()) > 100, overlay


def isOffered(panel, overlay):
    """True if the map can be chosen in the menu."""
    menu = panel.ui.overlayComboBox
    return bool(menu.model().index(list(Overlay).index(overlay), 0).flags())


def test_displacementSdOnlyWhereTheModelGivesIt(panel, shown, uncertainModel, plainModel):
    p, composite = shown, layout.sliceLogics()[2].GetSliceCompositeNode()
    p.model = plainModel
    panel.ui.registerButton.click()
    assert "displacement_sd_mm" not in results.outputsOf(p.transform)
    assert not isOffered(panel, Overlay.DISPLACEMENT_SD)
    assert isOffered(panel, Overlay.DISPLACEMENT)
    p.model = uncertainModel
    panel.ui.registerButton.click()
    assert isOffered(panel, Overlay.DISPLACEMENT_SD)
    p.overlay = Overlay.DISPLACEMENT_SD
    node = p.displacementSdMm
    assert node.GetName().startswith("ES displacement SD")
    assert composite.GetForegroundVolumeID() == node.GetID()
    assert [legend.GetTitleText() for legend in legends()] == ["Displacement SD (mm)"]
    assert colourful(picture()) > 100
    assert "Displacement SD, median" in panel.ui.numbersLabel.text
    assert panel.ui.opacitySlider.enabled
    assert panel.ui.overlayComboBox.toolTip.startswith("Map shown")
    p.model = plainModel
    panel.ui.registerButton.click()
    assert panel.ui.overlayComboBox.toolTip.startswith("This result does not have the map")
    assert not isOffered(panel, Overlay.DISPLACEMENT_SD)
    assert composite.GetForegroundVolumeID() is None
    assert not panel.ui.opacitySlider.enabled
    assert legends() == []
    p.overlay = Overlay.NONE
    assert panel.ui.overlayComboBox.toolTip.startswith("Map shown")


def test_legendIsDrawnAndRemoved(panel, shown):
    withLegend = picture()
    panel.ui.legendCheckBox.checked = False
    without = picture()
    assert legends() == []
    right = slice(int(0.75 * without.shape[1]), None)
    assert np.abs(withLegend - without)[:, right].max() > 60


def test_colourNodesAreReused(panel, shown):
    count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLColorTableNode")
    for overlay in Overlay:
        shown.overlay = overlay
    panel.ui.registerButton.click()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLColorTableNode") == count
    assert not colors.colorNode("heat").GetHideFromEditors()


def test_opacityReachesThePixels(panel, shown):
    panel.ui.opacitySlider.value = 1.0
    strong = colourful(picture())
    panel.ui.opacitySlider.value = 0.05
    assert colourful(picture()) < strong


def test_thresholdHides(panel, shown):
    panel.ui.legendCheckBox.checked = False
    panel.ui.opacitySlider.value = 1.0
    before = colourful(picture())
    low, high = overlays.rangeOf(shown.noiseSd)
    panel.ui.thresholdRangeWidget.setValues(low + 0.5 * (high - low), high)
    assert shown.noiseSd.GetDisplayNode().GetApplyThreshold()
    assert colourful(picture()) < 0.5 * before
    panel.ui.thresholdRangeWidget.setValues(low, high)
    assert colourful(picture()) == before


def test_colourRangeSetsTheWindow(panel, shown):
    panel.ui.windowRangeWidget.setValues(0.0, 0.05)
    assert overlays.windowOf(shown.noiseSd) == pytest.approx((0.0, 0.05), abs=1e-3)


def test_slidersFollowFromASmallRangeToALargeOne():
    """In one step: CTK refuses a step that is wider than the range that it has."""
    widget = ctk.ctkRangeWidget()
    for size in (0.01, 100.0, 0.01):
        inspector._setRange(widget, 0.0, size, (0.2 * size, 0.8 * size))
        assert widget.singleStep == pytest.approx(size / 200.0)
        assert (widget.minimumValue, widget.maximumValue) == pytest.approx((0.2 * size, 0.8 * size))


def test_windowIsRobust():
    values = np.concatenate([np.linspace(0, 1, 10000), [1000.0, np.nan]])
    low, high = colors.robustWindow(values, "positive")
    assert (low, high) == (0.0, pytest.approx(0.995, abs=0.01))
    assert (
        colors.robustWindow(values - 0.5, "symmetric")[0]
        == -colors.robustWindow(values - 0.5, "symmetric")[1]
    )
    assert colors.robustWindow(np.zeros(5), "positive")[1] > 0


def test_deformationIsDrawnAndRemoved(panel, shown):
    before = picture(layout.FIXED)
    for mode in [Deformation.GRID, Deformation.GLYPHS, Deformation.CONTOURS]:
        shown.deformation = mode
        assert np.abs(picture(layout.FIXED) - before).max() > 60, mode
        shown.deformation = Deformation.NONE
        assert np.abs(picture(layout.FIXED) - before).max() < 5, mode


def test_deformationIn3D(panel, shown):
    def corner():
        window = runtime.screenshot().astype(int)
        return window[int(0.6 * window.shape[0]) :, int(0.75 * window.shape[1]) :]

    shown.deformation = Deformation.GRID
    before = corner()
    panel.ui.threeDCheckBox.checked = True
    assert np.abs(corner() - before).max() > 60


def test_gridSpacing(panel, shown):
    shown.deformation = Deformation.GRID
    panel.ui.spacingSlider.value = 12.5
    assert shown.transform.GetDisplayNode().GetGridSpacingMm() == 12.5


def test_niceSpacingFitsTheImage(panel, smallPair):
    spacing = deformation.niceSpacing(smallPair[0])
    extent = max(np.array(smallPair[0].GetImageData().GetDimensions()) * smallPair[0].GetSpacing())
    assert 8 <= extent / spacing <= 40


def test_niceSpacingIsAtMost10Mm(smallPair):
    smallPair[0].SetSpacing(8.0, 8.0, 10.0)  # 512 mm wide
    assert deformation.niceSpacing(smallPair[0]) == 10.0


def test_fadeBetweenFixedAndMoved(panel, smallPair, shown):
    def difference():
        moved, fixed = picture(layout.MOVED)[60:], picture(layout.FIXED)[60:]
        width = min(moved.shape[1], fixed.shape[1])
        return np.abs(moved[:, :width] - fixed[:, :width])

    panel.ui.fadeSlider.value = 0.0
    unfaded = difference()
    panel.ui.fadeSlider.value = 1.0
    assert difference().mean() > 2.0 * unfaded.mean()


def test_formerLayoutIsRestored(panel, smallPair):
    manager = slicer.app.layoutManager()
    former = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    manager.setLayout(former)
    panel.ui.registerButton.click()
    assert layout.isShown()
    panel.ui.linkedLayoutCheckBox.checked = False
    assert manager.layout == former
    composite = manager.sliceWidget("Red").sliceLogic().GetSliceCompositeNode()
    assert composite.GetForegroundVolumeID() == panel.logic.getParameterNode().noiseSd.GetID()
    panel.ui.linkedLayoutCheckBox.checked = True
    assert layout.isShown()


def test_standardViewsShowTheMovedImageWithoutOverlay(panel, smallPair):
    p = panel.logic.getParameterNode()
    p.linkedLayout, p.overlay = False, Overlay.NONE
    panel.ui.registerButton.click()
    panel.ui.fadeSlider.value = 0.4
    composite = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == smallPair[0].GetID()
    assert composite.GetForegroundVolumeID() == p.moved.GetID()
    assert composite.GetForegroundOpacity() == pytest.approx(0.4)


def test_userLayoutIsNotForcedBack(panel, shown):
    """Another layout chosen by hand stays, whatever is changed in the panel."""
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    assert not shown.linkedLayout
    assert not panel.ui.linkedLayoutCheckBox.checked
    assert not panel.ui.fadeSlider.enabled  # the map lies over the fixed image
    panel.ui.opacitySlider.value = 0.9
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    composite = manager.sliceWidget("Red").sliceLogic().GetSliceCompositeNode()
    assert composite.GetForegroundOpacity() == pytest.approx(0.9)
    panel.ui.linkedLayoutCheckBox.click()
    assert layout.isShown()
    assert panel.ui.fadeSlider.enabled
    panel.parent.exit()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    panel.parent.enter()
    assert not panel.ui.linkedLayoutCheckBox.checked


def test_aLayoutChosenBeforeARunIsNoChoiceForTheResult(panel, smallPair):
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    assert panel.ui.linkedLayoutCheckBox.checked
    panel.ui.registerButton.click()
    assert layout.isShown()


def test_oneSliceEcho(panel):
    from HetRegUncertaintyLib import sampledata

    nodes = sampledata.load(sampledata.ECHO)
    p = panel.logic.getParameterNode()
    p.fixedVolume, p.movingVolume = nodes["fixed"], nodes["moving"]
    panel.ui.registerButton.click()
    panel.ui.legendCheckBox.checked = False
    assert colourful(picture()) > 1000


def test_savedSceneShowsTheSamePicture(panel, shown, tmp_path):
    shown.deformation = Deformation.GRID
    panel.ui.opacitySlider.value = 0.7
    before = picture()
    slicer.util.saveScene(str(tmp_path / "run.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "run.mrb"))
    assert layout.isShown()
    assert len(legends()) == 1
    after = picture()
    assert after.shape == before.shape
    assert np.abs(after - before).mean() < 2.0
