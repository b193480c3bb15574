"""`hetreg evaluate`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..config import EvaluateConfig
from ..measures import metric_column
from ..progress import JsonLines
from ..tables import number
from .console import Line, keep_files_of_others, output_folder, progress_for, unstopped, written
from .flags import add_flags, check_root, config_from

HELP = "Register every pair of a data set and measure the results."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    add_flags(parser, EvaluateConfig)


def run(arguments: argparse.Namespace) -> None:
    """Evaluate and write the files. Raises ValueError, after that, if every case failed."""
    config = config_from(arguments, EvaluateConfig)
    check_root(config)
    with output_folder(arguments.output):
        from ..evaluate import evaluate, write
        from ..evaluation.results import FILES
        from ..report.document import write_report

        keep_files_of_others(arguments.output, FILES, "summary.json", "counts")
        emit = JsonLines(sys.stdout).event if arguments.json else _failures(Line())
        evaluation = evaluate(config, progress_for(arguments), emit=unstopped(emit))
        files = write(evaluation, arguments.output, write_report)
    summary = evaluation.summary
    written(arguments, files, _lines(summary), summary=summary)
    counts = summary["counts"]
    if counts["failed"] == counts["cases"]:
        first = summary["failed"][0]["error"]
        raise ValueError(f"None of the {counts['cases']} cases could be measured; the first: {first}")


def _failures(line: Line) -> Any:
    """Says at once which case failed and why."""

    def emit(kind: str, **row: Any) -> None:
        if row.get("error"):
            line.say(f"failed  {row['case']}: {row['error']}")

    return emit


def _lines(summary: dict[str, Any]) -> Iterator[str]:
    """The means over the cases for people; of labels beside the main one only their Dice."""
    counts, label = summary["counts"], f"_{summary['label']}"
    yield (
        f"{counts['cases']} cases of {counts['patients']} patients, {counts['failed']} failed, "
        f"{counts['refused']} files refused"
    )
    yield f"{'':44} {'mean':>10} {'SD':>10} {'median':>10} {'cases':>6}"
    for name, found in summary["cases"].items():
        of = [part for part in name.split("_") if part.isdecimal()]
        if of and f"_{of[0]}" != label and not name.startswith("dice"):
            continue
        numbers = " ".join(f"{number(found[n]):>10}" for n in ("mean", "sd", "median"))
        yield f"{metric_column(name).heading:44} {numbers} {found['n']:6}"
    yield from (f"note: {note}" for note in summary["notes"])
