"""`Evaluation`: what an evaluation gives and a report shows. Data alone; `evaluate` fills it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from ..image import Image
from ..metrics.calibration import Reliability
from ..metrics.sparsification import Curve
from ..metrics.statistics import bootstrap_interval, cluster_means
from ..preprocess import resample_like
from ..registry import METRICS
from ..result import RegisterResult


@dataclass(frozen=True, eq=False)
class Picture:
    """One slice of one case, as it is drawn: arrays (J, I), or None for what there is not.

    title: the case and its score. fixed, moving, moved: on the fixed grid. fixed_label, moving_label,
    moved_label: label numbers; moving_label is the one before registration. noise_sd: in the units of fixed.
    weight: [0, 1]. disp: (2, J, I) in the slice, voxels. spacing_mm: of a row and a column.
    """

    title: str
    fixed: np.ndarray
    moving: np.ndarray
    moved: np.ndarray
    spacing_mm: tuple[float, float]
    fixed_label: np.ndarray | None = None
    moving_label: np.ndarray | None = None
    moved_label: np.ndarray | None = None
    noise_sd: np.ndarray | None = None
    weight: np.ndarray | None = None
    disp: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Curves:
    """Means over the cases, by what they are of; intensities in parts of the fixed image's range.

    sparsification: for example "in the mask", "whole image". reliability and coverage (at
    `calibration.LEVELS`, percent): "simulated noise" where it is known, "residual".
    """

    sparsification: dict[str, Curve] = field(default_factory=dict)
    reliability: dict[str, Reliability] = field(default_factory=dict)
    coverage: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """rows: one dictionary per case: case, patient, split, error ("" or a sentence) and the numbers, named as
    in `registry.METRICS` and then the label and "before": hd_mm_2, dice_3_before; NaN where undefined.
    summary: config, versions, device, counts, and mean, sd and median of each number over cases and over
    patients. pictures: best, median and worst case.
    """

    rows: list[dict[str, Any]]
    summary: dict[str, Any]
    curves: Curves = field(default_factory=Curves)
    pictures: tuple[Picture, ...] = ()


def describe(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Statistics of each column of numbers, NaN passed over and counted.

    cases, skipped: rows with a number and without one, failed ones too. mean, sd (of a sample), median, min,
    max over the cases. patients, patient_mean, patient_sd: over the patients' means. low, high: 95 %
    bootstrap interval of patient_mean.
    """
    names = list(dict.fromkeys(name for row in rows for name, v in row.items() if _is_number(v)))
    patients = [row["patient"] for row in rows]
    return {name: _describe([row.get(name) for row in rows], patients) for name in names}


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _describe(column: list[Any], patients: list[str]) -> dict[str, float]:
    values = np.array([float(v) if _is_number(v) else math.nan for v in column])
    known = values[np.isfinite(values)]
    means = cluster_means(np.where(np.isfinite(values), values, np.nan), patients)
    low, high = bootstrap_interval(means)
    means = means[~np.isnan(means)]
    functions: dict[str, Any] = {"mean": np.mean, "median": np.median, "min": np.min, "max": np.max}
    return {
        "cases": known.size,
        "skipped": values.size - known.size,
        **{name: float(f(known)) if known.size else math.nan for name, f in functions.items()},
        "sd": _sd(known),
        "patients": means.size,
        "patient_mean": float(means.mean()) if means.size else math.nan,
        "patient_sd": _sd(means),
        "low": low,
        "high": high,
    }


def _sd(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if values.size > 1 else math.nan


def picture(
    title: str,
    fixed: Image,
    moving: Image,
    result: RegisterResult,
    fixed_label: Image | None = None,
    moving_label: Image | None = None,
) -> Picture:
    """The slice of a case with the largest labelled area of the fixed image, or else the middle one."""
    before = resample_like(moving, fixed)[0]
    labels = [
        None if s is None else resample_like(s, fixed, nearest=True)[0] for s in (fixed_label, moving_label)
    ]
    moved_label = None if result.moved_seg is None else result.moved_seg.array
    area = np.zeros(len(fixed.array)) if labels[0] is None else (labels[0] > 0).sum(axis=(1, 2))
    at = int(area.argmax()) if area.any() else len(fixed.array) // 2

    def cut(array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else np.ascontiguousarray(array[at])

    noise_sd, weight = (None if i is None else i.array for i in (result.noise_sd, result.snr_weight))
    return Picture(
        title if len(fixed.array) == 1 else f"{title}, slice {at + 1} of {len(fixed.array)}",
        fixed.array[at],
        before[at],
        result.moved.array[at],
        (float(fixed.spacing_mm[1]), float(fixed.spacing_mm[0])),
        cut(labels[0]),
        cut(labels[1]),
        cut(moved_label),
        cut(noise_sd),
        cut(weight),
        np.ascontiguousarray(result.disp_vox[1:, at]),
    )


def primary(columns: Sequence[str], label: int | None = None) -> str:
    """The column that cases are ranked by: the Dice of the label, or of the first; without labels the first
    of METRICS that has a better direction. "" if there is none."""
    wanted = [f"dice_{label}"] if label is not None else []
    dices = sorted(c for c in columns if c.startswith("dice_") and c[5:].isdigit())
    others = [c for stem, m in METRICS.items() if m.better for c in columns if c.startswith(stem)]
    return next((c for c in (*wanted, *dices, *others) if c in columns), "")
