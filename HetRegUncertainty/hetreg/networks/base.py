"""What every displacement network shares."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


class PairNetwork(nn.Module):
    """A network of two images of the same size. `multiple`: the spatial sizes must divide by it."""

    multiple: int = 1

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """first, second: (B, 1, *spatial) -> (B, C, *spatial / stride)."""
        raise NotImplementedError

    def _join(self, first: Tensor, second: Tensor) -> Tensor:
        if first.shape != second.shape:
            raise ValueError(
                f"The two images differ in size: {tuple(first.shape)} and {tuple(second.shape)}."
            )
        bad = [n for n in first.shape[2:] if n % self.multiple]
        if bad:
            raise ValueError(
                f"Spatial size {tuple(first.shape[2:])} has to be a multiple of {self.multiple}: "
                f"pad the images."
            )
        return torch.cat((first, second), dim=1)
