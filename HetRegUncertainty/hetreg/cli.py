"""`python -m hetreg`: register, models, phantom, train."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from . import __version__, zoo
from .config import RegisterConfig, TrainConfig
from .progress import Cancelled, JsonLines, Progress
from .registry import PHANTOMS


def add_flags(parser: argparse.ArgumentParser, config: type, *, skip: Sequence[str] = ()) -> None:
    """One flag for each field of a configuration: `weight_mode` gives --weight-mode."""
    for f in fields(config):
        if f.name in skip or f.default is MISSING:
            continue
        flag = "--" + f.name.replace("_", "-")
        text = f"{f.metadata['help']} (default: {f.default})".replace("%", "%%")
        if isinstance(f.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=f.default, help=text)
        else:
            kind = type(f.default)
            parser.add_argument(flag, type=kind, default=f.default, choices=f.metadata["choices"], help=text)


def config_from(arguments: argparse.Namespace, config: type) -> Any:
    """The configuration that the flags give."""
    names = [f.name for f in fields(config) if hasattr(arguments, f.name)]
    return config(**{n: getattr(arguments, n) for n in names})


class _Line:
    """Progress on one line of a terminal, or nothing where there is none."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def report(self, fraction: float, message: str) -> None:
        if self._shown:
            end = "\n" if fraction >= 1.0 else ""
            sys.stderr.write(f"\r\033[K{100 * fraction:5.1f} %  {message[:100]}{end}")
            sys.stderr.flush()


def _progress(arguments: argparse.Namespace) -> Progress:
    return JsonLines(sys.stdout).progress() if arguments.json else Progress(_Line().report)


def _register(arguments: argparse.Namespace) -> None:
    from .image import read_image
    from .register import register_pair

    _writable(arguments.output)
    segs = {n: read_image(p) for n in ("moving_seg", "fixed_seg") if (p := getattr(arguments, n)) is not None}
    if "fixed_seg" in segs and "moving_seg" not in segs:
        raise ValueError("--fixed-seg is given without --moving-seg: both are needed for the Dice.")
    config = config_from(arguments, RegisterConfig)
    result = register_pair(arguments.fixed, arguments.moving, None, config, _progress(arguments), **segs)
    files = result.save(arguments.output)
    if arguments.json:
        JsonLines(sys.stdout).event(
            "result", summary=result.summary, files={k: str(v) for k, v in files.items()}
        )
        return
    for name, value in result.summary.items():
        print(f"{name:22} {value:.5g}" if isinstance(value, float) else f"{name:22} {value}")
    print(f"{len(files)} files in {arguments.output}")


def _writable(folder: Path) -> None:
    """Fail before the work, not after it, if the output folder cannot be written. Raises OSError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".hetreg-probe"
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

    _writable(arguments.output)
    if arguments.slices < 1 or (arguments.slices > 1 and arguments.kind != "mri2d"):
        raise ValueError(f"--slices is {arguments.slices}: 1 is accepted, or more for --kind mri2d.")
    if arguments.seed < 0:
        raise ValueError(f"--seed is {arguments.seed}: a whole number from 0 is accepted.")
    pair = make_pair(arguments.kind, arguments.seed, size=arguments.size, slices=arguments.slices)
    files = save_pair(pair, arguments.output)
    if arguments.json:
        JsonLines(sys.stdout).event("result", files={k: str(v) for k, v in files.items()})
        return
    print(f"{len(files)} files in {arguments.output}")


def _train(arguments: argparse.Namespace) -> None:
    from .training.loop import train

    _writable(arguments.output)
    config = TrainConfig.load(arguments.config) if arguments.config else config_from(arguments, TrainConfig)
    train(config, arguments.output, _progress(arguments))
    best = arguments.output / "best.pt"
    if arguments.json:
        JsonLines(sys.stdout).event("result", files={"model": str(best)})
        return
    print(f"Model: {best}")


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
    sub.add_argument("--config", type=Path, help="a TrainConfig as JSON, instead of the flags")
    sub.add_argument("--output", type=Path, required=True, help="run folder; a run that is there goes on")
    add_flags(sub, TrainConfig)
    return main


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns 0 on success, 2 on bad input (one sentence on stderr), 130 when interrupted."""
    arguments = parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (ValueError, OSError) as error:
        print(f"hetreg: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except (Cancelled, KeyboardInterrupt):
        print("hetreg: cancelled", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        print(f"hetreg: the Python package '{error.name}' is missing: install it first.", file=sys.stderr)
        return 2
    return 0
