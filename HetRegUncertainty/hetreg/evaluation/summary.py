"""From the rows of an evaluation to its means, over cases, over slices and over patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..datasets.listing import misplaced_note
from ..metrics.calibration import LEVELS
from ..metrics.sparsification import PUBLISHED_BINS
from ..metrics.statistics import bootstrap_interval, cluster_means
from ..tables import ABOUT
from .cases import Source
from .noise import CURVE_STEPS, Curves
from .scores import Row

_TEXT = frozenset(ABOUT)


def numbers_of(rows: Iterable[Row]) -> list[str]:
    """The names of the numbers in the rows, in the order in which they first come."""
    return list(dict.fromkeys(name for row in rows for name in row if name not in _TEXT))


def values(rows: Sequence[Row], name: str) -> np.ndarray:
    """One number of each row (N,), NaN where a row lacks it."""
    return np.array([row.get(name, np.nan) for row in rows], float)


def label_notes(rows: Sequence[Row], sources: Sequence[Source], chosen: Sequence[int]) -> list[str]:
    """Labels that lie elsewhere than their image, how many cases lack labels, and which chosen label no case
    has. sources: of each row."""
    notes = misplaced_note(list({source.name: source.misplaced for source in sources}.values()))
    if lost := sum(not (of.labelled or row["error"]) for of, row in zip(sources, rows, strict=True)):
        notes.append(f"{lost} of {len(rows)} cases lack labels on one image or both: no overlap.")
    for label in chosen:
        if rows and not np.isfinite(values(rows, f"dice_{label}")).any():
            notes.append(f"No case has label {label}: its numbers are empty.")
    return notes


def statistics(rows: Sequence[Row], patients: Sequence[str]) -> dict[str, dict[str, float]]:
    """{name: mean, sd, median, n, missing, low, high} of each number.

    missing: rows without it, failed ones too. low, high: 95 % interval of that mean, for other patients (see
    `bootstrap_interval`, pooled).
    """
    found = {}
    for name in numbers_of(rows):
        all_values = values(rows, name)
        known = all_values[np.isfinite(all_values)]
        finite = np.where(np.isfinite(all_values), all_values, np.nan)
        low, high = bootstrap_interval(finite, patients, pooled=True)
        found[name] = {
            "mean": float(known.mean()) if known.size else float("nan"),
            "sd": float(known.std(ddof=1)) if known.size > 1 else float("nan"),
            "median": float(np.median(known)) if known.size else float("nan"),
            "n": int(known.size),
            "missing": int(all_values.size - known.size),
            "low": low,
            "high": high,
        }
    return found


def patient_rows(rows: Sequence[Row]) -> list[Row]:
    """One row for each patient: the number of cases and of failed ones, and the means of the numbers."""
    patients = [row["patient"] for row in rows]
    failed = Counter(row["patient"] for row in rows if row.get("error"))
    made: dict[str, Row] = {
        patient: {"patient": patient, "cases": cases, "failed": failed[patient]}
        for patient, cases in Counter(patients).items()
    }
    for name in numbers_of(rows):
        for patient, mean in zip(made, cluster_means(values(rows, name), patients), strict=True):
            made[patient][name] = float(mean)
    return list(made.values())


def mean_curves(curves: Sequence[Curves]) -> dict[str, dict[str, Any]]:
    """The means over the cases, as a report draws them.

    {"sparsification": {"fraction", "by_uncertainty", "oracle", "cases"}, "sparsification_published": same,
    "reliability": {"predicted_sd", "observed_sd", "cases"}, "coverage": {"level", "found", "cases"}}, and on
    phantoms "reliability_truth" and "coverage_truth". SD and MSE are in parts of the intensity range, what
    coverage found in percent.
    """
    made: dict[str, dict[str, Any]] = {}
    for end, steps in (("", CURVE_STEPS), ("_published", PUBLISHED_BINS)):
        names = {"by_uncertainty": f"sparsification{end}", "oracle": f"oracle{end}"}
        made[f"sparsification{end}"] = {"fraction": np.arange(steps) / steps, **_means(curves, names)}
    for end in ("", "_truth"):
        names = {n: f"{n}{end}" for n in ("predicted_sd", "observed_sd")}
        made[f"reliability{end}"] = _means(curves, names)
        made[f"coverage{end}"] = {"level": np.array(LEVELS), **_means(curves, {"found": f"coverage{end}"})}
    return {name: curve for name, curve in made.items() if curve["cases"]}


def _means(curves: Sequence[Curves], names: dict[str, str]) -> dict[str, Any]:
    """Means over the cases whose curves are finite and as long as the longest."""
    longest = max((len(c[n]) for c in curves for n in names.values() if n in c), default=0)
    usable = [
        c
        for c in curves
        if all(n in c and len(c[n]) == longest and np.isfinite(c[n]).all() for n in names.values())
    ]
    means = {name: np.mean([c[source] for c in usable], axis=0) for name, source in names.items() if usable}
    return {**means, "cases": len(usable)}
