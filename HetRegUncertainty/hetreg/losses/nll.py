"""Gaussian negative log-likelihood of the residual, plain and weighted by the variance (beta-NLL)."""

from __future__ import annotations

from torch import Tensor

from .base import Loss, LossInputs, masked_mean


def gaussian_nll(
    fixed: Tensor, moved: Tensor, log_variance: Tensor, *, beta: float = 0.0, mask: Tensor | None = None
) -> Tensor:
    """E[ stop(sigma^(2 beta)) ((fixed - moved)^2 / sigma^2 + log sigma^2) ]; (B, 1, *spatial) -> scalar.

    beta = 0: the joint NLL (paper, eq. 3). beta > 0: beta-NLL (Seitzer 2022; paper, eq. 5 when moved is
    detached).
    """
    return masked_mean(beta_nll((fixed - moved).square(), log_variance, beta), mask)


def beta_nll(squared: Tensor, log_variance: Tensor, beta: float = 0.0) -> Tensor:
    """stop(sigma^(2 beta)) (squared / sigma^2 + log sigma^2) at every voxel; all (B, 1, *spatial)."""
    nll = squared * (-log_variance).exp() + log_variance
    return nll * (beta * log_variance.detach()).exp() if beta else nll


class GaussianNLL(Loss):
    """NLL baseline: both networks by one loss, no gradient stopped (paper, eq. 3)."""

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        return gaussian_nll(x.fixed, x.moved, x.need("log_variance"), mask=x.mask)


class BetaNLL(Loss):
    """beta-NLL; as the variance network's own loss with moved detached it is the paper's eq. 5."""

    def __init__(self, beta: float = 0.5) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        return gaussian_nll(x.fixed, x.moved, x.need("log_variance"), beta=self.beta, mask=x.mask)
