"""SyN of DIPY with local cross-correlation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from dipy.align.imwarp import SymmetricDiffeomorphicRegistration
from dipy.align.metrics import CCMetric

PACKAGES = ("dipy",)


def register(
    fixed: np.ndarray,
    moving: np.ndarray,
    spacing: Sequence[float],
    *,
    radius: int,
    iterations: Sequence[int],
) -> np.ndarray:
    """radius: of the window, voxels. iterations: per level, coarsest first. It works in voxels."""
    metric = CCMetric(fixed.ndim, radius=radius)
    mapping = SymmetricDiffeomorphicRegistration(metric, level_iters=list(iterations)).optimize(fixed, moving)
    return np.moveaxis(mapping.get_forward_field(), -1, 0)
