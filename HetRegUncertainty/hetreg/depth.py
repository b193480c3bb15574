"""Which way an ultrasound volume was taken: the axis along which its sector opens."""

from __future__ import annotations

import numpy as np

from .image import Image
from .modality import shows_sector


def depth_axis(image: Image) -> int | None:
    """Array axis of the depth of a volume: its middle planes along that axis show a fan, the one across it
    does not. None where that is not so."""
    spacing = image.spacing_mm[::-1]
    fans = [shows_sector(_middle_plane(image.array, spacing, d)) for d in range(3)]
    return fans.index(False) if sum(fans) == 2 else None


def _middle_plane(array: np.ndarray, spacing: np.ndarray, axis: int) -> np.ndarray:
    """Across the axis, with square pixels."""
    plane, across = array.take(array.shape[axis] // 2, axis), np.delete(spacing, axis)
    for d, size in enumerate(across):
        count = round(plane.shape[d] * size / across.min())
        plane = plane.take(np.arange(count) * plane.shape[d] // count, d)
    return plane
