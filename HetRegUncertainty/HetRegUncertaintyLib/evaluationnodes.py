"""The evaluation of a run in the scene: a table of the cases with their means, and the sparsification plot.

Each run folder has nodes of its own, so that runs can be compared; they are saved with the scene.
"""

import hashlib
import os

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from hetreg.measures import metric_column

from . import traininglayout
from .evaluationnumbers import STATISTICS, real

ATTRIBUTE = "HetReg.Evaluation"
COLORS = {"by_uncertainty": (0.84, 0.15, 0.16), "oracle": (0.12, 0.47, 0.71)}


def show(numbers):
    """Fill the nodes of a run's evaluation, and put them into the views of the layout if it is shown."""
    table, chart = _fillTable(numbers), _fillChart(numbers)
    view = traininglayout.tableViewNode(traininglayout.EVALUATION_TABLE)
    if view is not None:
        view.SetTableNodeID(None)  # columns are fitted to a table when it is given
        view.SetTableNodeID(table.GetID())
    view = traininglayout.plotViewNode(traininglayout.EVALUATION_PLOT)
    if view is not None:
        view.SetPlotChartNodeID(chart.GetID() if chart is not None else None)


def _fillTable(numbers):
    node = _node("Table", numbers, "cases", _("cases"))
    node.SetUseColumnTitleAsColumnHeader(True)
    table = vtk.vtkTable()
    below = {"mean": _("Mean"), "sd": _("SD"), "median": _("Median")}
    statistics = [which for which in STATISTICS if which != "sd" or len(known(numbers)) > 1]
    cases = [row.get("case", "") for row in numbers.rows] + [below[name] for name in statistics]
    _addTexts(table, _("Case"), cases)
    _addTexts(table, _("Patient"), [row.get("patient", "") for row in numbers.rows] + [""] * len(statistics))
    for name in numbers.names:
        values = [_float(row.get(name)) for row in numbers.rows]
        values += [_float(numbers.statistic(name, which)) for which in statistics]
        column = vtk.vtkDoubleArray()
        column.SetName(metric_column(name).heading)
        for value in values:
            column.InsertNextValue(value)
        table.AddColumn(column)
    if any(row.get("error") for row in numbers.rows):
        errors = [row.get("error", "") for row in numbers.rows]
        _addTexts(table, _("Failed because"), errors + [""] * len(statistics))
    node.SetAndObserveTable(table)
    return node


def known(numbers):
    """The cases that could be measured; of one alone there is no SD."""
    return [row for row in numbers.rows if not row.get("error")]


def _addTexts(table, name, values):
    column = vtk.vtkStringArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(value or "")
    table.AddColumn(column)


def _float(value):
    value = real(value)
    return float("nan") if value is None else value


def _fillChart(numbers):
    """The chart of the mean sparsification curve; None if no case has a predicted variance."""
    curve = numbers.curve
    if not curve:
        return None
    names = {"by_uncertainty": _("Most uncertain voxels first"), "oracle": _("Largest errors first (oracle)")}
    table = _node("Table", numbers, "sparsification", _("sparsification"))
    columns = np.array([curve["fraction"], *(curve[role] for role in names)], dtype=float).T
    columns[:, 0] *= 100
    axis = _("Voxels removed (%)")
    slicer.util.updateTableFromArray(table, columns, [axis, *names.values()])
    chart = _node("PlotChart", numbers, "sparsification", _("sparsification"))
    for role, name in names.items():
        series = _node("PlotSeries", numbers, role, name)
        series.SetName(name)  # the legend shows it
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName(axis)
        series.SetYColumnName(name)
        series.SetPlotType(series.PlotTypeScatter)
        series.SetMarkerStyle(series.MarkerStyleNone)
        series.SetLineStyle(series.LineStyleDash if role == "oracle" else series.LineStyleSolid)
        series.SetLineWidth(2.5)
        series.SetColor(*COLORS[role])
        if not chart.HasPlotSeriesNodeID(series.GetID()):
            chart.AddAndObservePlotSeriesNodeID(series.GetID())
    cases = curve.get("cases", "?")
    title = _("Sparsification of one case") if cases == 1 else _("Sparsification, mean of {n} cases")
    chart.SetTitle(title.format(n=cases))
    chart.SetXAxisTitle(axis)
    chart.SetYAxisTitle(_("Mean squared error of the rest"))
    chart.SetLegendVisibility(True)
    return chart


def _node(className, numbers, role, name):
    """The node of a role of this evaluation, made where the scene has none."""
    place = hashlib.sha256(os.fsencode(numbers.folder)).hexdigest()  # a scene is shared: it names no folder
    key = f"{role}:{place}"
    for node in slicer.util.getNodesByClass(f"vtkMRML{className}Node"):
        if node.GetAttribute(ATTRIBUTE) == key:
            return node
    run = os.path.basename(os.path.dirname(numbers.folder))
    node = slicer.mrmlScene.AddNewNodeByClass(
        f"vtkMRML{className}Node", slicer.mrmlScene.GenerateUniqueName(f"{run}, {name}")
    )
    node.SetAttribute(ATTRIBUTE, key)
    return node
