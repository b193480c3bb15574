"""Means of what is known, and of what ties."""

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


def sorted_by(key: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values (N,) in the order of rising keys (N,). Those of equal keys are all their mean, so that the
    result does not depend on the order in which they come."""
    if not values.size:
        return values
    _, group = np.unique(key, return_inverse=True)
    size = np.bincount(group)
    return np.repeat(np.bincount(group, values) / size, size)
