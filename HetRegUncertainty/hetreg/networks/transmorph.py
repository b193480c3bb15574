"""TransMorph (Chen 2022): Swin transformer encoder, convolutional decoder; 2D and 3D in one class.

The parts of the transformer are MONAI's; how they are joined is written here, so that a window larger than
its grid is padded and masked (MONAI's own layers shrink it, and a model trained on small crops would then
meet untrained position biases on larger images). MONAI is imported nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import NetworkConfig
from .base import CONV, PairNetwork, fill_bias

PATCH = 4
MLP_RATIO = 4
WINDOWS = {2: (8, 8), 3: (5, 6, 7)}
_NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_AVERAGE = {2: F.avg_pool2d, 3: F.avg_pool3d}
_APART = 0x2545F491  # a pair's seed also draws other numbers
_MASKED = -100.0  # added to the logits of what may not be attended, as in Swin


@dataclass(frozen=True)
class Shape:
    """embed: channels of the first stage, doubled at each next. depths, heads: per stage. head: channels at
    full resolution. drop_path: stochastic depth of the last block, from 0 at the first."""

    embed: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    head: int
    drop_path: float


SHAPES = {
    "paper": Shape(96, (2, 2, 4, 2), (4, 4, 8, 8), 16, 0.3),
    "small": Shape(48, (2, 2, 4, 2), (4, 4, 4, 4), 16, 0.1),
    "tiny": Shape(12, (2, 2), (2, 2), 8, 0.0),
}


def _swin() -> ModuleType:
    """MONAI's Swin blocks. Raises ModuleNotFoundError in one sentence if MONAI is missing."""
    try:
        from monai.networks.nets import swin_unetr
    except ImportError as error:
        raise ModuleNotFoundError(
            f"TransMorph needs the package MONAI, which could not be loaded ({error}): install it with "
            f"'pip install monai', or choose VoxelMorph.",
            name=error.name or "monai",
        ) from error
    return swin_unetr


class _DropPath(nn.Module):
    """Stochastic depth (Huang 2016): in training, what a branch adds to some of the pairs is left out, and
    scaled up for the others. `kept` (B,) says how, for as many pairs; otherwise chance does."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate, self.kept = rate, torch.ones(0)

    def scale(self, chance: Tensor) -> Tensor:
        """0 or 1 / (1 - rate), from numbers that are uniform in [0, 1)."""
        return (chance >= self.rate) / (1.0 - self.rate)

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) -> the same."""
        if not self.training or not self.rate:
            return x
        fits = len(self.kept) == len(x)
        kept = self.kept if fits else self.scale(torch.rand(len(x), device=x.device))
        return x * kept.to(x).view(-1, *[1] * (x.dim() - 1))


class _Block(nn.Module):
    """Window attention and MLP, each with a skip: (B, *grid, C) -> (B, *grid, C)."""

    def __init__(self, ndim: int, channels: int, heads: int, drop_path: float) -> None:
        super().__init__()
        swin = _swin()
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = swin.WindowAttention(channels, heads, WINDOWS[ndim])
        self.mlp = swin.Mlp(channels, MLP_RATIO * channels, dropout_mode="swin")
        self.drop_paths = nn.ModuleList(_DropPath(drop_path) for _ in range(2))

    def forward(self, x: Tensor, shift: tuple[int, ...], mask: Tensor | None) -> Tensor:
        """shift: voxels that the windows are shifted by. mask: (windows, tokens, tokens) or None."""
        swin, grid, dims = _swin(), x.shape[1:-1], tuple(range(1, x.dim() - 1))
        window = self.attention.window_size
        y = F.pad(self.norm1(x), _padding(grid, window))
        padded = y.shape
        y = torch.roll(y, [-s for s in shift], dims)
        y = self.attention(swin.window_partition(y, window), mask).view(-1, *window, x.shape[-1])
        y = torch.roll(swin.window_reverse(y, window, padded[:-1]), shift, dims)
        y = y[(slice(None), *(slice(n) for n in grid))]
        x = x + self.drop_paths[0](y)
        return x + self.drop_paths[1](self.mlp(self.norm2(x)))


def _padding(grid: torch.Size | tuple[int, ...], window: tuple[int, ...]) -> list[int]:
    """Widths for F.pad of (B, *grid, C) up to whole windows."""
    widths = [0, 0]
    for n, w in zip(grid[::-1], window[::-1], strict=True):
        widths += [0, -n % w]
    return widths


def attention_mask(
    grid: torch.Size | tuple[int, ...], window: tuple[int, ...], shift: tuple[int, ...], device: torch.device
) -> Tensor | None:
    """What each token may attend to: (windows, tokens, tokens), 0 or -100; None where it is everything.

    Tokens see only tokens that were beside them before the shift, and none of the padding.
    """
    padded = [n - n % -w for n, w in zip(grid, window, strict=True)]
    if not any(shift) and list(grid) == padded:
        return None
    region = torch.zeros(1, *padded, 1, device=device)
    for d, (n, p, w, s) in enumerate(zip(grid, padded, window, shift, strict=True)):
        places = torch.arange(p, device=device)
        part = (places >= p - w).long() + (places >= p - s).long() if s else torch.zeros_like(places)
        part = torch.where(torch.roll(places, -s) >= n, 3, part)
        shape = [1] * region.dim()
        shape[d + 1] = p
        region = region * 4 + part.view(shape)
    tokens = _swin().window_partition(region, window).squeeze(-1)
    return (tokens[:, None] != tokens[:, :, None]).to(region.dtype) * _MASKED


class Stage(nn.Module):
    """Blocks with plain and shifted windows in turn: (B, *grid, C) -> the same."""

    def __init__(self, ndim: int, channels: int, heads: int, drop_path: list[float]) -> None:
        super().__init__()
        self.window = WINDOWS[ndim]
        self.blocks = nn.ModuleList(_Block(ndim, channels, heads, rate) for rate in drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, *grid, C). An axis that fits into one window is not shifted."""
        grid, still = x.shape[1:-1], tuple(0 for _ in self.window)
        moved = tuple(w // 2 if n > w else 0 for n, w in zip(grid, self.window, strict=True))
        shifts = (still, moved)
        masks = [attention_mask(grid, self.window, shift, x.device) for shift in shifts]
        for n, block in enumerate(self.blocks):
            mask = masks[n % 2]
            x = block(x, shifts[n % 2], None if mask is None else mask.to(x.dtype))
        return x


class _Conv(nn.Sequential):
    """3-wide convolution, instance normalisation, LeakyReLU(0.01)."""

    def __init__(self, ndim: int, channels_in: int, channels_out: int) -> None:
        super().__init__(
            CONV[ndim](channels_in, channels_out, 3, padding=1, bias=False),
            _NORM[ndim](channels_out),
            nn.LeakyReLU(0.01, inplace=True),
        )


class _Up(nn.Module):
    """Linear upsampling by 2, the skip beside it, two convolutions."""

    def __init__(self, ndim: int, channels_in: int, skip: int, channels_out: int) -> None:
        super().__init__()
        self.mode = {2: "bilinear", 3: "trilinear"}[ndim]
        self.convolutions = nn.Sequential(
            _Conv(ndim, channels_in + skip, channels_out), _Conv(ndim, channels_out, channels_out)
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """x: (B, C, *spatial), skip: (B, S, *2 spatial) -> (B, C', *2 spatial)."""
        x = F.interpolate(x, scale_factor=2.0, mode=self.mode, align_corners=False)
        return self.convolutions(torch.cat((x, skip), dim=1))


class TransMorph(PairNetwork):
    """Swin encoder of two images and a convolutional decoder.

    shape: the channels and depths, see SHAPES; in the paper's, the decoder has 384-192-96-48-16 channels.
    Skips come from every stage but the last, and from two convolutions of the images, at half and at full
    resolution. forward: two (B, 1, *spatial) -> (B, out_channels, *spatial / output_stride); with
    output_stride 2 the last level is left out. The head starts at N(0, 1e-5) weights and zero bias.
    """

    def __init__(
        self, *, ndim: int, out_channels: int, shape: Shape = SHAPES["paper"], output_stride: int = 1
    ) -> None:
        super().__init__()
        self.ndim, self.output_stride = ndim, output_stride
        stages = len(shape.depths)
        self.multiple = PATCH * 2 ** (stages - 1)
        channels = [shape.embed * 2**n for n in range(stages)]
        self.patches = CONV[ndim](2, shape.embed, PATCH, stride=PATCH)
        self.patch_norm = nn.LayerNorm(shape.embed)
        rates = np.linspace(0.0, shape.drop_path, sum(shape.depths)).tolist()
        starts = [sum(shape.depths[:n]) for n in range(stages)]
        self.stages = nn.ModuleList(
            Stage(ndim, c, h, rates[s : s + d])
            for c, h, s, d in zip(channels, shape.heads, starts, shape.depths, strict=True)
        )
        self.merges = nn.ModuleList(_swin().PatchMergingV2(c, spatial_dims=ndim) for c in channels[:-1])
        self.stage_norms = nn.ModuleList(nn.LayerNorm(c) for c in channels)
        self.half_skip = _Conv(ndim, 2, shape.embed // 2)
        self.decoder = nn.ModuleList(_Up(ndim, 2 * c, c, c) for c in channels[-2::-1])
        self.decoder.append(_Up(ndim, shape.embed, shape.embed // 2, shape.embed // 2))
        last = shape.embed // 2
        if output_stride == 1:
            self.full_skip = _Conv(ndim, 2, shape.head)
            self.decoder.append(_Up(ndim, last, shape.head, shape.head))
            last = shape.head
        self.head = CONV[ndim](last, out_channels, 3, padding=1)
        self.apply(_initialise)
        nn.init.normal_(self.head.weight, 0.0, 1e-5)
        fill_bias(self.head, 0.0)

    @classmethod
    def build(cls, config: NetworkConfig, out_channels: int) -> TransMorph:
        """The network of a configuration: `size` gives its shape."""
        return cls(
            ndim=config.ndim,
            out_channels=out_channels,
            shape=SHAPES[config.size],
            output_stride=config.output_stride,
        )

    def draw(self, seeds: Sequence[int]) -> None:
        """Which branches each pair goes without: the same in whatever batch or process it is."""
        paths = [m for m in self.modules() if isinstance(m, _DropPath) and m.rate]
        generators = [torch.Generator().manual_seed(int(seed) ^ _APART) for seed in seeds]
        chance = torch.stack([torch.rand(len(paths), generator=g) for g in generators])
        for path, row in zip(paths, chance.to(self.head.weight.device).T, strict=True):
            path.kept = path.scale(row)

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """Two (B, 1, *spatial) images -> (B, out_channels, *spatial / output_stride)."""
        x = self._join(moving, fixed)
        skips = [self.half_skip(_AVERAGE[self.ndim](x, 2))]
        if self.output_stride == 1:
            skips.insert(0, self.full_skip(x))
        y = self.patch_norm(self.patches(x).movedim(1, -1))
        for n, stage in enumerate(self.stages):
            y = stage(y)
            skips.append(self.stage_norms[n](y).movedim(-1, 1))
            if n < len(self.merges):
                y = self.merges[n](y)
        y = skips.pop()
        for up in self.decoder:
            y = up(y, skips.pop())
        return self.head(y)


def _initialise(module: nn.Module) -> None:
    """Linear layers as in Swin: truncated normal of SD 0.02, zero bias."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
