"""The curves in the plot views: they follow the run, and a view that the user has zoomed is left in peace."""

import numpy as np
import pytest
import slicer
import vtk

from HetRegUncertaintyLib import traininglayout, trainingplot


@pytest.fixture
def curves(training):
    """Curves in their views; grow(n) makes them n steps long."""
    found = trainingplot.Curves()

    def grow(steps):
        for step in range(len(found.steps) + 1, steps + 1):
            found.add({"event": "step", "step": step, "loss": 10.0 * step, "variance_loss": None})
        trainingplot.show(found)

    traininglayout.follow(traininglayout.LAYOUT_ID, training.logic.getParameterNode())
    found.grow = grow
    return found


def lossChart():
    """VTK's chart of the first view, drawn."""
    view = next(v for v in plotViews() if v.mrmlPlotViewNode().GetSingletonTag() == traininglayout.PLOTS[0])
    view.plotView().forceRender()
    return view.plotView().chart()


def plotViews():
    manager = slicer.app.layoutManager()
    return [manager.plotWidget(i) for i in range(manager.plotViewCount)]


def ranges(chart):
    axes = [chart.GetAxis(which) for which in (vtk.vtkAxis.BOTTOM, vtk.vtkAxis.LEFT)]
    return [(axis.GetMinimum(), axis.GetMaximum()) for axis in axes]


def test_axesGrowWithTheCurves(curves):
    for steps in (10, 100, 1000):
        curves.grow(steps)
        (left, right), (_bottom, top) = ranges(lossChart())
        assert left <= 1
        assert steps <= right < 2 * steps
        assert 10 * steps <= top < 20 * steps


def test_zoomStaysWhileNothingIsNew(curves):
    curves.grow(10)
    lossChart().GetAxis(vtk.vtkAxis.BOTTOM).SetRange(3, 7)
    curves.grow(10)
    assert ranges(lossChart())[0] == (3, 7)
    curves.grow(20)
    assert ranges(lossChart())[0] != (3, 7)


def test_rangeThatTheUserHasFixedStays(curves):
    curves.grow(10)
    node = traininglayout.plotViewNode(traininglayout.PLOTS[0]).GetPlotChartNode()
    node.SetXAxisRangeAuto(False)
    node.SetXAxisRange(2, 5)
    curves.grow(100)
    assert ranges(lossChart())[0] == (2, 5)
    assert ranges(lossChart())[1][1] >= 1000


def test_chartIsToldOnceAndOnlyOfWhatIsNew(curves):
    """A chart that is told while its table misses a column throws its plots away."""
    curves.grow(10)
    chart, seen = traininglayout.plotViewNode(traininglayout.PLOTS[0]).GetPlotChartNode(), []
    table = chart.GetNthPlotSeriesNode(0).GetTableNode()
    chart.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: seen.append(table.GetNumberOfColumns()))
    curves.grow(10)
    assert seen == []
    curves.grow(20)
    assert seen
    assert set(seen) == {3}
    assert len(seen) <= chart.GetNumberOfPlotSeriesNodes()


@pytest.mark.parametrize("kind", ["Table", "PlotSeries", "PlotChart"])
def test_curvesComeBackAfterTheirNodesWereDeleted(curves, kind):
    """While the training goes on: the table alone, or all nodes of a kind."""
    curves.grow(10)
    for node in slicer.util.getNodesByClass(f"vtkMRML{kind}Node"):
        if node.GetAttribute(trainingplot.ATTRIBUTE):
            slicer.mrmlScene.RemoveNode(node)
    assert lossChart().GetNumberOfPlots() == 0
    curves.grow(20)
    assert lossChart().GetNumberOfPlots() == 2
    assert ranges(lossChart())[0][1] >= 20


def test_aLongRunIsThinnedAndSmoothed(training):
    """The smoothed curve is the running mean of all values, also of those that are not drawn."""
    curves, expected, total, weight = trainingplot.Curves(), {}, 0.0, 0.0
    for step in range(1, 5002):
        loss = None if step % 7 == 0 else 1e4 / step + step % 5
        curves.add({"event": "step", "step": step, "loss": loss})
        if loss is not None:
            total = trainingplot.SMOOTHING * total + (1 - trainingplot.SMOOTHING) * loss
            weight = trainingplot.SMOOTHING * weight + (1 - trainingplot.SMOOTHING)
            expected[step] = (step, loss, total / weight)
    trainingplot.show(curves)
    table = trainingplot._node("Table", "loss", "")
    rows = [slicer.util.arrayFromTableColumn(table, name) for name in ("Step", "Value", "Smoothed")]
    assert 400 < len(rows[0]) <= trainingplot.MAX_POINTS
    assert rows[0][-1] == 5001
    np.testing.assert_allclose(np.transpose(rows), [expected[int(step)] for step in rows[0]], rtol=1e-9)


def test_curvesAreNotInASavedScene(curves, tmp_path):
    """The run folder has them; of a loaded scene they would be mistaken for those of the next training."""
    curves.grow(10)
    path = str(tmp_path / "scene.mrml")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(path)
    kinds = ("PlotChart", "PlotSeries", "Table")
    assert [node for kind in kinds for node in slicer.util.getNodesByClass(f"vtkMRML{kind}Node")] == []
