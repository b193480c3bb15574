"""What every displacement network shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from ..config import NetworkConfig
from .convolution import Conv3d

CONV: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: Conv3d}
POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


def fill_bias(layer: nn.Conv2d | nn.Conv3d, value: float) -> None:
    """Set the layer's bias, if it has one, to this value."""
    if layer.bias is not None:
        nn.init.constant_(layer.bias, value)


class PairNetwork(nn.Module):
    """A network of two images of the same size.

    multiple: the spatial sizes must divide by it. head: the last convolution.
    """

    multiple: int = 1
    head: nn.Conv2d | nn.Conv3d

    @classmethod
    def build(cls, config: NetworkConfig, out_channels: int) -> Self:
        """The network of a configuration, here of one whose channels it lists."""
        names = ("ndim", "encoder", "decoder", "tail", "output_stride")
        return cls(out_channels=out_channels, **{name: getattr(config, name) for name in names})

    def draw(self, seeds: Sequence[int]) -> None:
        """Draw what the next forward passes of these pairs leave to chance in training, from a number for
        each pair; nothing here."""

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """moving, fixed: (B, 1, *spatial) -> (B, C, *spatial / stride)."""
        raise NotImplementedError

    def _check(self, moving: Tensor, fixed: Tensor) -> None:
        if moving.shape != fixed.shape:
            raise ValueError(
                f"The two images differ in size: {tuple(moving.shape)} and {tuple(fixed.shape)}."
            )
        bad = [n for n in moving.shape[2:] if n % self.multiple]
        if bad:
            raise ValueError(
                f"Spatial size {tuple(moving.shape[2:])} has to be a multiple of {self.multiple}: "
                f"pad the images."
            )

    def _join(self, moving: Tensor, fixed: Tensor) -> Tensor:
        self._check(moving, fixed)
        return torch.cat((moving, fixed), dim=1)
