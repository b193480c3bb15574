"""Mean squared difference."""

from __future__ import annotations

from torch import Tensor

from .base import Loss, LossInputs, masked_mean


def mean_squared_error(fixed: Tensor, moved: Tensor, mask: Tensor | None = None) -> Tensor:
    """E[(fixed - moved)^2]; images (B, 1, *spatial) -> scalar."""
    return masked_mean((fixed - moved).square(), mask)


class MSE(Loss):
    """Homoscedastic baseline: E[(fixed - moved)^2]."""

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        return mean_squared_error(x.fixed, x.moved, x.mask)
