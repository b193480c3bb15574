"""Plots of a report as SVG. matplotlib is imported when one is drawn."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that the colour-blind tell apart (Okabe and Ito); lines differ in style too.
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#777777"
WIDTH = 10.4  # inches
_STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.hashsalt": "hetreg",
}
# What the curves of an evaluation are of, by the end of their names (`evaluation.summary.mean_curves`).
PARTS = {"": "Inside the mask", "_published": "Whole image, 50 bins (as published)"}
NOISE = {"": ("residual", BLUE, "o-"), "_truth": ("simulated noise", ORANGE, "s--")}
Curves = dict[str, dict[str, Any]]


def sparsification_plot(curves: Curves) -> bytes:
    """Mean squared error of what is left against the part that is taken away."""
    found = {title: c for end, title in PARTS.items() if (c := curves.get(f"sparsification{end}"))}
    with figure_of(1, len(found), 3.4) as (figure, axes):
        for ax, (title, curve) in zip(axes, found.items(), strict=True):
            at, ours, oracle = (np.asarray(curve[n], float) for n in ("fraction", "by_uncertainty", "oracle"))
            ax.fill_between(100 * at, oracle, ours, color=BLUE, alpha=0.12, linewidth=0)
            ax.plot(100 * at, ours, color=BLUE, label="most uncertain first")
            ax.plot(100 * at, oracle, color=ORANGE, linestyle="--", label="largest error first (oracle)")
            ax.axhline(oracle[0], color=GREY, linestyle=":", label="at random")
            ax.set(
                title=f"{title}: AUSE {area(curve):.2e}",
                xlabel="voxels taken away (%)",
                ylabel="MSE of the rest",
                xlim=(0, 100),
            )
            ax.set_ylim(0, max(1.35 * oracle[0], 1.05 * ours.max()) or 1.0)  # room for the legend
            ax.legend(loc="upper right")
        return drawn(figure, "svg")


def area(curve: dict[str, Any]) -> float:
    """Mean distance of a sparsification curve from its oracle: AUSE."""
    return float(np.mean(np.subtract(curve["by_uncertainty"], curve["oracle"])))


def calibration_plot(curves: Curves) -> bytes:
    """Promised against found SD, and nominal against found coverage."""
    with figure_of(1, 2, 4.4) as (figure, (left, right)):
        most = 0.0
        for end, (name, colour, style) in NOISE.items():
            if curve := curves.get(f"reliability{end}"):
                left.plot(curve["predicted_sd"], curve["observed_sd"], style, ms=3, color=colour, label=name)
                most = max(most, *curve["predicted_sd"], *curve["observed_sd"])
            if curve := curves.get(f"coverage{end}"):
                level = 100 * np.asarray(curve["level"], float)
                right.plot(level, curve["found"], style, ms=3, color=colour, label=name)
        _equal(left, 0.0, 1.05 * most or 1.0)
        _equal(right, 0.0, 100.0)
        left.set(title="Noise SD", xlabel="promised SD (parts of the intensity range)", ylabel="found SD")
        right.set(title="Coverage", xlabel="central interval (%)", ylabel="residuals inside it (%)")
        return drawn(figure, "svg")


def before_after_plot(rows: Sequence[dict[str, Any]], before: str, after: str, heading: str) -> bytes:
    """A dot for each case: the number before registration against that after it."""
    x, y = pairs(rows, before, after)
    least = 1.05 * min([0.0, *x, *y])
    most = 1.0 if after.startswith("dice") else 1.05 * max([1e-9, *x, *y])
    with figure_of(1, 1, 4.4) as (figure, (ax,)):
        ax.plot(x, y, "o", ms=5, color=BLUE, alpha=0.6, markeredgewidth=0)
        _equal(ax, least, most)
        ax.set(xlabel=f"{heading}, before", ylabel=f"{heading}, after")
        return drawn(figure, "svg")


def pairs(rows: Sequence[dict[str, Any]], before: str, after: str) -> np.ndarray:
    """(2, N): the number before and after registration of the cases that have both."""
    found = np.array([(row.get(before), row.get(after)) for row in rows], float).reshape(-1, 2)
    return found[np.isfinite(found).all(axis=1)].T


def _equal(ax: Axes, least: float, most: float) -> None:
    """Equal axes from least to most with the line of equality."""
    ends = (least, most)
    ax.plot(ends, ends, color=GREY, linestyle=":", linewidth=1, label="equal")
    ax.set(xlim=ends, ylim=ends, aspect="equal")
    ax.legend()


@contextmanager
def figure_of(rows: int, columns: int, height: float, dpi: int = 100) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of its own, none of pyplot's, and its axes in a list; one column is half as wide."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE}):
        width = WIDTH if columns > 1 else 0.5 * WIDTH
        figure = Figure((width, height), dpi=dpi, layout="constrained")
        yield figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def drawn(figure: Figure, kind: str) -> bytes:
    """The figure as "svg" or "png", the same bytes each time."""
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return stream.getvalue()
