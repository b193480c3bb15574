"""What the pictures of a report tell, in words, for who cannot see them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..evaluation.cut import Cut
from ..measures import metric_column
from ..metrics.means import nanmean
from ..tables import number
from .pictures import around_labels
from .plots import NOISE, PARTS, Curves, area, pairs

_COVERAGES = (0.5, 0.95)


def before_after_text(rows: Sequence[dict[str, Any]], before: str, after: str) -> str:
    """The means of `before_after_plot`, and for how many cases the number is better."""
    x, y = pairs(rows, before, after)
    column = metric_column(after)
    better = int(((x - y if column.better == "low" else y - x) > 0).sum())
    means = [number(float(nanmean(values))) for values in (x, y)]
    told = f"on average {means[0]} before and {means[1]} after registration"
    rest = f" ({missing} more without one of these numbers)" if (missing := len(rows) - len(x)) else ""
    return f"{column.heading}: {told}, better after it in {better} of {len(x)} cases{rest}."


def sparsification_text(curves: Curves) -> str:
    """The errors of `sparsification_plot` at its left end and at its middle."""
    texts = []
    for end, title in PARTS.items():
        if curve := curves.get(f"sparsification{end}"):
            half = int(np.searchsorted(curve["fraction"], 0.5))
            ours, oracle = curve["by_uncertainty"], curve["oracle"]
            texts.append(
                f"{title}: AUSE {area(curve):.2e}. The MSE is {ours[0]:.2e} of all voxels, {ours[half]:.2e} "
                f"without the most uncertain half, {oracle[half]:.2e} without the half of the largest errors."
            )
    return " ".join(texts)


def calibration_text(curves: Curves) -> str:
    """The ends of the SD and two of the coverages of `calibration_plot`."""
    texts = []
    for end, (name, *_) in NOISE.items():
        if curve := curves.get(f"reliability{end}"):
            points = [(number(curve["observed_sd"][i]), number(curve["predicted_sd"][i])) for i in (0, -1)]
            found = " and ".join(f"{found} where {promised} is promised" for found, promised in points)
            texts.append(f"SD of the {name}, in parts of the intensity range: {found}.")
        if curve := curves.get(f"coverage{end}"):
            shares = np.interp(_COVERAGES, curve["level"], curve["found"])
            found = " and ".join(
                f"{number(share, 1)} % inside the {100 * level:.0f} % interval"
                for share, level in zip(shares, _COVERAGES, strict=True)
            )
            texts.append(f"Coverage of the {name}: {found}.")
    return " ".join(texts)


def case_text(shown: Cut, row: dict[str, Any], before: str, after: str) -> str:
    """The score of `case_picture`, and what its maps and its grid show. before: "" if there is none."""
    shown = around_labels(shown)
    score = f"{metric_column(after).heading}: {number(row.get(after, math.nan))}"
    texts = [f"{score}, before {number(row.get(before, math.nan))}." if before else f"{score}."]
    step_mm = np.reshape(shown.spacing_mm, (2, 1, 1))
    maps = {
        "Noise SD": shown.noise_sd,
        "SNR weight": shown.weight,
        "Displacement in the slice, mm": np.linalg.norm(shown.disp * step_mm, axis=0),
    }
    for name, image in maps.items():
        if image is not None:
            low, middle, high = (number(v) for v in np.percentile(image, (0, 50, 100)))
            texts.append(f"{name}: {low} to {high}, median {middle}.")
    return " ".join(texts)
