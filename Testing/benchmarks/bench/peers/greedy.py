"""Greedy (Yushkevich), from `picsl-greedy`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from picsl_greedy import Greedy2D, Greedy3D

from . import THREADS
from .itk_grid import field_vox, image

PACKAGES = ("picsl-greedy",)


def register(
    fixed: np.ndarray, moving: np.ndarray, spacing: Sequence[float], *, metric: str, radius: int = 0
) -> np.ndarray:
    """metric: SSD, or NCC in windows of `radius` voxels."""
    tool = Greedy2D() if fixed.ndim == 2 else Greedy3D()
    window = f" {'x'.join([str(radius)] * fixed.ndim)}" if radius else ""
    tool.execute(
        f"-i fixed moving -m {metric}{window} -n 100x60x30 -s 2vox 0.7vox -o warp -V 0 -threads {THREADS}",
        fixed=image(fixed, spacing), moving=image(moving, spacing), warp=None,
    )  # fmt: skip
    return field_vox(sitk.GetArrayFromImage(tool["warp"]), spacing)
