"""The curves of a training in Slicer's plot views: both losses, and Dice on the validation pairs.

Tables, series and charts are made once, filled again as the training goes on, and not saved with the scene:
the run folder has the same numbers in log.csv.
"""

from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np
import slicer
from slicer.i18n import tr as _

from . import traininglayout

ATTRIBUTE = "HetReg.TrainingPlot"
MAX_POINTS = 800
SMOOTHING, MEMORY = 0.9, 256  # what came before so many values has no weight any more
COLORS = {"loss": (0.12, 0.47, 0.71), "variance_loss": (0.84, 0.15, 0.16), "validation": (0.17, 0.55, 0.17)}


@dataclass
class Curves:
    """Numbers of a run as the trainer reported them; None where it had none."""

    steps: list = field(default_factory=list)
    loss: list = field(default_factory=list)
    variance_loss: list = field(default_factory=list)
    validation_steps: list = field(default_factory=list)
    dice: list = field(default_factory=list)
    validation_loss: list = field(default_factory=list)

    def add(self, event):
        """Take over an event of the kind "step" or "validation". A run that goes on may repeat some steps."""
        if event["event"] == "step":
            columns = (self.steps, self.loss, self.variance_loss)
            values = (event.get("step", 0), event.get("loss"), event.get("variance_loss"))
        elif event["event"] == "validation" and isValidated(event):
            columns = (self.validation_steps, self.dice, self.validation_loss)
            values = (event.get("step", 0), event.get("dice"), event.get("loss"))
        else:
            return
        values = [value if isinstance(value, int | float) else None for value in values]
        if values[0] is None:  # the log of another program
            return
        for column in columns[::-1]:
            del column[bisect_left(columns[0], values[0]) :]
        for column, value in zip(columns, values, strict=True):
            column.append(value)

    @property
    def hasDice(self):
        """True if the validation pairs have labels."""
        return any(value is not None for value in self.dice)


def isValidated(event):
    """True if a validation had a pair to measure; without one its loss is that of the last training batch."""
    return event.get("mse") is not None


def show(curves):
    """Bring tables and charts in line with the curves, and put the charts into their views."""
    validation = curves.dice if curves.hasDice else curves.validation_loss
    titles = {
        "loss": _("Displacement loss"),
        "variance_loss": _("Variance loss"),
        "validation": _validationTitle(curves),
    }
    grown = [
        _fill("loss", curves.steps, curves.loss),
        _fill("variance_loss", curves.steps, curves.variance_loss),
        _fill("validation", curves.validation_steps, validation, smoothed=False),
    ]
    for tag, (role, title) in zip(traininglayout.PLOTS, titles.items(), strict=True):
        chart = _chart(role)
        if chart.GetTitle() != title:
            chart.SetTitle(title)
        view = traininglayout.plotViewNode(tag)
        if view is not None and view.GetPlotChartNodeID() != chart.GetID():
            view.SetPlotChartNodeID(chart.GetID())
    _fitAxes([tag for tag, hasGrown in zip(traininglayout.PLOTS, grown, strict=True) if hasGrown])


def _validationTitle(curves):
    if curves.steps and not curves.validation_steps:
        return _("No validation")
    return _("Validation Dice") if curves.hasDice else _("Validation loss")


def remove():
    """Take the nodes out of the scene."""
    for className in ("PlotChart", "PlotSeries", "Table"):
        for node in slicer.util.getNodesByClass(f"vtkMRML{className}Node"):
            if node.GetAttribute(ATTRIBUTE):
                slicer.mrmlScene.RemoveNode(node)


def smooth(values, at):
    """Running mean of an array with exponentially falling weights, without a bias at the start; at these
    indices alone, since a run may have very many values."""
    weights = SMOOTHING ** np.arange(MEMORY)[::-1]
    before = np.append(np.zeros(MEMORY - 1), values)[at[:, None] + np.arange(MEMORY)]
    return before @ weights * (1 - SMOOTHING) / (1 - SMOOTHING ** (at + 1.0))


def thin(count):
    """Indices of at most MAX_POINTS of so many rows, the last one among them."""
    stride = max(-(-count // MAX_POINTS), 1)
    return np.arange((count - 1) % stride, count, stride)


def _fitAxes(tags):
    """Fit the axes of these plot views to their curves; where the user has fixed a range, it stays."""
    manager = slicer.app.layoutManager()
    for i in range(manager.plotViewCount if manager is not None else 0):
        widget = manager.plotWidget(i)
        if widget.mrmlPlotViewNode().GetSingletonTag() in tags:
            widget.plotView().chart().RecalculateBounds()


def _fill(role, steps, values, smoothed=True):
    """Fill a table; False if it has these rows already: the chart, and how it is zoomed, is left alone."""
    points = np.array([steps, values], dtype=float)  # None becomes NaN
    points = points[:, np.isfinite(points[1])]
    at = thin(points.shape[1] if points.shape[1] > 1 else 0)  # one point makes no line yet
    rows = np.column_stack([*points[:, at], smooth(points[1], at) if smoothed else points[1, at]])
    table = _node("Table", role, _("HetReg training: {role}").format(role=role))
    names = [_("Step"), _("Value"), _("Smoothed")]
    if table.GetNumberOfColumns():
        shown = np.column_stack([slicer.util.arrayFromTableColumn(table, name) for name in names])
        if np.array_equal(shown, rows):
            return False
    with slicer.util.NodeModify(table):  # a chart that misses a column meanwhile makes its plots anew
        slicer.util.updateTableFromArray(table, rows, names)
    return True


def _chart(role):
    chart = _node("PlotChart", role, _("HetReg training: {role}").format(role=role))
    _joinTable(chart, role)
    if chart.GetNumberOfPlotSeriesNodes() == 0:
        for column in ("value", "smoothed"):
            if role != "validation" or column == "value":
                chart.AddAndObservePlotSeriesNodeID(_series(role, column).GetID())
        chart.SetXAxisTitle(_("Step"))
        chart.SetYAxisTitleVisibility(False)
        chart.SetLegendVisibility(False)
        chart.SetTitleFontSize(14)
        chart.SetAxisTitleFontSize(11)
        chart.SetAxisLabelFontSize(10)
    return chart


def _joinTable(chart, role):
    """The curves are of the new table where the user has deleted the former one."""
    for i in range(chart.GetNumberOfPlotSeriesNodes()):
        series = chart.GetNthPlotSeriesNode(i)
        if series.GetAttribute(ATTRIBUTE) and series.GetTableNode() is None:
            series.SetAndObserveTableNodeID(_node("Table", role, "").GetID())


def _series(role, column):
    names = {"value": _("Value"), "smoothed": _("Smoothed")}
    name = _("HetReg training: {role}, {column}").format(role=role, column=names[column])
    series = _node("PlotSeries", f"{role}.{column}", name)
    series.SetAndObserveTableNodeID(_node("Table", role, "").GetID())
    series.SetXColumnName(_("Step"))
    series.SetYColumnName(names[column])
    series.SetPlotType(series.PlotTypeScatter)
    series.SetLineStyle(series.LineStyleSolid)
    series.SetColor(*COLORS[role])
    raw = column == "value" and role != "validation"
    series.SetMarkerStyle(series.MarkerStyleCircle if role == "validation" else series.MarkerStyleNone)
    series.SetMarkerSize(7)
    series.SetLineWidth(1 if raw else 2.5)
    series.SetOpacity(0.35 if raw else 1.0)
    return series


def _node(className, role, name):
    """The node of a role, made where the scene has none."""
    for node in slicer.util.getNodesByClass(f"vtkMRML{className}Node"):
        if node.GetAttribute(ATTRIBUTE) == role:
            return node
    node = slicer.mrmlScene.CreateNodeByClass(f"vtkMRML{className}Node")
    node.UnRegister(None)
    node.SetName(name)
    node.SetAttribute(ATTRIBUTE, role)
    node.SetSaveWithScene(False)
    return slicer.mrmlScene.AddNode(node)
