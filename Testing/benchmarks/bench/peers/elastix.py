"""elastix with a B-spline transform, from `itk-elastix`."""

from __future__ import annotations

from collections.abc import Sequence

import itk
import numpy as np

from . import THREADS

PACKAGES = ("itk-elastix",)


def register(
    fixed: np.ndarray,
    moving: np.ndarray,
    spacing: Sequence[float],
    *,
    metric: str,
    grid_vox: float,
    iterations: int,
) -> np.ndarray:
    """metric: elastix's name. grid_vox: distance of the control points at the finest of three levels."""
    itk.set_nthreads(THREADS)
    images = [image(a, spacing) for a in (fixed, moving)]
    options = itk.ParameterObject.New()
    settings = options.GetDefaultParameterMap("bspline", 3, grid_vox * spacing[-1])
    settings["Metric"] = [metric]
    settings["Registration"] = ["MultiResolutionRegistration"]
    settings["MaximumNumberOfIterations"] = [str(iterations)]
    settings["NumberOfSpatialSamples"] = ["4096"]
    settings["BSplineInterpolationOrder"] = ["1"]
    for name in ("Metric0Weight", "Metric1Weight"):  # of the bending energy that the default adds
        settings.pop(name, None)
    options.AddParameterMap(settings)
    _, found = itk.elastix_registration_method(*images, parameter_object=options, log_to_console=False)
    field = itk.array_from_image(itk.transformix_deformation_field(images[1], found))
    return np.stack([field[..., -1 - d] / spacing[d] for d in range(fixed.ndim)])


def image(array: np.ndarray, spacing: Sequence[float]) -> itk.Image:
    """An array as an ITK image at the origin. spacing: mm, array order."""
    made = itk.image_from_array(np.ascontiguousarray(array, np.float32))
    made.SetSpacing([float(s) for s in spacing[::-1]])
    return made
