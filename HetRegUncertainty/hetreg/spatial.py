"""Displacement fields: warp, integrate, compose, invert, resize, Jacobian, voxels <-> mm.

Tensors are (B, C, *spatial) in array order (K, J, I in 3D; J, I in 2D). A field `disp` is (B, ndim,
*spatial), components in the same order, in voxels, pull-back: moved(x) = moving(x + disp(x)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# A voxel is a box and its value sits at the centre. Halving a grid (pooling, strides) then puts a coarse
# voxel's centre between its children, which is align_corners=False; with True a resized field would drift by
# up to half a voxel towards the borders. Resizing a field multiplies it by exactly new size / old size.
ALIGN_CORNERS = False

# Newton's step solves for each voxel: for many of them a sweep over all is faster.
_SWEEPS, _FEW = 6, 0.1

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def thinning(count: int, most: int) -> int:
    """The step through `count` voxels in a row that leaves about `most`, spread over all rows and columns.

    It has no divisor in common with the count: a step that divides the length of a row would look at a few of
    its columns alone, at the image's border the first.
    """
    step = max(1, count // most)
    while math.gcd(step, count) > 1:
        step += 1
    return step


def _check_field(disp: Tensor, function: str) -> int:
    ndim = disp.dim() - 2
    if ndim not in (2, 3) or disp.shape[1] != ndim:
        raise ValueError(
            f"{function}: disp has shape {tuple(disp.shape)}; (B, 2, J, I) or (B, 3, K, J, I) is accepted."
        )
    return ndim


def _check_same_size(image: Tensor, disp: Tensor, function: str) -> None:
    if image.shape[2:] != disp.shape[2:] or image.shape[0] != disp.shape[0]:
        raise ValueError(
            f"{function}: image {tuple(image.shape)} and disp {tuple(disp.shape)} differ in size or number: "
            "one field for each image, on its grid, is accepted."
        )


def _check_axes(image: Tensor, size: Sequence[int], function: str) -> None:
    if image.dim() != len(size) + 2:
        raise ValueError(
            f"{function}: size {tuple(size)} for an array of shape {tuple(image.shape)}: one number for each "
            f"of its {image.dim() - 2} spatial axes is accepted."
        )


def sampling_grid(disp: Tensor) -> Tensor:
    """(B, *spatial, ndim) grid for `grid_sample` (components x, y, z in [-1, 1]) of the positions x +
    disp(x)."""
    places = zip(_indices(disp), disp.shape[2:], strict=True)
    axes = [(index * 2 + 1) / n - 1 + disp[:, d] * (2.0 / n) for d, (index, n) in enumerate(places)]
    return torch.stack(axes[::-1], dim=-1)


def _indices(disp: Tensor) -> list[Tensor]:
    """The voxels' index along each spatial axis, to be broadcast to (B, *spatial)."""
    indices = []
    for d, n in enumerate(disp.shape[2:]):
        shape = [1] * (disp.dim() - 1)
        shape[d + 1] = n
        indices.append(torch.arange(n, device=disp.device, dtype=disp.dtype).view(shape))
    return indices


def warp(image: Tensor, disp: Tensor, *, mode: str = "bilinear", padding: str = "zeros") -> Tensor:
    """The image at x + disp(x).

    image: (B, C, *spatial). disp: (B, ndim, *spatial), voxels. mode: "bilinear" (linear) or "nearest".
    padding: value outside the image: "zeros" or "border". Returns (B, C, *spatial).
    """
    _check_field(disp, "warp")
    _check_same_size(image, disp, "warp")
    return F.grid_sample(
        image, sampling_grid(disp), mode=mode, padding_mode=padding, align_corners=ALIGN_CORNERS
    )


def warp_as_itk(image: Tensor, disp: Tensor, *, outside: float = 0.0) -> Tensor:
    """`warp` with ITK's linear interpolator at the border: the edge value up to half a voxel outside,
    `outside` beyond. The outer faces of the first voxels count as inside, those of the last ones do not."""
    _check_field(disp, "warp_as_itk")
    _check_same_size(image, disp, "warp_as_itk")
    moved = warp(image, disp, padding="border")
    inside = torch.ones((), dtype=torch.bool, device=disp.device)
    for d, index in enumerate(_indices(disp)):  # in voxels: positions in [-1, 1] are rounded
        inside = inside & (disp[:, d] >= -0.5 - index) & (disp[:, d] < index.numel() - 0.5 - index)
    return torch.where(inside.unsqueeze(1), moved, outside)


def compose(outer: Tensor, inner: Tensor) -> Tensor:
    """Field of x -> y + outer(y) with y = x + inner(x): (B, ndim, *spatial), voxels."""
    return inner + warp(outer, inner, padding="border")


def integrate(velocity: Tensor, steps: int = 7) -> Tensor:
    """exp(velocity) by scaling and squaring (Arsigny 2006): (B, ndim, *spatial), voxels.

    steps = 0 returns the velocity itself as the displacement.
    """
    _check_field(velocity, "integrate")
    if steps < 0:
        raise ValueError(f"integrate: steps is {steps}: 0 or more are accepted.")
    disp = velocity / 2**steps
    for _ in range(steps):
        disp = compose(disp, disp)
    return disp


def invert(
    disp: Tensor, *, start: Tensor | None = None, iterations: int = 12, tolerance: float = 1e-3
) -> tuple[Tensor, float]:
    """Inverse field, inv(y) + disp(y + inv(y)) = 0, by Newton's method at the voxels that still need it.

    Returns the inverse (B, ndim, *spatial), voxels, and its largest error in voxels.

    start: first guess, for example exp(-velocity). A step that does not lower a voxel's error is halved, so
    that strong stretching cannot make it diverge. Stops when no voxel is off by more than `tolerance`
    voxels; a field that folds has no inverse there and keeps the best guess.
    """
    ndim = _check_field(disp, "invert")
    inverse = -disp if start is None else start
    error = inverse + warp(disp, inverse, padding="border")
    for _ in range(_SWEEPS):  # over all voxels, which mends most of them
        fixed_point = inverse - error
        fixed_error = fixed_point + warp(disp, fixed_point, padding="border")
        better = fixed_error.square().sum(1, keepdim=True) < error.square().sum(1, keepdim=True)
        inverse, error = torch.where(better, fixed_point, inverse), torch.where(better, fixed_error, error)
        left = error.square().sum(1) > tolerance**2
        if float(left.sum()) <= _FEW * left.numel():
            break
    where = left.nonzero()
    batch, places = where[:, 0], where[:, 1:].to(disp.dtype)
    index = (batch, slice(None), *where[:, 1:].T)
    value, off = inverse[index], error[index]
    length = torch.ones_like(value[:, :1])
    for _ in range(iterations):
        if not bool((off.square().sum(1) > tolerance**2).any()):
            break
        candidate = value - length * _newton_step(disp, batch, places + value, off, ndim)
        new_off = candidate + sample_points(disp, batch, places + candidate)
        better = new_off.square().sum(1, keepdim=True) < off.square().sum(1, keepdim=True)
        length = torch.where(better, 1.0, length * 0.5)
        value, off = torch.where(better, candidate, value), torch.where(better, new_off, off)
    inverse[index], error[index] = value, off
    return inverse, float(error.square().sum(1).max().sqrt())


def _newton_step(disp: Tensor, batch: Tensor, points: Tensor, error: Tensor, ndim: int) -> Tensor:
    """(I + grad disp)^-1 error at points (N, ndim); where that has no solution, a plain fixed-point step."""
    columns = []
    for d in range(ndim):
        reach = torch.zeros(ndim, device=disp.device, dtype=disp.dtype)
        reach[d] = 0.5
        columns.append(
            sample_points(disp, batch, points + reach) - sample_points(disp, batch, points - reach)
        )
    jacobian = torch.stack(columns, dim=2) + torch.eye(ndim, device=disp.device, dtype=disp.dtype)
    step, info = torch.linalg.solve_ex(jacobian, error[..., None])
    usable = (info == 0)[:, None] & step[..., 0].isfinite().all(1, keepdim=True)
    return torch.where(usable, step[..., 0], error)


def sample_points(field: Tensor, batch: Tensor, points: Tensor) -> Tensor:
    """Linear interpolation at voxel positions, the border value outside.

    field: (B, C, *spatial). batch: (N,) which sample, in rising order. points: (N, ndim), components in
    spatial order. -> (N, C).
    """
    places = ((2 * points + 1) / points.new_tensor(field.shape[2:]) - 1).flip(1)
    found = []
    for sample, at in zip(field, places.split(batch.bincount(minlength=len(field)).tolist()), strict=True):
        grid = at.view(1, -1, *[1] * (at.shape[1] - 1), at.shape[1])
        values = F.grid_sample(sample[None], grid, padding_mode="border", align_corners=ALIGN_CORNERS)
        found.append(values.view(len(sample), -1).T)
    return torch.cat(found)


def _determinant(rows: list[list[Tensor]]) -> Tensor:
    if len(rows) == 2:
        return rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0]
    terms = [
        rows[0][a] * (rows[1][b] * rows[2][c] - rows[1][c] * rows[2][b])
        for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1))
    ]
    return terms[0] + terms[1] + terms[2]


def resize(image: Tensor, size: Sequence[int]) -> Tensor:
    """Linear resize of (B, C, *spatial) to the spatial size; anti-aliased when shrinking."""
    _check_axes(image, size, "resize")
    old, size = tuple(image.shape[2:]), tuple(int(n) for n in size)
    if old == size:
        return image
    shrink = any(a > b for a, b in zip(old, size, strict=True))
    if shrink and len(size) == 3:  # `interpolate` filters planes alone: the planes, then the axis across them
        planes = resize(image.flatten(1, 2), size[1:])
        lines = planes.reshape(*image.shape[:3], size[1] * size[2])
        return resize(lines, (size[0], size[1] * size[2])).reshape(*image.shape[:2], *size)
    return F.interpolate(
        image, size=size, mode=_LINEAR[len(size)], align_corners=ALIGN_CORNERS, antialias=shrink
    )


def resize_disp(disp: Tensor, size: Sequence[int]) -> Tensor:
    """Resize a field to another grid over the same extent; its values become voxels of the new grid."""
    _check_field(disp, "resize_disp")
    _check_axes(disp, size, "resize_disp")
    if tuple(disp.shape[2:]) == tuple(size):
        return disp
    factor = [new / old for new, old in zip(size, disp.shape[2:], strict=True)]
    resized = resize(disp, size)
    if len(set(factor)) == 1:
        return resized * factor[0]
    # numbers, not a tensor of them: that would be copied to a GPU, which then has to be waited for
    return torch.stack([resized[:, d] * f for d, f in enumerate(factor)], dim=1)


def jacobian_determinant(disp: Tensor) -> Tensor:
    """det(I + grad disp), the same number in voxels and in mm: (B, 1, *spatial).

    Central differences, one-sided at the border. An axis of size 1 counts as not deformed.
    """
    ndim = _check_field(disp, "jacobian_determinant")
    slopes = [
        torch.gradient(disp, dim=d + 2)[0] if disp.shape[d + 2] > 1 else torch.zeros_like(disp)
        for d in range(ndim)
    ]
    rows = [[slopes[d][:, c] + float(c == d) for d in range(ndim)] for c in range(ndim)]
    return _determinant(rows)[:, None]


def edge_window(size: Sequence[int], width: int) -> Tensor:
    """(1, 1, *size) window: 1 inside, falling smoothly to exactly 0 at the border voxels over `width` voxels.

    An axis too short for the ramp gets a shorter one, an axis of size 1 none.
    """
    window = torch.ones((1, 1, *size), dtype=torch.float32)
    for d, n in enumerate(size):
        ramp = min(width, (n - 1) // 4)
        if ramp < 1:
            continue
        forth = torch.arange(n, dtype=torch.float32)
        distance = torch.minimum(forth, forth.flip(0))
        profile = torch.sin((distance / ramp).clamp(max=1.0) * (torch.pi / 2)) ** 2
        shape = [1] * (len(size) + 2)
        shape[d + 2] = n
        window = window * profile.view(shape)
    return window


def disp_to_lps_mm(disp_vox: np.ndarray, ijk_to_lps: np.ndarray) -> np.ndarray:
    """(3, K, J, I) voxels, components k, j, i -> (K, J, I, 3) float64 mm, components x, y, z of LPS."""
    matrix = np.asarray(ijk_to_lps, dtype=np.float64)[:3, :3]
    found = np.empty((*disp_vox.shape[1:], 3))
    for n, part in enumerate(found):  # a slice at a time: no copy of the whole field beside it
        np.matmul(np.moveaxis(disp_vox[::-1, n], 0, -1).astype(np.float64, order="C"), matrix.T, out=part)
    return found


def disp_to_vox(disp_lps_mm: np.ndarray, ijk_to_lps: np.ndarray) -> np.ndarray:
    """The inverse of `disp_to_lps_mm`: (K, J, I, 3) LPS mm -> (3, K, J, I) float32 voxels, components k, j,
    i."""
    inverse = np.linalg.inv(np.asarray(ijk_to_lps, dtype=np.float64)[:3, :3])
    return np.moveaxis(disp_lps_mm @ inverse.T, -1, 0)[::-1].astype(np.float32)
