"""Numbers about a deformation and about what it did to the images."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..image import as_float

JACOBIAN_FLOOR = 1e-3  # folded voxels count as the log of this


def folding_percent(jacobian_determinant: np.ndarray) -> float:
    """Percentage of voxels where the field folds (det J <= 0)."""
    return 100.0 * float(np.mean(jacobian_determinant <= 0))


def end_point_error(
    disp: np.ndarray,
    true_disp: np.ndarray,
    mask: np.ndarray | None = None,
    spacing_mm: ArrayLike | None = None,
) -> float:
    """Mean length of disp - true_disp, in voxels; in mm with the spacing of the axes, in their order.

    disp, true_disp: (ndim, *spatial), voxels. mask: boolean (*spatial), default everywhere; NaN if empty.
    """
    return mean_length(disp.astype(np.float64) - true_disp, mask, spacing_mm)


def mean_length(
    vectors: np.ndarray, mask: np.ndarray | None = None, spacing_mm: ArrayLike | None = None
) -> float:
    """Mean length of (ndim, *spatial) vectors; mask and units as in `end_point_error`."""
    scale = np.ones(len(vectors)) if spacing_mm is None else np.asarray(spacing_mm, float)
    length = np.sqrt(np.einsum("c...,c->...", np.square(vectors), np.square(scale)))
    length = length if mask is None else length[mask]
    return float(length.mean()) if length.size else float("nan")


def similarity(fixed: np.ndarray, moved: np.ndarray) -> dict[str, float]:
    """mse: mean squared difference; ncc: Pearson correlation over the whole image (NaN for a constant
    image)."""
    a, b = as_float(np.asarray(fixed)).ravel(), as_float(np.asarray(moved)).ravel()
    difference = a - b
    a, b = (x - x.mean(dtype=np.float64).astype(x.dtype) for x in (a, b))
    norm = float(np.sqrt(_dot(a, a) * _dot(b, b)))
    return {
        "mse": _dot(difference, difference) / difference.size,
        "ncc": _dot(a, b) / norm if norm > 0 else float("nan"),
    }


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """Summed in 64 bits, without a copy of the images in them: 32 lose 1 % of the sum over a large volume."""
    return float(np.einsum("i,i->", a, b, dtype=np.float64))
