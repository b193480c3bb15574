"""What the runs scored, unit by unit (a test pair, or a slice of it), and the means over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..metrics.means import nanmean

Unit = tuple[str, str]  # (patient, name of the pair or slice)
LABELS = (2, 3)  # myocardium, cavity


@dataclass(frozen=True)
class Measure:
    """A column of the tables. key: in a row of the evaluation, {label} for the structure's number; scale: the
    row's value times this is shown; higher: True if more is better, None if neither is; slices: a stack's
    slices are the units, as published, otherwise the cases."""

    label: str
    key: str
    higher: bool | None = False
    scale: float = 1.0
    digits: int = 2
    slices: bool = False


@dataclass(frozen=True)
class Score:
    """One run (or baseline: network "") on one source. rows: one per case, with "patient", "case" and
    numbers; a case that failed has an "error". slices: the same for each slice of the cases that did not.
    error: why there are no rows at all."""

    network: str
    variant: str
    seed: int
    source: str
    rows: Sequence[dict[str, Any]] = ()
    slices: Sequence[dict[str, Any]] = ()
    error: str = ""
    smoothness: float = math.nan
    curves: dict[str, Any] = field(default_factory=dict)

    def units(self, measure: Measure, label: int) -> list[dict[str, Any]]:
        """The rows that the measure is of: all cases, or the slices that have the label; of a case that
        failed its own, so that it is counted."""
        if not measure.slices:
            return list(self.rows)
        key = measure.key.format(label=label)
        return [*(s for s in self.slices if key in s), *(row for row in self.rows if row.get("error"))]

    def left_out(self, label: int) -> int:
        """Slices with the label in one of the images alone, which have no row."""
        return int(sum(_number(row.get(f"slices_left_out_{label}", 0)) for row in self.rows))


@dataclass(frozen=True)
class Series:
    """One measure of one method: units in a fixed order, their patients, and values (seeds, units). seeds: of
    the rows; () for a baseline, which has one row and nothing random."""

    units: list[Unit]
    values: np.ndarray
    seeds: tuple[int, ...] = ()

    @property
    def patients(self) -> list[str]:
        """The patient of each unit."""
        return [patient for patient, _ in self.units]

    @property
    def over_seeds(self) -> np.ndarray:
        """The mean over the seeds of each unit; NaN where no seed has a value."""
        return nanmean(self.values, axis=0)

    @property
    def mean(self) -> float:
        """The plain mean over all units, as published."""
        return float(nanmean(self.over_seeds))

    @property
    def seed_sd(self) -> float:
        """SD over the seeds of their means; NaN for one seed."""
        means = nanmean(self.values, axis=1)
        means = means[~np.isnan(means)]
        return float(np.std(means, ddof=1)) if means.size > 1 else math.nan

    def of_seed(self, seed: int) -> dict[Unit, float]:
        """The values of one run; of a baseline its own. {} if there is no such run."""
        row = 0 if not self.seeds else self.seeds.index(seed) if seed in self.seeds else None
        return {} if row is None else dict(zip(self.units, self.values[row], strict=True))

    @property
    def missing(self) -> int:
        """Units and seeds without a value: failed, or nothing to measure."""
        return int(np.isnan(self.values).sum())


def common_seeds(first: Series, second: Series) -> list[int]:
    """The seeds of which both have a run with a value; a baseline goes with any. A run that failed has the
    chance of its training on one side alone, which no test may take for a difference of the methods."""
    kept = [
        {seed for seed, row in zip(s.seeds, s.values, strict=True) if not np.isnan(row).all()}
        for s in (first, second)
        if s.seeds
    ]
    return sorted(set.intersection(*kept)) if kept else []


def series(scores: Iterable[Score], measure: Measure, label: int) -> Series:
    """The measure over the units of some scores of one method, one score per seed."""
    scores = list(scores)
    key = measure.key.format(label=label)
    tables = [
        {_unit(row): measure.scale * _number(row.get(key)) for row in score.units(measure, label)}
        for score in scores
    ]
    units = list(dict.fromkeys(unit for table in tables for unit in table))
    values = [[table.get(unit, math.nan) for unit in units] for table in tables]
    seeds = tuple(score.seed for score in scores if score.network)
    return Series(units, np.array(values, float).reshape(len(tables), len(units)), seeds)


def _unit(row: dict[str, Any]) -> Unit:
    return patient_of(row), f"{row['case']}/{row.get('slice', '')}"


def patient_of(row: dict[str, Any]) -> str:
    """The patient of a row; its case where it names none."""
    return str(row.get("patient") or row["case"])


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def label_of(scores: Sequence[Score], measure: Measure) -> int:
    """The first of LABELS that the rows have the measure of; the first if none."""
    for label in LABELS:
        rows = [row for score in scores for row in score.units(measure, label)]
        if any(not math.isnan(_number(row.get(measure.key.format(label=label)))) for row in rows):
            return label
    return LABELS[0]
