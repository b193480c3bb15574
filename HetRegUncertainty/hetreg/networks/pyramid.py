"""A coarse-to-fine network: features of both images, warped and compared at each scale."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..spatial import integrate, resize_disp, warp
from .base import CONV, PairNetwork, fill_bias

SLOPE, WARP_STEPS = 0.1, 4
REACH = {2: 2, 3: 1}  # voxels of a level that are compared to each side: 25 and 27 places; 1 at the last


def local_correlation(first: Tensor, second: Tensor, reach: int) -> Tensor:
    """Cosine similarity of first(x) and second(x + o) for every offset o up to `reach` along each axis.

    (B, C, *spatial) twice -> (B, (2 reach + 1)^ndim, *spatial); 0 outside the image.
    """
    first, second = (f * (f.square().sum(1, keepdim=True) + 1e-6).rsqrt() for f in (first, second))
    size, ndim = first.shape[2:], first.dim() - 2
    padded = F.pad(second, (reach,) * (2 * ndim))
    found = []
    for offset in product(range(2 * reach + 1), repeat=ndim):
        at = tuple(slice(o, o + n) for o, n in zip(offset, size, strict=True))
        found.append((first * padded[(slice(None), slice(None), *at)]).sum(1))
    return torch.stack(found, dim=1)


class _Block(nn.Sequential):
    """3-wide convolutions, each with LeakyReLU."""

    def __init__(self, ndim: int, channels: int, widths: Sequence[int]) -> None:
        layers: list[nn.Module] = []
        for width in widths:
            layers += [CONV[ndim](channels, width, 3, padding=1), nn.LeakyReLU(SLOPE, inplace=True)]
            channels = width
        super().__init__(*layers)


class Pyramid(PairNetwork):
    """Coarse-to-fine registration in the manner of optical-flow pyramids (PWC-Net, Sun 2018).

    Both images go through one encoder, whose levels have strides 2, 4, 8, ... (`encoder`: channels). From the
    coarsest level to `output_stride` the velocity so far is doubled in size, the moving features are warped
    by it, compared with the fixed ones in a small neighbourhood, and convolutions (`decoder`: channels, from
    coarse to fine; `tail`: more of them at the last level) add to the velocity. At stride 1 the features are
    the image. forward: two (B, 1, *spatial) -> (B, out_channels, *spatial / output_stride); the first ndim
    are the velocity, in voxels of that grid; what comes after is the last head's alone.
    """

    def __init__(
        self,
        *,
        ndim: int,
        out_channels: int,
        encoder: Sequence[int],
        decoder: Sequence[int],
        tail: Sequence[int],
        output_stride: int = 2,
    ) -> None:
        super().__init__()
        self.ndim, self.multiple = ndim, 2 ** len(encoder)
        self.encoder, self.estimators, self.heads = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        channels = 2**ndim
        for level, width in enumerate(encoder):
            self.encoder.append(_Block(ndim, channels * (1 if level == 0 else 2**ndim), (width, width)))
            channels = width
        widths = [*encoder[::-1], 1][: len(encoder) + (output_stride == 1)]
        self.reach, state = [REACH[ndim]] * (len(widths) - 1) + [1], 0
        for level, features in enumerate(widths):
            last = level == len(widths) - 1
            places = (2 * self.reach[level] + 1) ** ndim
            layers = (decoder[min(level, len(decoder) - 1)],) * 2 + (tuple(tail) if last else ())
            self.estimators.append(_Block(ndim, 2 * features + places + ndim + state, layers))
            state = layers[-1]
            if not last:
                self.heads.append(_head(ndim, state, ndim))
        self.head = _head(ndim, state, out_channels)

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """Two (B, 1, *spatial) images -> (B, out_channels, *spatial / output_stride)."""
        self._check(moving, fixed)
        levels = self._features(torch.cat((moving, fixed)))
        coarsest = levels[0].chunk(2)[1]
        # summed up as exactly as the images are given, also where the convolutions are in 16 bits
        velocity = moving.new_zeros((len(coarsest), self.ndim, *coarsest.shape[2:]))
        given, state = [velocity], velocity
        for level, estimator in enumerate(self.estimators):
            moving_features, fixed_features = levels[level].chunk(2)
            if level:
                velocity = resize_disp(velocity, fixed_features.shape[2:])
                given = [velocity, F.interpolate(state, size=fixed_features.shape[2:], mode="nearest")]
            moved = warp(moving_features, integrate(velocity, WARP_STEPS), padding="border")
            compared = local_correlation(fixed_features, moved, self.reach[level])
            state = estimator(torch.cat((fixed_features, moved, compared, *given), dim=1))
            last = level == len(self.estimators) - 1
            out = (self.head if last else self.heads[level])(state)
            velocity = velocity + out[:, : self.ndim].to(velocity.dtype)
        return torch.cat((velocity, out[:, self.ndim :]), dim=1)

    def _features(self, images: Tensor) -> list[Tensor]:
        """Features from the coarsest level to the finest, then the images themselves."""
        found, x = [images], images
        for block in self.encoder:
            x = block(space_to_depth(x))
            found.append(x)
        return found[::-1]


def space_to_depth(x: Tensor) -> Tensor:
    """Half the size, each 2 x 2 (x 2) block of voxels as channels: (B, C, *n) -> (B, 2^ndim C, *n / 2)."""
    ndim, size = x.dim() - 2, x.shape
    split = [part for n in size[2:] for part in (n // 2, 2)]
    halves = [3 + 2 * d for d in range(ndim)]
    rest = [2 + 2 * d for d in range(ndim)]
    return (
        x.reshape(*size[:2], *split)
        .permute(0, 1, *halves, *rest)
        .reshape(size[0], size[1] * 2**ndim, *(n // 2 for n in size[2:]))
    )


def _head(ndim: int, channels: int, out_channels: int) -> nn.Conv2d | nn.Conv3d:
    head = CONV[ndim](channels, out_channels, 3, padding=1)
    nn.init.normal_(head.weight, 0.0, 1e-5)
    fill_bias(head, 0.0)
    return head
