"""An image on the grid of another one, at its place or through a displacement, and where it has voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import torch

from .image import Image, as_float
from .resample import displacement_transform, resampled, same_grid
from .spatial import disp_to_lps_mm, warp_as_itk


@dataclass(frozen=True, eq=False)
class Reached:
    """An image on another grid and where it has voxels there. array: as by `as_float`, zero where it has
    none; inside: a mask; both (K, J, I)."""

    array: np.ndarray
    inside: np.ndarray

    def filled(self, low: float) -> np.ndarray:
        """The array with `low` where the image has no voxels. To compare images takes the lower end of their
        intensities: zero may lie far out of these."""
        return np.where(self.inside, self.array, self.array.dtype.type(low))


def reached(moving: Image, fixed: Image, disp_vox: np.ndarray | None = None) -> Reached:
    """The moving image on the fixed grid, at x + disp(x) if there is a field.

    disp_vox: (3, K, J, I) float32, voxels of the fixed image, components k, j, i.
    """
    if not same_grid(fixed, moving):
        transform = sitk.Transform(3, sitk.sitkIdentity)
        if disp_vox is not None:
            transform = displacement_transform(disp_to_lps_mm(disp_vox, fixed.ijk_to_lps), fixed.ijk_to_lps)
        array = resampled(moving, fixed, transform, outside=np.nan)
    elif disp_vox is None:
        return Reached(as_float(moving.array), np.ones(fixed.array.shape, bool))
    else:
        image, disp = torch.from_numpy(as_float(moving.array)), torch.from_numpy(disp_vox)
        array = warp_as_itk(image[None, None], disp[None].to(image.dtype), outside=np.nan)[0, 0].numpy()
    inside = ~np.isnan(array)
    return Reached(np.where(inside, array, np.float32(0)), inside)
