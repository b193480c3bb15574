"""From the rows of an evaluation to a line of the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from hetreg.evaluation.results import Evaluation
from hetreg.metrics.statistics import bootstrap_interval, cluster_means
from hetreg.tables import Cell, Column, Table

Row = dict[str, Any]
COLUMNS = (
    Column("tool"),
    Column("patients", 0),
    Column("failed", 0),
    Column("Dice (%)", 1),
    Column("95 %"),
    Column("slices", 0),
    Column("Dice of slices (%)", 1),
    Column("HD95 of slices (px)", 2),
    Column("end-point error (vox)", 2),
    Column("95 %"),
    Column("folding (%)", 4),
    Column("SD log J", 3),
    Column("Spearman", 2),
    Column("s per slice", 3),
)
CALIBRATION = (
    Column("tool"),
    Column("noise in 95 % (%)", 1),
    Column("all noise in 95 % (%)", 1),
    Column("with the true variance", 1),
    Column("NLL excess (nats)", 3),
    Column("largest", 3),
    Column("over all noise (nats)", 3),
    Column("Spearman", 2),
    Column("Spearman, noise of fixed", 2),
    Column("displacement in 68 % (%)", 1),
    Column("displacement in 95 % (%)", 1),
    Column("Spearman, SD and error of displacement", 2),
)


def line(tool: str, evaluation: Evaluation, label: int) -> tuple[Cell, ...]:
    """The cells of COLUMNS.

    Dice is that of a patient's whole stack, its interval drawn over patients; a patient whose registration
    failed counts as 0. The end-point error is that in the myocardium, Spearman's correlation that of the
    noise variance with the true one in the body; NaN where the truth is not known.
    """
    rows = evaluation.rows
    patients = [row["patient"] for row in rows]
    dice = [0.0 if row.get("error") else 100 * row.get(f"dice_{label}", np.nan) for row in rows]
    errors = column(rows, "epe_vox_myocardium")
    slices = evaluation.slices
    seconds = [row["seconds"] / counted(row, slices) for row in rows if not row.get("error")]
    return (
        tool,
        len(set(patients)),
        sum(bool(row.get("error")) for row in rows),
        mean(cluster_means(dice, patients)),
        interval(dice, patients, 1),
        len(slices),
        100 * mean(column(slices, f"dice_{label}")),
        mean(column(slices, f"hd95_px_{label}")),
        mean(errors),
        interval(errors, patients, 2),
        mean(column(rows, "folding_percent")),
        mean(column(rows, "sd_log_jacobian")),
        mean(column(rows, "spearman_truth")),
        float(np.median(seconds)) if seconds and np.isfinite(seconds).all() else float("nan"),
    )


def calibration(tool: str, evaluation: Evaluation) -> tuple[Cell, ...] | None:
    """The cells of CALIBRATION, means over the cases; None where nothing of them is known.

    NLL excess: of the true noise under the predicted variance, over that under its own. It and the 95 %
    interval are also given over all noise, not only that which the network saw. Spearman: of the predicted
    variance with that of the true residual, and with the noise of the fixed image alone.
    """
    rows = evaluation.rows
    excess = column(rows, "nll_truth") - column(rows, "nll_true_variance")
    names = ("coverage95_truth", "coverage95_expected", "coverage95_true_variance")
    rest = (
        "divergence_truth",
        "spearman_truth",
        "spearman_noise",
        "displacement_coverage68",
        "displacement_coverage95",
        "displacement_spearman",
    )
    worst = float(np.nanmax(excess)) if np.isfinite(excess).any() else float("nan")
    means = [[mean(column(rows, n)) for n in part] for part in (names, rest)]
    found = (*means[0], mean(excess), worst, *means[1])
    return None if np.isnan(found).all() else (tool, *found)


def counted(row: Row, slices: Sequence[Row]) -> int:
    """The slices of a case."""
    return max(1, sum(s["case"] == row["case"] for s in slices))


def column(rows: Sequence[Row], name: str) -> np.ndarray:
    """One number of each row, NaN where it lacks it."""
    return np.array([row.get(name, np.nan) for row in rows], float)


def mean(values: np.ndarray) -> float:
    """Without NaN; NaN of nothing."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def interval(values: Sequence[float] | np.ndarray, patients: Sequence[str], digits: int) -> str | None:
    """The 95 % interval of the mean over patients, in words."""
    low, high = bootstrap_interval(values, patients)
    return None if np.isnan(low) else f"{low:.{digits}f} to {high:.{digits}f}"


def failures(tool: str, evaluation: Evaluation) -> list[str]:
    """A note for each reason why cases of a tool failed."""
    reasons = Counter(row["error"] for row in evaluation.rows if row.get("error"))
    return [f"{tool}, {count} failed: {reason}" for reason, count in reasons.items()]


def tables(
    group: str, lines: Sequence[tuple[Cell, ...]], trust: Sequence[tuple[Cell, ...]], *notes: str
) -> list[Table]:
    """The tables of a group of cases: accuracy and, where there is something in it, calibration."""
    found = [Table(COLUMNS, tuple(lines), group, notes)]
    if trust:
        found.append(Table(CALIBRATION, tuple(trust), f"{group}: calibration, means over the pairs"))
    return found
