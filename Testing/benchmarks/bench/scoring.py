"""One code that scores the field of every tool, and the table of its numbers."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hetreg.metrics.deformation import end_point_error, folding_percent, sd_log_jacobian
from hetreg.metrics.overlap import binarise
from hetreg.metrics.statistics import bootstrap_interval
from hetreg.metrics.surface import surface_distances
from hetreg.spatial import jacobian_determinant, warp_as_itk

from .cases import Case

Row = dict[str, Any]
NAN = float("nan")
COLUMNS = (
    "group", "tool", "patient", "case", "slice", "error", "dice", "overlap", "area", "hd95_px", "epe_px",
    "folded_percent", "sd_log_jacobian", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What a tool gave for a sample of a case: its field (ndim, *spatial) in voxels, or its error."""

    disp: np.ndarray | None
    seconds: float = NAN
    error: str = ""


def score(case: Case, tool: str, found: Iterable[Found]) -> list[Row]:
    """A row per slice (or per volume) of a case.

    dice, hd95_px of the case's label, warped linearly and cut at 0.5; epe_px: mean error of the field on that
    label in the fixed image, NaN where the truth is not known. overlap, area: voxels in both masks, and of
    both together, from which the Dice of a whole stack follows. A failed slice has Dice 0, the rest NaN.
    """
    about = {"group": case.group, "tool": tool, "patient": case.patient, "case": case.name}
    rows = []
    for k, one in enumerate(found):
        index = slice(None) if case.ndim == 3 else k
        truth, moving = (i.array[index] == case.label for i in (case.fixed_label, case.moving_label))
        row: Row = dict.fromkeys(COLUMNS, NAN) | about
        row |= {"slice": k, "error": one.error, "seconds": one.seconds, "overlap": 0}
        row |= {"dice": 0.0, "area": int(truth.sum()) + int(moving.sum())}
        if one.disp is not None:
            row |= _numbers(case, one.disp, truth, moving, index)
        rows.append(row)
    return rows


def _numbers(
    case: Case, disp: np.ndarray, truth: np.ndarray, moving: np.ndarray, index: slice | int
) -> dict[str, float]:
    field = torch.from_numpy(np.ascontiguousarray(disp, np.float32))[None]
    mask = binarise(_array(warp_as_itk(torch.from_numpy(moving.astype(np.float32))[None, None], field)))
    overlap, area = int((truth & mask).sum()), int(truth.sum()) + int(mask.sum())
    jacobian = _array(jacobian_determinant(field))
    error = NAN
    if case.true_disp is not None:
        known = case.true_disp if case.ndim == 3 else case.true_disp[1:, index]
        error = end_point_error(disp, known, truth)
    return {
        "overlap": overlap,
        "area": area,
        "dice": 2 * overlap / area if area else NAN,
        "hd95_px": surface_distances(truth, mask, [1.0] * truth.ndim)["hd95_px"],
        "epe_px": error,
        "folded_percent": folding_percent(jacobian),
        "sd_log_jacobian": sd_log_jacobian(jacobian),
    }


def _array(tensor: Tensor) -> np.ndarray:
    return tensor[0, 0].numpy()


def dice_of_stacks(rows: list[Row]) -> dict[str, float]:
    """Dice over all slices of each patient together."""
    sums: dict[str, list[int]] = {}
    for row in rows:
        both = sums.setdefault(row["patient"], [0, 0])
        both[0] += row["overlap"]
        both[1] += row["area"]
    return {name: 2 * overlap / area if area else NAN for name, (overlap, area) in sums.items()}


def summary(rows: list[Row]) -> dict[str, Any]:
    """Means of the rows of one tool on one group; the interval is drawn over patients."""

    def mean(name: str, average: Callable = np.nanmean) -> float:
        values = np.array([r[name] for r in rows], float)
        return float(average(values)) if not np.isnan(values).all() else NAN

    patients = list(dice_of_stacks(rows).values())
    return {
        "samples": len(rows),
        "patients": len(patients),
        "failed": sum(bool(r["error"]) for r in rows),
        "dice": 100 * mean("dice"),
        "dice_patients": 100 * float(np.nanmean(patients)),
        "dice_interval": [100 * v for v in bootstrap_interval(patients)],
        "epe_interval": bootstrap_interval([r["epe_px"] for r in rows], [r["patient"] for r in rows]),
        "seconds": mean("seconds", np.nanmedian),
    } | {n: mean(n) for n in ("hd95_px", "epe_px", "folded_percent", "sd_log_jacobian")}


def table(rows: list[Row]) -> str:
    """Markdown, one table per group, one line per tool in the order in which they come."""
    lines: list[str] = []
    for group in dict.fromkeys(r["group"] for r in rows):
        lines += ["", f"### {group}", "", _HEAD, "|---" * _HEAD.count(" | ") + "|---|"]
        for tool in dict.fromkeys(r["tool"] for r in rows if r["group"] == group):
            lines.append(_line(tool, summary([r for r in rows if (r["group"], r["tool"]) == (group, tool)])))
    return "\n".join(lines[1:])


_HEAD = (
    "| tool | n (patients) | Dice % of samples | Dice % of patients [95 %] | HD95 px | error px [95 %] | "
    "folded % | SD log J | s per sample | failed |"
)


def _line(tool: str, s: dict[str, Any]) -> str:
    low, high = s["dice_interval"]
    error = "-"
    if not np.isnan(s["epe_px"]):
        error = f"{s['epe_px']:.2f} [{s['epe_interval'][0]:.2f}, {s['epe_interval'][1]:.2f}]"
    seconds = "-" if np.isnan(s["seconds"]) else f"{s['seconds']:.3f}"
    return (
        f"| {tool} | {s['samples']} ({s['patients']}) | {s['dice']:.1f} | "
        f"{s['dice_patients']:.1f} [{low:.1f}, {high:.1f}] | {s['hd95_px']:.2f} | {error} | "
        f"{s['folded_percent']:.4f} | {s['sd_log_jacobian']:.3f} | {seconds} | {s['failed']} |"
    )


def write_csv(rows: list[Row], path: Path) -> None:
    """All rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
