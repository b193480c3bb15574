"""Smoothness of a field."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Loss, LossInputs


def mean_squared_gradient(field: Tensor) -> Tensor:
    """E |grad z|^2 by forward differences, averaged over the axes: (B, ndim, *spatial) -> scalar.

    An axis of size 1 has no gradient.
    """
    slopes = [field.diff(dim=d).square().mean() for d in range(2, field.dim()) if field.shape[d] > 1]
    return torch.stack(slopes).mean() if slopes else field.sum() * 0.0


class Smoothness(Loss):
    """Mean squared gradient of the displacement (paper, eq. 4, second term)."""

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        return mean_squared_gradient(x.disp)
