"""`report.html` of an evaluation: what came out, where to look, and how it was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.cut import cut
from ..evaluation.results import Evaluation
from ..evaluation.summary import values
from ..files import write_whole
from ..measures import OTHERS, metric_column, split_name
from ..registry import METRICS
from ..tables import Cell, Column, Interval, Spread, Table, number
from . import alternatives, pictures, plots
from .page import heading, keys, page, paragraph, picture, table_figure, title

_WORST = 10
_LISTED = 100  # cases in the table of all; the rest is in metrics.csv
_NO_PLOTS = "Plots and pictures are missing: they need the package matplotlib (pip install hetreg[report])."
# of numbers that are no metrics, by the beginning of the name
_SECTIONS = {"displacement": "Deformation and images", "noise": "Noise variance"}
_CASES, _PATIENTS = "over cases", "over patients"
_KEYS = ("epe_mm_myocardium", "folding_percent", "coverage95_truth", "spearman_truth", "seconds")
_IN_CASES = ("epe_mm_myocardium", "folding_percent", "ause_mask_normalised", "seconds")
_SUMMARY = (
    "The 95 % interval is that of the mean in the same part of the table, for other patients: they are drawn "
    "with replacement (bootstrap). Of two to four patients it is Student's t interval, which can reach "
    "beyond what is possible; of one there is none. “Without” counts cases that lack the number, failed ones "
    "too."
)
_TRUTH = (
    "“Simulated noise”: the predicted variance against the noise that the phantom really has. “True "
    "variance”: the phantom's own variance against it, the best that is possible."
)
_SPARSIFICATION = (
    "Mean over the cases. The nearer the blue line is to the oracle, the better the noise SD finds the "
    "voxels of large error. A small area alone does not make the SD right: see the calibration."
)
_CALIBRATION = (
    "On the dotted line the SD is right. The model promises too little noise where a curve is above it "
    "(left) or below it (right)."
)


def write_report(evaluation: Evaluation, path: Path) -> Path:
    """Write the report as one HTML file that needs no other. Raises OSError.

    Without matplotlib it has its tables, and a sentence says what is missing.
    """
    write_whole(path, html_report(evaluation))
    return path


def html_report(evaluation: Evaluation) -> str:
    """The text of the report."""
    config = evaluation.config
    data = f"{config.dataset} {config.kind}" if config.dataset == "phantom" else config.dataset
    name = f"Evaluation on {data}"
    drawable = find_spec("matplotlib") is not None
    parts = [title(name), paragraph(_lead(evaluation), "lead"), *_failures(evaluation.rows)]
    parts += [paragraph(str(note), "note") for note in evaluation.summary.get("notes", [])]
    parts.append(keys(list(_key_numbers(evaluation))))
    parts += [] if drawable else [paragraph(_NO_PLOTS, "warning")]
    parts += _summary(evaluation)
    parts += [*_plots(evaluation), *_pictures(evaluation)] if drawable else []
    parts += [*_cases(evaluation), *_definitions(evaluation.summary["cases"]), *_record(evaluation.summary)]
    return page(name, parts)


def _lead(evaluation: Evaluation) -> str:
    config, summary = evaluation.config, evaluation.summary
    counts = summary["counts"]
    words = f"{_count(counts['cases'], 'case')} of {_count(counts['patients'], 'patient')}, "
    words += f"{counts['failed'] or 'none'} failed. Split {config.split}."
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
    return [paragraph(text, "warning"), table_figure(table)]


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
    """Tables of mean, spread and extremes, by section and by label, the main label first."""
    numbers = evaluation.summary["cases"]
    hidden = {_before(name, numbers) for name in numbers}
    groups: dict[str, list[str]] = {f"Label {evaluation.label}": []}
    for name in sorted(numbers, key=_rank):
        if name not in hidden:
            groups.setdefault(_section(name), []).append(name)
    tables = (table_figure(_statistics(g, names, evaluation)) for g, names in groups.items() if names)
    return [heading("Summary"), paragraph(_SUMMARY), *tables]


def _rank(name: str) -> tuple[int, int]:
    """Labels first, cost last, and else in the order of METRICS."""
    stem, _ = split_name(name)
    section = 0 if _section(name).startswith("Label") else 2 if _section(name) == "Cost" else 1
    return section, list(METRICS).index(stem) if stem in METRICS else len(METRICS)


def _section(name: str) -> str:
    stem, words = split_name(name)
    if label := next((word for word in words if word.isdigit()), ""):
        return f"Label {label}"
    return METRICS[stem].section if stem in METRICS else _SECTIONS.get(name.split("_")[0], "Cost")


def _statistics(section: str, names: list[str], evaluation: Evaluation) -> Table:
    """A row for each number. A column that would say nothing is left out: "before" where no number has one,
    "without" where none is missing, the patients' mean and interval where each has one case."""
    cases, patients = evaluation.summary["cases"], evaluation.summary["patients"]
    counts = evaluation.summary["counts"]
    known = {n: [v for v in values(evaluation.rows, n) if math.isfinite(v)] or [math.nan] for n in names}
    before = {n: cases[b]["mean"] if (b := _before(n, cases)) else None for n in names}
    several = counts["patients"] < counts["cases"]
    choice: list[tuple[bool, str, str, Callable[[str], Cell]]] = [
        (True, "", "Number", lambda n: _words(n, section)),
        (any(v is not None for v in before.values()), "", "before", lambda n: before[n]),
        (True, _CASES, "mean ± SD", lambda n: Spread(cases[n]["mean"], cases[n]["sd"])),
        (True, _CASES, "median", lambda n: cases[n]["median"]),
        (True, _CASES, "min", lambda n: float(min(known[n]))),
        (True, _CASES, "max", lambda n: float(max(known[n]))),
        (True, _CASES, "cases", lambda n: int(cases[n]["n"])),
        (any(cases[n]["missing"] for n in names), _CASES, "without", lambda n: int(cases[n]["missing"])),
        (True, _CASES, "95 % interval", lambda n: Interval(cases[n]["low"], cases[n]["high"])),
        (several, _PATIENTS, "mean ± SD", lambda n: Spread(patients[n]["mean"], patients[n]["sd"])),
        (several, _PATIENTS, "95 % interval", lambda n: Interval(patients[n]["low"], patients[n]["high"])),
    ]
    chosen = [(Column(head, group=group), cell) for wanted, group, head, cell in choice if wanted]
    rows = tuple(tuple(cell(name) for _, cell in chosen) for name in names)
    notes = (_TRUTH,) if any("truth" in name for name in names) else ()
    return Table(tuple(column for column, _ in chosen), rows, section, notes, by_row=True)


def _words(name: str, section: str) -> str:
    return metric_column(name).heading.replace(f", {section.lower()}", "").removesuffix(", after")


def _plots(evaluation: Evaluation) -> Iterator[str]:
    """Sections of the plots that there is something to draw for."""
    curves, name = evaluation.curves, evaluation.ranked_by
    if before := _before(name, evaluation.summary["cases"]):
        words = metric_column(name).heading
        content = plots.before_after_plot(evaluation.rows, before, name, words)
        yield heading("Before and after")
        caption = f"{words} of each case before and after registration"
        told = alternatives.before_after_text(evaluation.rows, before, name)
        yield picture(content, "svg", caption, told, size="half")
    if "sparsification" in curves or "reliability" in curves:
        yield heading("Uncertainty")
    if "sparsification" in curves:
        content, told = plots.sparsification_plot(curves), alternatives.sparsification_text(curves)
        yield picture(content, "svg", "Sparsification", told, _SPARSIFICATION)
    if "reliability" in curves:
        content, told = plots.calibration_plot(curves), alternatives.calibration_text(curves)
        yield picture(content, "svg", "Calibration", told, _CALIBRATION)


def _pictures(evaluation: Evaluation) -> Iterator[str]:
    name = evaluation.ranked_by
    before = _before(name, evaluation.summary["cases"])
    if evaluation.pictures:
        yield heading("Best, median and worst case")
    for shown in evaluation.pictures:
        drawn = cut(shown.case, shown.result, evaluation.label)
        score = number(shown.row.get(name, math.nan))
        words = [f"{shown.role.capitalize()}: {shown.case.name}", drawn.place]
        words.append(f"{metric_column(name).heading}: {score}")
        told = alternatives.case_text(drawn, shown.row, before, name)
        yield picture(pictures.case_picture(drawn), "png", ", ".join(w for w in words if w), told)


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
        parts.append(table_figure(_case_table(known[:_WORST], names, f"The {_WORST} worst cases")))
    note = "The numbers that are not here are in metrics.csv."
    if len(rows) > _LISTED:
        note = f"The first {_LISTED} of {len(rows)} cases; all are in metrics.csv."
    return [*parts, table_figure(_case_table(rows[:_LISTED], names, "All cases", note))]


def _case_table(rows: Sequence[dict[str, Any]], names: list[str], caption: str, note: str = "") -> Table:
    columns = (Column("Case"), Column("Patient"), *(Column(metric_column(n).heading) for n in names))
    cells = tuple((str(r["case"]), str(r["patient"]), *(r.get(n) for n in names)) for r in rows)
    return Table(columns, cells, caption, (note,) if note else ())


def _definitions(numbers: dict[str, Any]) -> list[str]:
    stems = {split_name(name)[0] for name in numbers}
    rows = [(m.label, m.help) for stem, m in METRICS.items() if stem in stems]
    rows += [words for stem, words in OTHERS.items() if stem in stems]
    table = Table((Column("Number"), Column("Meaning")), tuple(rows))
    return [heading("What the numbers are"), table_figure(table)]


def _record(summary: dict[str, Any]) -> list[str]:
    """Configuration and versions, so that the run can be repeated."""
    content = {**summary.get("config", {}), **summary.get("versions", {})}
    rows = tuple((str(k), str(v)) for k, v in content.items() if v not in ("", None))
    table = Table((Column("Setting"), Column("Value")), rows)
    return [heading("How it was run"), table_figure(table)]
