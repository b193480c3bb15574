"""The data term weighted by the gamma-exponentiated relative signal-to-noise ratio, in three forms, and by
the precision alone."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from ..registry import WEIGHT_MODES
from ..spatial import thinning
from .base import Loss, LossInputs, image_mean, masked_mean

EPSILON = 1e-3  # intensity below which the signal counts as none, images in [0, 1]
REFERENCE_SD = 0.08  # of fixed - moved, images in [0, 1]: what the precision is relative to
_MAX_SAMPLES = 8192


def weight_paper(fixed: Tensor, log_variance: Tensor, gamma: float = 0.5) -> Tensor:
    """sigmoid((fixed / sigma)^(2 gamma)) as printed (paper, eq. 4): in [0.5, 1); (B, 1, *spatial)."""
    return torch.sigmoid((fixed.clamp(min=0.0) * (-0.5 * log_variance).exp()) ** (2 * gamma))


def weight_released(
    fixed: Tensor, log_variance: Tensor, gamma: float = 0.5, *, apart: bool = False
) -> Tensor:
    """sigmoid(minmax((fixed / sigma^2)^gamma)) over the whole batch, as the released code has it: in [0.5,
    0.731]. apart: over each image.

    NaN for gamma = 0, a constant ratio or a negative image, like the original; kept to reproduce it.
    """
    ratio = (fixed * (-log_variance).exp()) ** gamma
    dims = tuple(range(int(apart), ratio.dim()))
    low, high = ratio.amin(dims, keepdim=True), ratio.amax(dims, keepdim=True)
    return torch.sigmoid((ratio - low) / (high - low))


@cache
def _quarters(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Copied to a GPU once."""
    return torch.tensor([0.25, 0.5, 0.75], device=device, dtype=dtype)


def _quartiles(x: Tensor, mask: Tensor | None) -> Tensor:
    """(3, B) quartiles of each image inside the mask; of everything where the mask is empty."""
    flat = x.flatten(1)
    inside = None if mask is None else mask.expand_as(x).flatten(1) > 0
    at = _quarters(x.device, x.dtype)
    if inside is None:
        return torch.quantile(flat[:, :: thinning(flat.shape[1], _MAX_SAMPLES)], at, dim=1)
    columns = []
    for row, keep in zip(flat, inside, strict=True):
        chosen = row[keep] if bool(keep.any()) else row
        columns.append(torch.quantile(chosen[:: thinning(chosen.numel(), _MAX_SAMPLES)], at))
    return torch.stack(columns, dim=1)


def weight_robust(
    fixed: Tensor, log_variance: Tensor, gamma: float = 0.5, mask: Tensor | None = None
) -> Tensor:
    """sigmoid of the log-SNR standardised per image by median and interquartile range: in (0, 1); (B, 1,
    *spatial).

    The log-SNR is 2 log(fixed + eps) - log sigma^2. gamma scales it after the standardisation, so that it
    keeps a meaning: 0 gives a constant weight, 0.5 one unit of the logit per interquartile range. Finite for
    every finite image and independent of the rest of the batch.
    """
    log_snr = 2 * (fixed.clamp(min=0.0) + EPSILON).log() - log_variance
    low, middle, high = _quartiles(log_snr, mask)
    shape = (-1, *[1] * (fixed.dim() - 1))
    spread = (high - low).clamp(min=1e-3)
    return torch.sigmoid(2 * gamma * (log_snr - middle.view(shape)) / spread.view(shape))


def weight_precision(log_variance: Tensor, gamma: float = 0.5) -> Tensor:
    """(REFERENCE_SD / sigma)^(2 gamma), without the signal: (B, 1, *spatial), above 0.

    gamma = 1 is the weight that the likelihood gives, 0.5 is 1 / sigma, 0 a constant 1. Dividing by the noise
    evens out what bright and dim tissues have to say; a factor I would favour the bright ones again. The
    reference is the same for all images, so that a noisy pair leaves more to the smoothness than a clean one.
    """
    return (gamma * (2 * math.log(REFERENCE_SD) - log_variance)).exp()


def snr_weight(
    fixed: Tensor,
    log_variance: Tensor,
    *,
    mode: str = "robust",
    gamma: float = 0.5,
    mask: Tensor | None = None,
    apart: bool = False,
) -> Tensor:
    """The weight map in [0, 1] by mode (registry.WEIGHT_MODES), detached: (B, 1, *spatial).

    Of the precision w it is w / (1 + w): 0.5 at REFERENCE_SD. apart: no image knows of the others, in mode
    released either. Raises ValueError on an unknown mode.
    """
    log_variance = log_variance.detach()
    if mode == "paper":
        return weight_paper(fixed, log_variance, gamma).detach()
    if mode == "released":
        return weight_released(fixed, log_variance, gamma, apart=apart).detach()
    if mode == "robust":
        return weight_robust(fixed, log_variance, gamma, mask).detach()
    if mode == "precision":
        weight = weight_precision(log_variance, gamma).detach()
        return weight / (1 + weight)
    raise ValueError(f"weight mode is '{mode}': accepted are {', '.join(WEIGHT_MODES)}.")


def data_weight(
    fixed: Tensor,
    log_variance: Tensor,
    *,
    mode: str = "robust",
    gamma: float = 0.5,
    mask: Tensor | None = None,
    apart: bool = False,
) -> Tensor:
    """`snr_weight` as the data term uses it: the robust form is scaled to mean 1 per image, to keep lambda's
    meaning; the precision is as it is."""
    if mode == "precision":
        return weight_precision(log_variance.detach(), gamma)
    weight = snr_weight(fixed, log_variance, mode=mode, gamma=gamma, mask=mask, apart=apart)
    if mode != "robust":
        return weight
    return weight / image_mean(weight, mask).clamp(min=1e-6)


class SNRWeightedMSE(Loss):
    """E[weight (fixed - moved)^2] with the detached weight (paper, eq. 4, first term)."""

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        return masked_mean(x.need("weight").detach() * (x.fixed - x.moved).square(), x.mask)
