"""An image on the grid of another one, as ITK resamples it; the panel reads label maps so, before torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk

from .image import Image, as_float, vector_to_sitk

_SAME_PLACE = 1e-4  # voxels: an interpolated value is off by hardly more of the intensity range
_ONE_BY_ONE = 8  # labels, background included; up to these ITK is faster, which looks at all at every voxel
_AT_ONCE = 2**15  # voxels, where there are more labels: bounds the memory, and their places stay in the cache
_CORNERS = np.array(list(np.ndindex(2, 2, 2)))  # of a cube of eight voxels, along k, j, i
_BESIDE = np.array([1.0, 1.3, 1.7]) * 1e-4  # voxels along i, j, k; not alike, as on a diagonal, too


def same_grid(fixed: Image, moving: Image) -> bool:
    """True if both images have the same voxels in the same places, but for what a header rounds: NIfTI has
    32-bit floats."""
    if fixed.array.shape != moving.array.shape:
        return False
    apart = np.abs(fixed.ijk_to_lps - moving.ijk_to_lps)[:3]
    farthest = apart[:, :3] @ (np.array(fixed.size_ijk) - 1) + apart[:, 3]
    return bool(farthest.max() <= _SAME_PLACE * fixed.spacing_mm.min())


def resample_like(moving: Image, fixed: Image, *, labels: bool = False) -> np.ndarray:
    """The moving image on the fixed grid, zero outside of it, as by `resampled`: (K, J, I)."""
    if same_grid(fixed, moving):
        return moving.array if labels else as_float(moving.array)
    return resampled(moving, fixed, sitk.Transform(3, sitk.sitkIdentity), labels=labels)


def displacement_transform(
    disp_lps_mm: np.ndarray, ijk_to_lps: np.ndarray
) -> sitk.DisplacementFieldTransform:
    """(K, J, I, 3) LPS mm on a grid -> SimpleITK transform. Outside the grid it is the identity."""
    field = vector_to_sitk(np.asarray(disp_lps_mm, dtype=np.float64), ijk_to_lps)
    return sitk.DisplacementFieldTransform(field)


def resampled(
    image: Image, grid: Image, transform: sitk.Transform, *, labels: bool = False, outside: float = 0.0
) -> np.ndarray:
    """The image at transform(x) for the voxels x of another grid, as ITK resamples it: (K, J, I), `outside`
    where it has no voxels. Linear, as by `as_float`; labels: the one whose linear weight is largest there, in
    their own type, as a label above 2^24 has no place in 32 bits. They are looked up a ten-thousandth of a
    voxel beside x: half way between two voxels the lower label, mostly the background, would win everywhere,
    and every label shrink."""
    place = grid.like(np.zeros(grid.array.shape, np.uint8), "grid").to_sitk()
    if not labels:
        source = image.like(as_float(image.array), image.name).to_sitk()
        return sitk.GetArrayFromImage(sitk.Resample(source, place, transform, sitk.sitkLinear, outside))
    beside = image.ijk_to_lps[:3, :3] @ (_BESIDE * (np.array(image.size_ijk) > 1))
    place.SetOrigin((np.array(place.GetOrigin()) + beside).tolist())
    if len(np.unique(image.array)) > _ONE_BY_ONE:
        found = _elected(image, _moved(place, transform), outside).reshape(grid.array.shape)
    else:
        moved = sitk.Resample(image.to_sitk(), place, transform, sitk.sitkLabelLinear, outside)
        found = sitk.GetArrayFromImage(moved)
    return found.astype(image.array.dtype, copy=False)


def _moved(grid: sitk.Image, transform: sitk.Transform) -> Iterator[np.ndarray]:
    """transform(x) for the voxels x, some rows at a time: (N, 3) LPS mm."""
    rows = max(1, _AT_ONCE // grid.GetWidth())
    for k, j in np.ndindex(grid.GetDepth(), -(-grid.GetHeight() // rows)):
        part = grid[:, j * rows : (j + 1) * rows, k : k + 1]
        place = part.GetSize(), part.GetOrigin(), part.GetSpacing(), part.GetDirection()
        x = sitk.PhysicalPointSource(sitk.sitkVectorFloat64, *place)
        shift = sitk.TransformToDisplacementField(transform, sitk.sitkVectorFloat64, *place)
        yield (sitk.GetArrayFromImage(x) + sitk.GetArrayFromImage(shift)).reshape(-1, 3)


def _elected(image: Image, places: Iterator[np.ndarray], outside: float) -> np.ndarray:
    """What ITK's LabelLinear finds at places (N, 3) LPS mm, all in one row: where the eight voxels around one
    have one label, that; elsewhere the one with the largest sum of their weights."""
    padded = np.pad(np.ascontiguousarray(image.array), 1, mode="edge")  # half a voxel beyond them is inside
    steps = np.array(padded.strides) // padded.itemsize
    corners, flat = _CORNERS @ steps, padded.ravel()
    mixed = np.zeros(flat.size, bool)
    for step in corners[1:]:
        mixed[:-step] |= flat[step:] != flat[:-step]
    to_kji = np.linalg.inv(image.ijk_to_lps[:3, :3])[::-1].T
    found = []
    for place in places:
        at = (place - image.origin_lps) @ to_kji
        inside = ((at >= -0.5) & (at < np.array(image.array.shape) - 0.5)).all(axis=1)
        low = np.floor(at[inside])
        first = ((low + 1) @ steps).astype(np.intp)
        best, vote = flat[first], mixed[first]
        part = (at[inside] - low)[vote]
        weight = np.where(_CORNERS[:, None] == 1, part, 1 - part).prod(axis=2)
        label = flat[first[vote] + corners[:, None]]
        total = np.einsum("abn,bn->an", label[:, None] == label, weight)
        best[vote] = np.take_along_axis(label, total.argmax(axis=0)[None], axis=0)[0]
        found.append(np.full(len(at), outside, image.array.dtype))
        found[-1][inside] = best
    return np.concatenate(found)
