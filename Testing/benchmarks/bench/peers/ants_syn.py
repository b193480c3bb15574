"""SyN of ANTs without its affine part, from `antspyx`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import ants
import numpy as np

PACKAGES = ("antspyx",)


def register(
    fixed: np.ndarray,
    moving: np.ndarray,
    spacing: Sequence[float],
    *,
    metric: str,
    iterations: Sequence[int],
) -> np.ndarray:
    """metric: meansquares or CC. The arrays' first axis is ANTs' x, so that nothing has to be turned."""
    images = [ants.from_numpy(a, spacing=list(spacing)) for a in (fixed, moving)]
    with tempfile.TemporaryDirectory(prefix="hetreg-ants-") as folder:
        found = ants.registration(
            *images, "SyNOnly", initial_transform="Identity", syn_metric=metric,
            syn_sampling=4 if metric == "CC" else 32, reg_iterations=tuple(iterations), flow_sigma=3,
            total_sigma=0, outprefix=f"{folder}/",
        )  # fmt: skip
        warp = next(f for f in found["fwdtransforms"] if f.endswith("Warp.nii.gz"))
        vectors = ants.image_read(warp).numpy()
    return np.stack([vectors[..., d] / spacing[d] for d in range(fixed.ndim)])
