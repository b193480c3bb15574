"""All numbers of one registered case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..metrics.deformation import mean_length
from ..reach import reached
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


def score(
    case: Case, result: RegisterResult, labels: Sequence[int] = (), back: RegisterResult | None = None
) -> Score:
    """All numbers of one case; those that it has no labels, way back, variance or truth for are left out.

    labels: to measure, () for all. back: the result of the pair the other way round. Intensities are in parts
    of the images' range, percentages 0 to 100.
    Raises ValueError on labels that cannot be measured.
    """
    f = frame(case, result)
    overlap, slices = label_numbers(case, result, labels)
    noise, curves = noise_numbers(f)
    truth, truth_curves = truth_numbers(case, result, f)
    about = {"case": case.name, "patient": case.patient, "split": case.split}
    row = {**overlap, **_deformation(result), **image_numbers(f), **noise, **truth}
    if back is not None:
        row |= inverse_consistency(result, back, f.mask)
    return Score(about | row, [about | s for s in slices], curves | truth_curves)


def _deformation(result: RegisterResult) -> dict[str, float]:
    """Folding, spread of log J, length of the displacement."""
    return {
        "folding_percent": float(result.summary["folded_percent"]),
        "sd_log_jacobian": float(result.log_jacobian.array.std(dtype=np.float64)),
        "displacement_mean_mm": float(result.displacement_mm.array.mean()),
        "displacement_max_mm": float(result.displacement_mm.array.max()),
    }


def inverse_consistency(result: RegisterResult, back: RegisterResult, mask: np.ndarray) -> dict[str, float]:
    """Mean length of u(x) + v(x + u(x)) in the mask, with u the displacement and v that of the same pair
    registered the other way round: 0 if the two registrations agree (Christensen and Johnson, IEEE TMI 2001).

    inverse_consistency_vox: voxels of the fixed image; inverse_consistency_mm. mask: boolean (K, J, I) on the
    fixed grid. What v is not known for, outside the moving image, does not count.
    """
    parts = [
        back.moved.like(np.ascontiguousarray(v, np.float32), "v")
        for v in np.moveaxis(back.disp_lps_mm, -1, 0)
    ]
    there = [reached(part, result.moved, result.disp_vox) for part in parts]
    error_mm = result.disp_lps_mm + np.stack([t.array for t in there], axis=-1)
    error, where = disp_to_vox(error_mm, result.moved.ijk_to_lps), mask & there[0].inside
    return {
        "inverse_consistency_vox": mean_length(error, where),
        "inverse_consistency_mm": mean_length(np.moveaxis(error_mm, -1, 0), where),
    }
