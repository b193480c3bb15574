"""The numbers of one registration for people: rows, an HTML table for the panel, a vtkTable for the scene.

A summary may come with a scene from anywhere: what it lacks, or has of another kind, is left out.
"""

import json
from dataclasses import dataclass
from html import escape

import vtk
from slicer.i18n import tr as _

from .literal import breakable


@dataclass(frozen=True)
class Row:
    """One line: before is empty where the quantity only exists after registration."""

    label: str
    before: str
    after: str
    unit: str = ""


LARGEST = 1e300  # an integer of JSON may be larger than any float
DETAILS = ("mse_after", "displacement_mean_mm")  # in the table of the scene, not in the panel


def read(text):
    """The JSON object in an attribute of a node; {} if that holds none."""
    try:
        content = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return _dict(content)


def numberIn(summary, key, default):
    """A number of a summary; the default where it has none."""
    return summary[key] if _isNumber(summary.get(key)) else default


def rows(summary, names=None, brief=False):
    """Rows of a summary of `register_pair`. names: {label value: name}, for Dice; brief: for the panel."""
    pairs = (
        ("ncc_before", "ncc_after", _("Correlation"), 3),
        ("mse_before", "mse_after", _("Mean squared difference"), None),
    )
    singles = (
        ("displacement_mean_mm", _("Displacement, mean"), 1, "mm"),
        ("displacement_p95_mm", _("Displacement, 95th percentile"), 1, "mm"),
        ("displacement_max_mm", _("Displacement, largest"), 1, "mm"),
        ("displacement_sd_median_mm", _("Displacement SD, median"), 2, "mm"),
        ("noise_sd_median", _("Noise SD, median"), None, _("intensity")),
        ("folded_percent", _("Folded voxels"), 2, "%"),
        ("inverse_error_p99_mm", _("Inverse error, 99th percentile"), 3, "mm"),
        ("inverse_error_max_mm", _("Inverse error, largest"), 3, "mm"),
    )
    skipped = DETAILS if brief else ()
    found = _overlapRows(summary, names or {})
    for before, after, label, decimals in pairs:
        if after in summary and after not in skipped:
            texts = (_number(summary.get(key), decimals) for key in (before, after))
            found.append(Row(label, *texts))
    for key, label, decimals, unit in singles:
        if _isNumber(summary.get(key)) and key not in skipped:
            found.append(Row(label, "", _number(summary[key], decimals), unit))
    return found


def origin(summary):
    """One line on how the result was computed."""
    return _("{model}, {dimension}, {device}, {seconds:.1f} s").format(
        model=summary.get("model", "?"),
        dimension=str(summary.get("dimension", "?")).upper(),
        device=summary.get("device", "?"),
        seconds=numberIn(summary, "seconds", 0.0),
    )


def html(summary, names=None, pair=()):
    """The rows as a small HTML table with pair (names of moving, fixed), origin and notes below."""
    head = (
        f"<tr><td></td><td align='right'>{_('before')}</td><td align='right'>{_('after')}</td><td></td></tr>"
    )
    body = "".join(
        f"<tr><td>{breakable(r.label)}</td><td align='right'>{escape(r.before)}</td>"
        f"<td align='right'><b>{escape(r.after)}</b></td><td>{escape(r.unit)}</td></tr>"
        for r in rows(summary, names, brief=True)
    )
    said = summary.get("notes")
    said = said if isinstance(said, list) else []
    notes = "".join(f"<p><b>{_('Note')}:</b> {breakable(str(note))}</p>" for note in said)
    whose = _("{moving} to {fixed}: ").format(moving=pair[0], fixed=pair[1]) if pair else ""
    below = f"<p>{breakable(whose + origin(summary))}</p>{notes}"
    return f"<table width='100%' cellpadding='1'>{head}{body}</table>{below}"


def table(summary, names=None):
    """The rows as a vtkTable with four text columns."""
    result = vtk.vtkTable()
    lines = rows(summary, names)
    titles = {"label": _("Measure"), "before": _("Before"), "after": _("After"), "unit": _("Unit")}
    for attribute, title in titles.items():
        column = vtk.vtkStringArray()
        column.SetName(title)
        for row in lines:
            column.InsertNextValue(getattr(row, attribute))
        result.AddColumn(column)
    return result


def _overlapRows(summary, names):
    before, after = (_dict(summary.get(key)) for key in ("dice_before", "dice_after"))
    return [
        Row(
            _("Dice, {label}").format(label=names.get(str(value), value)),
            _number(before.get(value), 3),
            _number(dice, 3),
        )
        for value, dice in after.items()
    ]


def _number(value, decimals=None):
    """Fixed decimals, or three significant digits; "" for what is no number."""
    if not _isNumber(value):
        return ""
    return f"{float(value):.3g}" if decimals is None else f"{float(value):.{decimals}f}"


def _isNumber(value):
    return isinstance(value, int | float) and not abs(value) > LARGEST


def _dict(value):
    return value if isinstance(value, dict) else {}
