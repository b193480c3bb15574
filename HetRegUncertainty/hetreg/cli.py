"""`python -m hetreg`: register, models, phantom, train."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from argparse import SUPPRESS
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

from . import __version__, zoo
from .config import RegisterConfig, TrainConfig
from .progress import Cancelled, Control, JsonLines, Progress
from .registry import PHANTOMS

_UNITS = {"_mm": " mm", "_percent": " %", "seconds": " s"}


def add_flags(parser: argparse.ArgumentParser, config: type, *, skip: Sequence[str] = ()) -> None:
    """One flag for each field of a configuration: `weight_mode` gives --weight-mode."""
    for f in fields(config):
        if f.name in skip or f.default is MISSING:
            continue
        flag = "--" + f.name.replace("_", "-")
        text = f"{f.metadata['help']} (default: {f.default})".replace("%", "%%")
        if isinstance(f.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=SUPPRESS, help=text)
        else:
            kind = type(f.default)
            parser.add_argument(flag, type=kind, default=SUPPRESS, choices=f.metadata["choices"], help=text)


def config_from(arguments: argparse.Namespace, config: type, base: Any = None) -> Any:
    """The configuration that the given flags make of a configuration; of the defaults if there is none."""
    given = {f.name: getattr(arguments, f.name) for f in fields(config) if hasattr(arguments, f.name)}
    return replace(base or config(), **given)


class _Line:
    """Progress on one line of a terminal; where there is none, only what happens seldom."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def report(self, fraction: float, message: str) -> None:
        if self._shown:
            end = "\n" if fraction >= 1.0 else ""
            sys.stderr.write(f"\r\033[K{100 * fraction:5.1f} %  {message[:100]}{end}")
            sys.stderr.flush()

    def loading(self, kind: str, fraction: float, message: str) -> None:
        """What goes on before the first step of a training."""
        self.report(min(fraction, 0.99), message)

    def event(self, kind: str, **fields: Any) -> None:
        """An event of a training."""
        if kind == "step":
            self._bar(fields)
        elif kind in ("data", "validation", "stopped", "done"):
            if self._shown:
                sys.stderr.write("\r\033[K")
            shown = {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in fields.items() if v is not None}
            print(f"{kind}: " + ", ".join(f"{name} {value}" for name, value in shown.items()), flush=True)

    def _bar(self, fields: dict[str, Any]) -> None:
        done = fields["step"] / fields["steps"]
        bar = "=" * round(24 * done) + " " * (24 - round(24 * done))
        names = ("loss", "variance_loss")
        losses = "  ".join(f"{name} {fields[name]:.4g}" for name in names if name in fields)
        left = f"{fields['eta_seconds'] // 60:.0f}:{fields['eta_seconds'] % 60:02.0f}"
        text = f"[{bar}] step {fields['step']} of {fields['steps']}  {losses}  {left} left"
        self.report(min(done, 0.999), text)


def _progress(arguments: argparse.Namespace) -> Progress:
    return JsonLines(sys.stdout).progress() if arguments.json else Progress(_Line().report)


def _register(arguments: argparse.Namespace) -> None:
    from .image import read_image
    from .register import register_pair

    segs = {n: read_image(p) for n in ("moving_seg", "fixed_seg") if (p := getattr(arguments, n)) is not None}
    if "fixed_seg" in segs and "moving_seg" not in segs:
        raise ValueError("--fixed-seg is given without --moving-seg: both are needed for the Dice.")
    config = config_from(arguments, RegisterConfig)
    with _output(arguments.output):
        result = register_pair(arguments.fixed, arguments.moving, None, config, _progress(arguments), **segs)
        files = result.save(arguments.output)
    if not arguments.json:
        print("\n".join(_summary_lines(result.summary)))
    _written(arguments, files, summary=result.summary)


def _summary_lines(summary: dict[str, Any]) -> Iterator[str]:
    """The summary for people: a line for each number with its unit, each label's Dice and each note."""
    for name, value in summary.items():
        if name == "notes":
            yield from (f"note: {note}" for note in value)
        elif isinstance(value, dict):
            yield from (f"{f'{name} label {label}':22} {dice:.5g}" for label, dice in value.items())
        else:
            unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")
            yield f"{name:22} {value:.5g}{unit}" if isinstance(value, float) else f"{name:22} {value}{unit}"


def _written(arguments: argparse.Namespace, files: dict[str, Path], **fields: Any) -> None:
    if arguments.json:
        JsonLines(sys.stdout).event("result", **fields, files={k: str(v) for k, v in files.items()})
    else:
        print(f"{len(files)} files in {arguments.output}")


@contextmanager
def _output(folder: Path) -> Iterator[None]:
    """The output folder, made if missing and removed again if it stays empty. Raises OSError before the work,
    not after it, if it cannot be written."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        _writable(folder)
        yield
    finally:
        for path in made:
            with suppress(OSError):  # not empty
                path.rmdir()


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".hetreg-probe-{os.getpid()}"  # several processes may look at once
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise OSError(f"{folder} cannot be written: {error.strerror}.") from error


def _models(arguments: argparse.Namespace) -> None:
    cards = zoo.list_models()
    if arguments.json:
        print(json.dumps([card.__dict__ for card in cards]))
        return
    for card in cards:
        print(f"{card.name:14} {card.ndim}D  {card.bytes / 1e6:5.2f} MB  {card.description}")


def _phantom(arguments: argparse.Namespace) -> None:
    from .datasets.phantom import make_pair, save_pair

    if arguments.slices < 1 or (arguments.slices > 1 and arguments.kind != "mri2d"):
        raise ValueError(f"--slices is {arguments.slices}: 1 is accepted, or more for --kind mri2d.")
    if arguments.seed < 0:
        raise ValueError(f"--seed is {arguments.seed}: a whole number from 0 is accepted.")
    with _output(arguments.output):
        pair = make_pair(arguments.kind, arguments.seed, size=arguments.size, slices=arguments.slices)
        files = save_pair(pair, arguments.output)
    _written(arguments, files)


def _train(arguments: argparse.Namespace) -> None:
    folder = arguments.resume or arguments.output
    if arguments.resume and not (arguments.resume / "config.json").is_file():
        raise ValueError(f"{arguments.resume} holds no run: a folder with config.json is accepted.")
    source = arguments.config or (arguments.resume and arguments.resume / "config.json")
    config = config_from(arguments, TrainConfig, TrainConfig.load(source) if source else None)
    if arguments.dry_run:
        _dry_run(config, arguments)
        return
    if folder is None:
        raise ValueError("No run folder is given: --output or --resume is accepted.")
    with _output(folder):
        _run_training(config, folder, arguments)


def _run_training(config: TrainConfig, folder: Path, arguments: argparse.Namespace) -> None:
    from .training.accelerate import keep_memory
    from .training.loop import train

    keep_memory()
    if arguments.json:
        emit, control = JsonLines(sys.stdout).event, Control()
        threading.Thread(target=_listen, args=(control,), daemon=True).start()
        train(config, folder, Progress(_before_steps(emit)), emit=emit, control=control)
    else:
        line = _Line()
        train(config, folder, Progress(_before_steps(line.loading)), emit=line.event)


def _before_steps(report: Callable[..., None]) -> Callable[[float, str], None]:
    """Reports what goes on before the first step; the steps have events of their own."""

    def progress(fraction: float, message: str) -> None:
        if not message.startswith("Step "):
            report("progress", fraction=round(fraction, 4), message=message)

    return progress


def _listen(control: Control) -> None:
    """Hand lines of standard input to the control until it ends. The file itself is read: a reader that is
    waiting in `sys.stdin` would hold its lock when Python exits."""
    rest = b""
    while content := os.read(0, 1024):
        *lines, rest = (rest + content).split(b"\n")
        for line in lines:
            control.obey(line.decode("utf-8", "replace"))


def _dry_run(config: TrainConfig, arguments: argparse.Namespace) -> None:
    from .training.data import dry_run

    found = dry_run(config)
    if arguments.json:
        JsonLines(sys.stdout).event("dry_run", **found)
        return
    for pair in found["pairs"]:
        size, spacing = ("x".join(f"{n:g}" for n in pair[key]) or "-" for key in ("size", "spacing_mm"))
        print(f"{pair['case']:32} {pair['split']:10} {size:>14} {spacing:>20} mm  labels: {pair['labels']}")
    for item in found["rejected"]:
        print(f"rejected  {item['file']}: {item['reason']}")
    parts = Counter(pair["split"] for pair in found["pairs"])
    print(
        f"{len(found['pairs'])} pairs ({', '.join(f'{n} {name}' for name, n in parts.items())}), "
        f"{len(found['rejected'])} files rejected"
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    main = argparse.ArgumentParser(
        "hetreg", description="Cardiac image registration with predicted noise variance."
    )
    main.add_argument("--version", action="version", version=f"hetreg {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        sub.add_argument(
            "--json", action="store_true", help="machine-readable output, one JSON object a line"
        )
        return sub

    sub = command("register", _register, "Register a moving image to a fixed one.")
    sub.add_argument("--fixed", type=Path, required=True, help="fixed image (end-systole)")
    sub.add_argument("--moving", type=Path, required=True, help="moving image (end-diastole)")
    sub.add_argument("--moving-seg", type=Path, help="labels of the moving image, to carry along")
    sub.add_argument(
        "--fixed-seg", type=Path, help="labels of the fixed image, for the Dice before and after"
    )
    sub.add_argument("--output", type=Path, required=True, help="folder for the results")
    add_flags(sub, RegisterConfig)
    command("models", _models, "List the models.")
    sub = command(
        "phantom", _phantom, "Write a simulated pair with its true displacement and noise variance."
    )
    sub.add_argument("--kind", choices=PHANTOMS, default="mri2d", help="what to simulate")
    sub.add_argument("--seed", type=int, default=0, help="the same seed gives the same pair")
    sub.add_argument("--size", type=int, help="voxels per side (default: 128 in 2D, 64 in 3D)")
    sub.add_argument("--slices", type=int, default=1, help="slices of a short-axis stack (mri2d)")
    sub.add_argument("--output", type=Path, required=True, help="folder for the files")
    sub = command("train", _train, "Train a displacement and a variance network.")
    sub.add_argument("--config", type=Path, help="a TrainConfig as JSON; flags change it")
    sub.add_argument("--output", type=Path, help="run folder; a run that is there goes on")
    sub.add_argument("--resume", type=Path, help="run folder to go on in, with its own configuration")
    sub.add_argument("--dry-run", action="store_true", help="list the data and stop")
    add_flags(sub, TrainConfig)
    return main


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns 0 on success, 2 on bad input (one sentence on stderr), 130 when interrupted."""
    arguments = parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (ValueError, OSError) as error:
        message = " ".join(str(error).split())
        if arguments.json and arguments.command == "train":
            JsonLines(sys.stdout).event("error", message=message)
        print(f"hetreg: {message}", file=sys.stderr)
        return 2
    except (Cancelled, KeyboardInterrupt):
        print("hetreg: cancelled", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        print(f"hetreg: the Python package '{error.name}' is missing: install it first.", file=sys.stderr)
        return 2
    return 0
