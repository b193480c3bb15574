"""Blind spots: a variance network that sees a residual learns to repeat it, unless that is hidden from it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

REACH_VOX = 2
_APART = 0x5BD1E995  # a pair's seed also draws other numbers; only its lower 32 bits count


def blind_spots(
    moved: Tensor, fixed: Tensor, share: float, seeds: Sequence[int] = ()
) -> tuple[Tensor, Tensor, Tensor]:
    """Both images with a share of their voxels replaced, and which: three (B, 1, *spatial), the last bool.

    A replaced voxel has the value of another one at most REACH_VOX away along each axis (beyond the border,
    of the other side), the same one in both images. What is drawn for a pair depends on its seed alone. The
    idea is that of Krull et al. 2019 (Noise2Void), here for the variance: the squared residual of a voxel is
    an estimate of its variance whose error the network must not see.
    """
    shape = fixed.shape[2:]
    drawn = [_draw(shape, share, int(seed)) for seed in seeds or range(len(fixed))]
    spots = torch.stack([spot for spot, _ in drawn]).to(fixed.device)
    index = torch.stack([near for _, near in drawn]).to(fixed.device)

    def replaced(image: Tensor) -> Tensor:
        return image.flatten(2).gather(2, index).view_as(image)

    return replaced(moved), replaced(fixed), spots


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
