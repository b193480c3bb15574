"""What a dataset gives, and how pairs become batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..image import as_array
from .listing import composed

ARRAYS = ("fixed", "moving", "fixed_label", "moving_label", "true_variance", "true_disp")
_IMAGE, _LABEL = (0, 1, np.float32), (0, 255, np.uint8)
_RANGES = {"fixed": _IMAGE, "moving": _IMAGE, "fixed_label": _LABEL, "moving_label": _LABEL}
_ROUNDING = 1e-3  # what a resampled image may lie beyond its range


@dataclass(frozen=True, eq=False)
class PairSample:
    """One pair on one grid: fixed, moving float32 in [0, 1], labels uint8 or None, all (*spatial). Arrays of
    other types become such. Raises ValueError on what cannot.

    patient: pairs of one patient stay in one split. true_variance: known residual variance in the same
    units, or None. true_disp: known displacement (ndim, *spatial), voxels, or None. spacing_mm: pixel size
    along the array's axes. case: the pair it comes from; split: its part, if the data set says so.
    simulated: a phantom.
    """

    fixed: np.ndarray
    moving: np.ndarray
    fixed_label: np.ndarray | None = None
    moving_label: np.ndarray | None = None
    patient: str = ""
    true_variance: np.ndarray | None = None
    true_disp: np.ndarray | None = None
    spacing_mm: tuple[float, ...] = ()
    case: str = ""
    split: str = ""
    simulated: bool = False

    def __post_init__(self) -> None:
        given = {n: getattr(self, n) for n in ARRAYS}
        arrays = {n: as_array(a, n) for n, a in given.items() if a is not None or n in ("fixed", "moving")}
        shape = arrays["fixed"].shape
        if len(shape) not in (2, 3) or min(shape) < 2:
            raise ValueError(f"fixed is an array of {shape}: 2 or 3 axes, none of length 1, are accepted.")
        for name, array in arrays.items():
            expected = (len(shape), *shape) if name == "true_disp" else shape
            if array.shape != expected:
                raise ValueError(
                    f"{name} is an array of {array.shape} and fixed of {shape}: {expected} is accepted."
                )
            object.__setattr__(self, name, _checked(name, array))
        name = "" if self.patient is None else str(self.patient)
        object.__setattr__(self, "patient", composed(name))  # as a split file has it

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return self.fixed.ndim

    @property
    def made(self) -> PairSample:
        """The pair with its arrays in memory: itself, unless they are made on demand (`OnDemand`)."""
        return self


def _checked(name: str, array: np.ndarray) -> np.ndarray:
    """The array in its own type. Raises ValueError on values beyond what it may have."""
    if name not in _RANGES:
        return array.astype(np.float32, copy=False)
    low, high, kind = _RANGES[name]
    least, most = float(array.min()), float(array.max())
    if not low - _ROUNDING <= least <= most <= high + _ROUNDING:  # nor NaN
        raise ValueError(f"{name} has values from {least:g} to {most:g}: {low} to {high} is accepted.")
    made = array.astype(kind, copy=False)
    if kind is np.uint8 and not np.array_equal(made, array):
        raise ValueError(f"{name} has values that are not whole numbers: labels are accepted.")
    return made


def crop_or_pad(array: np.ndarray, size: int, offset: Sequence[int]) -> np.ndarray:
    """Cut or zero-pad (*spatial) to `size` along each axis around its centre plus `offset` voxels."""
    out = np.zeros((size,) * array.ndim, dtype=array.dtype)
    source, target = [], []
    for d, n in enumerate(array.shape):
        start = (n - size) // 2 + int(offset[d])
        start = min(max(start, min(0, n - size)), max(0, n - size))
        low, high = max(start, 0), min(start + size, n)
        source.append(slice(low, high))
        target.append(slice(low - start, high - start))
    out[tuple(target)] = array[tuple(source)]
    return out


def stack(
    samples: Sequence[PairSample], name: str, size: int, offsets: Sequence[Sequence[int]]
) -> Tensor | None:
    """(B, 1, *spatial) of one array of each sample, or None if any sample lacks it."""
    arrays: list[np.ndarray | None] = [getattr(s, name) for s in samples]
    there = [a for a in arrays if a is not None]
    return stack_arrays(there, size, offsets) if len(there) == len(arrays) else None


def stack_known(
    samples: Sequence[PairSample], name: str, size: int, offsets: Sequence[Sequence[int]], missing: float
) -> Tensor | None:
    """(B, C, *spatial) float32 of one array of each sample, `missing` where a sample lacks it; None if all
    do. Arrays are (*spatial), C = 1, or (C, *spatial)."""
    arrays: list[np.ndarray | None] = [getattr(s, name) for s in samples]
    there = [a for a in arrays if a is not None]
    if not there:
        return None
    ndim = samples[0].fixed.ndim
    lead = there[0].shape[: there[0].ndim - ndim] or (1,)
    out = np.full((len(samples), *lead, *(size,) * ndim), missing, np.float32)
    for row, array, offset in zip(out, arrays, offsets, strict=True):
        if array is not None:
            for target, part in zip(row, array.reshape(*lead, *array.shape[-ndim:]), strict=True):
                target[...] = crop_or_pad(part, size, offset)
    return torch.from_numpy(out)


def stack_masks(samples: Sequence[PairSample], size: int, offsets: Sequence[Sequence[int]]) -> Tensor | None:
    """(B, 1, *spatial) float32, 1 where each image lies and 0 in the padding; None if nothing is padded."""
    if all(n >= size for s in samples for n in s.fixed.shape):
        return None
    return stack_arrays([np.ones(s.fixed.shape, np.float32) for s in samples], size, offsets)


def stack_arrays(arrays: Sequence[np.ndarray], size: int, offsets: Sequence[Sequence[int]]) -> Tensor:
    """(*spatial) arrays, each cut around its centre plus its offset -> (B, 1, *spatial)."""
    cut = [crop_or_pad(a, size, o) for a, o in zip(arrays, offsets, strict=True)]
    return torch.from_numpy(np.stack(cut))[:, None]
