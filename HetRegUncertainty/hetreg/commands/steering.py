"""How the program that started a training pauses and stops it, and what becomes of it without that program.

The words go through a file: a launcher between the two need not hand on standard input.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import is_unread
from ..progress import Control
from .console import drop_output

POLL_S = 0.2
ALIVE_EVERY = 25  # polls of a pause


@contextmanager
def heard(emit: Callable[..., None], control: Control) -> Iterator[Callable[..., None]]:
    """`emit` that stops the training, with its checkpoint, when what it says can no longer be written, as
    when nobody is left to read it. At the end of the block that is an OSError, if nothing else is one."""
    errors: list[OSError] = []

    def say(kind: str, **fields: Any) -> None:
        try:
            emit(kind, **fields)
        except OSError as error:
            errors.append(error)
            control.stop()

    yield say
    if errors:
        raise _unsaid(errors[0])


def _unsaid(error: OSError) -> OSError:
    """What to raise where the output could not be written; what is left of that is then dropped. That nobody
    reads is left as it is, as another end of a command."""
    if is_unread(error):
        return error
    drop_output()
    return OSError(
        f"The output could not be written ({error.strerror or error}): the training was stopped, and its "
        "checkpoint kept."
    )


@contextmanager
def steered(control: Control, file: Path | None, say: Callable[..., None]) -> Iterator[None]:
    """Obey the word in a file, if there is one, while the work in this block goes on. What lies there
    already was said to a former training, and counts only when it is written again."""
    if file is None:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_obey, args=(control, file, _written(file), say, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _written(file: Path) -> tuple[int, str] | None:
    """When the file was written and its word, or None where there is none or it is half written."""
    try:
        return file.stat().st_mtime_ns, file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _obey(
    control: Control,
    file: Path,
    former: tuple[int, str] | None,
    say: Callable[..., None],
    over: threading.Event,
) -> None:
    polls = 0
    while not over.wait(POLL_S):
        written = _written(file)
        if written and written != former:
            control.obey(written[1])
        polls = polls + 1 if control.paused else 0
        if polls and polls % ALIVE_EVERY == 0:  # a pause says nothing else, and would last for ever
            say("alive")
