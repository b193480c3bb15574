"""Mutual information by Parzen windows, from MONAI."""

from __future__ import annotations

from torch import Tensor

from .base import Loss, LossInputs, from_monai

BINS = 32


def mutual_information(fixed: Tensor, moved: Tensor, mask: Tensor | None = None) -> Tensor:
    """Minus the mutual information in nats, mean over the pairs; images (B, 1, *spatial) in [0, 1] -> scalar.

    Gaussian windows, half a bin wide. Voxels outside the mask are set to 0 in both images.
    """
    if mask is not None:
        fixed, moved = fixed * mask, moved * mask
    return from_monai("GlobalMutualInformationLoss")(num_bins=BINS)(moved, fixed)


class MutualInformation(Loss):
    """Homoscedastic baseline: minus the mutual information."""

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        return mutual_information(x.fixed, x.moved, x.mask)
