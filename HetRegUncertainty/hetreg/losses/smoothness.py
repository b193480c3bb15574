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


def weighted_squared_gradient(field: Tensor, weight: Tensor) -> Tensor:
    """E[weight |grad z|^2] by forward differences; the weight of a difference is the mean of its two voxels'.

    field: (B, ndim, *spatial). weight: (B, 1, *spatial). Returns a scalar, `mean_squared_gradient` for 1.
    """
    slopes = []
    for d, n in list(enumerate(field.shape))[2:]:
        if n > 1:
            between = (weight.narrow(d, 1, n - 1) + weight.narrow(d, 0, n - 1)) / 2
            slopes.append((between * field.diff(dim=d).square()).mean())
    return torch.stack(slopes).mean() if slopes else field.sum() * 0.0


class Smoothness(Loss):
    """Mean squared gradient of the displacement (paper, eq. 4, second term)."""

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        return mean_squared_gradient(x.disp)


class VelocitySmoothness(Loss):
    """Mean squared gradient of the mean velocity on its own grid (as in the release).

    With a variance of z it has to act on the mean: on a sample it would drive the variance to zero.
    """

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        return mean_squared_gradient(x.need("velocity"))
