"""Fit how a model's displacement SD differs from place to place, so that its 95 % interval holds 95 %."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from scipy.stats import chi2
from torch import Tensor

from hetreg.datasets.phantom import make_pair
from hetreg.datasets.simulated import to_sample
from hetreg.model import LOG_VARIANCE_Z_RANGE, RegistrationModel
from hetreg.networks.variance import soft_clamp
from hetreg.symmetry import View, mean_motion, views
from hetreg.training.data import single

LEVEL, MYOCARDIUM, RIDGE, BATCH = 0.95, 2, 1e-3, 16
PULL, MOST = 0.15, 0.995  # how fast a kind's quantile follows what its intervals lack, and how far


@dataclass(frozen=True, eq=False)
class Case:
    """features: (1, C, *grid), of one view of a pair, before the last convolution. error: (N,), lengths of
    the displacement error in the myocardium, voxels; places: (N, ndim) there, for `grid_sample`. kind: of
    phantom."""

    features: Tensor
    error: Tensor
    places: Tensor
    kind: str = ""


def cases(model: RegistrationModel, kinds: list[str], first: int, count: int, crop: int) -> Iterator[Case]:
    """`count` phantoms of each kind, each in one of the views, in turns. The error is that of the answer that
    Register gives without iterations: the mean over the model's views."""
    shown = views(model.ndim)[: int(model.card.get("views", 1))]
    for n in range(count):
        for kind in kinds:
            sample = to_sample(make_pair(kind, first + n, with_truth=False), model.grid)
            case = _case(model, sample, crop, shown[n % len(shown)], len(shown))
            if len(case.error):  # a heart that the sector cuts off may have no myocardium
                yield replace(case, kind=kind)


@torch.no_grad()
def _case(model: RegistrationModel, sample, crop: int, view: View, count: int) -> Case:
    batch, labels, _ = single(sample, crop)
    disp = mean_motion(model, batch.moving, batch.fixed, count=count).disp
    off = (disp - batch.true_disp).square().sum(1, keepdim=True).sqrt()
    kept: list[Tensor] = []
    hook = model.displacement_net.head.register_forward_pre_hook(lambda _, given: kept.append(given[0]))
    model.velocity(view.apply(batch.moving), view.apply(batch.fixed))
    hook.remove()
    wall = view.apply(torch.as_tensor(labels) == MYOCARDIUM) & view.apply(off.isfinite())
    where = wall[0, 0].nonzero()
    sizes = torch.tensor(wall.shape[2:])
    places = ((2 * where + 1) / sizes - 1).flip(1)  # of the last axis first, as `grid_sample` wants them
    return Case(kept[0], view.apply(off)[wall], places)


def log_variance(model: RegistrationModel, case: Case, change: Tensor) -> Tensor:
    """Of a component of the displacement, mean over the components, at the case's places: (N,). change:
    (1, C, 3, ...) weights and a bias, flat, that are added to those of each component's log-variance."""
    head, ndim = model.displacement_net.head, model.ndim
    more, bias = change[:-1].view(1, *head.weight.shape[1:]), change[-1:]
    weight, start = head.weight[ndim:] + more, head.bias[ndim:] + bias
    convolution = F.conv2d if ndim == 2 else F.conv3d
    out = soft_clamp(convolution(case.features, weight, start, padding=1), *LOG_VARIANCE_Z_RANGE)
    spread = (0.5 * out).exp() * model.network.velocity_stride
    grid = case.places.view(1, *[1] * (ndim - 1), -1, ndim)
    at = F.grid_sample(spread, grid, align_corners=False, padding_mode="border")
    return at.square().mean(1).flatten().clamp(min=1e-8).log()


def beyond(error: Tensor, log_var: Tensor, ndim: int) -> Tensor:
    """How far the errors lie outside their 95 % region, as logarithms of squares: below 0 inside."""
    return 2 * error.clamp(min=1e-3).log() - log_var - math.log(chi2.ppf(LEVEL, ndim))


def pinball(outside: Tensor, share: float = LEVEL) -> Tensor:
    """Least where that share of the errors lies inside (Koenker and Bassett, 1978)."""
    return torch.maximum(share * outside, (share - 1) * outside).mean()


def fit(model: RegistrationModel, found: list[Case], rounds: int = 30, rate: float = 0.01) -> list[float]:
    """Change the last convolution's weights of the log-variance, alike for all components. Each case counts
    the same; a kind of phantom whose intervals hold too little is asked for more, and the other way round.
    Returns the mean loss of each round."""
    head, ndim = model.displacement_net.head, model.ndim
    change = torch.zeros(head.weight[0].numel() + 1, requires_grad=True)
    adam = torch.optim.Adam([change], rate)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, rounds)
    generator, losses = torch.Generator().manual_seed(0), []
    shares = dict.fromkeys((case.kind for case in found), LEVEL)
    for _ in range(rounds):
        order, total = torch.randperm(len(found), generator=generator).tolist(), 0.0
        held: dict[str, list[float]] = {kind: [] for kind in shares}
        for first in range(0, len(order), BATCH):
            part = [found[n] for n in order[first : first + BATCH]]
            outside = [beyond(c.error, log_variance(model, c, change), ndim) for c in part]
            for case, values in zip(part, outside, strict=True):
                held[case.kind].append(float((values < 0).float().mean()))
            each = [pinball(v, shares[c.kind]) for v, c in zip(outside, part, strict=True)]
            loss = torch.stack(each).mean()
            adam.zero_grad()
            (loss + RIDGE * change.square().sum()).backward()
            adam.step()
            total += loss.item() * len(part)
        decay.step()
        losses.append(total / len(found))
        for kind, some in held.items():
            lacking = LEVEL - sum(some) / len(some)
            shares[kind] = min(MOST, max(1 - MOST, shares[kind] + PULL * lacking))
    with torch.no_grad():
        head.weight[ndim:] += change[:-1].view(1, *head.weight.shape[1:])
        head.bias[ndim:] += change[-1]
    return losses
