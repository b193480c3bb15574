"""What kind of image it is, seen from the image alone: an echocardiogram or, otherwise, MRI."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label, maximum_filter, minimum_filter

from .image import Image

MRI, ECHO = "mri", "echo"
FINEST_MRI_MM = 0.5  # pixels; cine MRI has 0.6 and more, also interpolated
_FLAT, _DARK, _SPAN = 0.01, 0.03, 99.5  # of the range up to this percentile
_LEAST_BACKGROUND = 0.1
_DEPTHS = 0.12, 0.5  # of the sector's height, between which its sides are straight
_LEAST_OPENING, _MOST_OFF = 0.9, 0.009  # width gained per depth; distance from the lines in widths
_LEAST_ROWS = 16


def modality(image: Image, slice_axis: int | None) -> tuple[str, str]:
    """(MRI or ECHO, the reason in words). slice_axis: of a stack or a single slice; None for a volume.

    An echocardiogram is an image of finer pixels than MRI has, or one whose content is a sector: most of its
    slices show a fan with straight sides on a flat background. Measured on phantoms (echo) and real cine MRI.
    """
    axes = [d for d in range(3) if d != slice_axis]
    finest = float(max(image.spacing_mm[::-1][axes]))
    if finest <= FINEST_MRI_MM:
        return ECHO, f"its voxels of {finest:.2g} mm are finer than those of MRI"
    planes = image.array if slice_axis is None else np.moveaxis(image.array, slice_axis, 0)
    seen = [shows_sector(plane) for plane in planes[:: max(1, len(planes) // 16)]]
    if np.mean(seen) > 0.5:
        return ECHO, "it shows a sector on a flat background"
    return MRI, "it shows no sector"


def shows_sector(plane: np.ndarray) -> bool:
    """True if the content of a 2D image is a fan that opens along one of its axes."""
    behind = background(plane)
    if behind.mean() < _LEAST_BACKGROUND:
        return False
    return any(_opens_downwards(~np.rot90(behind, turns)) for turns in range(4))


def background(plane: np.ndarray) -> np.ndarray:
    """Boolean: dark pixels without noise that hang together with the border."""
    low, high = float(plane.min()), float(np.percentile(plane, _SPAN))
    scaled = (plane.astype(np.float32) - low) / max(high - low, 1e-9)
    flat = maximum_filter(scaled, 3) - minimum_filter(scaled, 3) < _FLAT
    regions, _ = label(flat & (scaled < _DARK))
    border = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    return np.isin(regions, border[border > 0])


def _opens_downwards(content: np.ndarray) -> bool:
    """True if both sides of the content are straight lines that part from each other from row to row."""
    rows = np.flatnonzero(content.any(axis=1))
    if len(rows) < _LEAST_ROWS:
        return False
    first, last = (rows[0] + share * len(rows) for share in _DEPTHS)
    rows = rows[(rows >= first) & (rows <= last)]
    width = content.shape[1]
    left = content[rows].argmax(axis=1)
    right = width - 1 - content[rows, ::-1].argmax(axis=1)
    slopes, off = [], []
    for side in (left, right):
        line = np.polyfit(rows, side, 1)
        slopes.append(line[0])
        off.append(np.sqrt(np.mean((np.polyval(line, rows) - side) ** 2)) / width)
    return slopes[1] - slopes[0] > _LEAST_OPENING and max(off) < _MOST_OFF
