"""AdaReg: the smoothness yields where the images disagree (Wong and Soatto, CVPR 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Loss, LossInputs, image_mean
from .smoothness import mean_squared_gradient

DECAY = 5.0  # c


def regularisation_weight(fixed: Tensor, moved: Tensor, mask: Tensor | None = None) -> Tensor:
    """exp(-c d(x) mean(d)), d = |fixed - moved|, mean per image and mask, detached: in (0, 1]; (B, 1,
    *spatial)."""
    d = (fixed - moved).abs().detach()
    return torch.exp(-DECAY * d * image_mean(d, mask))


class AdaReg(Loss):
    """Mean squared gradient of the displacement, weighted by `regularisation_weight`."""

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        return mean_squared_gradient(x.disp, x.mask, regularisation_weight(x.fixed, x.moved, x.mask))
