"""What kind of image it is, seen from the image alone: an echocardiogram or, otherwise, MRI."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label, maximum_filter, minimum_filter, uniform_filter

from .image import Image

MRI, ECHO = "mri", "echo"
FINEST_MRI_MM = 0.4  # pixels; those of cine MRI are larger, also when interpolated
MOST_PLANES, MOST_PIXELS = 16, 512  # that are looked at, per image and per side
_FLAT, _DARK, _SPAN = 0.04, 0.06, 99.5  # of the range up to this percentile
_LEAST_BACKGROUND, _EMPTY = 0.1, 0.98  # of a plane
_DEPTHS, _FAR = (0.12, 0.5), 0.85  # of the sector's height: where its sides are straight; near its far end
_LEAST_OPENING, _MOST_OFF = 1.0, 0.01  # width gained per depth; distance from the lines in widths
_LEAST_WIDTH = 0.6  # of the largest width, at the far end; a square on its corner is narrow there
_LEAST_ROWS, _LEAST_FILLED = 8, 0.9  # of the convex outline


def modality(image: Image, slice_axis: int | None) -> tuple[str, str]:
    """(MRI or ECHO, the reason in words). slice_axis: of a stack or a single slice; None for a volume.

    An echocardiogram is an image of finer pixels than cine MRI has, or one that shows a sector, a fan with
    straight sides on a dark background: in most slices that are not empty, or in the middle planes of a
    volume. On images that did not serve to choose the limits: 47 of 50 apical and 48 of 50 short-axis
    phantoms of echo found, 8 of 816 single slices of real cine MRI (three cuts of each) taken for echo; of
    all 66 real stacks none. No real echo was at hand.
    """
    axes = [d for d in range(3) if d != slice_axis]
    if max(image.spacing_mm[::-1][axes]) < FINEST_MRI_MM:
        return ECHO, "has finer pixels than cine MRI"
    if slice_axis is None:
        planes = [image.array.take(n // 2, d) for d, n in enumerate(image.array.shape)]
        enough = 1
    else:
        count = image.array.shape[slice_axis]
        chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_PLANES)).astype(int))
        planes = [p for p in (image.array.take(k, slice_axis) for k in chosen) if _has_content(p)]
        enough = len(planes) // 2 + 1
    if sum(shows_sector(plane) for plane in planes) >= enough:
        return ECHO, "shows the sector of an echocardiogram"
    return MRI, "shows no sector of an echocardiogram"


def shows_sector(plane: np.ndarray) -> bool:
    """True if the content of a 2D image is a fan that opens along one of its axes."""
    behind = background(plane[tuple(slice(None, None, -(-n // MOST_PIXELS)) for n in plane.shape)])
    if not _LEAST_BACKGROUND <= behind.mean() < _EMPTY:
        return False
    regions, count = label(~behind)
    largest = regions == 1 + np.argmax(np.bincount(regions.ravel(), minlength=count + 1)[1:])
    return any(_opens_downwards(np.rot90(largest, turns)) for turns in range(4))


def background(plane: np.ndarray) -> np.ndarray:
    """Boolean: dark pixels of little noise that hang together with the border."""
    plane = plane.astype(np.float32)
    low, high = float(plane.min()), float(np.percentile(plane, _SPAN))
    scaled = uniform_filter((plane - low) / max(high - low, 1e-9), 3)
    flat = maximum_filter(scaled, 3) - minimum_filter(scaled, 3) < _FLAT
    regions, _ = label(flat & (scaled < _DARK))
    border = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    return np.isin(regions, border[border > 0])


def _has_content(plane: np.ndarray) -> bool:
    return bool(plane.max() > plane.min())


def _opens_downwards(content: np.ndarray) -> bool:
    """True if both sides of the content, its dents filled, are straight lines that part from each other from
    row to row, and it is still wide near its far end."""
    rows = np.flatnonzero(content.any(axis=1))
    width = content.shape[1]
    left = _outline(rows, content[rows].argmax(axis=1))
    right = width - 1 - _outline(rows, content[rows, ::-1].argmax(axis=1))
    depth = (rows - rows[0]) / (rows[-1] - rows[0] + 1)
    near = (depth >= _DEPTHS[0]) & (depth <= _DEPTHS[1])
    across = right - left + 1
    if near.sum() < _LEAST_ROWS or content.sum() < _LEAST_FILLED * across.sum():
        return False
    if across[depth <= _FAR][-1] < _LEAST_WIDTH * across.max():
        return False
    slopes, off = [], []
    for side in (left[near], right[near]):
        line = np.polyfit(rows[near], side, 1)
        slopes.append(line[0])
        off.append(np.sqrt(np.mean((np.polyval(line, rows[near]) - side) ** 2)) / width)
    return bool(slopes[1] - slopes[0] > _LEAST_OPENING and max(off) < _MOST_OFF)


def _outline(rows: np.ndarray, side: np.ndarray) -> np.ndarray:
    """The largest convex curve that is nowhere above `side`, at the rows: a side of the convex hull."""
    corners: list[tuple[float, float]] = []
    for row, value in zip(rows.tolist(), side.tolist(), strict=True):
        while len(corners) > 1 and _bends_down(corners[-2], corners[-1], (row, value)):
            corners.pop()
        corners.append((row, value))
    at, values = zip(*corners, strict=True)
    return np.interp(rows, at, values)


def _bends_down(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """True if b lies on or above the line from a to c."""
    return (b[1] - a[1]) * (c[0] - a[0]) >= (c[1] - a[1]) * (b[0] - a[0])
