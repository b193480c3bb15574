"""The paper's figures from this reproduction's runs, as PNG. matplotlib is imported where it is used."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from ..files import whole_file

_TRUTH, _FOUND = ("#ffd400", "-"), ("#00c8ff", "--")  # contours
_MARGIN = 0.6  # of the structure's size, shown around it
_DPI, _CELL, _BAR = 130, 1.6, 0.3  # inches per picture, share of one that a colour bar takes
# Colours that the colour-blind tell apart (Okabe and Ito), and a style with each; dashes are an oracle's.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#000000", "#56b4e9")
_LINE, _TITLE = 32, 26  # letters of a legend beside curves, above or beside a picture
_STYLES: tuple[Any, ...] = ("-", ":", "-.", (0, (4, 1, 1, 1, 1, 1)))


@dataclass(frozen=True, eq=False, kw_only=True)
class Picture:
    """One registration in one slice, (J, I) arrays. truth, found: masks of the structure in the fixed and in
    the moved image. noise_sd in intensities of [0, 1], weight in [0, 1], displacement_sd in mm; None where
    the method gives none. aspect: height of a pixel over its width. case: its name, for the row."""

    title: str
    fixed: np.ndarray
    moving: np.ndarray
    moved: np.ndarray
    truth: np.ndarray
    found: np.ndarray
    noise_sd: np.ndarray | None = None
    weight: np.ndarray | None = None
    displacement_sd: np.ndarray | None = None
    aspect: float = 1.0
    note: str = ""
    case: str = ""


@dataclass(frozen=True, eq=False)
class Curve:
    """A line of a plot. dashed: an oracle's, of the colour of the line before it."""

    label: str
    x: np.ndarray
    y: np.ndarray
    dashed: bool = False


@contextmanager
def _plain() -> Iterator[None]:
    """Drawn alike whatever settings of matplotlib its user has."""
    import matplotlib

    with matplotlib.rc_context(matplotlib.rcParamsDefault):
        yield


@_plain()
def contours(rows: Mapping[str, Sequence[Picture]], path: Path) -> Path:
    """The moved image of each method with both contours, a row for each network or data set."""
    columns = max(len(row) for row in rows.values())
    figure, axes = _grid(len(rows), columns, title=0.24)
    for line, (label, pictures) in zip(axes, rows.items(), strict=True):
        for axis in line:
            axis.set_axis_off()
        for axis, picture in zip(line, pictures, strict=False):
            box = _around([p.truth for p in pictures] + [p.found for p in pictures])
            _show(axis, picture.moved[box], picture.aspect, limits=_limits(picture.fixed[box]))
            _outline(axis, picture.truth[box], *_TRUTH)
            _outline(axis, picture.found[box], *_FOUND)
            axis.set_title(f"{fill(picture.title, _TITLE)}\n{picture.note}".strip(), fontsize=6.5, pad=3)
        _row_label(line[0], label, pictures[0])
    _legend(figure, {"structure in the fixed image": _TRUTH, "moved structure": _FOUND})
    return _save(figure, path)


@_plain()
def noise(rows: Mapping[str, tuple[Picture, Sequence[Curve]]], path: Path) -> Path:
    """Fixed, moved, noise SD, weight, and the sparsification of each data set (Fig. 3, 6)."""
    figure, axes = _grid(len(rows), 5, title=0.3, widths=(1, 1, 1, 1, 2.2), bars=2)
    for line, (label, (picture, curves)) in zip(axes, rows.items(), strict=True):
        limits = _limits(picture.fixed)
        _show(line[0], picture.fixed, picture.aspect, limits=limits)
        _show(line[1], picture.moved, picture.aspect, limits=limits)
        _map(line[2], picture.noise_sd, picture.aspect, "magma")
        _map(line[3], picture.weight, picture.aspect, "viridis")
        names = ("fixed", "moved", "noise SD (of 0 to 1)", "SNR weight")
        for axis, name in zip(line[:4], names, strict=True):
            axis.set_axis_off()
            axis.set_title(name, fontsize=7, pad=3)
        _row_label(line[0], label, picture)
        # a label would lie on the colour bar, and a legend within on curves that are flat
        beside = {"loc": "center left", "bbox_to_anchor": (1.02, 0.5)}
        _lines(line[4], curves, "fraction of pixels removed", "", **beside)
        line[4].set_title("mean squared error of the rest", fontsize=7, pad=3)
    return _save(figure, path)


@_plain()
def displacement_sd(rows: Mapping[str, Sequence[Picture]], path: Path) -> Path:
    """Fixed, moving, then the displacement's SD of each method, each in its own scale (Fig. 4)."""
    columns = 2 + max(len(row) for row in rows.values())
    figure, axes = _grid(len(rows), columns, title=0.3, bars=columns - 2)
    for line, (label, pictures) in zip(axes, rows.items(), strict=True):
        for axis in line:
            axis.set_axis_off()
        first = pictures[0]
        for axis, name, image in zip(line, ("fixed", "moving"), (first.fixed, first.moving), strict=False):
            _show(axis, image, first.aspect, limits=_limits(first.fixed))
            axis.set_title(name, fontsize=7, pad=3)
        for axis, picture in zip(line[2:], pictures, strict=False):
            _map(axis, picture.displacement_sd, picture.aspect, "magma")
            axis.set_title(f"{picture.title}\nSD (mm)", fontsize=6.5, pad=3)
        _row_label(line[0], label, first)
    return _save(figure, path)


@_plain()
def training(panels: Mapping[str, Sequence[Curve]], path: Path) -> Path:
    """Dice of the validation against steps, a panel for each network."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(panels), 3.4), dpi=_DPI, layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (label, curves) in zip(axes, panels.items(), strict=True):
        _lines(axis, curves, "step", "validation Dice (%)")
        axis.set_title(label, fontsize=8)
    return _save(figure, path)


def _grid(
    rows: int, columns: int, title: float, widths: Sequence[float] = (), bars: int = 0
) -> tuple[Any, np.ndarray]:
    """A figure and its axes (rows, columns). bars: columns that have a colour bar beside them."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    widths = tuple(widths) or (1,) * columns
    size = (_CELL * (sum(widths) + _BAR * bars) + 0.5, (_CELL + title) * rows + 0.3)
    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03, wspace=0.01, hspace=0.02)
    figure = Figure(figsize=size, dpi=_DPI, layout=layout)
    return figure, figure.subplots(rows, columns, squeeze=False, width_ratios=widths)


def _limits(image: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(image, (0.5, 99.5))
    return float(low), float(high if high > low else image.max())


def _show(axis: Any, image: np.ndarray, aspect: float, *, limits: tuple[float, float]) -> None:
    axis.imshow(image, cmap="gray", vmin=limits[0], vmax=limits[1], aspect=aspect, interpolation="nearest")


def _map(axis: Any, values: np.ndarray | None, aspect: float, colours: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if values is None:
        axis.text(0.5, 0.5, "none", ha="center", va="center", fontsize=7, transform=axis.transAxes)
        return
    most = max(float(np.percentile(values, 99.5)), 1e-9)  # from 0: of a flat map no contrast is made up
    shown = axis.imshow(values, cmap=colours, vmin=0.0, vmax=most, aspect=aspect)
    bar = axis.figure.colorbar(shown, cax=axis.inset_axes([1.03, 0.0, 0.045, 1.0]))
    bar.ax.tick_params(labelsize=5.5, length=2, pad=1)
    bar.locator = MaxNLocator(5)
    bar.formatter = FuncFormatter(lambda value, _: f"{value:.3g}")
    bar.update_ticks()


def _outline(axis: Any, mask: np.ndarray, colour: str, style: str) -> None:
    if mask.any() and not mask.all():
        axis.contour(mask.astype(float), levels=[0.5], colors=[colour], linestyles=style, linewidths=0.9)


def _row_label(axis: Any, label: str, first: Picture) -> None:
    """Which row it is, and the case that its pictures show; a $ in a file's name is no formula."""
    text = f"{label}\n{fill(first.case, _TITLE)}".strip()
    look = {"rotation": 90, "ha": "right", "va": "center", "fontsize": 7, "parse_math": False}
    axis.text(-0.06, 0.5, text, transform=axis.transAxes, **look)


def _legend(figure: Any, kinds: Mapping[str, tuple[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=c, linestyle=style, label=text) for text, (c, style) in kinds.items()]
    figure.legend(handles=lines, loc="outside lower center", ncols=len(lines), fontsize=7, frameon=False)


def _lines(axis: Any, curves: Sequence[Curve], xlabel: str, ylabel: str, **legend: Any) -> None:
    number = -1
    for curve in curves:
        number += not curve.dashed
        colour = _COLOURS[number % len(_COLOURS)]
        style = "--" if curve.dashed else _STYLES[number % len(_STYLES)]
        label = fill(curve.label, _LINE) or None
        axis.plot(curve.x, curve.y, linestyle=style, color=colour, lw=1.1, label=label)
    axis.set_xlabel(xlabel, fontsize=7)
    axis.set_ylabel(ylabel, fontsize=7)
    axis.tick_params(labelsize=6)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=5.5, frameon=False, handlelength=3, **legend)


def _around(masks: Sequence[np.ndarray]) -> tuple[slice, slice]:
    """The box of all masks and a margin, square; everything where they are empty."""
    found = np.any(np.stack(masks), axis=0)
    if not found.any():
        return slice(None), slice(None)
    spans = [np.flatnonzero(found.any(axis=1 - d)) for d in range(2)]
    side = int(max(s[-1] - s[0] + 1 for s in spans) * (1 + _MARGIN))
    box = []
    for d, span in enumerate(spans):
        middle = (span[0] + span[-1]) // 2
        start = max(0, min(middle - side // 2, found.shape[d] - side))
        box.append(slice(start, min(start + side, found.shape[d])))
    return box[0], box[1]


def _save(figure: Any, path: Path) -> Path:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", bbox_inches="tight", pad_inches=0.04)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        partial.write_bytes(stream.getvalue())
    return path
