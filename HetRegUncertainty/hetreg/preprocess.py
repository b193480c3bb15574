"""From two images in space to the tensors a network takes, and back: resample, normalise, pad, crop.

`plan` decides how (slice by slice or as a volume, which size), `to_network_grid` does it,
`NetworkPair.field_to_image` and `NetworkPair.map_to_image` undo it. Pad and crop are undone exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import torch
import torch.nn.functional as F
from torch import Tensor

from .config import GridConfig
from .image import Image
from .spatial import edge_window, resize, resize_disp

_MIN_SIZE = 4
_MAX_INTENSITY = 1e18  # squares still fit into 32-bit floats, with room for a sum
_THICK = 2.0  # a slice thicker than this many pixels is not resolved through the plane
_MAX_SAMPLES = 250_000
_MAX_LABELS = 256


@dataclass(frozen=True)
class Plan:
    """How a pair is laid on the network's grid.

    ndim: 2 (slice by slice) or 3. slice_axis: array axis (0, 1, 2 = K, J, I) of the slices, None in 3D.
    image_size, network_size, padded_size: spatial sizes of one sample: as in the image, resampled, padded.
    """

    ndim: int
    slice_axis: int | None
    image_size: tuple[int, ...]
    network_size: tuple[int, ...]
    padded_size: tuple[int, ...]

    @property
    def crop(self) -> tuple[slice, ...]:
        """Where the resampled image lies in the padded one."""
        return tuple(
            slice((p - n) // 2, (p - n) // 2 + n)
            for n, p in zip(self.network_size, self.padded_size, strict=True)
        )


def choose_dimension(image: Image) -> tuple[int, int | None]:
    """(ndim, slice axis) by size and spacing: (3, None) for a resolved volume, else (2, axis of the slices).

    Slices: an axis of one voxel, one more than twice as coarse as the finest, or one of under 16 voxels when
    another is at least twice as long.
    """
    shape, spacing = np.array(image.array.shape), image.spacing_mm[::-1]
    short, coarse = int(np.argmin(shape)), int(np.argmax(spacing))
    if shape[short] == 1:
        return 2, short
    if spacing[coarse] > _THICK * spacing.min():
        return 2, coarse
    if shape[short] < 16 and shape.max() >= 2 * shape[short]:
        return 2, short
    return 3, None


def slice_axis_of(image: Image) -> int:
    """Array axis along which a volume is cut when it is registered slice by slice."""
    ndim, axis = choose_dimension(image)
    if ndim == 2 and axis is not None:
        return axis
    shape, spacing = np.array(image.array.shape), image.spacing_mm[::-1]
    return int(np.argmax(spacing)) if spacing.max() > 1.01 * spacing.min() else int(np.argmin(shape))


def check_image(image: Image, role: str) -> None:
    """Raise ValueError, in one sentence, if the image cannot be registered."""
    if image.array.size == 0 or max(image.array.shape) < 2:
        raise ValueError(
            f"The {role} image has size {_size(image)}: at least {_MIN_SIZE} x {_MIN_SIZE} is accepted."
        )
    if image.array.dtype.kind not in "buif":
        raise ValueError(
            f"The {role} image has voxels of type {image.array.dtype}: real numbers are accepted."
        )
    if np.issubdtype(image.array.dtype, np.floating):
        bad = int(image.array.size - np.count_nonzero(np.isfinite(image.array)))
        if bad:
            raise ValueError(
                f"The {role} image has {bad} NaN or infinite voxels: only finite numbers are accepted."
            )
    low, high = image.array.min(), image.array.max()
    if max(abs(float(low)), abs(float(high))) > _MAX_INTENSITY:
        raise ValueError(
            f"The {role} image has values from {low:.3g} to {high:.3g}: up to {_MAX_INTENSITY:.0e} are "
            "accepted."
        )
    if low == high:
        raise ValueError(f"The {role} image has the same value ({low}) everywhere: nothing to register.")


def _size(image: Image) -> str:
    return " x ".join(str(n) for n in image.size_ijk)


def check_pair(fixed: Image, moving: Image) -> None:
    """Raise ValueError, in one sentence, if the two images cannot be registered to each other."""
    check_image(fixed, "fixed")
    check_image(moving, "moving")
    if same_grid(fixed, moving) and np.array_equal(fixed.array, moving.array):
        raise ValueError(
            "The fixed and the moving image are the same: two different images are accepted, such as "
            "end-systole and end-diastole."
        )


def check_labels(labels: Image, image: Image, role: str) -> None:
    """Raise ValueError, in one sentence, if a segmentation cannot belong to the image."""
    array = labels.array
    whole = array.dtype.kind in "bui" or (array.dtype.kind == "f" and bool(np.all(array == np.rint(array))))
    if not whole or len(np.unique(array)) > _MAX_LABELS:
        raise ValueError(
            f"The {role} segmentation '{labels.name}' is not a label image: whole numbers, at most "
            f"{_MAX_LABELS} different ones, are accepted."
        )
    if resample_like(labels, image, nearest=True)[1] == 0.0:
        raise ValueError(
            f"The {role} segmentation '{labels.name}' does not overlap the {role} image in space: "
            "labels of that image are accepted."
        )


def check_size(size: tuple[int, ...]) -> None:
    """Raise ValueError if one sample is too small for any network."""
    if min(size) < _MIN_SIZE:
        raise ValueError(
            f"The fixed image is {' x '.join(map(str, size[::-1]))} voxels in the registered {len(size)}D "
            f"{'plane' if len(size) == 2 else 'volume'}: at least {_MIN_SIZE} along each axis is accepted."
        )


def plan(image: Image, grid: GridConfig, *, ndim: int, multiple: int) -> Plan:
    """Lay the fixed image on the network's grid: resampled into the spacing range and size limit, then
    padded."""
    axis = slice_axis_of(image) if ndim == 2 else None
    keep = [d for d in range(3) if d != axis]
    size = tuple(image.array.shape[d] for d in keep)
    spacing = np.array([image.spacing_mm[::-1][d] for d in keep])
    check_size(size)
    target = np.maximum(spacing, grid.min_spacing_mm)
    if grid.max_spacing_mm:
        target = np.minimum(target, grid.max_spacing_mm)
    new = np.array(size) * spacing / target
    new *= min(1.0, grid.max_size / new.max())
    network = tuple(max(_MIN_SIZE, round(float(n))) for n in new)
    return Plan(ndim, axis, size, network, tuple(-(-n // multiple) * multiple for n in network))


def same_grid(fixed: Image, moving: Image) -> bool:
    """True if both images have the same voxels in the same places."""
    return fixed.array.shape == moving.array.shape and np.allclose(
        fixed.ijk_to_lps, moving.ijk_to_lps, rtol=0, atol=1e-6
    )


def resample_like(moving: Image, fixed: Image, *, nearest: bool = False) -> tuple[np.ndarray, float]:
    """The moving image on the fixed grid, float32 (K, J, I), zero outside, and the covered fraction of that
    grid."""
    if same_grid(fixed, moving):
        return moving.array.astype(np.float32), 1.0
    source = sitk.Cast(moving.to_sitk(), sitk.sitkFloat32)
    reference = fixed.to_sitk()
    interpolator = sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear
    array = sitk.GetArrayFromImage(
        sitk.Resample(source, reference, sitk.Transform(3, sitk.sitkIdentity), interpolator)
    )
    inside = sitk.Image(moving.size_ijk, sitk.sitkUInt8) + 1
    inside.CopyInformation(source)
    cover = sitk.Resample(inside, reference, sitk.Transform(3, sitk.sitkIdentity), sitk.sitkNearestNeighbor)
    return array, float(np.mean(sitk.GetArrayViewFromImage(cover)))


def intensity_range(fixed: np.ndarray, moving: np.ndarray, grid: GridConfig) -> tuple[float, float]:
    """(low, high) percentiles of both images together; the full range where the percentiles coincide."""
    both = np.concatenate([a.ravel()[:: max(1, a.size // _MAX_SAMPLES)] for a in (fixed, moving)])
    low, high = np.percentile(both, (grid.low_percentile, grid.high_percentile))
    if not high > low:
        low, high = both.min(), both.max()
    return float(low), float(high) if high > low else float(low) + 1.0


@dataclass(frozen=True, eq=False)
class NetworkPair:
    """Both images as the network takes them, and the way back.

    fixed, moving: (B, 1, *padded_size) float32 in [0, 1] on the CPU; B slices in 2D, 1 in 3D. mask: 1 where
    the fixed image lies (0 in the padding). window: falls to 0 at the image's border. intensity = value *
    scale + low. cover: fraction of the fixed grid that the moving image covers.
    """

    fixed: Tensor
    moving: Tensor
    mask: Tensor
    window: Tensor
    plan: Plan
    low: float
    scale: float
    cover: float = 1.0

    def crop(self, tensor: Tensor) -> Tensor:
        """Cut the padding away: (B, C, *padded_size) -> (B, C, *network_size)."""
        return tensor[(slice(None), slice(None), *self.plan.crop)]

    def map_to_image(self, tensor: Tensor) -> np.ndarray:
        """(B, 1, *padded_size) -> (K, J, I) on the fixed image's grid."""
        return self.samples_to_map(resize(self.crop(tensor), self.plan.image_size))

    def field_to_image(self, disp: Tensor) -> np.ndarray:
        """(B, ndim, *padded_size) -> (3, K, J, I) float32, voxels of the fixed image, components k, j, i."""
        return self.samples_to_field(resize_disp(self.crop(disp), self.plan.image_size))

    def image_window(self) -> np.ndarray:
        """(K, J, I) factor that makes a field exactly zero at the border voxels of the registered plane or
        volume."""
        window = edge_window(self.plan.image_size, 2)[0, 0].numpy()
        return window if self.plan.slice_axis is None else np.expand_dims(window, self.plan.slice_axis)

    def map_samples(self, array: np.ndarray) -> Tensor:
        """(K, J, I) -> (B, 1, *image_size)."""
        return _to_samples(array, self.plan)

    def field_samples(self, field: np.ndarray) -> Tensor:
        """(3, K, J, I) voxels of the fixed image -> (B, ndim, *image_size)."""
        axis = self.plan.slice_axis
        if axis is None:
            return torch.from_numpy(np.ascontiguousarray(field))[None]
        planes = np.moveaxis(np.delete(field, axis, axis=0), axis + 1, 0)
        return torch.from_numpy(np.ascontiguousarray(planes))

    def samples_to_field(self, disp: Tensor) -> np.ndarray:
        """The inverse of `field_samples`: (B, ndim, *image_size) -> (3, K, J, I) float32."""
        volume = [self._to_volume(disp[:, c].numpy()) for c in range(self.plan.ndim)]
        if self.plan.slice_axis is not None:
            volume.insert(self.plan.slice_axis, np.zeros_like(volume[0]))
        return np.stack(volume).astype(np.float32, copy=False)

    def samples_to_map(self, samples: Tensor) -> np.ndarray:
        """(B, 1, *image_size) -> (K, J, I)."""
        return self._to_volume(samples[:, 0].numpy())

    def _to_volume(self, samples: np.ndarray) -> np.ndarray:
        if self.plan.slice_axis is None:
            return samples[0]
        return np.ascontiguousarray(np.moveaxis(samples, 0, self.plan.slice_axis))


def _to_samples(array: np.ndarray, layout: Plan) -> Tensor:
    """(K, J, I) -> (B, 1, *image_size)."""
    moved = array[None] if layout.slice_axis is None else np.moveaxis(array, layout.slice_axis, 0)
    return torch.from_numpy(np.ascontiguousarray(moved, dtype=np.float32))[:, None]


def _pad(tensor: Tensor, layout: Plan) -> Tensor:
    widths: list[int] = []
    for n, p, part in list(zip(layout.network_size, layout.padded_size, layout.crop, strict=True))[::-1]:
        widths += [part.start, p - n - part.start]
    return F.pad(tensor, widths)


def to_network_grid(
    fixed: Image, moving: Image, grid: GridConfig, *, ndim: int, multiple: int
) -> NetworkPair:
    """Both images on the network's grid.

    Raises ValueError if an image is unusable, if they do not overlap, or if they are too small.
    """
    check_pair(fixed, moving)
    layout = plan(fixed, grid, ndim=ndim, multiple=multiple)
    moving_array, cover = resample_like(moving, fixed)
    if cover == 0.0:
        raise ValueError(
            "The fixed and the moving image do not overlap in space: images of the same region are accepted. "
            "Check their origins and directions."
        )
    fixed_array = fixed.array.astype(np.float32)
    low, high = intensity_range(fixed_array, moving_array, grid)
    scale = high - low
    tensors = [
        _pad(resize(((_to_samples(a, layout) - low) / scale).clamp_(0.0, 1.0), layout.network_size), layout)
        for a in (fixed_array, moving_array)
    ]
    mask = _pad(torch.ones((1, 1, *layout.network_size)), layout)
    window = _pad(edge_window(layout.network_size, grid.taper_vox), layout)
    return NetworkPair(tensors[0], tensors[1], mask, window, layout, low, scale, cover)
