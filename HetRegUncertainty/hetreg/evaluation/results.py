"""`Evaluation`: what one evaluation gives, and its files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..config import EvaluateConfig
from ..files import whole_folder, write_whole
from ..progress import plain
from ..result import RegisterResult
from ..tables import ABOUT
from .case import Case
from .scores import Row
from .summary import numbers_of

FILES = ("metrics.csv", "slices.csv", "patients.csv", "summary.json", "report.html")


@dataclass(frozen=True, eq=False)
class Picture:
    """A case to be drawn. role: "best", "median" or "worst" by `Evaluation.ranked_by`; row: its numbers."""

    role: str
    row: Row
    case: Case
    result: RegisterResult


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What `evaluate` gives.

    rows: one for each case, with "case", "patient", "split", "model", "error" ("" or why it failed),
    "note", and numbers (see `scores.score`); what does not apply to a case is left out. slices: one for each
    slice with labels. patients: means of each patient's cases. summary: "config", "versions", "models"
    ({name: SHA-256, "" if the tool gives none}), "device", "notes", "label"; "counts" of cases, failed,
    patients, slices, and files refused; "failed" and "refused", with reasons; in "cases", "slices" and
    "patients" each number's `summary.statistics`.
    curves: see `summary.mean_curves`. label: the main label, 0 without labels. ranked_by: what orders the
    pictures.
    """

    config: EvaluateConfig
    rows: list[Row]
    slices: list[Row]
    patients: list[Row]
    summary: dict[str, Any]
    curves: dict[str, dict[str, Any]]
    pictures: list[Picture]
    label: int
    ranked_by: str


def write(
    evaluation: Evaluation,
    folder: str | Path,
    report: Callable[[Evaluation, Path], Any] | None = None,
) -> dict[str, Path]:
    """Write metrics.csv, slices.csv, patients.csv, summary.json, and report.html if `report` is given.

    All or nothing, and in place of all files of a former evaluation in that folder. Returns the files by
    name. Raises OSError if the folder cannot be written.
    """
    folder = Path(folder)
    with whole_folder(folder, FILES) as partial:
        _write_rows(evaluation.rows, partial / "metrics.csv")
        _write_rows(evaluation.patients, partial / "patients.csv")
        if evaluation.slices:
            _write_rows(evaluation.slices, partial / "slices.csv")
        content = evaluation.summary | {"curves": evaluation.curves}
        write_whole(partial / "summary.json", json.dumps(plain(content), indent=1, allow_nan=False) + "\n")
        if report is not None:
            report(evaluation, partial / "report.html")
        written = [name for name in FILES if (partial / name).is_file()]
    return {Path(name).stem: folder / name for name in written}


def _write_rows(rows: Sequence[Row], path: Path) -> None:
    """A CSV file; a cell is empty where the row has no such number or it is not defined."""
    about = [name for name in ABOUT if any(name in row for row in rows)]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [*about, *numbers_of(rows)], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.7g}" if np.isfinite(value) else ""
    return value
