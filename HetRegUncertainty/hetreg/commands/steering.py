"""How the program that started a training pauses and stops it, and what becomes of it without that program.

The words go through a file: a launcher between the two need not hand on standard input.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..progress import Control

POLL_S = 0.2
ALIVE_EVERY = 25  # polls of a pause


def heard(emit: Callable[..., None], control: Control) -> Callable[..., None]:
    """`emit` that stops the training, with its checkpoint, when nobody is left to read what it says."""

    def say(kind: str, **fields: Any) -> None:
        try:
            emit(kind, **fields)
        except OSError:
            control.stop()

    return say


@contextmanager
def steered(control: Control, file: Path | None, say: Callable[..., None]) -> Iterator[None]:
    """Obey the word in a file, if there is one, while the work in this block goes on."""
    if file is None:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_obey, args=(control, file, say, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _obey(control: Control, file: Path, say: Callable[..., None], over: threading.Event) -> None:
    polls = 0
    while not over.wait(POLL_S):
        with suppress(OSError, UnicodeDecodeError):  # not there yet, or half written
            control.obey(file.read_text(encoding="utf-8"))
        polls = polls + 1 if control.paused else 0
        if polls and polls % ALIVE_EVERY == 0:  # a pause says nothing else, and would last for ever
            say("alive")
