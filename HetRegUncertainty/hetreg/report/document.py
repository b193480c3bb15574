"""`report.html` of an evaluation: what came out, where to look, and how it was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.results import Evaluation
from ..evaluation.summary import values
from ..registry import METRICS
from ..tables import Column, Interval, Spread, Table, html_table, metric_column, number, split_name
from . import pictures, plots
from .page import heading, keys, page, paragraph, picture, title

_WORST = 10
_LISTED = 100  # cases in the table of all; the rest is in metrics.csv
_NO_PLOTS = "Plots and pictures are missing: they need the package matplotlib (pip install hetreg[report])."
_SECTIONS = {  # by the module of the metric
    "overlap": "Labels",
    "surface": "Labels",
    "deformation": "Deformation and images",
    "sparsification": "Noise variance",
    "calibration": "Noise variance",
}
_KEYS = ("epe_mm_myocardium", "folding_percent", "coverage95_truth", "spearman_truth", "seconds")
_IN_CASES = ("epe_mm_myocardium", "folding_percent", "ause_mask_normalised", "seconds")
_SUMMARY = (
    "The mean over patients gives each patient the same weight; its interval comes from drawing patients with "
    "replacement (bootstrap). “Without” counts the cases that have no such number, failed ones too."
)
_SPARSIFICATION = (
    "Mean over the cases. The nearer the blue line is to the oracle, the better the noise SD finds the voxels "
    "of large error. A small area alone does not make the SD right: see the calibration."
)
_CALIBRATION = (
    "On the dotted line the SD is right. The model promises too little noise where a curve is above it (left) "
    "or below it (right)."
)


def write_report(evaluation: Evaluation, path: Path) -> Path:
    """Write the report as one HTML file that needs no other. Raises OSError.

    Without matplotlib it has its tables, and a sentence says what is missing.
    """
    try:
        path.write_text(html_report(evaluation), encoding="utf-8", newline="\n")
    except OSError as error:
        raise OSError(f"{path} could not be written: {error.strerror}.") from error
    return path


def html_report(evaluation: Evaluation) -> str:
    """The text of the report."""
    config = evaluation.config
    data = f"{config.dataset} {config.kind}" if config.dataset == "phantom" else config.dataset
    name = f"Evaluation on {data}"
    drawable = find_spec("matplotlib") is not None
    parts = [title(name), paragraph(_lead(evaluation), "lead"), *_failures(evaluation.rows)]
    parts.append(keys(list(_key_numbers(evaluation))))
    parts += [] if drawable else [paragraph(_NO_PLOTS, "warning")]
    parts += _summary(evaluation)
    parts += [*_plots(evaluation), *_pictures(evaluation)] if drawable else []
    parts += [*_cases(evaluation), *_definitions(evaluation.summary["cases"]), *_record(evaluation.summary)]
    return page(name, parts)


def _lead(evaluation: Evaluation) -> str:
    config, summary = evaluation.config, evaluation.summary
    counts = summary["counts"]
    words = f"{_count(counts['cases'], 'case')} of {_count(counts['patients'], 'patient')} (split {config.split}), "
    words += f"{counts['failed'] or 'none'} failed."
    words += f" Model {', '.join(summary['models'])}." if summary.get("models") else ""
    words += f" Refined on each pair, {config.refine} steps." if config.refine else ""
    return words + (f" Device {', '.join(summary['device'])}." if summary.get("device") else "")


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _failures(rows: Sequence[dict[str, Any]]) -> list[str]:
    failed = tuple((str(row["case"]), str(row["error"])) for row in rows if row.get("error"))
    if not failed:
        return []
    text = f"{_count(len(failed), 'case')} failed and {'has' if len(failed) == 1 else 'have'} no numbers."
    table = Table((Column("Case"), Column("What went wrong")), failed, "Failed cases")
    return [paragraph(text, "warning"), html_table(table)]


def _before(name: str, there: Any) -> str:
    """The number's name before registration, "" if there is none."""
    before = name.removesuffix("_after") + "_before"
    return before if before in there and before != name else ""


def _key_numbers(evaluation: Evaluation) -> Iterator[tuple[str, str, str]]:
    """What a reader looks for first: mean over the cases, and what it was before or where the mean lies."""
    numbers, label = evaluation.summary["cases"], evaluation.label
    names = [evaluation.ranked_by, *(f"{stem}_{label}" for stem in ("hd95_mm", "asd_mm")), *_KEYS]
    for name in dict.fromkeys(n for n in names if n in numbers):
        found = numbers[name]
        remark = f"95 % interval {number(found['low'])} to {number(found['high'])}"
        if before := _before(name, numbers):
            remark = f"before: {number(numbers[before]['mean'])}"
        yield metric_column(name).heading, number(found["mean"]), remark


def _summary(evaluation: Evaluation) -> list[str]:
    """Tables of mean, spread and extremes, by section and by label."""
    numbers = evaluation.summary["cases"]
    groups: dict[str, list[str]] = {}
    for name in sorted(numbers, key=_rank):
        if not (name.endswith("_before") and any(_before(other, [name]) for other in numbers)):
            groups.setdefault(_section(name), []).append(name)
    tables = (html_table(_statistics(group, names, evaluation)) for group, names in groups.items())
    return [heading("Summary"), paragraph(_SUMMARY), *tables]


def _rank(name: str) -> tuple[bool, int]:
    """Labels first, then in the order of METRICS."""
    stem, _ = split_name(name)
    return not _section(name).startswith("Label"), list(METRICS).index(stem) if stem else len(METRICS)


def _section(name: str) -> str:
    stem, words = split_name(name)
    if label := next((w for w in words if w.isdigit()), ""):
        return f"Label {label}"
    return _SECTIONS[METRICS[stem].target.split(".")[1].split(":")[0]] if stem else "Cost and others"


def _statistics(section: str, names: list[str], evaluation: Evaluation) -> Table:
    cases, patients = evaluation.summary["cases"], evaluation.summary["patients"]
    columns = (
        Column("Number"),
        Column("before"),
        *(Column(h, group="over cases") for h in ("mean ± SD", "median", "min", "max", "cases", "without")),
        *(Column(h, group="over patients") for h in ("mean ± SD", "95 % interval", "patients")),
    )
    rows = []
    for name in names:
        case, patient = cases[name], patients.get(name, {})
        all_values = values(evaluation.rows, name)
        low, high = (f(all_values) if case["n"] else math.nan for f in (np.nanmin, np.nanmax))
        before = _before(name, cases)
        words = metric_column(name).heading.replace(f", {section.lower()}", "").removesuffix(", after")
        rows.append(
            (
                words,
                cases[before]["mean"] if before else math.nan,
                *(Spread(case["mean"], case["sd"]), case["median"], float(low), float(high)),
                *(int(case["n"]), int(case["missing"])),
                Spread(patient.get("mean", math.nan), patient.get("sd", math.nan)),
                Interval(case["low"], case["high"]),
                int(patient.get("n", 0)),
            )
        )
    return Table(columns, tuple(rows), section, by_row=True)


def _plots(evaluation: Evaluation) -> Iterator[str]:
    """Sections of the plots that there is something to draw for."""
    curves, name = evaluation.curves, evaluation.ranked_by
    if before := _before(name, evaluation.summary["cases"]):
        words = metric_column(name).heading
        content = plots.before_after_plot(evaluation.rows, before, name, words)
        yield heading("Before and after")
        yield picture(content, "svg", f"{words} of each case before and after registration")
    if "sparsification" in curves or "reliability" in curves:
        yield heading("Uncertainty")
    if "sparsification" in curves:
        yield picture(plots.sparsification_plot(curves), "svg", "Sparsification", _SPARSIFICATION)
    if "reliability" in curves:
        yield picture(plots.calibration_plot(curves), "svg", "Calibration", _CALIBRATION)


def _pictures(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.pictures:
        yield heading("Best, median and worst case")
    for shown in evaluation.pictures:
        cut = pictures.cut(shown.case, shown.result, evaluation.label)
        score = number(shown.row.get(evaluation.ranked_by, math.nan))
        words = [f"{shown.role.capitalize()}: {shown.case.name}", cut.place]
        words.append(f"{metric_column(evaluation.ranked_by).heading} {score}")
        yield picture(pictures.case_picture(cut), "png", ", ".join(w for w in words if w))


def _cases(evaluation: Evaluation) -> list[str]:
    """The worst cases, and all of them, with the columns that matter most."""
    numbers, best, rows = evaluation.summary["cases"], evaluation.ranked_by, evaluation.rows
    stems = ("dice", "hd95_mm", "asd_mm", "hd_mm") if evaluation.label else ()
    names = [_before(best, numbers), best, *(f"{s}_{evaluation.label}" for s in stems), *_IN_CASES]
    names = [n for n in dict.fromkeys(names) if n in numbers]
    order = np.argsort(values(rows, best) * (-1 if metric_column(best).better == "low" else 1))
    known = [rows[n] for n in order if math.isfinite(rows[n].get(best, math.nan))]
    parts = [heading("Case by case")]
    if len(known) > _WORST:
        parts.append(html_table(_case_table(known[:_WORST], names, f"The {_WORST} worst cases")))
    note = "The numbers that are not here are in metrics.csv."
    if len(rows) > _LISTED:
        note = f"The first {_LISTED} of {len(rows)} cases; all are in metrics.csv."
    return [*parts, html_table(_case_table(rows[:_LISTED], names, "All cases", note))]


def _case_table(rows: Sequence[dict[str, Any]], names: list[str], caption: str, note: str = "") -> Table:
    columns = (Column("Case"), Column("Patient"), *(Column(metric_column(n).heading) for n in names))
    cells = tuple((str(r["case"]), str(r["patient"]), *(r.get(n) for n in names)) for r in rows)
    return Table(columns, cells, caption, (note,) if note else ())


def _definitions(numbers: dict[str, Any]) -> list[str]:
    stems = {split_name(name)[0] for name in numbers}
    rows = tuple((m.label, m.help) for stem, m in METRICS.items() if stem in stems)
    table = Table((Column("Number"), Column("Meaning")), rows)
    return [heading("What the numbers are"), html_table(table)]


def _record(summary: dict[str, Any]) -> list[str]:
    """Configuration, versions and notes, so that the run can be repeated."""
    content = {**summary.get("config", {}), **summary.get("versions", {})}
    rows = tuple((str(k), str(v)) for k, v in content.items() if v not in ("", None))
    notes = tuple(str(note) for note in summary.get("notes", []))
    table = Table((Column("Setting"), Column("Value")), rows, notes=notes)
    return [heading("How it was run"), html_table(table)]
