"""`python -m hetreg`: which commands there are, and how each of them ends."""

from __future__ import annotations

import argparse
import io
import locale
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from . import __version__, prepare_torch
from .commands import evaluate, models, phantom, register, reproduce, sequence, train
from .commands.console import drop_output, visible
from .commands.flags import Parser
from .errors import is_out_of_memory, is_unread, with_remedy
from .progress import Cancelled, JsonLines

COMMANDS = {
    "register": register,
    "sequence": sequence,
    "models": models,
    "phantom": phantom,
    "train": train,
    "evaluate": evaluate,
    "reproduce": reproduce,
}
_NO_READER = 141  # what a shell says of a command that SIGPIPE ended


def parser() -> argparse.ArgumentParser:
    """The command line. It raises ValueError on wrong flags."""
    main = Parser("hetreg", description="Cardiac image registration with predicted noise variance.")
    main.add_argument("--version", action="version", version=f"hetreg {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.HELP, description=command.HELP)
        sub.add_argument("--json", action="store_true", help="print one JSON object per line, for programs")
        command.add_arguments(sub)
    return main


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns 0 on success, 2 where its input, the files, the packages or the memory do not
    allow that (one sentence on stderr), 130 when interrupted, 141 when nobody reads its output any more. What
    else is raised is a fault of the program."""
    prepare_torch()
    _open_output()
    _paths_in_utf8()
    given = sys.argv[1:] if argv is None else argv
    arguments = argparse.Namespace(json="--json" in given, command="")
    if argv is None and arguments.json:
        _keep_lines_apart()
    try:
        arguments = parser().parse_args(given)
        COMMANDS[arguments.command].run(arguments)
        sys.stdout.flush()
    except (ValueError, OSError) as error:
        if is_unread(error) and _nobody_reads():
            return _NO_READER
        return _failed(arguments, with_remedy(" ".join(str(error).split())))
    except (Cancelled, KeyboardInterrupt):
        go_on = getattr(COMMANDS.get(arguments.command), "how_to_go_on", lambda _: "")(arguments)
        print(visible("hetreg: cancelled" + (f", resume with: {go_on}" if go_on else "")), file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        return _failed(arguments, f"The Python package '{error.name}' is missing: install it first.")
    except (MemoryError, RuntimeError, ImportError) as error:
        if not is_out_of_memory(error):
            raise
        if isinstance(error, ImportError):
            return _failed(
                arguments,
                "A package could not be loaded: too little memory, or a disk that lets no program run.",
            )
        return _failed(arguments, "There is too little memory: a smaller image, size or batch is accepted.")
    return 0


def _open_output() -> None:
    """A stream that was closed before the start is None; what is said to it is dropped. A letter that the
    code page of another lacks is written as its number."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _keep_lines_apart() -> None:
    """What libraries print to standard output, as that for JPEG does of a damaged file, goes to standard
    error: a program reads JSON lines there."""
    with suppress(OSError, ValueError):  # one of the two is closed, or none of the system's
        if sys.stdout.fileno() == 1:
            own = os.dup(1)
            os.dup2(2, 1)
            sys.stdout = os.fdopen(own, "w", encoding="utf-8", errors="backslashreplace")


def _paths_in_utf8() -> None:
    """Let SimpleITK open any path on Windows: it hands UTF-8 to the C library, which takes that for the code
    page of the system unless told otherwise. Of the locale no more: a comma in numbers spoils headers."""
    if sys.platform == "win32":
        with suppress(locale.Error):  # Windows before 2018
            locale.setlocale(locale.LC_CTYPE, ".UTF8")


def _nobody_reads() -> bool:
    """Whether the reader of standard output has gone, as `| head` does; the rest of the output is then
    dropped. Another one reads a blank, which harms no line."""
    try:
        print(end=" ", flush=True)
    except OSError as error:
        drop_output()
        return is_unread(error)
    return False


def _failed(arguments: argparse.Namespace, message: str) -> int:
    if arguments.json:
        try:
            JsonLines(sys.stdout).event("error", message=message)
        except OSError:  # the sentence below says it
            drop_output()
    print(f"hetreg: {visible(message)}", file=sys.stderr)
    return 2
