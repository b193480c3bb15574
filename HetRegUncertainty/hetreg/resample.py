"""An image on the grid of another one."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from .image import Image


def same_grid(fixed: Image, moving: Image) -> bool:
    """True if both images have the same voxels in the same places."""
    return fixed.array.shape == moving.array.shape and np.allclose(
        fixed.ijk_to_lps, moving.ijk_to_lps, rtol=0, atol=1e-6
    )


def resample_like(moving: Image, fixed: Image, *, nearest: bool = False) -> np.ndarray:
    """The moving image on the fixed grid, float32 (K, J, I), zero outside of it."""
    if same_grid(fixed, moving):
        return moving.array.astype(np.float32)
    source = sitk.Cast(moving.to_sitk(), sitk.sitkFloat32)
    return _on_grid(source, fixed, sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)


def covered(moving: Image, fixed: Image) -> np.ndarray:
    """(K, J, I) mask of the voxels of the fixed grid that lie in the moving image."""
    if same_grid(fixed, moving):
        return np.ones(fixed.array.shape, bool)
    inside = moving.like(np.ones(moving.array.shape, np.uint8), "inside").to_sitk()
    return _on_grid(inside, fixed, sitk.sitkNearestNeighbor) > 0


def _on_grid(source: sitk.Image, fixed: Image, interpolator: int) -> np.ndarray:
    identity = sitk.Transform(3, sitk.sitkIdentity)
    return sitk.GetArrayFromImage(sitk.Resample(source, fixed.to_sitk(), identity, interpolator))
