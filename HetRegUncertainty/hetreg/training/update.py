"""How the losses of a batch become one step of an optimiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..losses.base import has_gradients
from .objective import Batch

Row = dict[str, Tensor]


def _keep(parameters: list[nn.Parameter]) -> None:
    """Leave the gradients as they are."""


@dataclass(frozen=True)
class Update:
    """How losses become a step. parts: the batch is computed in so many parts, to save memory. clip: largest
    norm of a network's gradient, 0 for none. reduce: makes the gradients the mean over all processes."""

    parts: int = 1
    clip: float = 0.0
    reduce: Callable[[list[nn.Parameter]], None] = _keep


def _parameters(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [p for group in optimiser.param_groups for p in group["params"]]


def apply(
    batch: Batch,
    optimisers: Sequence[torch.optim.Optimizer],
    loss_of: Callable[[Batch], tuple[Tensor, Row]],
    update: Update,
) -> Row:
    """Backward through the batch in parts, then one step of each optimiser. Returns the mean row."""
    rows: list[Row] = []
    for n in range(update.parts):
        loss, row = loss_of(batch.part(n, update.parts))
        _backward(loss / update.parts, optimisers)
        rows.append(row)
    for optimiser in optimisers:
        update.reduce(_parameters(optimiser))
        if update.clip:
            torch.nn.utils.clip_grad_norm_(_parameters(optimiser), update.clip)
        optimiser.step()
    values = torch.stack([torch.stack(list(row.values())) for row in rows]).mean(dim=0)
    return dict(zip(rows[0], values.unbind(), strict=True))


def _backward(loss: Tensor, optimisers: Sequence[torch.optim.Optimizer]) -> None:
    """Gradients of a loss; no numbers if it is none."""
    if has_gradients(loss):
        loss.backward()
        return
    for p in (p for optimiser in optimisers for p in _parameters(optimiser)):
        p.grad = torch.full_like(p, torch.nan)


def numbers(row: Row) -> dict[str, float]:
    """The values of a row, waited for once."""
    return dict(zip(row, torch.stack(list(row.values())).tolist(), strict=True)) if row else {}
