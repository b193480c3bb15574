"""`hetreg train`."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import TrainConfig
from ..configbase import command_line
from ..progress import Control, JsonLines, Progress
from ..registry import METHODS, method_options
from ..zoo import options_from
from .console import Line, keep_files_of_others, output_folder, say
from .flags import add_flags, check_root, config_from
from .steering import heard, steered

HELP = "Train a displacement and a variance network."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument(
        "--config", type=Path, help="settings as JSON, such as config.json of a run; flags override them"
    )
    parser.add_argument("--output", type=Path, help="run folder; a run in it is continued")
    parser.add_argument("--resume", type=Path, help="run folder to resume, with its own configuration")
    parser.add_argument("--dry-run", action="store_true", help="list the data and stop")
    parser.add_argument(
        "--control",
        type=Path,
        help="a file that is read repeatedly: the word in it, pause, resume or stop, is obeyed",
    )
    add_flags(parser, TrainConfig)


def run(arguments: argparse.Namespace) -> None:
    """Train, or list the data."""
    folder = _folder(arguments)
    if arguments.resume and not (arguments.resume / "config.json").is_file():
        raise ValueError(f"{arguments.resume} holds no run: a folder with config.json is accepted.")
    source = arguments.config or (arguments.resume and arguments.resume / "config.json")
    if source is None:
        _follow_start(arguments)
    config = config_from(arguments, TrainConfig, TrainConfig.load(source) if source else None)
    config = _of_one_length(config, arguments)
    if not (arguments.resume or how_to_go_on(arguments)):
        check_root(config)
    config = replace(config, root=_absolute(config.root), start=_weights(config.start))
    if arguments.dry_run:
        _dry_run(config, arguments)
        return
    if folder is None:
        raise ValueError("No run folder is given: --output or --resume is accepted.")
    with output_folder(folder):
        from ..training.accelerate import keep_memory
        from ..training.loop import LOADED, train

        keep_memory()
        _keep_files(folder, config.split, source)
        control, line = Control(), Line()
        emit = JsonLines(sys.stdout).event if arguments.json else line.event
        with heard(emit, control) as tell, steered(control, arguments.control, tell):
            before = _before_steps(tell if arguments.json else line.loading, LOADED)
            train(config, folder, Progress(before), emit=_drawn_at_the_end(tell, folder), control=control)


def _keep_files(folder: Path, *used: Path | str | None) -> None:
    """Raises ValueError where no run is, but files that a run would replace. Those that it uses may lie
    there: its split and its settings."""
    from ..training.folder import FILES

    if not (folder / "last.ckpt").is_file():  # of that the run says what does not fit
        own = {Path(path).resolve() for path in used if path}
        names = [name for name in FILES if (folder / name).resolve() not in own]
        keep_files_of_others(folder, names, "run.json", "hetreg")


def _folder(arguments: argparse.Namespace) -> Path | None:
    """The run folder, if one is given. Raises ValueError if two are."""
    resumed, new = arguments.resume, arguments.output
    if resumed and new and resumed.absolute() != new.absolute():
        raise ValueError(f"--resume is {resumed} and --output {new}: one of the two is accepted.")
    return resumed or new


def _follow_start(arguments: argparse.Namespace) -> None:
    """The kind of the shipped model that --start names, where no flag says another."""
    options = options_from(getattr(arguments, "start", ""))
    used = METHODS[getattr(arguments, "method", options.get("method", TrainConfig.method))].options
    for name, value in options.items():
        if not hasattr(arguments, name) and (name in used or name not in method_options()):
            setattr(arguments, name, value)


def _absolute(path: str) -> str:
    """A path as it is from any folder, so that the run goes on there too; none stays none."""
    return str(Path(os.path.expanduser(path)).absolute()) if path else ""


def _weights(start: str) -> str:
    """A weight file as it is from any folder; the name of a model as it is."""
    return _absolute(start) if os.path.isfile(os.path.expanduser(start)) else start


def _drawn_at_the_end(emit: Callable[..., None], folder: Path) -> Callable[..., None]:
    """`emit` that also draws the curves of a run that has ended, which is worth no error."""

    def told(kind: str, **fields: Any) -> None:
        emit(kind, **fields)
        if kind in ("done", "stopped"):
            from ..report.curves import draw_curves

            with suppress(OSError, ImportError):
                draw_curves(folder)

    return told


def _of_one_length(config: TrainConfig, arguments: argparse.Namespace) -> TrainConfig:
    """The number of steps that was asked for holds, also where the file counts in epochs. Raises ValueError
    if both were."""
    if not hasattr(arguments, "steps"):
        return config
    if getattr(arguments, "epochs", 0):
        raise ValueError(
            f"--steps is {arguments.steps} and --epochs {arguments.epochs}: one of the two is accepted."
        )
    return replace(config, epochs=0)


def how_to_go_on(arguments: argparse.Namespace) -> str:
    """The command that goes on with an interrupted run; "" if there is nothing to go on with."""
    folder = arguments.resume or arguments.output
    there = folder and (folder / "last.ckpt").is_file()
    return command_line(["hetreg", "train", "--resume", folder]) if there else ""


def _before_steps(report: Callable[..., None], loaded: float) -> Callable[[float, str], None]:
    """Reports what goes on until the data are loaded; the steps have events of their own."""

    def progress(fraction: float, message: str) -> None:
        if fraction <= loaded:
            report("progress", fraction=round(fraction, 4), message=message)

    return progress


def _dry_run(config: TrainConfig, arguments: argparse.Namespace) -> None:
    from ..training.data import dry_run

    found = dry_run(config)
    if arguments.json and any(found.values()):
        JsonLines(sys.stdout).event("dry_run", **found)
    elif any(found.values()):
        _list(found)
    if not found["pairs"]:
        raise ValueError("No pairs were found: at least one pair is accepted.")


def _list(found: dict[str, list[dict[str, Any]]]) -> None:
    for pair in found["pairs"]:
        size, spacing = ("x".join(f"{n:g}" for n in pair[key]) or "-" for key in ("size", "spacing_mm"))
        note = f"  ({pair['note']})" if pair["note"] else ""
        text = f"{pair['case']:32} {pair['split']:10} {size:>14} {spacing:>20} mm  labels: {pair['labels']}"
        say(text + note)
    for item in found["rejected"]:
        say(f"rejected  {item['file']}: {item['reason']}")
    parts = ", ".join(f"{n} {name}" for name, n in Counter(pair["split"] for pair in found["pairs"]).items())
    say(f"{len(found['pairs'])} pairs ({parts}), {len(found['rejected'])} files rejected")
