"""All numbers of one registered case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..metrics.deformation import inverse_error, mean_length, sd_log_jacobian
from ..result import RegisterResult
from ..spatial import disp_to_vox
from .case import Case
from .labels import label_numbers
from .noise import Curves, frame, image_numbers, noise_numbers
from .truth import truth_numbers

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Score:
    """row: numbers of the case, by names that `measures.metric_column` knows. slices: a row for each slice
    (see `labels.label_numbers`). curves: see `noise.noise_numbers`; arrays of the same length for every
    case."""

    row: Row
    slices: list[Row] = field(default_factory=list)
    curves: Curves = field(default_factory=dict)


def score(case: Case, result: RegisterResult, labels: Sequence[int] = ()) -> Score:
    """All numbers of one case; those that it has no labels, inverse, variance or truth for are left out.

    labels: to measure, () for all. Intensities are in parts of the images' range, percentages 0 to 100.
    Raises ValueError on labels that cannot be measured.
    """
    f = frame(case, result)
    overlap, slices = label_numbers(case, result, labels)
    noise, curves = noise_numbers(f)
    truth, truth_curves = truth_numbers(case, result, f)
    about = {"case": case.name, "patient": case.patient, "split": case.split}
    row = {**overlap, **_deformation(result), **image_numbers(f), **noise, **truth}
    return Score(about | row, [about | s for s in slices], curves | truth_curves)


def _deformation(result: RegisterResult) -> dict[str, float]:
    """Folding, spread of log J, consistency with the inverse, length of the displacement."""
    numbers = {
        "folding_percent": float(result.summary["folded_percent"]),
        "sd_log_jacobian": sd_log_jacobian(np.exp(result.log_jacobian.array.astype(np.float64))),
        "displacement_mean_mm": float(result.displacement_mm.array.mean()),
        "displacement_max_mm": float(result.displacement_mm.array.max()),
    }
    if result.inverse_disp_lps_mm is not None:
        inverse = disp_to_vox(result.inverse_disp_lps_mm, result.moved.ijk_to_lps)
        error = inverse_error(result.disp_vox, inverse)
        numbers["inverse_consistency_vox"] = mean_length(error)
        numbers["inverse_consistency_mm"] = mean_length(error, spacing_mm=result.moved.spacing_mm[::-1])
    return numbers
