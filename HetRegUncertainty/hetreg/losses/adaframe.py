"""AdaFrame, our reading of Wong et al. (RA-L 2021), whose code was never released.

A voxel whose residual is large for its image is trusted less and smoothed more.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Loss, LossInputs, image_mean
from .smoothness import mean_squared_gradient

SLOPE, MIDDLE = 2.0, 1.0  # a, b: at the mean residual both weights are 1/2


def data_confidence(fixed: Tensor, moved: Tensor, mask: Tensor | None = None) -> Tensor:
    """alpha(x) = 1 - sigmoid(a (d / mean d - b)), d = |fixed - moved|, mean per image and mask, detached:
    (B, 1, *spatial)."""
    d = (fixed - moved).abs().detach()
    return torch.sigmoid(-SLOPE * (d / image_mean(d, mask).clamp(min=1e-6) - MIDDLE))


class AdaFrameSmoothness(Loss):
    """Mean squared gradient of the displacement, weighted by 1 - alpha(x)."""

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        return mean_squared_gradient(x.disp, x.mask, 1 - data_confidence(x.fixed, x.moved, x.mask))
