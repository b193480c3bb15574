"""The collaborative training step: displacement network, then variance network (METHOD.md, section 3; paper,
section 2.3).

Gradient stops: the weight map is detached; in the variance loss the residual and the network's input `moved`
are detached (the released code forgot the latter; `collaborative_grad` brings that back). Gradients are
zeroed at the start of each step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..config import TrainConfig
from ..losses.base import Loss, LossInputs
from ..losses.nll import BetaNLL
from ..losses.snr_weighted import data_weight
from ..model import RegistrationModel
from ..registry import LOSSES, METHODS, resolve


@dataclass(frozen=True, eq=False)
class Batch:
    """fixed, moving: (B, 1, *spatial) in [0, 1]. mask: (B, 1, *spatial) or None. Labels: integer, or None."""

    fixed: Tensor
    moving: Tensor
    mask: Tensor | None = None
    fixed_label: Tensor | None = None
    moving_label: Tensor | None = None


@dataclass(frozen=True)
class Objective:
    """The displacement network's loss: {loss name: coefficient}, and how the weight map is made."""

    terms: dict[str, float]
    weight_mode: str = "robust"
    gamma: float = 0.5

    @classmethod
    def from_config(cls, config: TrainConfig) -> Objective:
        """The objective of a run."""
        data_loss = METHODS[config.method].data_loss
        return cls({data_loss: 1.0, "smoothness": config.smoothness}, config.weight_mode, config.gamma)

    def losses(self) -> dict[str, Loss]:
        """The loss modules by name."""
        return {name: resolve(LOSSES, name)() for name in self.terms}


def weight_map(
    model: RegistrationModel, batch: Batch, moved: Tensor, objective: Objective
) -> tuple[Tensor, Tensor]:
    """(weight, log_variance) for the data term, without gradient: both (B, 1, *spatial)."""
    with torch.no_grad():
        log_variance = model.log_variance(moved.detach(), batch.fixed)
        weight = data_weight(
            batch.fixed, log_variance, mode=objective.weight_mode, gamma=objective.gamma, mask=batch.mask
        )
    return weight, log_variance


def displacement_step(
    model: RegistrationModel,
    batch: Batch,
    optimiser: torch.optim.Optimizer,
    objective: Objective,
    *,
    warmup: bool = False,
    keep_grad: bool = False,
) -> dict[str, float]:
    """One step of the displacement network; the variance network only gives the weight.

    warmup: weight 1 everywhere. keep_grad: do not zero first (only with `collaborative_grad`). Returns the
    value of each term and the total.
    """
    if not keep_grad:
        optimiser.zero_grad(set_to_none=True)
    motion = model.move(batch.moving, batch.fixed)
    if warmup:
        weight, log_variance = torch.ones_like(batch.fixed), None
    else:
        weight, log_variance = weight_map(model, batch, motion.moved, objective)
    inputs = LossInputs(batch.fixed, motion.moved, motion.disp, log_variance, weight, batch.mask)
    values = {name: loss(inputs) for name, loss in objective.losses().items()}
    total = torch.stack([objective.terms[name] * value for name, value in values.items()]).sum()
    total.backward()
    optimiser.step()
    if keep_grad:
        optimiser.zero_grad(set_to_none=True)
    return {"total": total.item(), **{name: value.item() for name, value in values.items()}}


def variance_step(
    model: RegistrationModel,
    batch: Batch,
    optimiser: torch.optim.Optimizer,
    *,
    beta: float = 0.5,
    collaborative_grad: bool = False,
) -> dict[str, float]:
    """One step of the variance network on the residual of the updated displacement network (paper, eq. 5)."""
    optimiser.zero_grad(set_to_none=True)
    with torch.set_grad_enabled(collaborative_grad):
        moved = model.move(batch.moving, batch.fixed).moved
    log_variance = model.log_variance(moved if collaborative_grad else moved.detach(), batch.fixed)
    inputs = LossInputs(batch.fixed, moved.detach(), moved.new_zeros(()), log_variance, mask=batch.mask)
    loss = BetaNLL(beta)(inputs)
    loss.backward()
    optimiser.step()
    return {"variance": loss.item(), "mean_variance": float(log_variance.detach().exp().mean())}
