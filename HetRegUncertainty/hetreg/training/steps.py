"""The training steps: displacement network, then variance network; or both by one loss (Zhang et al.,
MICCAI 2024, section 2.3).

Gradient stops: the weight map is detached; in the variance loss the residual and the network's input `moved`
are detached (the released code forgot the latter; `collaborative_grad` brings that back). Gradients are
zeroed at the start of each step. The joint step of the NLL baselines stops nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..losses.base import LossInputs, image_mean, masked_mean
from ..losses.nll import beta_nll
from ..losses.supervised import known, spared
from ..losses.weights import WeightInputs
from ..model import Motion, RegistrationModel
from ..registry import WEIGHTS, resolve
from ..spatial import warp
from .blind import draw_spots, replaced, spare
from .objective import Batch, Objective
from .update import Row, Update, apply


def sample_of(model: RegistrationModel, batch: Batch) -> Tensor | None:
    """Standard normal numbers for z, drawn per pair from its seed: (B, ndim, *spatial / stride); None without
    a variance of z, and outside training."""
    drawn = model.network.sigma_z and model.network.spread == "velocity"
    if not (drawn and model.training):
        return None
    if batch.sample is not None:
        return batch.sample
    size = model.velocity_size(batch.fixed.shape[2:])
    seeds = batch.seeds or range(len(batch.fixed))
    noise = [
        torch.randn((model.ndim, *size), generator=torch.Generator().manual_seed(int(seed))) for seed in seeds
    ]
    return torch.stack(noise).to(batch.fixed.device)


def draw(model: RegistrationModel, batch: Batch) -> None:
    """What the displacement network leaves to chance, from the seed of each pair."""
    if batch.seeds and model.training:
        model.displacement_net.draw(batch.seeds)


def weight_map(
    model: RegistrationModel, batch: Batch, moved: Tensor, objective: Objective
) -> tuple[Tensor, Tensor]:
    """(weight, log_variance) for the data term, without gradient: both (B, 1, *spatial)."""
    with torch.no_grad():
        moved = moved.detach()
        log_variance = model.log_variance(moved, batch.fixed)
        inputs = WeightInputs(
            batch.fixed,
            moved,
            log_variance,
            mode=objective.weight_mode,
            gamma=objective.gamma,
            mask=batch.mask,
            true_variance=batch.true_variance,
            seeds=batch.seeds,
        )
        return resolve(WEIGHTS, objective.weight)(inputs), log_variance


def loss_inputs(
    model: RegistrationModel, batch: Batch, motion: Motion, objective: Objective, *, warmup: bool = False
) -> LossInputs:
    """What the displacement loss is given. In the warm-up the weight is 1 and the variance 1."""
    weight = log_variance = None
    if warmup:
        weight, log_variance = torch.ones_like(batch.fixed), torch.zeros_like(batch.fixed)
    elif objective.joint:
        log_variance = model.log_variance(motion.moved, batch.fixed)
    elif objective.weight:
        weight, log_variance = weight_map(model, batch, motion.moved, objective)
    moved = motion.moved
    if objective.spare and weight is not None and batch.true_disp is not None:
        weight, moved = spared(batch.true_disp, weight, moved)
    return LossInputs(
        batch.fixed,
        moved,
        motion.disp,
        log_variance=log_variance,
        weight=weight,
        mask=batch.mask,
        velocity=motion.velocity,
        log_variance_z=motion.log_variance_z,
        true_disp=batch.true_disp,
        disp_log_variance=model.disp_log_variance(motion),
        fixed_label=batch.fixed_label,
        moving_label=batch.moving_label,
        pairs=batch.pairs,
    )


def displacement_loss(
    model: RegistrationModel,
    batch: Batch,
    objective: Objective,
    *,
    warmup: bool = False,
    motion: Motion | None = None,
) -> tuple[Tensor, Row]:
    """The loss of the displacement network (of both in a joint run) and its parts: scalars.

    motion: what the displacement network gives for the batch, where that is known already. With
    `bidirectional` each part is the mean over the pair and its inverse: fixed warped by exp(-velocity).
    """
    if motion is None:
        draw(model, batch)
        motion = model.move(batch.moving, batch.fixed, sample=sample_of(model, batch))
    ways = [loss_inputs(model, batch, motion, objective, warmup=warmup)]
    if objective.bidirectional:
        back = model.inverse(motion, batch.fixed)
        ways.append(loss_inputs(model, _turned(batch, back), back, objective, warmup=warmup))
        there = ways[0]  # z is one
        ways[1] = replace(ways[1], velocity=there.velocity, log_variance_z=there.log_variance_z)
    row = {name: torch.stack([loss(way) for way in ways]).mean() for name, loss in objective.losses().items()}
    total = torch.stack([objective.terms[name] * value for name, value in row.items()]).sum()
    detached = {name: value.detach() for name, value in row.items()}
    if objective.joint and not warmup:
        variance = masked_mean(ways[0].need("log_variance").detach().exp(), batch.mask)
        detached |= {"variance_loss": detached[next(iter(row))], "mean_variance": variance}
    return total, {"loss": total.detach(), **detached}


def _turned(batch: Batch, back: Motion) -> Batch:
    """The pair the other way round; what lies on the fixed image is carried along."""
    carried = {
        name: None if image is None else warp(image.float(), back.disp.detach())
        for name, image in (("mask", batch.mask), ("true_variance", batch.true_variance))
    }
    return Batch(batch.moving, batch.fixed, seeds=batch.seeds, **carried)


def variance_loss(
    model: RegistrationModel, batch: Batch, *, beta: float, collaborative_grad: bool, blind: float = 0.0
) -> tuple[Tensor, Row]:
    """The loss of the variance network (paper, eq. 5) and its mean variance: scalars.

    blind: share of voxels that are hidden from the network, and on which alone the loss is then taken, but
    for those whose true variance is known.
    """
    draw(model, batch)
    with torch.set_grad_enabled(collaborative_grad):
        moved = model.move(batch.moving, batch.fixed).moved
    seen, fixed, spots = moved if collaborative_grad else moved.detach(), batch.fixed, None
    if blind:
        if batch.spots is None or batch.near is None:
            spots, near = draw_spots(batch, blind)
        else:
            spots, near = batch.spots, batch.near
        spots, near = spare(spots, near, variance_known(batch))
        seen, fixed = replaced(seen, near), replaced(fixed, near)
    log_variance = model.log_variance(seen, fixed)
    values = beta_nll(noise_squared(batch, moved.detach()), log_variance, beta)
    if spots is None:
        loss = masked_mean(values, batch.mask)
    else:  # per image: their number differs, and the parts of a batch must give the mean of the whole
        loss = image_mean(values, spots if batch.mask is None else spots * batch.mask).mean()
    variance = masked_mean(log_variance.detach().exp(), batch.mask)
    return loss, {"variance_loss": loss.detach(), "mean_variance": variance}


def noise_squared(batch: Batch, moved: Tensor) -> Tensor:
    """The squared residual that the variance is to explain: (B, 1, *spatial).

    Where more is known it is free of misregistration: what the true displacement leaves, or the expectation
    of that, the true variance itself.
    """
    squared = (batch.fixed - moved).square()
    if batch.true_disp is not None:
        true_moved = warp(batch.moving, batch.true_disp.nan_to_num(0.0))
        squared = torch.where(known(batch.true_disp), (batch.fixed - true_moved).square(), squared)
    if batch.true_variance is not None:
        squared = batch.true_variance.where(variance_known(batch), squared)
    return squared


def variance_known(batch: Batch) -> Tensor:
    """Where the true variance is known, in a run that may use what is known: (B, 1, *spatial), bool."""
    if batch.true_variance is None or batch.true_disp is None:
        return torch.zeros_like(batch.fixed, dtype=torch.bool)
    return known(batch.true_variance)


def displacement_step(
    model: RegistrationModel,
    batch: Batch,
    optimiser: torch.optim.Optimizer,
    objective: Objective,
    *,
    warmup: bool = False,
    keep_grad: bool = False,
    update: Update | None = None,
) -> Row:
    """One step of the displacement network; the variance network only gives the weight.

    warmup: weight 1 everywhere. keep_grad: zero the gradients after the step, not before it, so that what the
    variance step leaks, and nothing else, counts in the next one (only with `collaborative_grad`). Returns
    the loss and the value of each term.
    """
    if not keep_grad:
        optimiser.zero_grad(set_to_none=True)
    row = apply(
        batch,
        [optimiser],
        lambda part: displacement_loss(model, part, objective, warmup=warmup),
        update or Update(),
    )
    if keep_grad:
        optimiser.zero_grad(set_to_none=True)
    return row


def joint_step(
    model: RegistrationModel,
    batch: Batch,
    optimisers: Sequence[torch.optim.Optimizer],
    objective: Objective,
    *,
    update: Update | None = None,
) -> Row:
    """One step of both networks by one loss (paper, eq. 3); nothing is detached but beta-NLL's factor."""
    for optimiser in optimisers:
        optimiser.zero_grad(set_to_none=True)
    return apply(
        batch, optimisers, lambda part: displacement_loss(model, part, objective), update or Update()
    )


def variance_step(
    model: RegistrationModel,
    batch: Batch,
    optimiser: torch.optim.Optimizer,
    *,
    beta: float = 0.5,
    collaborative_grad: bool = False,
    blind: float = 0.0,
    update: Update | None = None,
) -> Row:
    """One step of the variance network on the residual of the updated displacement network (paper, eq. 5)."""
    optimiser.zero_grad(set_to_none=True)
    update = update or Update()
    row = apply(
        batch,
        [optimiser],
        lambda part: variance_loss(
            model, part, beta=beta, collaborative_grad=collaborative_grad, blind=blind
        ),
        update,
    )
    if collaborative_grad:
        update.reduce([p for p in model.displacement_net.parameters() if p.grad is not None])
    return row
