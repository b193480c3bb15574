"""What the commands show: a progress line and a summary for people, JSON lines for programs."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import is_unread
from ..files import in_utf8, patiently
from ..progress import JsonLines, Progress

_STEERING = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_STDERR, _OBEY = -12, 7  # of Windows: the usual processing and wrapping of output, and codes
_UNITS = {"_mm": " mm", "_percent": " %", "seconds": " s"}


def visible(text: str) -> str:
    """A text of others, as a file's name, for a terminal: characters that steer it, or turn the direction of
    reading, as \\x1b."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def say(text: str) -> None:
    """Print a line for people."""
    print(visible(text), flush=True)


def drop_output() -> None:
    """Standard output that can no longer be written goes nowhere: Python would complain of it at its end."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Line:
    """Progress on one line of a terminal; where there is none, only what happens seldom."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        if self._shown and sys.platform == "win32":  # a console there shows codes until it is told to obey
            system = ctypes.windll.kernel32
            system.SetConsoleMode(system.GetStdHandle(_STDERR), _OBEY)

    def report(self, fraction: float, message: str) -> None:
        """A fraction and what is being done."""
        if self._shown:
            end = "\n" if fraction >= 1.0 else ""
            sys.stderr.write(f"\r\033[K{100 * fraction:5.1f} %  {visible(message)[:100]}{end}")
            sys.stderr.flush()

    def loading(self, kind: str, fraction: float, message: str) -> None:
        """What goes on before the first step of a training."""
        self.report(min(fraction, 0.99), message)

    def event(self, kind: str, **fields: Any) -> None:
        """An event of a training."""
        if kind == "step":
            self._bar(fields)
        elif kind == "note":
            self.say(f"note: {fields['text']}")
        elif kind == "left_out":
            self.say(f"left out: {fields['file']}: {fields['reason']}")
        elif kind in ("data", "validation", "stopped", "done"):
            note = fields.pop("note", "")
            shown = {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in fields.items() if v is not None}
            self.say(f"{kind}: " + ", ".join(f"{name} {value}" for name, value in shown.items()))
            if note:
                self.say(f"note: {note}")

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
        say(text)

    def _bar(self, fields: dict[str, Any]) -> None:
        done = fields["step"] / fields["steps"]
        bar = "=" * round(24 * done) + " " * (24 - round(24 * done))
        losses = "  ".join(f"{n} {fields[n]:.4g}" for n in ("loss", "variance_loss") if n in fields)
        minutes, seconds = divmod(round(fields["eta_seconds"]), 60)
        left = f"{minutes}:{seconds:02d}"
        text = f"[{bar}] step {fields['step']} of {fields['steps']}  {losses}  {left} left"
        self.report(min(done, 0.999), text)


def unstopped(tell: Callable[..., None]) -> Callable[..., None]:
    """`tell`, for work that goes on where what it says can no longer be written, as on a full disk; not where
    nobody is left to read it."""

    def told(*what: Any, **fields: Any) -> None:
        try:
            tell(*what, **fields)
        except OSError as error:  # `written` tells it, if it is still so at the end
            if is_unread(error):
                raise

    return told


def progress_for(arguments: argparse.Namespace) -> Progress:
    """JSON lines with --json, else a line on the terminal; `unstopped`."""
    progress = JsonLines(sys.stdout).progress() if arguments.json else Progress(Line().report)
    return Progress(unstopped(progress.report))


def summary_lines(summary: dict[str, Any]) -> Iterator[str]:
    """The summary for people: a line for each number with its unit, each label's Dice and each note."""
    for name, value in summary.items():
        if name == "notes":
            yield from (f"note: {note}" for note in value)
        elif isinstance(value, dict):
            yield from (f"{f'{name} label {label}':22} {dice:.5g}" for label, dice in value.items())
        else:
            unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")
            yield f"{name:22} {value:.5g}{unit}" if isinstance(value, float) else f"{name:22} {value}{unit}"


def written(
    arguments: argparse.Namespace, files: dict[str, Path], lines: Iterable[str] = (), **fields: Any
) -> None:
    """Say which files a command has written: the event "result", or the lines for people and their number.
    Raises OSError if that cannot be written."""
    try:
        if arguments.json:
            JsonLines(sys.stdout).event("result", **fields, files={k: str(v) for k, v in files.items()})
            return
        for line in (*lines, f"{len(files)} files in {arguments.output}"):
            say(line)
    except OSError as error:
        if is_unread(error):
            raise
        drop_output()
        reason = error.strerror or error
        raise OSError(
            f"The output could not be written ({reason}): the {len(files)} files are in {arguments.output}."
        ) from error


def keep_files_of_others(folder: Path, names: Iterable[str], about: str, key: str) -> None:
    """Raises ValueError before the work if a file that it would replace is of no former result, of which the
    file `about` has `key` in it."""
    former: Any = None
    with suppress(OSError, ValueError):
        former = json.loads((folder / about).read_text(encoding="utf-8"))
    there = sorted(name for name in names if (folder / name).exists())
    if there and not (isinstance(former, dict) and key in former):
        raise ValueError(
            f"{folder} has {', '.join(there)}, which is not from an earlier result and would be "
            "replaced: a folder without such files is accepted."
        )


@contextmanager
def output_folder(folder: Path) -> Iterator[None]:
    """The output folder, made if missing and removed again if it stays empty. Raises before the work, not
    after it, OSError if it cannot be written, and ValueError if its path is not UTF-8."""
    in_utf8(folder)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    probe = folder / f".hetreg-probe-{secrets.token_hex(4)}"  # several processes may look at once
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe.touch(exist_ok=False)
            patiently(probe.unlink)
        except OSError as error:
            files = [path for path in (folder, *folder.parents) if path.is_file()]
            why = f"{files[0]} is a file, a folder is accepted" if files else error.strerror
            raise OSError(f"{folder} cannot be written: {why}.") from error
        yield
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)  # after Ctrl-C
        for path in made:
            with suppress(OSError):  # not empty
                path.rmdir()
