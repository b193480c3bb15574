"""How the core reports and how it is stopped. It never prints; whoever calls it decides what to show."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO


class Cancelled(Exception):
    """Raised inside the core, between two steps of the work, after the caller asked to stop."""


def silent(kind: str, **fields: Any) -> None:
    """Tell nobody of an event."""


def _ignore(fraction: float, message: str) -> None:
    """Report nothing."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Progress:
    """A pair of callbacks.

    report: called with (fraction in [0, 1], message). cancelled: asked between steps; True stops the work.
    """

    report: Callable[[float, str], None] = _ignore
    cancelled: Callable[[], bool] = _never

    def step(self, fraction: float, message: str) -> None:
        """Report, then raise `Cancelled` if the caller has asked to stop."""
        self.report(min(max(float(fraction), 0.0), 1.0), message)
        if self.cancelled():
            raise Cancelled(f"Cancelled at: {message}")

    def part(self, start: float, stop: float) -> Progress:
        """Progress of a part of the work: its 0..1 is shown as start..stop of the whole."""
        return Progress(lambda f, m: self.report(start + (stop - start) * f, m), self.cancelled)


def plain(value: Any) -> Any:
    """The value as JSON has it: lists of arrays, plain numbers of NumPy's, None for NaN and infinity."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


class JsonLines:
    """Write one JSON object per event to a stream, for a parent process to read."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def event(self, kind: str, **fields: Any) -> None:
        """Write {"event": kind, "time": seconds since the epoch, **fields} as one line."""
        content = {"event": kind, "time": round(time.time(), 3), **fields}
        self._stream.write(json.dumps(plain(content), allow_nan=False) + "\n")
        self._stream.flush()

    def progress(self) -> Progress:
        """A `Progress` whose reports are events of the kind "progress"."""
        return Progress(lambda f, m: self.event("progress", fraction=round(f, 4), message=m))


class Control:
    """How a training is paused and stopped from another thread. The work asks between two steps."""

    def __init__(self) -> None:
        self._running, self._stopped = threading.Event(), threading.Event()
        self._running.set()

    def pause(self) -> None:
        """Wait after the step that is being worked on."""
        self._running.clear()

    def resume(self) -> None:
        """Go on after a pause."""
        self._running.set()

    def stop(self) -> None:
        """End after the step that is being worked on, also out of a pause."""
        self._stopped.set()
        self._running.set()

    def obey(self, line: str) -> None:
        """Take a line of text: "pause", "resume" or "stop"; anything else is ignored."""
        {"pause": self.pause, "resume": self.resume, "stop": self.stop}.get(line.strip(), lambda: None)()

    @property
    def paused(self) -> bool:
        """True between `pause` and `resume`."""
        return not self._running.is_set()

    @property
    def stopped(self) -> bool:
        """True after `stop`."""
        return self._stopped.is_set()

    def wait(self) -> None:
        """Wait until the pause is over."""
        while not self._running.wait(0.2):
            pass
