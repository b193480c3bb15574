"""`RegisterResult`: everything one registration gives, on the grid of the fixed image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .image import Image


@dataclass(frozen=True, eq=False)
class RegisterResult:
    """Result of `register_pair`. All images lie on the fixed image's grid, shape (K, J, I).

    moved: the moving image at x + disp(x), in its own intensity units.
    disp_vox: (3, K, J, I) float32, voxels, components in array order (k, j, i), pull-back.
    disp_lps_mm: (K, J, I, 3) float64, components x, y, z of LPS.
    inverse_disp_lps_mm: the same for the inverse transform, or None if it was not asked for.
    noise_variance, noise_sd: in the units of the fixed image (squared, and plain).
    snr_weight: in [0, 1]. log_jacobian: log det(I + grad disp); NaN-free, folded voxels at the floor.
    residual: fixed - moved. displacement_mm: length of disp_lps_mm.
    moved_seg: the moving segmentation's labels, warped by nearest neighbour, if one was given.
    summary: numbers for people (see `register_pair`). record: model, checksum, config, versions, device, seconds.
    """

    moved: Image
    disp_vox: np.ndarray
    disp_lps_mm: np.ndarray
    inverse_disp_lps_mm: np.ndarray | None
    noise_variance: Image
    noise_sd: Image
    snr_weight: Image
    log_jacobian: Image
    residual: Image
    displacement_mm: Image
    moved_seg: Image | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)
