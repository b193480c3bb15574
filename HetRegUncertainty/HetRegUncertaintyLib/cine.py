"""The results of all frames of a cine -> sequences that play along with it, a table and a chart.

Each output is one node, as of a pair, and a sequence that goes through that node what it is in each frame.
"""

from dataclasses import replace

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from . import labels, results, sequences, summary

# The rest follows from these, and every frame takes memory.
ROLES = (
    "moved",
    "transform",
    "noise_sd",
    "snr_weight",
    "displacement_mm",
    "displacement_sd_mm",
    "moved_segmentation",
    "numbers",
)
UNUSED = ("disp_vox", "inverse_disp_lps_mm", "noise_variance", "log_jacobian", "residual")  # of a result


def register(frames, moving, layers, config, progress):
    """[(`RegisterResult` with what is shown, moved labels per layer)] of each frame."""
    config = replace(config, inverse=False)
    found = labels.registerFrames(frames, moving, layers, config, progress)
    return [(replace(result, **dict.fromkeys(UNUSED)), moved) for result, moved in found]


def addToScene(found, segments, volume, movingNode):
    """Add the result of every frame of the sequence that a volume shows; returns {role: node}.

    found: [(`RegisterResult`, moved labels per layer)] of each frame, is emptied. segments: as for
    `results.addToScene`. If anything fails, no node is left behind.
    """
    sequence, browser = sequences.sequenceOf(volume), sequences.browserOf(volume)
    if sequence is None or sequence.GetNumberOfDataNodes() != len(found):
        raise ValueError(_("The sequence has changed meanwhile: nothing was added."))
    values = [sequence.GetNthIndexValue(i) for i in range(len(found))]
    table, shown = _table(found, segments, sequence), sequences.shownFrame(volume)
    nodes, made = {}, {}
    with results.allOrNothing() as undo:
        for i in (*(i for i in range(len(found)) if i != shown), shown):  # colours fit the one that is seen
            result, moved = found[i]
            found[i] = None  # two copies of all would be too much
            nodes = results.addToScene(
                result, volume, movingNode, nodes, moved, segments, roles=ROLES, numbers=table
            )
            for role in nodes.keys() - {"numbers"}:
                made[role] = made.get(role) or _sequenceFor(nodes[role], sequence)
                made[role].SetDataNodeAtValue(nodes[role], values[i])
        for role, own in made.items():
            undo(browser.RemoveSynchronizedSequenceNode, own.GetID())
            browser.AddSynchronizedSequenceNode(own)
            browser.AddProxyNode(nodes[role], own, False)
        _addChart(nodes["numbers"], segments)
    return nodes


def _sequenceFor(node, like):
    """An empty sequence with the index of another one."""
    own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", node.GetName())
    own.SetIndexName(like.GetIndexName())
    own.SetIndexUnit(like.GetIndexUnit())
    own.SetIndexType(like.GetIndexType())
    return own


def _table(found, segments, sequence):
    """vtkTable with a row per frame: its index, the volume of each segment, the numbers of its result."""
    columns = {_("Frame"): np.arange(1, len(found) + 1)}
    if sequence.GetIndexType() == sequence.NumericIndex and sequence.GetIndexName():
        unit = sequence.GetIndexUnit()
        title = sequence.GetIndexName() + (f" ({unit})" if unit else "")
        columns[title] = [float(sequence.GetNthIndexValue(i)) for i in range(len(found))]
    for value, title in _volumeTitles(segments).items():
        columns[title] = [_millilitres(moved, value) for _result, moved in found]
    for key, title in _measures().items():
        given = [summary.numberIn(result.summary, key, np.nan) for result, _moved in found]
        if np.isfinite(given).any():
            columns[title] = given
    table = vtk.vtkTable()
    for title, numbers in columns.items():
        column = vtk.vtkDoubleArray()
        column.SetName(title)
        for number in numbers:
            column.InsertNextValue(number)
        table.AddColumn(column)
    return table


def _measures():
    """{of a summary: title of its column}"""
    return {
        "ncc_before": _("Correlation before"),
        "ncc_after": _("Correlation after"),
        "displacement_p95_mm": _("Displacement, 95th percentile (mm)"),
        "displacement_sd_median_mm": _("Displacement SD, median (mm)"),
        "noise_sd_median": _("Noise SD, median"),
        "folded_percent": _("Folded voxels (%)"),
    }


def _volumeTitles(segments):
    """{label value: title of the column of its volume}, all different."""
    names = [segment.GetName() for _id, segment in segments.values()]
    titles = {}
    for value, name in zip(segments, names, strict=True):
        name = f"{name} {value}" if names.count(name) > 1 else name
        titles[value] = _("{segment}, volume (ml)").format(segment=name)
    return titles


def _millilitres(layers, value):
    """Volume of a label, which is whole in one of the layers."""
    voxels = max(int(np.count_nonzero(layer.array == value)) for layer in layers)
    return voxels * float(np.prod(layers[0].spacing_mm)) / 1000.0


def _addChart(tableNode, segments):
    """The volume of each segment over the frames."""
    titles = _volumeTitles(segments)
    if not titles:
        return
    name = tableNode.GetName()
    chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", name)
    for value, title in titles.items():
        segment = segments[value][1]
        series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", segment.GetName())
        series.SetAndObserveTableNodeID(tableNode.GetID())
        series.SetXColumnName(_("Frame"))
        series.SetYColumnName(title)
        series.SetPlotType(series.PlotTypeScatter)
        series.SetLineStyle(series.LineStyleSolid)
        series.SetColor(*segment.GetColor())
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(name)
    chart.SetXAxisTitle(_("Frame"))
    chart.SetYAxisTitle(_("Volume (ml)"))
    chart.SetLegendVisibility(True)
