"""A case drawn: one slice of its images, contours, noise SD, weight and deformation, as PNG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..evaluation.cut import Cut
from .plots import ORANGE, WIDTH, drawn, figure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIXED, BEFORE, MOVED = "#35d0ff", "#ffb000", "#ff5fd2"  # contours, on grey
_GRID_LINES = 24  # of the deformation grid, along the longer side
_MARGIN = 0.9  # around the labels, in parts of their size
Draw = Callable[["Axes"], None]


def case_picture(shown: Cut) -> bytes:
    """Moving, fixed and moved with contours, noise SD, weight, and the deformation as a grid."""
    shown = around_labels(shown)
    panels = [p for p in _panels(shown) if p is not None]
    aspect = shown.spacing_mm[0] / shown.spacing_mm[1]
    rows, (high, wide) = -(-len(panels) // 3), shown.fixed.shape
    height = rows * (WIDTH / 3.3 * min(high * aspect / wide, 1.6) + 0.35) + 0.35
    with figure_of(rows, 3, height, dpi=150) as (figure, axes):
        for ax in axes:
            ax.set_axis_off()
        for ax, draw in zip(axes, panels, strict=False):
            draw(ax)
            ax.set(xlim=(-0.5, wide - 0.5), ylim=(high - 0.5, -0.5), aspect=aspect)
        _scale_bar(axes[0], shown)
        _legend(figure, shown)
        return drawn(figure, "png")


def around_labels(shown: Cut) -> Cut:
    """The part around the labels, a square in mm where the slice is large enough; all without labels."""
    masks = [m > 0 for m in (shown.fixed_label, shown.moving_label) if m is not None and (m > 0).any()]
    if not masks:
        return shown
    step = np.array(shown.spacing_mm)
    where = np.argwhere(np.any(masks, axis=0))
    low, high = where.min(axis=0) * step, (where.max(axis=0) + 1) * step
    side, middle = (high - low).max() * (0.5 + _MARGIN), (low + high) / 2
    start = np.maximum((middle - side) / step, 0).astype(int)
    stop = np.ceil((middle + side) / step).astype(int)
    box = (..., slice(start[0], stop[0]), slice(start[1], stop[1]))
    parts: dict[str, Any] = {}
    for name in (f.name for f in fields(shown)):
        if isinstance(array := getattr(shown, name), np.ndarray):
            parts[name] = array[box]
    return replace(shown, **parts)


def _panels(s: Cut) -> list[Draw | None]:
    """How each panel is drawn; None for what the case has not."""
    fixed_line, before_line = (s.fixed_label, FIXED, "-"), (s.moving_label, BEFORE, ":")
    return [
        _grey("Moving, before registration", s.moving, s.moving, fixed_line, before_line),
        _grey("Fixed", s.fixed, s.fixed, fixed_line),
        _grey("Moved", s.moved, s.moving, fixed_line, (s.moved_label, MOVED, "--")),
        _map("Noise SD (intensity)", s.noise_sd, "inferno", None),
        _map("SNR weight (0 to 1)", s.weight, "viridis", (0.0, 1.0)),
        _deformation(s),
    ]


def _grey(title: str, image: np.ndarray, window: np.ndarray, *contours: tuple) -> Draw:
    def draw(ax: Axes) -> None:
        low, high = _window(window)
        ax.imshow(image, cmap="gray", vmin=low, vmax=high)
        for label, colour, style in contours:
            for value in () if label is None else np.unique(label[label > 0]):
                if not (label == value).all():
                    ax.contour(label == value, [0.5], colors=colour, linestyles=style, linewidths=1.3)
        ax.set_title(title)

    return draw


def _window(image: np.ndarray) -> tuple[float, float]:
    low, high = (float(v) for v in np.percentile(image, (1, 99.5)))
    return low, high if high > low else low + 1.0


def _map(
    title: str, image: np.ndarray | None, colours: str, window: tuple[float, float] | None
) -> Draw | None:
    if image is None:
        return None

    def draw(ax: Axes) -> None:
        low, high = window or (0.0, float(np.percentile(image, 99.5)) or 1.0)
        content = ax.imshow(image, cmap=colours, vmin=low, vmax=high)
        ax.figure.colorbar(content, ax=ax, fraction=0.046, pad=0.03, extend="neither" if window else "max")
        ax.set_title(title)

    return draw


def _deformation(s: Cut) -> Draw:
    def draw(ax: Axes) -> None:
        step = max(1, max(s.fixed.shape) // _GRID_LINES)
        rows, columns = np.indices(s.fixed.shape) + s.disp
        low, high = _window(s.moving)
        ax.imshow(s.moving, cmap="gray", vmin=low, vmax=2 * high - low)  # dark behind the lines
        ax.plot(columns[::step].T, rows[::step].T, color=ORANGE, linewidth=0.7)
        ax.plot(columns[:, ::step], rows[:, ::step], color=ORANGE, linewidth=0.7)
        ax.set_title(f"Fixed grid carried to moving ({step} voxels)")

    return draw


def _legend(figure: Figure, s: Cut) -> None:
    from matplotlib.lines import Line2D

    kinds: tuple[tuple[Any, str, Any, str], ...] = (
        (s.fixed_label, FIXED, "-", "labels of fixed"),
        (s.moving_label, BEFORE, ":", "labels of moving, before"),
        (s.moved_label, MOVED, "--", "labels of moving, moved"),
    )
    lines = [Line2D([], [], color=c, linestyle=d, label=t) for label, c, d, t in kinds if label is not None]
    if lines:
        legend = figure.legend(handles=lines, loc="outside lower center", ncols=3, frameon=True)
        legend.get_frame().set(facecolor="#444444", edgecolor="none")
        for text in legend.get_texts():
            text.set_color("white")


def _scale_bar(ax: Axes, s: Cut) -> None:
    """A round length of at most a quarter of the width, at the lower left."""
    high, wide = s.fixed.shape
    longest = wide * s.spacing_mm[1] / 4
    length_mm = max((n for n in (1, 2, 5, 10, 20, 50, 100) if n <= longest), default=1)
    start, row = 0.05 * wide, 0.94 * high
    ax.plot([start, start + length_mm / s.spacing_mm[1]], [row, row], color="white", linewidth=2)
    shade = {"facecolor": "black", "alpha": 0.5, "edgecolor": "none", "pad": 1.5}
    ax.text(start, row - 0.025 * high, f"{length_mm} mm", color="white", fontsize=8, va="bottom", bbox=shade)
