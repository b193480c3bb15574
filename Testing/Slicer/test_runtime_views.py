"""Tests of the stand-in's views: layouts, layers, legend, transform and plot are drawn by Slicer's code."""

import numpy as np
import pytest
import qt
import slicer
import vtk

import runtime

LAYOUT = 1701
DESCRIPTION = """<layout type="vertical">
 <item><layout type="horizontal">
  <item><view class="vtkMRMLSliceNode" singletontag="HetOne">
   <property name="orientation" action="default">Axial</property>
   <property name="viewlabel" action="default">One</property>
   <property name="viewcolor" action="default">#336699</property></view></item>
  <item><view class="vtkMRMLViewNode" singletontag="1"/></item>
 </layout></item>
 <item><view class="vtkMRMLPlotViewNode" singletontag="PlotView1"/></item>
</layout>"""


def volume(name="Volume", array=None):
    array = np.full((20, 30, 40), 100.0) if array is None else array
    node = slicer.util.addVolumeFromArray(array, name=name)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevelMinMax(0, 100)
    return node


def sliceWidget(name="Red"):
    return slicer.app.layoutManager().sliceWidget(name)


def visiblePlots():
    """Names of the plot views that the layout shows; other test files may have made more views."""
    manager = slicer.app.layoutManager()
    widgets = [manager.plotWidget(n) for n in range(manager.plotViewCount)]
    return [w.mrmlPlotViewNode().GetLayoutName() for w in widgets if w.visible]


def centre(name="Red"):
    pixels = runtime.grab(name)
    return tuple(int(v) for v in pixels[pixels.shape[0] // 2 + 7, pixels.shape[1] // 2 + 7])


def brightPixels(pixels):
    return int((pixels.min(axis=2) > 240).sum())


# --- layouts
def test_four_up_is_the_default():
    manager = slicer.app.layoutManager()
    assert {"Red", "Green", "Yellow"} <= set(manager.sliceViewNames())
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    widget = sliceWidget()
    assert widget.mrmlSliceNode().GetOrientation() == "Axial"
    assert widget.visible
    assert manager.threeDWidget(0).visible


def test_layout_is_told_of_again_after_each_batch():
    """As in Slicer, where its layout manager then builds it anew."""
    manager, heard = slicer.app.layoutManager(), []
    manager.connect("layoutChanged(int)", heard.append)
    slicer.mrmlScene.StartState(slicer.vtkMRMLScene.BatchProcessState)
    slicer.mrmlScene.EndState(slicer.vtkMRMLScene.BatchProcessState)
    manager.disconnect("layoutChanged(int)", heard.append)
    assert heard == [manager.layout]


def test_registered_layout_is_shown_and_left():
    manager = slicer.app.layoutManager()
    node = manager.layoutLogic().GetLayoutNode()
    node.AddLayoutDescription(LAYOUT, DESCRIPTION)
    manager.setLayout(LAYOUT)
    widget = sliceWidget("HetOne")
    assert widget.visible
    assert widget.sliceViewLabel == "One"
    assert not sliceWidget("Red").visible
    assert visiblePlots() == ["PlotView1"]
    assert widget.sliceLogic().GetSliceCompositeNode() is not None
    assert tuple(widget.mrmlSliceNode().GetDimensions()[:2]) == widget.sliceView().renderWindow().GetSize()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    assert sliceWidget("Red").visible
    assert not widget.visible
    with pytest.raises(ValueError, match="no layout"):
        manager.setLayout(99999)


def test_views_outlive_the_scene():
    slicer.util.setSliceViewerLayers(background=volume(), fit=True)
    assert centre() == (255, 255, 255)
    slicer.mrmlScene.Clear()
    assert centre() == (0, 0, 0)
    slicer.util.setSliceViewerLayers(background=volume(), fit=True)
    assert centre() == (255, 255, 255)


# --- what is drawn
def test_layers_are_blended():
    background, foreground = volume("Back"), volume("Fore", np.zeros((20, 30, 40)))
    slicer.util.setSliceViewerLayers(background, foreground, foregroundOpacity=0.5, fit=True)
    assert centre()[0] == pytest.approx(127, abs=2)
    foreground.GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeRed")
    slicer.util.arrayFromVolume(foreground)[:] = 100
    slicer.util.arrayFromVolumeModified(foreground)
    red, green, _blue = centre()
    assert red == 255
    assert green == pytest.approx(127, abs=2)


def test_threshold_hides_voxels():
    background, foreground = volume("Back"), volume("Fore", np.full((20, 30, 40), 10.0))
    display = foreground.GetDisplayNode()
    slicer.util.setSliceViewerLayers(background, foreground, foregroundOpacity=1, fit=True)
    assert centre()[0] < 100
    display.SetThreshold(50, 100)
    display.SetApplyThreshold(1)
    assert centre() == (255, 255, 255)


def test_legend_is_drawn():
    node = volume(array=np.zeros((20, 30, 40)))
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    before = brightPixels(runtime.grab("Red"))
    legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(node)
    legend.SetTitleText("Noise")
    shown = brightPixels(runtime.grab("Red"))
    assert shown > before + 200
    legend.SetVisibility(0)
    assert brightPixels(runtime.grab("Red")) == before


def gridTransform(size=12):
    image = vtk.vtkImageData()
    image.SetDimensions(size, size, size)
    image.SetSpacing(4, 4, 4)
    image.AllocateScalars(vtk.VTK_DOUBLE, 3)
    grid = slicer.vtkOrientedGridTransform()
    grid.SetDisplacementGridData(image)
    grid.SetInterpolationModeToCubic()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Field")
    node.SetAndObserveTransformFromParent(grid)
    array = slicer.util.arrayFromGridTransform(node)
    array[:] = 0
    array[3:9, 3:9, 3:9, 0] = 6
    slicer.util.arrayFromGridTransformModified(node)
    return node


@pytest.mark.parametrize("mode", ["GRID", "GLYPH", "CONTOUR"])
def test_transform_is_drawn_in_slices_and_3d(mode):
    node = volume(array=np.zeros((48, 48, 48)))
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    flat, space = runtime.grab("Red").astype(int), runtime.grab("3D").astype(int)
    transform = gridTransform()
    transform.CreateDefaultDisplayNodes()
    display = transform.GetDisplayNode()
    display.SetVisualizationMode(getattr(display, "VIS_MODE_" + mode))
    display.SetGridSpacingMm(6)
    display.SetContourLevelsMmFromString("1 2 5")
    display.SetAndObserveRegionNode(node)
    for switch in (display.SetVisibility, display.SetVisibility2D, display.SetVisibility3D):
        switch(1)
    assert np.abs(runtime.grab("Red") - flat).max() > 50
    assert np.abs(runtime.grab("3D") - space).max() > 50


def test_segmentation_is_drawn():
    node = volume(array=np.zeros((20, 30, 40)))
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(node)
    segment = segmentation.GetSegmentation().AddEmptySegment("S", "S", [1.0, 0.0, 0.0])
    mask = np.zeros((20, 30, 40), np.uint8)
    mask[2:18, 5:25, 5:35] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment, node)
    red, green, _blue = centre()
    assert red > 60
    assert green < 30
    again = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment, node)
    assert (again == mask).all()


def test_plot_is_drawn():
    slicer.app.layoutManager().layoutLogic().GetLayoutNode().AddLayoutDescription(LAYOUT, DESCRIPTION)
    slicer.app.layoutManager().setLayout(LAYOUT)
    empty = runtime.grab("plot")
    x = np.arange(20.0)
    nodes = {}
    chart = slicer.util.plot(np.column_stack([x, x**2]), 0, ["x", "y"], "Squares", show=False, nodes=nodes)
    nodes["series"][0].SetColor(1, 0, 0)
    slicer.app.layoutManager().plotWidget(0).mrmlPlotViewNode().SetPlotChartNodeID(chart.GetID())
    drawn = runtime.grab("plot").astype(int)
    assert (empty != drawn).any()
    assert ((drawn[..., 0] > 200) & (drawn[..., 1] < 60)).sum() > 50


def test_table_is_shown():
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode")
    slicer.util.updateTableFromArray(table, (np.array([1.0, 2.0]), np.array([3.0, 4.0])), ["a", "b"])
    widget = slicer.app.layoutManager().tableWidget(0)
    widget.tableView().mrmlTableViewNode().SetTableNodeID(table.GetID())
    runtime.process_events()
    assert widget.tableView().model().item(1, 1).text() == "4"


def test_table_columns_are_as_wide_as_their_headings_when_the_node_is_given():
    """As in Slicer; a column that comes later has the standard width, one that is there keeps its own."""
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode")
    long, numbers = "a heading of very many words, " * 3, np.array([1.0, 2.0])
    slicer.util.updateTableFromArray(table, (numbers, numbers), ["a", long])
    view = slicer.app.layoutManager().tableWidget(0).tableView()
    view.mrmlTableViewNode().SetTableNodeID(table.GetID())
    width = view.columnWidth(1)
    assert width >= view.horizontalHeader().sectionSizeHint(1) > view.columnWidth(0) == 60
    table.AddColumn().SetName(long)
    table.Modified()
    assert view.columnWidth(1) == width
    assert view.columnWidth(2) < view.horizontalHeader().sectionSizeHint(2)


# --- the window
def test_wheel_moves_the_slice():
    slicer.util.setSliceViewerLayers(background=volume(), fit=True)
    logic, view = sliceWidget().sliceLogic(), sliceWidget().sliceView()
    before = logic.GetSliceOffset()
    event = qt.QWheelEvent(
        qt.QPointF(50, 50), qt.QPointF(50, 50), qt.QPoint(0, 0), qt.QPoint(0, 120), qt.Qt.NoButton,
        qt.Qt.NoModifier, qt.Qt.NoScrollPhase, False,
    )  # fmt: skip
    qt.QApplication.sendEvent(view, event)
    assert logic.GetSliceOffset() == pytest.approx(before + 1)


def test_screenshot_shows_panel_and_views(tmp_path):
    slicer.util.setSliceViewerLayers(background=volume(), fit=True)
    pixels = runtime.screenshot(tmp_path / "window.png")
    assert (tmp_path / "window.png").stat().st_size > 10000
    assert pixels.shape == (1000, 1600, 3)
    assert brightPixels(pixels[500:, 500:]) > 10000


def test_views_are_linked_when_asked():
    slicer.util.setSliceViewerLayers(background=volume(), fit=True)
    manager = slicer.app.layoutManager()
    for name in ("Red", "Green", "Yellow"):
        composite = manager.sliceWidget(name).mrmlSliceCompositeNode()
        composite.SetLinkedControl(1)
        composite.SetHotLinkedControl(1)
        manager.sliceWidget(name).mrmlSliceNode().SetOrientationToAxial()
    logic = sliceWidget("Red").sliceLogic()
    logic.StartSliceOffsetInteraction()
    logic.SetSliceOffset(7)
    logic.EndSliceOffsetInteraction()
    assert sliceWidget("Green").sliceLogic().GetSliceOffset() == pytest.approx(7)


def test_layout_returns_with_the_scene(tmp_path):
    manager = slicer.app.layoutManager()
    manager.layoutLogic().GetLayoutNode().AddLayoutDescription(LAYOUT, DESCRIPTION)
    manager.setLayout(LAYOUT)
    slicer.util.setSliceViewerLayers(background=volume("Kept"), fit=True)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"), {"clear": True})
    assert manager.layout == LAYOUT
    assert sliceWidget("HetOne").visible
    assert centre("HetOne") == (255, 255, 255)


def test_plot_is_shown_in_a_layout_with_a_plot():
    slicer.util.plot(np.array([[0.0, 1.0], [1.0, 3.0]]), 0, ["x", "y"], "Line")
    assert visiblePlots() == ["PlotView1"]
    assert runtime.grab("plot").min() < 100
