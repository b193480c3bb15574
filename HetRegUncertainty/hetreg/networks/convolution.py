"""3D convolution of a single volume without PyTorch's slow way on a CPU.

PyTorch (seen with 2.13) leaves a 3D convolution of 32-bit floats to its fast library, oneDNN, only if the
batch has several volumes, or channels x depth x height are more than 20,480. Else it takes a general way, 5
to 8 times as long. Two overlapping halves of the volume are a batch of two, and give the same numbers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LARGE = 20_480  # channels x depth x height that PyTorch gives to the fast library at once
_SMALL = 512  # voxels for which it does not matter
_USUAL = ((3,) * 3, (1,) * 3, (1,) * 3, (1,) * 3)  # kernel, stride, padding, dilation of `conv3d`
_BY_DEVICE = hasattr(torch, "get_autocast_dtype")  # since PyTorch 2.4


def conv3d(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """3-wide convolution with zeros around: (B, C, K, J, I), (O, C, 3, 3, 3) -> (B, O, K, J, I)."""
    if not worth_halving(x):
        return F.conv3d(x, weight, bias, padding=1)
    depth = x.shape[2]
    half = (depth + 1) // 2
    padded = F.pad(x, (0, 0, 0, 0, 1, 1 + 2 * half - depth))
    both = torch.cat((padded[:, :, : half + 2], padded[:, :, half:]))
    first, second = F.conv3d(both, weight, bias, padding=(0, 1, 1)).chunk(2)
    return torch.cat((first, second[:, :, : depth - half]), dim=2)


class Conv3d(nn.Conv3d):
    """`nn.Conv3d`, by `conv3d` where it is one of these."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, K, J, I) -> (B, O, ...)."""
        usual = (self.kernel_size, self.stride, self.padding, self.dilation) == _USUAL
        if not usual or self.groups != 1 or self.padding_mode != "zeros" or x.dim() != 5:
            return super().forward(x)
        return conv3d(x, self.weight, self.bias)


def worth_halving(x: Tensor) -> bool:
    """Whether PyTorch would leave the fast library aside for (B, C, K, J, I) though halves could use it."""
    batch, channels, depth, height, width = x.shape
    single = batch == 1 and x.dtype is torch.float32 and x.device.type == "cpu"
    there = depth > 1 and depth * height * width >= _SMALL and torch.backends.mkldnn.is_available()
    # autocast computes in 16 bits, which the fast library always does
    return single and there and channels * depth * height <= _LARGE and not _autocast()


def _autocast() -> bool:
    return torch.is_autocast_enabled("cpu") if _BY_DEVICE else torch.is_autocast_cpu_enabled()
