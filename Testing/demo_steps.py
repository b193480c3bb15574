"""What Testing/demo prints, Ctrl-C between its steps, and whether a window can open."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

WINDOW_PACKAGES = "libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0"
WINDOW_PACKAGES += " libxcb-render-util0 libxcb-shape0 libxcb-xkb1 libxkbcommon-x11-0"


class BadInput(Exception):
    """One sentence for the user; exit code 2."""


class Steps:
    """Prints what is being done, with the seconds since the start; after Ctrl-C it ends between two steps."""

    def __init__(self) -> None:
        self._start, self._last, self._interrupted = time.monotonic(), "", False

    def interrupt_between(self, cancel: Callable[[], None]) -> None:
        """Ctrl-C calls `cancel` and waits for the end of the step: raised in one of Qt's slots it would be
        lost, or end the process. A second one ends it."""

        def note(number: int, frame: object) -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            self._interrupted = True
            cancel()

        signal.signal(signal.SIGINT, note)

    def stop(self) -> None:
        """Raises KeyboardInterrupt after Ctrl-C."""
        if self._interrupted:
            raise KeyboardInterrupt

    def begin(self, message: str) -> None:
        """The next step. Raises KeyboardInterrupt after Ctrl-C."""
        self.stop()
        self.say(message)

    def say(self, message: str) -> None:
        """One line, unless it repeats the last one."""
        if message and message != self._last:
            self._last = message
            print(f"[{time.monotonic() - self._start:6.1f} s] {message}", flush=True)


def check_display() -> None:
    """Raises BadInput where no window can open (Qt itself would end the process)."""
    if not sys.platform.startswith("linux"):
        return
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise BadInput(
            "There is no display (DISPLAY is not set): leave --show out, the screenshot is written anyway."
        )
    import PySide6

    plugin = Path(PySide6.__file__).parent / "Qt" / "plugins" / "platforms" / "libqxcb.so"
    try:
        ctypes.CDLL(str(plugin))
    except OSError as error:
        library = str(error).split(":", 1)[0]
        raise BadInput(
            f"The window needs {library}. Install what Qt needs: sudo apt-get install {WINDOW_PACKAGES}"
        ) from error
