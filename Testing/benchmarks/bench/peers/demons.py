"""Demons of SimpleITK, coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from .itk_grid import field_vox, image

PACKAGES = ("SimpleITK",)


def register(
    fixed: np.ndarray,
    moving: np.ndarray,
    spacing: Sequence[float],
    *,
    kind: str,
    iterations: Sequence[int],
    smoothing: float,
) -> np.ndarray:
    """kind: name of SimpleITK's filter. iterations: from the coarsest level to the full grid, a factor 2
    apart. smoothing: SD in voxels.

    Of its four kinds on training phantoms (seeds 100000 and 100001 of mri2d and of echo2d) the mean end-point
    errors were 0.50 and 1.10 voxels (DiffeomorphicDemons), 0.52 and 1.12 (FastSymmetricForcesDemons), 0.64
    and 2.14 (Demons), 1.06 and 1.28 with 3 % folding (SymmetricForcesDemons).
    """
    images = [image(a, spacing) for a in (fixed, moving)]
    field = None
    for level, count in enumerate(iterations):
        factor = 2 ** (len(iterations) - 1 - level)
        levels = [coarser(i, factor) for i in images]
        if field is not None:
            field = sitk.Resample(field, levels[0], sitk.Transform(), sitk.sitkLinear)
        demons = getattr(sitk, f"{kind}RegistrationFilter")()
        demons.SetNumberOfIterations(count)
        demons.SetSmoothDisplacementField(True)
        demons.SetStandardDeviations(smoothing)
        field = demons.Execute(*levels, *([] if field is None else [field]))
    return field_vox(sitk.GetArrayFromImage(field), spacing)


def coarser(image: sitk.Image, factor: int) -> sitk.Image:
    """Smoothed and with every `factor`-th voxel, over the same extent."""
    if factor == 1:
        return image
    blurred = sitk.SmoothingRecursiveGaussian(image, [0.5 * factor * s for s in image.GetSpacing()])
    return sitk.Shrink(blurred, [factor if n >= 4 * factor else 1 for n in image.GetSize()])
