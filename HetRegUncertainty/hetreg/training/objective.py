"""What a step is given: a batch, and the objective that a method makes of the losses."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from ..config import TrainConfig
from ..losses.base import Loss
from ..losses.displacement_prior import KL_WEIGHT
from ..losses.supervised import has_labels, has_truth
from ..registry import LOSSES, METHODS, resolve

SEEDS = 2**63  # a seed is taken modulo this, the most that a generator takes
_FIXED_COEFFICIENTS = {"voxelmorph_kl": KL_WEIGHT}


@dataclass(frozen=True, eq=False)
class Batch:
    """fixed, moving: (B, 1, *spatial) in [0, 1]. mask: (B, 1, *spatial), 0 in the padding, or None without
    any. Labels: (B, 1, *spatial), 0 where there are none, or None. true_variance (B, 1, *spatial), true_disp
    (B, ndim, *spatial), voxels: NaN where not known, or None. seeds: one number per pair, for everything
    random that belongs to it. sample, spots, near: what a step else draws from the seeds (`steps.sample_of`,
    `blind.draw_spots`). pairs: (2,) of a part of a batch, how many pairs of the whole have a known
    displacement, and how many have labels, by the number of parts."""

    fixed: Tensor
    moving: Tensor
    mask: Tensor | None = None
    fixed_label: Tensor | None = None
    moving_label: Tensor | None = None
    true_variance: Tensor | None = None
    true_disp: Tensor | None = None
    seeds: tuple[int, ...] = ()
    sample: Tensor | None = None
    spots: Tensor | None = None
    near: Tensor | None = None
    pairs: Tensor | None = None

    def _map(self, change: Any) -> Batch:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Batch(**{n: change(v) if isinstance(v, Tensor | tuple) else v for n, v in values.items()})

    def part(self, n: int, of: int) -> Batch:
        """Every `of`-th pair from the n-th on."""
        if of == 1:
            return self
        pairs = self._counted() if self.pairs is None else self.pairs
        return replace(self._map(lambda v: v[n::of]), pairs=pairs / of)

    def _counted(self) -> Tensor:
        """How many pairs have a known displacement, and labels; at least 1: (2,)."""
        known = labelled = torch.zeros(1, dtype=torch.bool, device=self.fixed.device)
        if self.true_disp is not None:
            known = has_truth(self.true_disp, self.mask)
        if self.fixed_label is not None and self.moving_label is not None:
            labelled = has_labels(self.fixed_label, self.moving_label)
        return torch.stack([known.sum(), labelled.sum()]).clamp(min=1)

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return self._map(lambda v: v.to(device, non_blocking=True) if isinstance(v, Tensor) else v)

    def copied(self) -> Batch:
        """The same batch in memory of its own."""
        return self._map(lambda v: v.clone() if isinstance(v, Tensor) else v)


@dataclass(frozen=True)
class Objective:
    """The displacement network's loss: {loss name: coefficient}, the data term first, and how the weight map
    is made. weight: a name in WEIGHTS, or "" for none. joint: the loss steps the variance network too.
    spare: no image term for pairs whose displacement is known."""

    terms: dict[str, float]
    _: KW_ONLY
    weight_mode: str = "robust"
    gamma: float = 0.5
    weight: str = "snr"
    beta: float = 0.5
    joint: bool = False
    bidirectional: bool = False
    spare: bool = False

    @classmethod
    def from_config(cls, config: TrainConfig) -> Objective:
        """The objective of a run."""
        method = METHODS[config.method]
        regulariser = method.regulariser
        if regulariser == "smoothness" and config.smoothness_on == "velocity":
            regulariser = "velocity_smoothness"
        terms = {
            method.data_loss: 1.0,
            regulariser: _FIXED_COEFFICIENTS.get(regulariser, config.smoothness),
        }
        if method.prior:
            terms[method.prior] = config.alpha
        given = {name: getattr(config, name) for name in method.extra}
        terms |= {name: value for name, value in given.items() if value}  # 0: not computed at all
        return cls(
            terms,
            weight_mode=config.weight_mode,
            gamma=config.gamma,
            weight=method.weight,
            beta=config.beta if "beta" in method.options else 0.0,
            joint=method.joint,
            bidirectional=config.bidirectional,
            spare=bool(method.extra),
        )

    def losses(self) -> dict[str, Loss]:
        """The loss modules by name."""
        arguments: dict[str, dict[str, float]] = {"beta_nll": {"beta": self.beta}}
        return {name: resolve(LOSSES, name)(**arguments.get(name, {})) for name in self.terms}
