"""The curves of a training run as a picture in its folder."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..files import json_lines, write_whole
from . import plots

NAME = "curves.svg"
# What is drawn: event and column of the log, and the title.
PANELS = (
    ("step", "loss", "Displacement loss"),
    ("step", "variance_loss", "Loss of the variance"),
    ("validation", "dice", "Dice of the validation pairs"),
    ("validation", "epe", "End-point error of the validation pairs (voxels)"),
)


def draw_curves(folder: Path) -> Path | None:
    """Draw the losses and the scores of the run in the folder, from its log.jsonl, into curves.svg there.

    None where there is nothing to draw, or no matplotlib. Raises OSError if it cannot be written, ImportError
    if matplotlib is broken.
    """
    if find_spec("matplotlib") is None:
        return None
    rows = json_lines(folder / "log.jsonl")
    found = [(title, event, series(rows, event, name)) for event, name, title in PANELS]
    found = [(title, event, curve) for title, event, curve in found if len(curve)]
    if not found:
        return None
    rows_of = math.ceil(len(found) / 2)
    with plots.figure_of(rows_of, min(2, len(found)), 2.8 * rows_of) as (figure, axes):
        for ax, (title, event, curve) in zip(axes, found, strict=False):
            _panel(ax, *curve.T, smooth=event == "step")
            ax.set(title=title, xlabel="step")
        for ax in axes[len(found) :]:
            ax.set_axis_off()
        picture = plots.drawn(figure, "svg")
    write_whole(folder / NAME, picture.decode("utf-8"))
    return folder / NAME


def series(rows: list[dict[str, Any]], event: str, name: str) -> np.ndarray:
    """(N, 2): step and value of the log's rows of that kind that have one, a number."""
    values = [(r.get("step"), r.get(name)) for r in rows if r.get("event") == event]
    known = [pair for pair in values if all(isinstance(v, int | float) and math.isfinite(v) for v in pair)]
    return np.array(known, float).reshape(-1, 2)


def _panel(ax: Any, steps: np.ndarray, values: np.ndarray, *, smooth: bool) -> None:
    """Points of a validation; a loss faintly, and its running mean, since it differs from batch to batch."""
    if not smooth:
        ax.plot(steps, values, "o-", color=plots.BLUE, markersize=3)
        return
    ax.plot(steps, values, color=plots.BLUE, alpha=0.25, linewidth=0.8)
    ax.plot(steps, running_mean(values, 1 + 2 * (len(values) // 20)), color=plots.BLUE)


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean of the `width` (odd) values around each, of fewer at the ends: (N,) -> (N,)."""
    window = np.ones(width)
    return np.convolve(values, window, "same") / np.convolve(np.ones_like(values), window, "same")
