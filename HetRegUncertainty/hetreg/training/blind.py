"""Blind spots: a variance network that sees a residual learns to repeat it, unless that is hidden from it.

A share of the voxels is replaced, in both images, by another one at most REACH_VOX away along each axis
(beyond the border, of the other side), the same one in both. The idea is that of Krull et al. 2019
(Noise2Void), here for the variance: the squared residual of a voxel is an estimate of its variance whose
error the network must not see.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .objective import Batch

REACH_VOX = 2
_APART = 0x5BD1E995  # a pair's seed also draws other numbers; only its lower 32 bits count


def draw_spots(batch: Batch, share: float) -> tuple[Tensor, Tensor]:
    """Which voxels are hidden, (B, 1, *spatial) bool, and the flat index of the voxel that each one takes its
    value from, (B, 1, voxels). What is drawn for a pair depends on its seed alone."""
    fixed = batch.fixed
    drawn = [_draw(fixed.shape[2:], share, int(seed)) for seed in batch.seeds or range(len(fixed))]
    spots, near = (torch.stack(part).to(fixed.device) for part in zip(*drawn, strict=True))
    return spots, near


def spare(spots: Tensor, near: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """(counted, near) where the true variance is `known`, bool as the spots: there nothing has to be hidden,
    since it has no error that the network could repeat, and every voxel counts."""
    own = torch.arange(near.shape[-1], device=near.device).expand_as(near)
    return spots | known, torch.where(known.flatten(2), own, near)


def replaced(image: Tensor, near: Tensor) -> Tensor:
    """The image with each voxel taken from where `draw_spots` says: (B, 1, *spatial)."""
    return image.flatten(2).gather(2, near).view_as(image)


def _draw(shape: torch.Size, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """(1, *shape) bool and the flat index (1, voxels) from which each voxel is taken."""
    generator = torch.Generator().manual_seed(seed ^ _APART)
    spots = torch.rand(shape, generator=generator) < share
    steps = torch.randint(-REACH_VOX, REACH_VOX + 1, (len(shape), *shape), generator=generator)
    steps[-1][(steps == 0).all(0)] = 1  # never the voxel itself
    index = torch.zeros(shape, dtype=torch.long)
    for axis, size in enumerate(shape):
        place = torch.arange(size).view([-1 if d == axis else 1 for d in range(len(shape))])
        index = index * size + (place + steps[axis] * spots) % size
    return spots[None], index.view(1, -1)
