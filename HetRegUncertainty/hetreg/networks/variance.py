"""The variance estimator: log-variance of fixed - moved at every voxel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..spatial import resize
from .base import fill_bias
from .unet import UNet

LOG_VARIANCE_RANGE = (-12.0, 4.0)
SURROUNDINGS = {2: (5, 13), 3: (3, 7)}  # voxels a side, of the local mean squared residual
_MEAN = {2: F.avg_pool2d, 3: F.avg_pool3d}
_LEAST, _MIDDLE, _SPREAD = 1e-6, -7.0, 3.0  # of its logarithm, images in [0, 1]


def soft_clamp(x: Tensor, low: float, high: float) -> Tensor:
    """Smooth limit of x to (low, high); nearly the identity around the middle."""
    middle, half = (low + high) / 2, (high - low) / 2
    return middle + half * torch.tanh((x - middle) / half)


def before_clamp(y: float, low: float, high: float) -> float:
    """The x with soft_clamp(x, low, high) = y; y is kept 0.1 away from the limits."""
    middle, half = (low + high) / 2, (high - low) / 2
    return middle + half * math.atanh((min(max(y, low + 0.1), high - 0.1) - middle) / half)


def local_residual(moved: Tensor, fixed: Tensor) -> Tensor:
    """log of the mean of (fixed - moved)^2 in each of SURROUNDINGS around a voxel, about in (-2, 2): (B, 2,
    *spatial). A few convolutions hardly find a mean of squares over so many voxels."""
    ndim, squared = moved.dim() - 2, (fixed - moved).square()
    means = [_mean_around(squared, size) for size in SURROUNDINGS[ndim]]
    return (torch.cat(means, dim=1).add(_LEAST).log() - _MIDDLE) / _SPREAD


def _mean_around(image: Tensor, size: int) -> Tensor:
    """Mean over so many voxels a side around each, those outside the image left out: axis after axis, which
    is the same and faster."""
    ndim = image.dim() - 2
    for d in range(ndim):
        window, padding = [1] * ndim, [0] * ndim
        window[d], padding[d] = size, size // 2
        image = _MEAN[ndim](image, window, stride=1, padding=padding, count_include_pad=False)
    return image


class VarianceNet(nn.Module):
    """forward(moved, fixed): two (B, 1, *spatial) -> log_variance (B, 1, *spatial), soft-clamped to (-12, 4).

    A U-Net like the displacement network's with one output channel and no activation (paper, section 2.2).
    residual: it is also given `local_residual`.
    """

    def __init__(
        self,
        *,
        ndim: int,
        encoder: Sequence[int],
        decoder: Sequence[int],
        tail: Sequence[int],
        output_stride: int = 1,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.residual = residual
        self.unet = UNet(
            ndim=ndim,
            out_channels=1,
            encoder=encoder,
            decoder=decoder,
            tail=tail,
            output_stride=output_stride,
            more_channels=len(SURROUNDINGS[ndim]) if residual else 0,
        )
        nn.init.normal_(self.unet.head.weight, 0.0, 1e-3)
        self.start_at(1e-2)

    def start_at(self, variance: float) -> None:
        """Set the head's bias so that the first output is near this variance (the mean squared residual)."""
        bias = before_clamp(math.log(max(variance, 1e-12)), *LOG_VARIANCE_RANGE)
        fill_bias(self.unet.head, bias)

    def forward(self, moved: Tensor, fixed: Tensor) -> Tensor:
        """Two (B, 1, *spatial) images -> log_variance (B, 1, *spatial)."""
        same = moved.shape == fixed.shape  # otherwise the U-Net says that they are not
        more = (local_residual(moved, fixed),) if self.residual and same else ()
        return soft_clamp(resize(self.unet(moved, fixed, *more), moved.shape[2:]), *LOG_VARIANCE_RANGE)
