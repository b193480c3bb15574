"""Numbers about a deformation and about what it did to the images."""

from __future__ import annotations

import numpy as np


def folding_percent(jacobian_determinant: np.ndarray) -> float:
    """Percentage of voxels where the field folds (det J <= 0)."""
    return 100.0 * float(np.mean(jacobian_determinant <= 0))


def similarity(fixed: np.ndarray, moved: np.ndarray) -> dict[str, float]:
    """mse: mean squared difference; ncc: Pearson correlation over the whole image (NaN for a constant
    image)."""
    a, b = np.asarray(fixed, np.float32).ravel(), np.asarray(moved, np.float32).ravel()
    difference = a - b
    a, b = a - a.mean(dtype=np.float64).astype(np.float32), b - b.mean(dtype=np.float64).astype(np.float32)
    norm = float(np.sqrt(float(a @ a) * float(b @ b)))
    return {
        "mse": float(difference @ difference) / difference.size,
        "ncc": float(a @ b) / norm if norm > 0 else float("nan"),
    }
