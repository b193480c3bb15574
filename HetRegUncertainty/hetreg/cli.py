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
from typing import Any, NoReturn

from . import __version__, zoo
from .config import RegisterConfig, TrainConfig
from .progress import Cancelled, Control, JsonLines, Progress
from .registry import PHANTOMS

_UNITS = {"_mm": " mm", "_percent": " %", "seconds": " s"}
_NO_MEMORY = ("DefaultCPUAllocator", "not enough memory")  # torch has no type for it on the CPU


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
        losses = "  ".join(f"{n} {fields[n]:.4g}" for n in ("loss", "variance_loss") if n in fields)
        left = f"{fields['eta_seconds'] // 60:.0f}:{fields['eta_seconds'] % 60:02.0f}"
        text = f"[{bar}] step {fields['step']} of {fields['steps']}  {losses}  {left} left"
        self.report(min(done, 0.999), text)


def _register(arguments: argparse.Namespace) -> None:
    from .image import read_image
    from .register import register_pair

    segs = {n: read_image(p) for n in ("moving_seg", "fixed_seg") if (p := getattr(arguments, n)) is not None}
    if "fixed_seg" in segs and "moving_seg" not in segs:
        raise ValueError("--fixed-seg is given without --moving-seg: both are needed for the Dice.")
    config = config_from(arguments, RegisterConfig)
    progress = JsonLines(sys.stdout).progress() if arguments.json else Progress(_Line().report)
    with _output(arguments.output):
        result = register_pair(arguments.fixed, arguments.moving, None, config, progress, **segs)
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
    probe = folder / f".hetreg-probe-{os.getpid()}"  # several processes may look at once
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise OSError(f"{folder} cannot be written: {error.strerror}.") from error
        yield
    finally:
        for path in made:
            with suppress(OSError):  # not empty
                path.rmdir()


def _models(arguments: argparse.Namespace) -> None:
    cards = zoo.list_models()
    if arguments.json:
        print(json.dumps([card.__dict__ for card in cards]))
        return
    for card in cards:
        print(f"{card.name:14} {card.ndim}D  {card.bytes / 1e6:5.2f} MB  {card.description}")


def _phantom(arguments: argparse.Namespace) -> None:
    from .datasets.phantom import make_pair, save_pair

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
        from .training.accelerate import keep_memory
        from .training.loop import train

        keep_memory()
        control, line, lines = Control(), _Line(), JsonLines(sys.stdout)
        if arguments.json:
            threading.Thread(target=_listen, args=(control,), daemon=True).start()
        emit, before = (lines.event, lines.event) if arguments.json else (line.event, line.loading)
        train(config, folder, Progress(_before_steps(before)), emit=emit, control=control)


def _before_steps(report: Callable[..., None]) -> Callable[[float, str], None]:
    """Reports what goes on before the first step; the steps have events of their own."""

    def progress(fraction: float, message: str) -> None:
        if not message.startswith("Step "):
            report("progress", fraction=round(fraction, 4), message=message)

    return progress


def _listen(control: Control) -> None:
    """Hand lines of standard input to the control. A reader of `sys.stdin` would hold its lock at exit."""
    rest = b""
    while content := os.read(0, 1024):
        *lines, rest = (rest + content).split(b"\n")
        for line in lines:
            control.obey(line.decode("utf-8", "replace"))


def _dry_run(config: TrainConfig, arguments: argparse.Namespace) -> None:
    from .training.data import dry_run

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
        print(f"{pair['case']:32} {pair['split']:10} {size:>14} {spacing:>20} mm  labels: {pair['labels']}")
    for item in found["rejected"]:
        print(f"rejected  {item['file']}: {item['reason']}")
    parts = ", ".join(f"{n} {name}" for name, n in Counter(pair["split"] for pair in found["pairs"]).items())
    print(f"{len(found['pairs'])} pairs ({parts}), {len(found['rejected'])} files rejected")


_REGISTER_FILES = {
    "--fixed": "fixed image (end-systole)",
    "--moving": "moving image (end-diastole)",
    "--moving-seg": "labels of the moving image, to carry along",
    "--fixed-seg": "labels of the fixed image, for the Dice before and after",
    "--output": "folder for the results",
}


class _Parser(argparse.ArgumentParser):
    """Wrong flags are bad input as any other: one sentence."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message.rstrip('.')}.")


def parser() -> argparse.ArgumentParser:
    """The command line. It raises ValueError on wrong flags."""
    main = _Parser("hetreg", description="Cardiac image registration with predicted noise variance.")
    main.add_argument("--version", action="version", version=f"hetreg {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        sub.add_argument("--json", action="store_true", help="one JSON object a line, for programs")
        return sub

    sub = command("register", _register, "Register a moving image to a fixed one.")
    for flag, text in _REGISTER_FILES.items():
        sub.add_argument(flag, type=Path, required=not flag.endswith("-seg"), help=text)
    add_flags(sub, RegisterConfig)
    command("models", _models, "List the models.")
    sub = command("phantom", _phantom, "Write a simulated pair with its true field and noise variance.")
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
    given = sys.argv[1:] if argv is None else argv
    arguments = argparse.Namespace(json="--json" in given)
    try:
        arguments = parser().parse_args(given)
        arguments.run(arguments)
    except (ValueError, OSError) as error:
        return _failed(arguments, " ".join(str(error).split()))
    except (Cancelled, KeyboardInterrupt):
        folder = getattr(arguments, "resume", None) or getattr(arguments, "output", None)
        kept = folder and arguments.command == "train" and (folder / "last.ckpt").is_file()
        how = f", go on with: hetreg train --resume {folder}" if kept else ""
        print(f"hetreg: cancelled{how}", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        return _failed(arguments, f"The Python package '{error.name}' is missing: install it first.")
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in _NO_MEMORY):
            raise
        return _failed(arguments, "The memory is not enough: a smaller image, size or batch is accepted.")
    return 0


def _failed(arguments: argparse.Namespace, message: str) -> int:
    if arguments.json:
        JsonLines(sys.stdout).event("error", message=message)
    print(f"hetreg: {message}", file=sys.stderr)
    return 2
