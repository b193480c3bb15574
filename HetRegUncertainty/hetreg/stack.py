"""Whether a volume is a stack of slices, and along which axis; the panel asks it before torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_THICK = 2.0  # a slice thicker than this many pixels is not resolved through the plane
_FEW = {16: 2, 32: 4}  # under so many voxels are slices where another axis is so many times as long


def slice_axis(size: Sequence[int], spacing: Sequence[float]) -> int | None:
    """Axis of the slices by size and spacing (mm), in the order of these; None for a resolved volume.

    Slices: an axis of one voxel, one more than twice as coarse as the finest, or one of under 16 voxels when
    another is at least twice as long, of under 32 when it is four times as long.
    """
    short, coarse = int(np.argmin(size)), int(np.argmax(spacing))
    if size[short] == 1:
        return short
    if spacing[coarse] > 1.001 * _THICK * min(spacing):  # headers round
        return coarse
    if any(size[short] < few and max(size) >= times * size[short] for few, times in _FEW.items()):
        return short
    return None
