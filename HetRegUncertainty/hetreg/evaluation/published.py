"""The preparation of the paper (Zhang et al., MICCAI 2024, supplementary material): small images, min-max.

A stack of slices (ACDC) gives one case for each slice: 128 x 128 pixels of the image's own size around the
main label's centroid, in the slice or, where no frame has it there, in the stack. A single plane
(CAMUS) is resized to 128 x 128, a volume to 64 x 64 x 64; the pixels' size in mm follows. Each frame is
scaled to [0, 1] by its own extremes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ..checks import check_pair
from ..image import Image
from ..preprocess import choose_dimension
from ..resample import resample_like
from ..spatial import resize
from .case import Case, labels_of, main_label

SIDE, SIDE_3D = 128, 64
_IMAGES, _LABELS = ("fixed", "moving"), ("fixed_label", "moving_label")


def prepare(case: Case, labels: Sequence[int] = ()) -> list[Case]:
    """The cases that the paper makes of a pair. labels: the main one first; () for `main_label`.

    Raises ValueError if the images cannot be registered.
    """
    check_pair(case.fixed, case.moving)
    case = _on_one_grid(case)
    ndim, axis = choose_dimension(case.fixed)
    if axis is None or case.fixed.array.shape[axis] == 1:
        side = SIDE if ndim == 2 else SIDE_3D
        size = tuple(1 if d == axis else side for d in range(3))
        made = [_change(case, lambda image, nearest: _resized(image, size, nearest=nearest))]
    else:
        made = _slices(case, axis, labels)
    made = [replace(c, scale=1.0, volume=axis is None) for c in made]
    return [replace(c, fixed=_min_max(c.fixed), moving=_min_max(c.moving)) for c in made]


def _on_one_grid(case: Case) -> Case:
    """Everything on the grid of the fixed image."""
    made: dict[str, Any] = {}
    for name in ("moving", *_LABELS):
        image = getattr(case, name)
        if image is not None:
            array = resample_like(image, case.fixed, labels=name in _LABELS)
            made[name] = case.fixed.like(array.astype(np.uint8) if name in _LABELS else array, image.name)
    return replace(case, **made)


def _change(case: Case, change: Callable[[Image, bool], Image]) -> Case:
    """Every image of the case changed; the second argument is True for labels."""
    images = {n: getattr(case, n) for n in (*_IMAGES, *_LABELS)}
    changed: dict[str, Any] = {n: change(i, n in _LABELS) for n, i in images.items() if i is not None}
    return replace(case, **changed)


def _slices(case: Case, axis: int, labels: Sequence[int]) -> list[Case]:
    """One case for each slice, cut around the main label of the frames that have labels; around the middle,
    with a note, where none has. Of chosen labels the first that the case has is the main one."""
    there = labels_of(case)
    mask = None
    if there:
        wanted = next((label for label in labels if label in there), main_label(there))
        found = [label for name in _LABELS if (label := getattr(case, name)) is not None]
        mask = np.logical_or.reduce([label.array == wanted for label in found])
    else:
        how = "cut around the middle of the image, as no frame has labels"
        case = replace(case, note="; ".join(n for n in (case.note, how) if n))
    made = []
    for k in range(case.fixed.array.shape[axis]):
        at = [n // 2 for n in case.fixed.array.shape] if mask is None else _centre(mask, axis, k)
        cut = _change(case, partial(_window, axis, k, at))
        made.append(replace(cut, name=f"{case.name}_slice{k:02d}"))
    return made


def pair_of(case: str, published: bool) -> str:
    """Name of the pair that a case is of, by the name of the case: a slice of it, where it is `published`."""
    return re.sub(r"_slice\d+$", "", case) if published else case


def _centre(mask: np.ndarray, axis: int, k: int) -> list[int]:
    """Array index of the mask's centroid in slice k; in all slices where that one has none of it."""
    here = np.take(mask, [k], axis)
    return [round(float(v)) for v in np.argwhere(here if here.any() else mask).mean(axis=0)]


def _window(axis: int, k: int, centre: Sequence[int], image: Image, is_label: bool) -> Image:
    """SIDE x SIDE pixels of one slice around the centre, inside the image where it is large enough, else with
    zeros around it."""
    array, start = image.array, np.zeros(3, int)
    for d, n in enumerate(array.shape):
        side = 1 if d == axis else SIDE
        low = min(max(centre[d] - side // 2, 0), n - side) if n >= side else (n - side) // 2
        start[d] = low = k if d == axis else low
        array = array.take(range(max(low, 0), min(low + side, n)), axis=d)
        widths = [(0, 0)] * 3
        widths[d] = (max(-low, 0), max(low + side - n, 0))
        array = np.pad(array, widths)
    matrix = image.ijk_to_lps.copy()
    matrix[:3, 3] += matrix[:3, :3] @ start[::-1]
    return replace(image, array=np.ascontiguousarray(array), ijk_to_lps=matrix)


def _resized(image: Image, size: tuple[int, ...], *, nearest: bool) -> Image:
    """The image with another number of voxels over the same extent."""
    shape = image.array.shape
    keep = [d for d in range(3) if size[d] != 1 or shape[d] != 1]
    tensor = torch.from_numpy(np.ascontiguousarray(image.array, dtype=np.float32))
    tensor = tensor.reshape(1, 1, *(shape[d] for d in keep))
    target = [size[d] for d in keep]
    new = F.interpolate(tensor, size=target, mode="nearest-exact") if nearest else resize(tensor, target)
    factor = (np.array(shape) / size)[::-1]
    matrix = image.ijk_to_lps.copy()
    matrix[:3, :3] *= factor
    matrix[:3, 3] += image.ijk_to_lps[:3, :3] @ ((factor - 1) / 2)
    array = new.numpy().reshape(size).astype(image.array.dtype if nearest else np.float32)
    return replace(image, array=array, ijk_to_lps=matrix)


def _min_max(image: Image) -> Image:
    array = image.array.astype(np.float32)
    low, high = float(array.min()), float(array.max())
    return image.like((array - low) / (high - low) if high > low else array - low, image.name)
