"""Local normalised cross-correlation, from MONAI."""

from __future__ import annotations

from torch import Tensor

from .base import Loss, LossInputs, from_monai, masked_mean

WINDOW = 9


def local_ncc(fixed: Tensor, moved: Tensor, mask: Tensor | None = None) -> Tensor:
    """-E[squared cross-correlation in 9-wide windows], in [-1, 0]; images (B, 1, *spatial) -> scalar."""
    loss = from_monai("LocalNormalizedCrossCorrelationLoss")
    per_voxel = loss(fixed.dim() - 2, kernel_size=WINDOW, reduction="none", smooth_dr=1e-5)
    return masked_mean(per_voxel(moved, fixed), mask)


class NCC(Loss):
    """Homoscedastic baseline: minus the mean squared local correlation."""

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        return local_ncc(x.fixed, x.moved, x.mask)
