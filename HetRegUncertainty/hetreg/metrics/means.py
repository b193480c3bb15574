"""Means of what is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def nanmean(values: ArrayLike, axis: int | None = None) -> np.ndarray:
    """The mean without NaN; NaN, and no warning, where there is nothing else."""
    values = np.asarray(values, float)
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
