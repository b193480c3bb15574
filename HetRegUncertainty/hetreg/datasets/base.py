"""What a dataset gives, and how pairs become batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..spatial import ALIGN_CORNERS
from .listing import Listing as Listing
from .listing import PairFiles as PairFiles
from .listing import Rejected as Rejected
from .split import split as split


@dataclass(frozen=True, eq=False)
class PairSample:
    """One pair on one grid: fixed, moving float32 in [0, 1], labels uint8 or None, all (*spatial).

    patient: pairs of one patient stay in one split. true_variance: known residual variance in the same
    units, or None. spacing_mm: pixel size along the array's axes. case: the pair it comes from; split: its
    part, if the data set says so. simulated: a phantom.
    """

    fixed: np.ndarray
    moving: np.ndarray
    fixed_label: np.ndarray | None = None
    moving_label: np.ndarray | None = None
    patient: str = ""
    true_variance: np.ndarray | None = None
    spacing_mm: tuple[float, ...] = ()
    case: str = ""
    split: str = ""
    simulated: bool = False


def crop_or_pad(array: np.ndarray, size: int, offset: Sequence[int] = ()) -> np.ndarray:
    """Cut or zero-pad (*spatial) to `size` along each axis around its centre plus `offset` voxels."""
    out = np.zeros((size,) * array.ndim, dtype=array.dtype)
    source, target = [], []
    for d, n in enumerate(array.shape):
        start = (n - size) // 2 + (int(offset[d]) if len(offset) else 0)
        start = min(max(start, min(0, n - size)), max(0, n - size))
        low, high = max(start, 0), min(start + size, n)
        source.append(slice(low, high))
        target.append(slice(low - start, high - start))
    out[tuple(target)] = array[tuple(source)]
    return out


def stack(
    samples: Sequence[PairSample], name: str, size: int, offsets: Sequence[Sequence[int]]
) -> Tensor | None:
    """(B, 1, *spatial) of one array of each sample, or None if any sample lacks it."""
    arrays: list[np.ndarray | None] = [getattr(s, name) for s in samples]
    there = [a for a in arrays if a is not None]
    return stack_arrays(there, size, offsets) if len(there) == len(arrays) else None


def stack_arrays(arrays: Sequence[np.ndarray], size: int, offsets: Sequence[Sequence[int]]) -> Tensor:
    """(*spatial) arrays, each cut around its centre plus its offset -> (B, 1, *spatial)."""
    cut = [crop_or_pad(a, size, o) for a, o in zip(arrays, offsets, strict=True)]
    return torch.from_numpy(np.stack(cut))[:, None]


def augment_pair(
    fixed: Tensor, moving: Tensor, generator: torch.Generator, *, swap: float = 0.3
) -> tuple[Tensor, Tensor]:
    """The same random flip, rotation, scaling, shift and gamma on both images; sometimes they change places.

    fixed, moving: (B, 1, *spatial) in [0, 1]. Returns the same shapes.
    """
    batch, ndim = fixed.shape[0], fixed.dim() - 2
    theta = torch.stack([_random_affine(ndim, generator) for _ in range(batch)]).to(fixed.device)
    grid = F.affine_grid(theta, [batch, 1, *fixed.shape[2:]], align_corners=ALIGN_CORNERS)
    both = F.grid_sample(torch.cat((fixed, moving), 1), grid, align_corners=ALIGN_CORNERS)
    exponent = (
        torch.empty(batch, 1, *[1] * ndim).uniform_(-0.4, 0.4, generator=generator).exp().to(fixed.device)
    )
    both = both.clamp(0.0, 1.0) ** exponent
    exchange = torch.rand(batch, 1, *[1] * ndim, generator=generator).to(fixed.device) < swap
    fixed, moving = both[:, :1], both[:, 1:]
    return torch.where(exchange, moving, fixed), torch.where(exchange, fixed, moving)


def _random_affine(ndim: int, generator: torch.Generator) -> Tensor:
    """(ndim, ndim + 1) matrix for `affine_grid`: rotation in the last two axes, flips, scaling, shift."""
    draw = torch.rand(8, generator=generator)
    angle = (draw[0] * 2 - 1) * torch.pi
    rotation = torch.eye(ndim)
    rotation[0, 0] = rotation[1, 1] = torch.cos(angle)
    rotation[0, 1], rotation[1, 0] = -torch.sin(angle), torch.sin(angle)
    flips = torch.where(draw[1 : 1 + ndim] < 0.5, -1.0, 1.0)
    scale = torch.exp((draw[4] * 2 - 1) * 0.25)
    shift = (draw[5 : 5 + ndim] * 2 - 1) * 0.1
    return torch.cat((rotation * flips * scale, shift[:, None]), dim=1)
