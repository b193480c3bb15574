"""The results of all frames of a cine -> sequences that play along with it, a table and a chart.

Each output is one node, as of a pair, and a sequence that goes through that node what it is in each frame.
"""

import itertools
from dataclasses import replace

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from . import colors, labels, overlays, results, sequences, summary

LARGEST_MM = "cine_displacement_max_mm"  # in the summary of each frame: of all frames
# Of a result: they follow from the rest, and every frame takes memory.
UNUSED = ("disp_vox", "inverse_disp_lps_mm", "noise_variance", "log_jacobian", "residual")


def register(frames, moving, layers, config, progress):
    """[(`RegisterResult` with what is shown, moved labels per layer)] of each frame."""
    config = replace(config, inverse=False)
    found = labels.registerFrames(frames, moving, layers, config, progress)
    return [(replace(result, **dict.fromkeys(UNUSED)), moved) for result, moved in found]


def addToScene(found, segments, volume, movingNode, values):
    """Add the result of every frame of the sequence that a volume shows; returns {role: node}.

    found: [(`RegisterResult`, moved labels per layer)] of each frame, is emptied. segments: as for
    `results.addToScene`. values: of the index, when the frames were read. If anything fails, no node is left
    behind.
    """
    if sequences.indexValues(volume) != values:
        raise ValueError(_("The sequence was changed during the run: nothing was added."))
    sequence, browser = sequences.sequenceOf(volume), sequences.browserOf(volume)
    plane = _isPlane(found[0][0])
    titles = _sizeTitles(segments, plane)
    table, windows = _table(found, titles, sequence, values), _windows(found)
    largest = {LARGEST_MM: max(result.summary["displacement_max_mm"] for result, _moved in found)}
    nodes, made = {}, {}
    with results.allOrNothing() as undo:
        for i, value in enumerate(values):
            result, moved = found[i]
            found[i] = None  # two copies of all would be too much
            result = replace(result, summary=result.summary | largest)
            nodes = results.addToScene(result, volume, movingNode, nodes, moved, segments, table)
            for role in nodes.keys() - {"numbers"}:
                made[role] = made.get(role) or _sequenceFor(nodes[role], sequence)
                made[role].SetDataNodeAtValue(nodes[role], value)
        with slicer.util.NodeModify(browser):  # a sequence without a node would get one of its own
            for role, own in made.items():
                undo(browser.RemoveSynchronizedSequenceNode, own.GetID())
                browser.AddSynchronizedSequenceNode(own)
                browser.AddProxyNode(nodes[role], own, False)
        for role, window in windows.items():
            overlays.setWindow(nodes[role], *window)
        _addChart(nodes["numbers"], segments, titles, _("Area (cm²)") if plane else _("Volume (ml)"))
    return nodes


def _isPlane(result):
    from hetreg.metrics.overlap import is_plane

    return is_plane(result.moved.array.shape)


def _windows(found):
    """{role: (low, high)} of the colours of each map, wide enough for every frame."""
    windows = {}
    for role, style in colors.styles().items():
        maps = [image for result, _moved in found if (image := getattr(result, role)) is not None]
        if maps:
            ends = np.array([colors.robustWindow(image.array, style.window) for image in maps])
            windows[role] = ends[:, 0].min(), ends[:, 1].max()
    return windows


def _sequenceFor(node, like):
    """An empty sequence with the index of another one."""
    own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", node.GetName())
    own.SetIndexName(like.GetIndexName())
    own.SetIndexUnit(like.GetIndexUnit())
    own.SetIndexType(like.GetIndexType())
    return own


def _table(found, sizeTitles, sequence, values):
    """vtkTable with a row per frame: its index, the size of each segment, the numbers of its result."""
    columns = {_("Frame"): np.arange(1, len(found) + 1)}
    columns |= _indexColumn(sequence, values, taken={*columns, *sizeTitles.values()})
    everySize = [_sizes(moved) for _result, moved in found]
    for value, title in sizeTitles.items():
        columns[title] = [sizes.get(value, 0.0) for sizes in everySize]
    for key, title in _measures().items():
        given = [summary.numberIn(result.summary, key, np.nan) for result, _moved in found]
        if np.isfinite(given).any():
            columns[_free(title, columns)] = given
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


def _indexColumn(sequence, values, taken):
    """{title: values} of a sequence's index, if it has a name and is of numbers."""
    name, unit = sequence.GetIndexName(), sequence.GetIndexUnit()
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return {}
    return {_free(f"{name} ({unit})" if unit else name, taken): numbers} if name else {}


def _sizeTitles(segments, plane):
    """{label value: title of the column of its volume, or of its area in a plane}, all different."""
    title, titles = _("{segment}, area (cm²)") if plane else _("{segment}, volume (ml)"), {}
    for value, (_id, segment) in segments.items():
        titles[value] = _free(title.format(segment=segment.GetName()), titles.values())
    return titles


def _free(title, taken):
    """The title, or with the first number that makes it another one than those that are taken."""
    numbered = (title if n == 1 else f"{title} {n}" for n in itertools.count(1))
    return next(each for each in numbered if each not in taken)


def _sizes(layers):
    """{label: ml, of a plane cm²}; each label is in one of the layers."""
    from hetreg.metrics.overlap import sizes

    found = {}
    for layer in layers:
        found |= sizes(layer.array, layer.spacing_mm)
    return found


def _addChart(tableNode, segments, titles, axisTitle):
    """The volume, or area, of each segment over the frames."""
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
    chart.SetYAxisTitle(axisTitle)
    chart.SetLegendVisibility(True)
