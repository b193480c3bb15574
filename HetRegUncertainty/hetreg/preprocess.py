"""From two images in space to the tensors a network takes, and back: resample, normalise, pad, crop.

`plan` decides how (slice by slice or as a volume, which size), `to_network_grid` does it,
`NetworkPair.field_to_image` and `NetworkPair.map_to_image` undo it. Pad and crop are undone exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import MIN_SIZE, check_image, check_size
from .config import GridConfig
from .image import Image, as_float
from .modality import depth_axis
from .reach import reached
from .resample import same_grid
from .spatial import edge_window, resize, resize_disp, thinning
from .stack import slice_axis

_BRIGHT = 90.0  # percentile that `bright_limit` is of
_BLACK = 0.002  # of the range; what is not above it is border
_DARK, _MOST_SPARED = 0.05, 4.0  # margin, of the range; voxels with margins, in those of a full grid
_LEAST_CHANGED = 0.02  # of the voxels, for `changed_only`
_ROUNDED = 1e-6  # of the range, where a voxel is looked up so much of one beside its place
_MAX_SAMPLES = 250_000


@dataclass(frozen=True)
class Plan:
    """How a pair is laid on the network's grid.

    ndim: 2 (slice by slice) or 3. axes: array axes (0, 1, 2 = K, J, I) of the image that a sample has, in its
    order. image_size, network_size, padded_size: spatial sizes of one sample: as in the image, resampled,
    padded.
    """

    ndim: int
    axes: tuple[int, ...]
    image_size: tuple[int, ...]
    network_size: tuple[int, ...]
    padded_size: tuple[int, ...]

    @property
    def slice_axis(self) -> int | None:
        """Array axis of the slices, None in 3D."""
        return None if self.ndim == 3 else ({0, 1, 2} - set(self.axes)).pop()

    @property
    def crop(self) -> tuple[slice, ...]:
        """Where the resampled image lies in the padded one."""
        return tuple(
            slice((p - n) // 2, (p - n) // 2 + n)
            for n, p in zip(self.network_size, self.padded_size, strict=True)
        )


def choose_dimension(image: Image) -> tuple[int, int | None]:
    """(ndim, array axis of the slices) by size and spacing: (3, None) for a resolved volume."""
    axis = slice_axis(image.array.shape, image.spacing_mm[::-1].tolist())
    return (3, None) if axis is None else (2, axis)


def slice_axis_of(image: Image) -> int:
    """Array axis along which a volume is cut when it is registered slice by slice."""
    _, axis = choose_dimension(image)
    if axis is not None:
        return axis
    shape, spacing = np.array(image.array.shape), image.spacing_mm[::-1]
    return int(np.argmax(spacing)) if spacing.max() > 1.01 * spacing.min() else int(np.argmin(shape))


def plan(
    image: Image, grid: GridConfig, *, ndim: int, multiple: int, content: Sequence[float] = (1.0, 1.0, 1.0)
) -> Plan:
    """Lay the fixed image on the network's grid: resampled into the spacing range (`isotropic`: to the finest
    of its spacings on every axis) and the size limits, then padded.

    content: share of each array axis that `max_size` is of; the rest comes on top, to four times the voxels.
    """
    axes = _sample_axes(image, grid, ndim)
    size = tuple(image.array.shape[d] for d in axes)
    spacing = np.array([image.spacing_mm[::-1][d] for d in axes])
    check_size(size)
    target = np.maximum(spacing, grid.min_spacing_mm)
    if grid.max_spacing_mm:
        target = np.minimum(target, grid.max_spacing_mm)
    if grid.isotropic:
        target[:] = target.min()
    new = np.array(size) * spacing / target
    shown = (new * [content[d] for d in axes]).max()
    largest = max(shown, (np.prod(new) / _MOST_SPARED) ** (1 / ndim))
    new *= min(1.0, grid.max_size / largest) * max(1.0, grid.min_size / new.max())
    network = tuple(max(MIN_SIZE, round(float(n))) for n in new)
    padded = tuple(-(-(n + 2 * grid.margin_vox) // multiple) * multiple for n in network)
    return Plan(ndim, axes, size, network, padded)


def _sample_axes(image: Image, grid: GridConfig, ndim: int) -> tuple[int, ...]:
    axes = [0, 1, 2]
    if ndim == 2:
        axes.remove(slice_axis_of(image))
    elif grid.depth_axis >= 0 and (depth := depth_axis(image)) is not None:
        axes.remove(depth)
        axes.insert(grid.depth_axis, depth)
    return tuple(axes)


def intensity_range(
    fixed: np.ndarray,
    moving: np.ndarray,
    grid: GridConfig,
    inside: np.ndarray | None = None,
    rounding: float = 0.0,
) -> tuple[float, float]:
    """(low, high) percentiles of both images together, the high one no more than `bright_limit` allows; the
    full range where the percentiles coincide.

    inside: mask of the moving image's own voxels on this grid, None: all of them; the others do not count.
    Nor do, with `changed_only`, borders, letters and marks that both images have in one place, but for up to
    `rounding`.
    """
    if grid.changed_only:
        changed = (np.abs(fixed - moving) > rounding) & (True if inside is None else inside)
        if changed.mean() > _LEAST_CHANGED:
            fixed, moving, inside = fixed[changed], moving[changed], None
    own = moving if inside is None or not inside.any() else moving[inside]
    both = np.concatenate([a.ravel()[:: thinning(a.size, _MAX_SAMPLES)] for a in (fixed, own)])
    low, high = np.percentile(both, (grid.low_percentile, grid.high_percentile))
    if grid.bright_limit and (seen := both[both > low + _BLACK * (high - low)]).size:
        high = min(high, low + grid.bright_limit * (np.percentile(seen, _BRIGHT) - low))
    if not high > low:
        low, high = both.min(), both.max()
    return float(low), float(high) if high > low else float(low) + 1.0


def _rounding(low: np.floating, high: np.floating) -> float:
    """What resampling alone may change of an intensity from low to high, as of an image stored flipped."""
    return _ROUNDED * float(high - low) + 2 * float(np.spacing(max(abs(low), abs(high))))


@dataclass(frozen=True, eq=False)
class NetworkPair:
    """Both images as the network takes them, and the way back.

    fixed, moving: (B, 1, *padded_size) float32 in [0, 1] on the CPU; B slices in 2D, 1 in 3D. mask: 1 where
    the fixed image lies (0 in the padding). window: falls to 0 at the image's border. intensity = value *
    scale + low. covered: (K, J, I) mask of the fixed grid, where the moving image lies.
    """

    fixed: Tensor
    moving: Tensor
    mask: Tensor
    window: Tensor
    plan: Plan
    low: float
    scale: float
    covered: np.ndarray

    @property
    def cover(self) -> float:
        """Fraction of the fixed grid that the moving image covers."""
        return float(self.covered.mean())

    def crop(self, tensor: Tensor) -> Tensor:
        """Cut the padding away: (B, C, *padded_size) -> (B, C, *network_size)."""
        return tensor[(slice(None), slice(None), *self.plan.crop)]

    def map_to_image(self, tensor: Tensor) -> np.ndarray:
        """(B, 1, *padded_size) -> (K, J, I) on the fixed image's grid."""
        return self.samples_to_map(resize(self.crop(tensor), self.plan.image_size))

    def field_to_image(self, disp: Tensor) -> np.ndarray:
        """(B, ndim, *padded_size) -> (3, K, J, I), voxels of the fixed image, components k, j, i."""
        return self.samples_to_field(resize_disp(self.crop(disp), self.plan.image_size))

    def image_window(self) -> np.ndarray:
        """(K, J, I) factor that makes a field exactly zero at the border voxels of the registered plane or
        volume."""
        return self._to_volume(edge_window(self.plan.image_size, 2)[:, 0].numpy())

    def map_samples(self, array: np.ndarray) -> Tensor:
        """(K, J, I) -> (B, 1, *image_size)."""
        return _to_samples(array, self.plan)

    def field_samples(self, field: np.ndarray) -> Tensor:
        """(3, K, J, I) voxels of the fixed image -> (B, ndim, *image_size)."""
        return torch.cat([_to_samples(field[d], self.plan) for d in self.plan.axes], dim=1)

    def samples_to_field(self, disp: Tensor) -> np.ndarray:
        """The inverse of `field_samples`: (B, ndim, *image_size) -> (3, K, J, I)."""
        along = {d: self._to_volume(disp[:, c].numpy()) for c, d in enumerate(self.plan.axes)}
        none = np.zeros_like(along[self.plan.axes[0]])
        return np.stack([along.get(d, none) for d in range(3)])

    def samples_to_map(self, samples: Tensor) -> np.ndarray:
        """(B, 1, *image_size) -> (K, J, I)."""
        return self._to_volume(samples[:, 0].numpy())

    def _to_volume(self, samples: np.ndarray) -> np.ndarray:
        if self.plan.slice_axis is None:
            return np.ascontiguousarray(samples[0].transpose(np.argsort(self.plan.axes)))
        return np.ascontiguousarray(np.moveaxis(samples, 0, self.plan.slice_axis))


def _to_samples(array: np.ndarray, layout: Plan) -> Tensor:
    """(K, J, I) -> (B, 1, *image_size)."""
    axis = layout.slice_axis
    moved = array.transpose(layout.axes)[None] if axis is None else np.moveaxis(array, axis, 0)
    return torch.from_numpy(np.ascontiguousarray(moved, dtype=np.float32))[:, None]


def _scaled(array: np.ndarray, layout: Plan, low: float, scale: float) -> Tensor:
    """(K, J, I) -> (B, 1, *image_size) in [0, 1], 0 at low and 1 at low + scale."""
    if array.dtype == np.float64:  # the samples are of 32 bits, too few for its offset
        array, low = array - low, 0.0
    return ((_to_samples(array, layout) - low) / scale).clamp_(0.0, 1.0)


def _content(bright: np.ndarray) -> tuple[float, ...]:
    """Share of each axis between the first and the last that is bright; 1 where nothing is."""
    found = [np.flatnonzero(bright.any(tuple({0, 1, 2} - {d}))) for d in range(3)]
    return tuple((f[-1] + 1 - f[0]) / n if len(f) else 1.0 for f, n in zip(found, bright.shape, strict=True))


def _pad(tensor: Tensor, layout: Plan, mode: str = "constant") -> Tensor:
    widths: list[int] = []
    for n, p, part in list(zip(layout.network_size, layout.padded_size, layout.crop, strict=True))[::-1]:
        widths += [part.start, p - n - part.start]
    return F.pad(tensor, widths, mode=mode)


def to_network_grid(
    fixed: Image, moving: Image, grid: GridConfig, *, ndim: int, multiple: int
) -> NetworkPair:
    """Both images on the network's grid.

    Raises ValueError if an image is unusable, if they do not overlap, or if they are too small.
    """
    check_image(fixed, "fixed")
    check_image(moving, "moving")
    seen = reached(moving, fixed)
    if not seen.inside.any():
        raise ValueError(
            "The fixed and the moving image do not overlap in space by their origins and directions: images "
            "of the same region are accepted."
        )
    least, most = (f(seen.array[seen.inside]) for f in (np.min, np.max))
    if least == most:
        raise ValueError(
            f"The moving image has the same value ({least:g}) wherever it covers the fixed one, which is "
            f"{100 * seen.inside.mean():.0f} % of that: images of the same region are accepted."
        )
    fixed_array = as_float(fixed.array)
    rounding = 0.0 if same_grid(fixed, moving) else _rounding(least, most)
    low, high = intensity_range(fixed_array, seen.array, grid, seen.inside, rounding)
    scale = high - low
    filled = seen.filled(low)
    content = (1.0, 1.0, 1.0)
    if grid.spare_margins:
        content = _content(np.maximum(fixed_array, filled) > low + _DARK * scale)
    layout = plan(fixed, grid, ndim=ndim, multiple=multiple, content=content)
    beyond = "replicate" if grid.margin_vox else "constant"
    tensors = [
        _pad(resize(_scaled(a, layout, low, scale), layout.network_size), layout, beyond)
        for a in (fixed_array, filled)
    ]
    mask = _pad(torch.ones((1, 1, *layout.network_size), dtype=torch.float32), layout)
    window = _pad(edge_window(layout.network_size, grid.taper_vox), layout)
    return NetworkPair(tensors[0], tensors[1], mask, window, layout, low, scale, seen.inside)
