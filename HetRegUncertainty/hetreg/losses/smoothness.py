"""Smoothness of a field."""

from __future__ import annotations

import torch
from torch import Tensor

from ..spatial import resize
from .base import Loss, LossInputs, masked_mean


def mean_squared_gradient(field: Tensor, mask: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
    """E |grad z|^2 by forward differences: (B, ndim, *spatial) -> scalar.

    The mean over components and axes, as in VoxelMorph, where the paper's eq. 4 has their sum: 1 / ndim^2 of
    it, so that the same lambda is 4 times (in 3D 9 times) as strong there. mask: (B, 1, *spatial), of any
    size; a difference counts where both its voxels do. weight: (B, 1, *spatial), a factor of |grad z|^2; that
    of a difference is the mean of its two voxels'. An axis of size 1 has no gradient.
    """
    if mask is not None and mask.shape[2:] != field.shape[2:]:
        mask = resize(mask.to(field.dtype), field.shape[2:])
    slopes = []
    for d, n in list(enumerate(field.shape))[2:]:
        if n == 1:
            continue
        squared, both = field.diff(dim=d).square(), None
        if weight is not None:
            squared = (weight.narrow(d, 1, n - 1) + weight.narrow(d, 0, n - 1)) / 2 * squared
        if mask is not None:
            both = torch.minimum(mask.narrow(d, 1, n - 1), mask.narrow(d, 0, n - 1))
        slopes.append(masked_mean(squared, both))
    return torch.stack(slopes).mean() if slopes else field.sum() * 0.0


class Smoothness(Loss):
    """Mean squared gradient of the displacement (paper, eq. 4, second term, divided by ndim^2)."""

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        return mean_squared_gradient(x.disp, x.mask)


class VelocitySmoothness(Loss):
    """Mean squared gradient of the mean velocity on its own grid (as in the release).

    With a variance of z it has to act on the mean: on a sample it would drive the variance to zero.
    """

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        return mean_squared_gradient(x.need("velocity"), x.mask)
