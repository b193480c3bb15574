"""The VoxelMorph U-Net (Balakrishnan 2019), 2D and 3D in one class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import NetworkConfig
from .base import CONV, POOL, PairNetwork, fill_bias


class _ConvBlock(nn.Sequential):
    """3-wide convolution and LeakyReLU(0.2), without normalisation."""

    def __init__(self, ndim: int, channels_in: int, channels_out: int) -> None:
        super().__init__(CONV[ndim](channels_in, channels_out, 3, padding=1), nn.LeakyReLU(0.2, inplace=True))


class UNet(PairNetwork):
    """U-Net of two images.

    encoder: channels per level, each followed by max-pooling by 2. decoder: channels per level, each
    followed by nearest upsampling by 2 and the skip. tail: convolutions at the output's resolution.
    output_stride: 1 or
    2; with 2 the last upsampling is left out and the output has half the size. forward: two (B, 1, *spatial)
    -> (B, out_channels, *spatial / output_stride). The head starts at N(0, 1e-5) weights and zero bias, so
    that the first displacement is nearly the identity.
    """

    def __init__(
        self,
        *,
        ndim: int,
        out_channels: int,
        encoder: Sequence[int] = (16, 32, 32, 32),
        decoder: Sequence[int] = (32, 32, 32, 32),
        tail: Sequence[int] = (32, 16, 16),
        output_stride: int = 1,
    ) -> None:
        super().__init__()
        self.ndim, self.output_stride = ndim, output_stride
        self.multiple = 2 ** len(encoder)
        self.pool = POOL[ndim](2)
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        channels = 2
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

    @classmethod
    def build(cls, config: NetworkConfig, out_channels: int) -> UNet:
        """The network of a configuration: `encoder`, `decoder` and `tail` give its channels."""
        return cls(
            ndim=config.ndim,
            out_channels=out_channels,
            encoder=config.encoder,
            decoder=config.decoder,
            tail=config.tail,
            output_stride=config.output_stride,
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two (B, 1, *spatial) images -> (B, out_channels, *spatial / output_stride)."""
        x = self._join(first, second)
        skips = []
        for block in self.encoder:
            skips.append(block(x))
            x = self.pool(skips[-1])
        for level, block in enumerate(self.decoder):
            x = block(x)
            if self.output_stride == 2 and level == len(self.decoder) - 1:
                break
            x = torch.cat((F.interpolate(x, scale_factor=2.0, mode="nearest"), skips.pop()), dim=1)
        return self.head(self.tail(x))
