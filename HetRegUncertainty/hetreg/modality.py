"""What kind of image it is, seen from the image alone: an echocardiogram or, otherwise, MRI; and along which
axis the sector of an echocardiogram opens."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import (
    binary_opening,
    grey_opening,
    label,
    maximum_filter,
    minimum_filter,
    uniform_filter,
    zoom,
)

from .image import Image, as_float

MRI, ECHO = "mri", "echo"
FINEST_MRI_MM = 0.4  # pixels; those of cine MRI are larger, also when interpolated
MOST_PLANES, MOST_PIXELS = 8, 192  # that are looked at, per image and per side
_OBLONG = 2.0  # pixels longer than so many times their width are made square
# What is dark, of the range between these percentiles, and how much of the outline is then content. It is
# black beside a real sector, parts of which are hardly brighter; noise beside it asks for a higher limit.
_SPAN = (0.5, 99.5)
_DARK = {0.06: 0.85, 0.03: 0.85, 0.008: 0.8, 0.004: 0.8}
_STROKE = 5  # pixels; thinner bright things, as letters and scales, are taken away for the lowest limit
_FLAT = 0.04
_SPECK = 3  # pixels; thinner background is dark noise of the sector
_LEAST_BACKGROUND, _EMPTY = 0.1, 0.98  # of a plane
_DEPTHS, _FAR = (0.12, 0.5), 0.85  # of the sector's height: where its sides are straight; near its far end
# Width gained per depth (a sector of 75 degrees: 1.5; half of that where pixels are twice as wide as high);
# distance from the lines in widths.
_LEAST_OPENING, _MOST_OFF = 0.5, 0.005
_FARTHEST_APEX = 0.2  # above the content, in its heights; the sides of a disc meet farther away
_LEAST_WIDTH = 0.6  # of the largest width, at the far end; a square on its corner is narrow there
_UNIFORM, _GREY = 0.3, 0.03  # of the border, one value; of the range, above the darkest
_CUT = 0.4  # of the rows end at one column where the picture ends
_LEAST_ROWS, _LEAST_SIDES = 8, 0.2  # of straight sides, in rows and in heights


def modality(image: Image, slice_axis: int | None) -> tuple[str, str]:
    """(MRI or ECHO, the reason in words). slice_axis: of a stack or a single slice; None for a volume.

    An echocardiogram is an image of finer pixels than cine MRI has, or one that shows a sector, a fan with
    straight sides on a dark background: in most slices that are not empty, or in the middle planes of a
    volume. docs/results/accuracy.md has how often that is right.
    """
    axes = [d for d in range(3) if d != slice_axis]
    if max(image.spacing_mm[::-1][axes]) < FINEST_MRI_MM:
        return ECHO, "has finer pixels than cine MRI"
    if slice_axis is None:
        planes = _middle_planes(image)
        enough = 1
    else:
        count = image.array.shape[slice_axis]
        chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_PLANES)).astype(int))
        planes = [p for p in (_plane(image, k, slice_axis) for k in chosen) if _has_content(p)]
        enough = len(planes) // 2 + 1
    if _at_least(enough, planes):
        return ECHO, "shows the sector of an echocardiogram"
    return MRI, "shows no sector of an echocardiogram"


def _at_least(count: int, planes: list[np.ndarray]) -> bool:
    """True if so many of the planes show a sector. It looks at no more of them than that takes."""
    for done, plane in enumerate(planes):
        if not 0 < count <= len(planes) - done:
            break
        count -= shows_sector(plane)
    return count <= 0


def depth_axis(image: Image) -> int | None:
    """Array axis of the depth of a volume: its middle planes along that axis show a fan, the one across it
    does not. None where that is not so."""
    fans = [shows_sector(plane) for plane in _middle_planes(image)]
    return fans.index(False) if sum(fans) == 2 else None


def shows_sector(plane: np.ndarray) -> bool:
    """True if the content of a 2D image is a fan that opens along one of its axes."""
    step = -(-max(plane.shape) // MOST_PIXELS)
    plane = as_float(plane[::step, ::step])
    smooth, bare = _smooth(plane), _smooth(grey_opening(plane, (_STROKE, _STROKE)))
    looks = [(smooth, dark) for dark in _DARK] + [(bare, min(_DARK))]
    return any(_is_fan(_background(*look, dark), _DARK[dark]) for look, dark in looks)


def _middle_planes(image: Image) -> list[np.ndarray]:
    return [_plane(image, n // 2, d) for d, n in enumerate(image.array.shape)]


def _plane(image: Image, index: int, axis: int) -> np.ndarray:
    """The plane across this axis; oblong pixels are made square, and then no more than MOST_PIXELS a side."""
    plane, spacing = image.array.take(index, axis), np.delete(image.spacing_mm[::-1], axis)
    oblong = spacing / spacing.min()
    if oblong.max() <= _OBLONG:
        return plane
    shape = np.array(plane.shape)
    factors = oblong * min(1.0, MOST_PIXELS / (shape * oblong).max())
    least = np.maximum(factors, 1 / shape)
    return zoom(as_float(plane), least, order=1, grid_mode=True, mode="nearest")


def _smooth(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distance from the background's value, scaled by the range and averaged over 3 x 3 pixels, and the
    range of that around each pixel."""
    low, high = (float(p) for p in np.percentile(plane, _SPAN))
    plane = np.maximum(plane, low)
    base = _base(plane, low, low + _GREY * (high - low))
    scaled = uniform_filter(np.abs(plane - base) / ((high - low) or 1e-9), 3)
    return scaled, maximum_filter(scaled, 3) - minimum_filter(scaled, 3)


def _base(plane: np.ndarray, darkest: float, grey: float) -> float:
    """The value of the background: of much of the border, where brighter than `grey`, else `darkest`."""
    border = np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])
    values, counts = np.unique(border, return_counts=True)
    common = float(values[counts.argmax()])
    return common if counts.max() > _UNIFORM * len(border) and common > grey else darkest


def _background(scaled: np.ndarray, local_range: np.ndarray, dark: float) -> np.ndarray:
    """Boolean: pixels of little noise below `dark` that hang together with the border."""
    dim = np.pad((local_range < min(_FLAT, dark)) & (scaled < dark), _SPECK, mode="edge")
    solid = binary_opening(dim, np.ones((_SPECK, _SPECK)))[_SPECK:-_SPECK, _SPECK:-_SPECK]
    regions, _ = label(solid)
    border = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    return np.isin(regions, border[border > 0])


def _is_fan(behind: np.ndarray, filled: float) -> bool:
    if not _LEAST_BACKGROUND <= behind.mean() < _EMPTY:
        return False
    regions, _ = label(~behind)
    largest = regions == 1 + np.argmax(np.bincount(regions.ravel())[1:])
    return any(_opens_downwards(np.rot90(largest, turns), filled) for turns in range(4))


def _has_content(plane: np.ndarray) -> bool:
    return bool(plane.max() > plane.min())


def _opens_downwards(content: np.ndarray, filled: float) -> bool:
    """True if both sides of the content, its dents filled, are straight lines that part from each other from
    row to row and meet near its top, and it is still wide near its far end. filled: least part of the outline
    that is content."""
    rows = np.flatnonzero(content.any(axis=1))
    width, height = content.shape[1], rows[-1] - rows[0] + 1
    left = _outline(rows, content[rows].argmax(axis=1))
    right = width - 1 - _outline(rows, content[rows, ::-1].argmax(axis=1))
    depth = (rows - rows[0]) / height
    near = (depth >= _DEPTHS[0]) & (depth <= _DEPTHS[1])
    near &= ~_cut_off(left) & ~_cut_off(width - 1 - right)
    across = right - left + 1
    if near.sum() < max(_LEAST_ROWS, _LEAST_SIDES * height) or content.sum() < filled * across.sum():
        return False
    if across[depth <= _FAR][-1] < _LEAST_WIDTH * across.max():
        return False
    lines = [np.polyfit(depth[near], side[near], 1) for side in (left, right)]
    off = [
        np.polyval(line, depth[near]) - side[near] for line, side in zip(lines, (left, right), strict=True)
    ]
    gain, gap = lines[1] - lines[0]
    return bool(
        gain > _LEAST_OPENING * height
        and gap < _FARTHEST_APEX * gain
        and max(np.sqrt(np.mean(o**2)) for o in off) < _MOST_OFF * width
    )


def _cut_off(side: np.ndarray) -> np.ndarray:
    """The rows in which the border of the image, or of a picture that has margins, cuts the sector off: many
    rows end at the same column."""
    outermost = side <= side.min() + 1
    return (side <= 1) | (outermost & (outermost.mean() > _CUT))


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
