"""What the simulated data sets give: a pair with its truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..image import Image


@dataclass(frozen=True, eq=False)
class PhantomPair:
    """One simulated pair. All images lie on one grid of shape (K, J, I); K == 1 for a single 2D image.

    fixed, moving: end-systole and end-diastole, float32.
    fixed_label, moving_label: uint8; 0 background, 1 RV cavity, 2 LV myocardium, 3 LV cavity, 4 left atrium
        (apical echo).
    disp_vox: (3, K, J, I) float32, array order (k, j, i), voxels, pull-back on the fixed grid.
    noise_variance: variance of the noise in `fixed` alone, squared units of `fixed`; None if made with
        `with_truth=False`, and of point scatterers.
    residual_variance: E[(fixed - moving(x + disp))^2], linear interpolation, given the anatomy; likewise.
        This is what `RegisterResult.noise_variance` predicts.
    body: uint8, 1 where there is image content (inside the body or the ultrasound sector).
    """

    fixed: Image
    moving: Image
    fixed_label: Image
    moving_label: Image
    disp_vox: np.ndarray
    noise_variance: Image | None
    residual_variance: Image | None
    body: Image
    kind: str
    seed: int
