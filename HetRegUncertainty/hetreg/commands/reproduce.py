"""`hetreg reproduce`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..configbase import command_line
from ..progress import JsonLines
from ..reproduce.config import SETTINGS, ReproduceConfig
from ..reproduce.plan import FURTHER, duration, idle_lambdas, swept
from .console import Line, keep_files_of_others, output_folder, progress_for, unstopped, written
from .flags import add_flags, check_root, config_from

OWN = ("README.md", "left_out.json")  # beside folders
HELP = "Train and test all methods, and write the paper's tables and figures with the statistics."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    text = "settings as JSON, such as reproduce.json of a folder; flags override them"
    parser.add_argument("--config", type=Path, help=text)
    parser.add_argument("--output", type=Path, required=True, help="folder; finished runs in it are kept")
    parser.add_argument("--dry-run", action="store_true", help="list the runs and their expected time")
    add_flags(parser, ReproduceConfig)


def run(arguments: argparse.Namespace) -> None:
    """Reproduce, or list the runs. Raises ValueError, after that, if nothing could be measured."""
    base = ReproduceConfig.load(arguments.config) if arguments.config else None
    config = config_from(arguments, ReproduceConfig, base)
    check_flags(arguments, config)
    with output_folder(arguments.output):
        from ..reproduce.run import estimate, reproduce
        from ..training.accelerate import keep_memory

        keep_memory()
        line, progress = Line(), progress_for(arguments)
        tell = JsonLines(sys.stdout).event if arguments.json else _said(line)
        if arguments.dry_run:
            rows = estimate(config, arguments.output, progress, emit=tell)
            _list(rows, config, line, as_json=arguments.json)
            return
        if not (arguments.output / SETTINGS).exists():  # of a damaged one the reproduction says so
            keep_files_of_others(arguments.output, OWN, SETTINGS, "dataset")
        ended: list[tuple[str, str]] = []
        emit = _noting(ended, unstopped(tell))
        files = reproduce(config, arguments.output, progress, emit=emit)
    written(arguments, files)
    if ended and all(error for _, error in ended):
        count, first = len({run for run, _ in ended}), ended[0][1]
        raise ValueError(f"None of the {count} runs and baselines could be measured; the first: {first}")


def check_flags(arguments: argparse.Namespace, config: ReproduceConfig) -> None:
    """Raises ValueError on a flag that would do nothing; what a file of settings has is no matter."""
    if hasattr(arguments, "root"):
        check_root(config)
    for name in ("lambdas", "tolerance"):
        changed = hasattr(arguments, name) and getattr(config, name) != getattr(ReproduceConfig, name)
        if changed and not config.sweep_lambda:
            raise ValueError(
                f"--{name} does nothing without --sweep-lambda: both together, or --smoothness instead, "
                "are accepted."
            )
    if hasattr(arguments, "lambda_of") and (idle := idle_lambdas(config)):
        raise ValueError(
            f"--lambda-of has {', '.join(idle)}, which is not run: methods that are run are accepted."
        )


def how_to_go_on(arguments: argparse.Namespace) -> str:
    """The command that goes on with an interrupted reproduction; "" if there is nothing to go on with."""
    settings = arguments.output / SETTINGS
    words = ["hetreg", "reproduce", "--config", settings, "--output", arguments.output]
    return command_line(words) if settings.is_file() else ""


def _noting(ended: list[tuple[str, str]], emit: Callable[..., None]) -> Callable[..., None]:
    """`emit` that also notes each run that was tested on a source, and why it could not be."""

    def told(kind: str, **fields: Any) -> None:
        if kind == "run" and "source" in fields:
            ended.append((fields["run"], fields["error"]))
        emit(kind, **fields)

    return told


def _said(line: Line) -> Any:
    """What happens seldom, as lines for people."""

    def emit(kind: str, **fields: Any) -> None:
        if kind == "note":
            return line.event(kind, **fields)
        line.say(f"{kind}: " + ", ".join(f"{k} {v}" for k, v in fields.items() if v not in ("", None)))

    return emit


def _list(rows: Iterable[dict[str, Any]], config: ReproduceConfig, line: Line, *, as_json: bool) -> None:
    """Each run as soon as its time is known; as JSON all in one event."""
    listed, further = [], FURTHER * len(swept(config))
    for row in rows:
        listed.append(row)
        time = "unknown" if row["seconds"] is None else duration(row["seconds"])
        if not as_json:
            line.say(f"{row['run']:52} {row['steps']:>7} steps  {time:>9}  {row['state']}")
    total = sum(row["seconds"] or 0.0 for row in listed)
    if as_json:
        JsonLines(sys.stdout).event("dry_run", runs=listed, seconds=round(total, 1), further_runs=further)
        return
    line.say(f"{len(listed)} runs, {duration(total)} to train; the evaluation takes additional time")
    if further:
        line.say(
            f"The sweep of lambda adds up to {further} runs if the best is at the edge; the runs of the "
            f"other seeds and variants, here with {config.smoothness:g}, use the lambda that it chooses"
        )
