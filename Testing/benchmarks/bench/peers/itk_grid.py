"""Arrays and fields of the tools that are built on ITK."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk


def image(array: np.ndarray, spacing: Sequence[float]) -> sitk.Image:
    """An array as an ITK image at the origin, without rotation. spacing: mm, array order."""
    made = sitk.GetImageFromArray(np.ascontiguousarray(array, np.float32))
    made.SetSpacing(tuple(spacing[::-1]))
    return made


def field_vox(vectors: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """(*spatial, ndim) mm, components x, y(, z) -> (ndim, *spatial) voxels, array order."""
    return np.stack([vectors[..., -1 - d] / spacing[d] for d in range(vectors.shape[-1])])
