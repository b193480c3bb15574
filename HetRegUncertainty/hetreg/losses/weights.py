"""Weight maps of the data term by name (registry.WEIGHTS); all detached, (B, 1, *spatial).

`snr` is the paper's. The others are its controls: the same mean everywhere, the weight that the true noise
variance gives, and the same values at random places. `adaframe` is AdaFrame's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor

from .adaframe import data_confidence
from .base import image_mean
from .snr_weighted import data_weight


@dataclass(frozen=True, eq=False)
class WeightInputs:
    """What a weight is made of; images (B, 1, *spatial) in [0, 1]. seeds: one number per pair."""

    fixed: Tensor
    moved: Tensor
    log_variance: Tensor
    _: KW_ONLY
    mode: str = "robust"
    gamma: float = 0.5
    mask: Tensor | None = None
    true_variance: Tensor | None = None
    seeds: Sequence[int] = ()


def snr(x: WeightInputs) -> Tensor:
    """The relative signal-to-noise weight from the predicted variance."""
    return data_weight(x.fixed, x.log_variance, mode=x.mode, gamma=x.gamma, mask=x.mask)


def constant(x: WeightInputs) -> Tensor:
    """The mean of each image's weight, everywhere: the same as another lambda."""
    weight = snr(x)
    return image_mean(weight, x.mask).expand_as(weight)


def oracle(x: WeightInputs) -> Tensor:
    """The weight from the true noise variance. Raises ValueError if the data has none."""
    if x.true_variance is None:
        raise ValueError("The oracle weight needs the true noise variance: dataset phantom is accepted.")
    log_variance = x.true_variance.clamp(min=1e-6).log()
    return data_weight(x.fixed, log_variance, mode=x.mode, gamma=x.gamma, mask=x.mask)


def shuffled(x: WeightInputs) -> Tensor:
    """The weight's values in an order drawn per pair from its seed: its histogram, but not its
    places. What lies outside the mask stays there."""
    weight = snr(x)
    rows = weight.flatten(1).clone()
    inside = torch.ones_like(rows) if x.mask is None else x.mask.expand_as(weight).flatten(1)
    for row, keep, seed in zip(rows, inside > 0, x.seeds or range(len(weight)), strict=True):
        chosen = row[keep]
        order = torch.randperm(chosen.numel(), generator=torch.Generator().manual_seed(int(seed)))
        row[keep] = chosen[order.to(row.device)]
    return rows.view_as(weight)


def adaframe(x: WeightInputs) -> Tensor:
    """AdaFrame's alpha(x), from the residual alone."""
    return data_confidence(x.fixed, x.moved, x.mask)
