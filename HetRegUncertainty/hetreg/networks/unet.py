"""The VoxelMorph U-Net (Balakrishnan 2019), 2D and 3D in one class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import CONV, POOL, PairNetwork, fill_bias
from .convolution import conv3d

_CONV: dict[int, Callable[[Tensor, Tensor], Tensor]] = {2: partial(F.conv2d, padding=1), 3: conv3d}
_TRANSPOSED = {2: F.conv_transpose2d, 3: F.conv_transpose3d}
_SUM = {2: F.avg_pool2d, 3: F.avg_pool3d}  # with a divisor of 1


def joined_conv(conv: nn.Conv2d | nn.Conv3d, x: Tensor, skip: Tensor) -> Tensor:
    """conv(cat(x upsampled by 2, skip)) of a 3-wide convolution, with neither the upsampled x nor the join.

    Upsampling (nearest) and convolving is one transposed convolution by a 4-wide kernel, whose weights are
    sums of neighbouring weights: 4 products instead of 9 for a pixel in 2D, 8 instead of 27 in 3D.
    x: (B, C, *spatial / 2). skip: (B, C', *spatial). Returns (B, out, *spatial).
    """
    ndim, (first, second) = x.dim() - 2, conv.weight.split([x.shape[1], skip.shape[1]], dim=1)
    kernel = _SUM[ndim](first, 2, stride=1, padding=1, divisor_override=1)
    kernel = kernel.flip(tuple(range(2, ndim + 2))).transpose(0, 1)
    out = _TRANSPOSED[ndim](x, kernel, conv.bias, stride=2, padding=1)
    return out.add_(_CONV[ndim](skip, second))


class _ConvBlock(nn.Sequential):
    """3-wide convolution and LeakyReLU(0.2), without normalisation."""

    def __init__(self, ndim: int, channels_in: int, channels_out: int) -> None:
        super().__init__(CONV[ndim](channels_in, channels_out, 3, padding=1), nn.LeakyReLU(0.2, inplace=True))

    def join(self, x: Tensor, skip: Tensor) -> Tensor:
        """The block of x, upsampled by 2 (nearest), and the skip; `joined_conv` was measured on the CPU."""
        if x.device.type == "cpu":
            convolution, activation = cast("tuple[nn.Conv2d | nn.Conv3d, nn.Module]", tuple(self))
            return activation(joined_conv(convolution, x, skip))
        return self(torch.cat((F.interpolate(x, scale_factor=2.0, mode="nearest"), skip), dim=1))


class UNet(PairNetwork):
    """U-Net of two images.

    encoder: channels per level, each followed by max-pooling by 2. decoder: channels per level, each
    followed by nearest upsampling by 2 and the skip. tail: convolutions at the output's resolution.
    output_stride: 1, or 2 to leave out the last upsampling; the output then has half the size. more_channels:
    of further images. forward: two (B, 1, *spatial) -> (B, out_channels, *spatial / output_stride). The head
    starts at N(0, 1e-5) weights and zero bias, so that the first displacement is nearly the identity.
    """

    def __init__(
        self,
        *,
        ndim: int,
        out_channels: int,
        encoder: Sequence[int],
        decoder: Sequence[int],
        tail: Sequence[int],
        output_stride: int = 1,
        more_channels: int = 0,
    ) -> None:
        super().__init__()
        self.ndim, self.output_stride = ndim, output_stride
        self.multiple = 2 ** len(encoder)
        self.pool = POOL[ndim](2)
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        channels = 2 + more_channels
        for width in encoder:
            self.encoder.append(_ConvBlock(ndim, channels, width))
            channels = width
        skips = list(encoder)[::-1]
        for width, skip in zip(decoder, skips, strict=True):
            self.decoder.append(_ConvBlock(ndim, channels, width))
            channels = width + skip
        if output_stride == 2:
            channels = decoder[-1]
        layers = []
        for width in tail:
            layers.append(_ConvBlock(ndim, channels, width))
            channels = width
        self.tail = nn.Sequential(*layers)
        self.head = CONV[ndim](channels, out_channels, 3, padding=1)
        nn.init.normal_(self.head.weight, 0.0, 1e-5)
        fill_bias(self.head, 0.0)

    def forward(self, moving: Tensor, fixed: Tensor, *more: Tensor) -> Tensor:
        """Two (B, 1, *spatial) images and those of `more_channels` -> (B, out_channels, *spatial /
        output_stride)."""
        x = torch.cat((self._join(moving, fixed), *more), dim=1) if more else self._join(moving, fixed)
        skips = []
        for block in self.encoder:
            skips.append(block(x))
            x = self.pool(skips[-1])
        for level, block in enumerate(cast("Sequence[_ConvBlock]", self.decoder)):
            x = block.join(x, skips.pop()) if level else block(x)
        first, *rest = cast("Sequence[_ConvBlock]", self.tail)
        x = first.join(x, skips.pop()) if self.output_stride == 1 else first(x)
        for block in rest:
            x = block(x)
        return self.head(x)
