"""An image on the grid of another one, as ITK resamples it; the panel reads label maps so, before torch."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from .image import Image, as_float, vector_to_sitk

_MOST_LABELS = 256  # that are interpolated one by one, background included; a registration accepts no more
_SAME_PLACE = 1e-4  # voxels: an interpolated value is off by hardly more of the intensity range
_BESIDE = np.array([1.0, 1.3, 1.7]) * 1e-4  # voxels along i, j, k; not alike, as on a diagonal, too


def same_grid(fixed: Image, moving: Image) -> bool:
    """True if both images have the same voxels in the same places, but for what a header rounds: NIfTI has
    32-bit floats."""
    if fixed.array.shape != moving.array.shape:
        return False
    apart = np.abs(fixed.ijk_to_lps - moving.ijk_to_lps)[:3]
    farthest = apart[:, :3] @ (np.array(fixed.size_ijk) - 1) + apart[:, 3]
    return bool(farthest.max() <= _SAME_PLACE * fixed.spacing_mm.min())


def resample_like(moving: Image, fixed: Image, *, labels: bool = False) -> np.ndarray:
    """The moving image on the fixed grid, zero outside of it, as by `resampled`: (K, J, I)."""
    if same_grid(fixed, moving):
        return moving.array if labels else as_float(moving.array)
    return resampled(moving, fixed, sitk.Transform(3, sitk.sitkIdentity), labels=labels)


def displacement_transform(
    disp_lps_mm: np.ndarray, ijk_to_lps: np.ndarray
) -> sitk.DisplacementFieldTransform:
    """(K, J, I, 3) LPS mm on a grid -> SimpleITK transform. Outside the grid it is the identity."""
    field = vector_to_sitk(np.asarray(disp_lps_mm, dtype=np.float64), ijk_to_lps)
    return sitk.DisplacementFieldTransform(field)


def _of_labels(array: np.ndarray) -> int:
    return sitk.sitkLabelLinear if len(np.unique(array)) <= _MOST_LABELS else sitk.sitkNearestNeighbor


def resampled(
    image: Image, grid: Image, transform: sitk.Transform, *, labels: bool = False, outside: float = 0.0
) -> np.ndarray:
    """The image at transform(x) for the voxels x of another grid, as ITK resamples it: (K, J, I), `outside`
    where it has no voxels. Linear, as by `as_float`; labels: the one whose linear weight is largest there
    (nearest neighbour if there are more than 256, as the time grows with their number), in their own type, as
    a label above 2^24 has no place in 32 bits. They are looked up a ten-thousandth of a voxel beside x: half
    way between two voxels the lower label, mostly the background, would win everywhere, and every label
    shrink."""
    interpolator = _of_labels(image.array) if labels else sitk.sitkLinear
    source = (image if labels else image.like(as_float(image.array), image.name)).to_sitk()
    place = grid.like(np.zeros(grid.array.shape, np.uint8), "grid").to_sitk()
    if interpolator == sitk.sitkLabelLinear:
        beside = image.ijk_to_lps[:3, :3] @ (_BESIDE * (np.array(image.array.shape[::-1]) > 1))
        place.SetOrigin((np.array(place.GetOrigin()) + beside).tolist())
    found = sitk.GetArrayFromImage(sitk.Resample(source, place, transform, interpolator, outside))
    return found.astype(image.array.dtype, copy=False) if labels else found
