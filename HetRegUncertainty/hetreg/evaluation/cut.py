"""One slice of a registered case, to be drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..image import Image
from ..resample import resample_like
from ..result import RegisterResult
from .case import Case


@dataclass(frozen=True, eq=False, kw_only=True)
class Cut:
    """One slice on the fixed grid: arrays (rows, columns), or None for what the case has not.

    place: "slice 3 of 10", or "". moving, moving_label: before registration. noise_sd: units of fixed.
    displacement_sd: mm. disp: (2, rows, columns), in the slice, voxels. spacing_mm: of a row and of a column.
    """

    place: str
    fixed: np.ndarray
    moving: np.ndarray
    moved: np.ndarray
    fixed_label: np.ndarray | None
    moving_label: np.ndarray | None
    moved_label: np.ndarray | None
    noise_sd: np.ndarray | None
    weight: np.ndarray | None
    displacement_sd: np.ndarray | None
    disp: np.ndarray
    spacing_mm: tuple[float, float]


def cut(case: Case, result: RegisterResult, label: int = 0) -> Cut:
    """The slice in which the label (0: all of them) of the fixed image is largest, or else the middle one."""
    fixed, axis = case.fixed, case.slice_axis or 0
    truth, before = (_on_grid(i, fixed) for i in (case.fixed_label, case.moving_label))
    moved, spread = None, result.displacement_sd_mm
    if case.moving_label is not None:
        moved = result.apply(case.moving_label, labels=True).array
    count = fixed.array.shape[axis]
    mask = np.zeros_like(fixed.array, bool) if truth is None else truth == label if label else truth > 0
    area = mask.sum(axis=tuple(d for d in range(3) if d != axis))
    at = int(area.argmax()) if area.any() else count // 2

    def plane(array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None or not np.isfinite(array).all() else array.take(at, axis)

    rest = [d for d in range(3) if d != axis]
    rows_mm, columns_mm = fixed.spacing_mm[::-1][rest]
    return Cut(
        place=f"slice {at + 1} of {count}" if count > 1 else "",
        fixed=fixed.array.take(at, axis),
        moving=resample_like(case.moving, fixed).take(at, axis),
        moved=result.moved.array.take(at, axis),
        fixed_label=plane(truth),
        moving_label=plane(before),
        moved_label=plane(moved),
        noise_sd=plane(result.noise_sd.array),
        weight=plane(result.snr_weight.array),
        displacement_sd=plane(None if spread is None else spread.array),
        disp=result.disp_vox[rest].take(at, axis + 1),
        spacing_mm=(float(rows_mm), float(columns_mm)),
    )


def _on_grid(label: Image | None, fixed: Image) -> np.ndarray | None:
    return None if label is None else resample_like(label, fixed, labels=True)
