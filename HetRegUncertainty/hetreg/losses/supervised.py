"""Losses from what is known at training time: a phantom's displacement, and labels of both images.

Each is 0 for a batch that has none of it, else the mean over the pairs that have: these count alike, whatever
they have of it. A part of a batch is told how many the whole has (`LossInputs.pairs`), so that the mean over
the parts is that of the whole."""

from __future__ import annotations

import torch
from torch import Tensor

from ..spatial import warp
from .base import Loss, LossInputs

HEART = 3.0  # how much more a voxel of the heart counts than one beside it
LABELS = 4  # that are compared in one step


def known(truth: Tensor) -> Tensor:
    """Where every component is known, that is, no NaN: (B, C, *spatial) -> (B, 1, *spatial)."""
    return truth.isfinite().all(dim=1, keepdim=True)


def image_term_needed(true_disp: Tensor) -> Tensor:
    """1 for each pair whose displacement is not known, 0 for the others: (B, 1, 1, ...)."""
    given = true_disp.flatten(1).isfinite().any(dim=1)
    return (~given).to(true_disp.dtype).view(-1, *[1] * (true_disp.dim() - 1))


def spared(true_disp: Tensor, weight: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:
    """The weight and the moved images of a batch whose pairs of known displacement need no image term: weight
    0 for these. Where that is all, no gradient goes through the warp: it is 0, but takes its time (CPU; on
    others the question would be waited for)."""
    needed = image_term_needed(true_disp)
    idle = moved.device.type == "cpu" and not bool(needed.any())
    return weight * needed, moved.detach() if idle else moved


def has_truth(true_disp: Tensor, mask: Tensor | None = None) -> Tensor:
    """Which pairs have a known displacement, inside the mask: (B,), bool."""
    return _known_inside(true_disp, mask).flatten(1).any(1)


def has_labels(fixed_label: Tensor, moving_label: Tensor) -> Tensor:
    """Which pairs have a label from 1 to 4 in both images: (B,), bool."""
    return _in_both(_each(fixed_label), _each(moving_label)).any(1)


def _known_inside(true_disp: Tensor, mask: Tensor | None) -> Tensor:
    return known(true_disp) if mask is None else known(true_disp) & (mask > 0)


def _each(label: Tensor) -> Tensor:
    """Where each of the labels 1 to 4 is: (B, 1, *spatial) -> (B, 4, *spatial), bool."""
    values = torch.arange(1, LABELS + 1, device=label.device)
    return label == values.view(1, -1, *[1] * (label.dim() - 2))


def _in_both(fixed: Tensor, moving: Tensor) -> Tensor:
    """Which of the labels both images have: (B, 4, *spatial) twice -> (B, 4)."""
    return fixed.flatten(2).any(2) & moving.flatten(2).any(2)


def _mean_of_pairs(values: Tensor, share: Tensor, pairs: Tensor | None) -> Tensor:
    """Mean of (B, ...) over each pair by its share (B, ...), then over the pairs that have one; 0 if none.
    pairs: how many to take them for."""
    total = share.flatten(1).sum(1)
    mean = (values * share).flatten(1).sum(1) / total.clamp(min=1.0)
    return mean.sum() / ((total > 0).sum().clamp(min=1) if pairs is None else pairs)


def displacement_error(
    disp: Tensor, true_disp: Tensor, weight: Tensor | None = None, *, pairs: Tensor | None = None
) -> Tensor:
    """Mean length of disp - true_disp in voxels, where it is known.

    disp, true_disp: (B, ndim, *spatial), NaN where not known. weight: (B, 1, *spatial).
    """
    inside = known(true_disp)
    off = torch.where(inside, disp - true_disp.nan_to_num(0.0), 0.0)
    length = (off.square().sum(1, keepdim=True) + 1e-4).sqrt()
    return _mean_of_pairs(length, inside.to(disp.dtype) if weight is None else inside * weight, pairs)


def label_overlap(
    fixed_label: Tensor, moving_label: Tensor, disp: Tensor, *, pairs: Tensor | None = None
) -> Tensor:
    """1 - Dice of the fixed labels and the linearly warped moving ones; mean over the labels 1 to 4 that both
    images of a pair have (`compared` brings others there). Labels (B, 1, *spatial), disp (B, ndim,
    *spatial)."""
    fixed, moving = (_each(label).to(disp.dtype) for label in (fixed_label, moving_label))
    dims, both = tuple(range(2, disp.dim())), _in_both(fixed, moving)
    moved = warp(moving, disp)
    dice = 2 * (fixed * moved).sum(dims) / (fixed.sum(dims) + moved.sum(dims)).clamp(min=1e-3)
    return _mean_of_pairs(1 - dice, both.to(dice.dtype), pairs)


def compared(
    fixed_label: Tensor | None, moving_label: Tensor | None, generator: torch.Generator
) -> dict[str, Tensor]:
    """{"fixed_label", "moving_label"}, (B, 1, *spatial), as `label_overlap` compares them; {} without both.

    A pair with labels of 1 to 4 alone stays as it is. Of another pair at most four of the labels that both
    images have, drawn at random, become 1 to 4, and the rest 5.
    """
    if fixed_label is None or moving_label is None:
        return {}
    pairs = torch.stack((fixed_label, moving_label), 1)
    fixed, moving = torch.stack([_compared(pair, generator) for pair in pairs]).unbind(1)
    return {"fixed_label": fixed, "moving_label": moving}


def _compared(pair: Tensor, generator: torch.Generator) -> Tensor:
    if pair.max() <= LABELS:
        return pair
    fixed, moving = (label.unique() for label in pair)
    common = fixed[torch.isin(fixed, moving) & (fixed > 0)]
    found = torch.where(pair > 0, LABELS + 1, 0).to(pair.dtype)
    for n, place in enumerate(torch.randperm(len(common), generator=generator)[:LABELS]):
        found[pair == common[place]] = n + 1
    return found


def displacement_nll(
    disp: Tensor,
    true_disp: Tensor,
    log_variance: Tensor,
    mask: Tensor | None = None,
    *,
    pairs: Tensor | None = None,
) -> Tensor:
    """Gaussian negative log-likelihood of each component's error where it is known, without gradient to disp.
    All (B, ndim, *spatial); log_variance: of the displacement, voxels squared. mask: (B, 1, *spatial).
    """
    inside = _known_inside(true_disp, mask)
    squared = (disp.detach() - true_disp.nan_to_num(0.0)).square()
    nll = torch.where(inside, squared * (-log_variance).exp() + log_variance, 0.0)
    return _mean_of_pairs(nll, inside.expand_as(nll).to(nll.dtype), pairs)


def _count(x: LossInputs, of: int) -> Tensor | None:
    return None if x.pairs is None else x.pairs[of]


class DisplacementError(Loss):
    """Mean end-point error where the true displacement is known; the heart counts more."""

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        if x.true_disp is None:
            return x.disp.sum() * 0.0
        weight = None if x.fixed_label is None else 1.0 + HEART * (x.fixed_label > 0)
        if x.mask is not None:
            weight = x.mask if weight is None else weight * x.mask
        return displacement_error(x.disp, x.true_disp, weight, pairs=_count(x, 0))


class LabelOverlap(Loss):
    """1 - Dice of the labels that both images have."""

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        if x.fixed_label is None or x.moving_label is None:
            return x.disp.sum() * 0.0
        return label_overlap(x.fixed_label, x.moving_label, x.disp, pairs=_count(x, 1))


class DisplacementNLL(Loss):
    """Likelihood of the displacement's error; trains only the network's variance of the displacement."""

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        log_variance = x.need("disp_log_variance")
        if x.true_disp is None:
            return log_variance.sum() * 0.0
        return displacement_nll(x.disp, x.true_disp, log_variance, x.mask, pairs=_count(x, 0))
