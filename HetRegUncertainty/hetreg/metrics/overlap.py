"""Masks and their overlap."""

from __future__ import annotations

import numpy as np

POLICIES = {
    "as_published": "any weight above 0 is foreground, as in the paper's evaluation",
    "corrected": "foreground from a weight of 0.5",
}


def binarise(weights: np.ndarray, policy: str = "corrected") -> np.ndarray:
    """Boolean mask of a mask or of linearly interpolated weights 0 to 1, by one of POLICIES.

    Raises ValueError for another policy.
    """
    if policy not in POLICIES:
        raise ValueError(f"Unknown mask policy '{policy}': accepted are {', '.join(POLICIES)}.")
    return weights > 0 if policy == "as_published" else weights >= 0.5


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """2 |A and B| / (|A| + |B|) of two boolean masks of the same shape; NaN if both are empty."""
    if first.shape != second.shape:
        raise ValueError(
            f"dice: masks of shapes {first.shape} and {second.shape}; the same shape is accepted."
        )
    a, b = np.asarray(first, bool), np.asarray(second, bool)
    total = int(a.sum()) + int(b.sum())
    return 2.0 * int((a & b).sum()) / total if total else float("nan")


def dice_per_label(first: np.ndarray, second: np.ndarray) -> dict[int, float]:
    """Dice of each label (not 0) that occurs in either image."""
    labels = sorted({int(v) for v in np.unique(first)} | {int(v) for v in np.unique(second)})
    return {label: dice(first == label, second == label) for label in labels if label}


def is_plane(shape: tuple[int, ...]) -> bool:
    """True for (K, J, I) of one slice: its labels have an area, as their thickness is no measurement."""
    return shape.count(1) == 1


def sizes(labels: np.ndarray, spacing_mm: np.ndarray) -> dict[int, float]:
    """Volume, ml, or, if they are a plane, area, cm2, of each label (not 0) that occurs.

    labels: (K, J, I). spacing_mm: (3,), of i, j, k.
    """
    values, counts = np.unique(labels[labels != 0], return_counts=True)
    along = np.array(labels.shape[::-1]) > 1 if is_plane(labels.shape) else np.full(3, True)
    voxel = float(np.prod(np.asarray(spacing_mm)[along] / 10.0))
    return {int(v): float(n) * voxel for v, n in zip(values, counts, strict=True)}
