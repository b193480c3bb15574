"""FireANTs' greedy registration with local cross-correlation, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from fireants.io.image import BatchedImages, Image
from fireants.registration.greedy import GreedyRegistration

from . import THREADS
from .itk_grid import image

PACKAGES = ("fireants", "torch")


def register(
    fixed: np.ndarray, moving: np.ndarray, spacing: Sequence[float], *, kernel: int, iterations: Sequence[int]
) -> np.ndarray:
    """kernel: side of the window, voxels. iterations: on a quarter, a half and the full grid."""
    torch.set_num_threads(THREADS)
    batches = [BatchedImages([Image(image(a, spacing), device="cpu")]) for a in (fixed, moving)]
    run = GreedyRegistration(
        scales=[4, 2, 1], iterations=list(iterations), fixed_images=batches[0], moving_images=batches[1],
        loss_type="cc", cc_kernel_size=kernel, progress_bar=False,
    )  # fmt: skip
    run.optimize()
    with torch.no_grad():
        grid = run.get_warp_parameters(*batches)["grid"][0].numpy()  # [-1, 1] from centre to centre; x first
    return np.stack([grid[..., -1 - d] * (n - 1) / 2 for d, n in enumerate(fixed.shape)])
