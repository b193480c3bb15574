"""Mutual information by Parzen windows, from MONAI."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Loss, LossInputs, from_monai

BINS = 32


def mutual_information(fixed: Tensor, moved: Tensor, mask: Tensor | None = None) -> Tensor:
    """Minus the mutual information in nats, mean over the pairs; images (B, 1, *spatial) in [0, 1] -> scalar.

    Gaussian windows, half a bin wide. Of voxels inside the mask; of all where it is None or empty.
    """
    loss = from_monai("GlobalMutualInformationLoss")(num_bins=BINS)
    if mask is None:
        return loss(moved, fixed)
    values = []
    for one, other, inside in zip(moved, fixed, mask > 0, strict=True):
        keep = inside if bool(inside.any()) else torch.ones_like(inside)
        values.append(loss(one[keep][None], other[keep][None]))
    return torch.stack(values).mean()


class MutualInformation(Loss):
    """Homoscedastic baseline: minus the mutual information."""

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        return mutual_information(x.fixed, x.moved, x.mask)
