"""One thread of one process at a time in a folder: a lock that ends with its process, however that ends."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 10.0  # what a process that was just killed, or its workers, may still need to go
_POLL_S = 0.1
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK)
_own: dict[Path, tuple[int, int, int]] = {}  # folder -> handle, the thread that has it, and how often
_guard = threading.Lock()  # of _own


class Busy(ValueError):
    """Another process or thread works in the folder."""


class FolderLock:
    """The lock on an existing folder. Several of one thread may have it; it is free after the last release.
    Where the file system has no locks, other processes can take it too."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._taken: Path | None = None

    def take(self, patience_s: float = 0.0) -> bool:
        """True if the folder is now this thread's own; tried again for so long. Raises OSError if the folder
        cannot be opened."""
        path, until = self.folder.resolve(), time.monotonic() + patience_s
        while not self._take_once(path):
            if time.monotonic() >= until:
                return False
            time.sleep(_POLL_S)
        return True

    def _take_once(self, path: Path) -> bool:
        with _guard:
            if self._taken in _own:
                return True
            thread = threading.get_ident()
            if path not in _own and (opened := _open(path)) is not None:
                _own[path] = opened, thread, 0
            handle, owner, times = _own.get(path, (0, 0, 0))
            if owner != thread:
                return False
            _own[path], self._taken = (handle, thread, times + 1), path
            return True

    def release(self) -> None:
        """Leave the folder to others; more than once is once."""
        with _guard:
            if self._taken not in _own:  # also in a forked child
                return
            handle, owner, times = _own.pop(self._taken)
            if times > 1:
                _own[self._taken] = handle, owner, times - 1
            else:
                _close(handle, _file(self._taken))
            self._taken = None

    def __enter__(self) -> FolderLock:
        """Raises Busy if another process or thread has the folder."""
        if not self.take():
            raise Busy(f"Another process or thread is using {self.folder.name}.")
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()


def when_free(items: Iterable[T], make: Callable[[T], None], wait: Callable[[], None]) -> None:
    """make(item) for all items; those for which it raises Busy come last, again and again. wait() is called
    where that is all that is left."""
    left = list(items)
    while left:
        busy = []
        for item in left:
            try:
                make(item)
            except Busy:
                busy.append(item)
        if len(busy) == len(left):
            wait()
        left = busy


def _file(folder: Path) -> Path:
    """What is locked: a file, since network file systems do not share the locks of folders."""
    return folder / ".lock"


def _open(folder: Path) -> int | None:
    """A handle that holds the lock, None where another process has it."""
    path = _file(folder)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(handle)
    except OSError as error:
        if error.errno in _TAKEN:
            os.close(handle)
            return None
    if _is_there(handle, path):
        return handle
    os.close(handle)  # the one before removed it after it was opened here
    return None


def _is_there(handle: int, path: Path) -> bool:
    """Whether it is still the file at the path. Windows removes none that is open, and may number it anew
    each time that it is asked (WebDAV; issue 74665 of Python)."""
    try:
        return sys.platform == "win32" or os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _close(handle: int, path: Path) -> None:
    """Give up the lock, also for processes that were forked meanwhile, and remove its file: before that
    where the system can, so that nobody's else is removed."""
    with contextlib.suppress(OSError):  # Windows, and a folder that is gone
        path.unlink()
    _unlock(handle)
    os.close(handle)
    if sys.platform == "win32":
        with contextlib.suppress(OSError):  # another process has it open by now
            path.unlink()


def _forget() -> None:
    """In a forked child: the locks are its parent's, and are not to last longer than that."""
    for handle, *_ in _own.values():
        os.close(handle)
    _own.clear()
    _guard.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_forget)


def _lock(handle: int) -> None:
    """Raises OSError at once where another has it, or where there are no locks."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _unlock(handle: int) -> None:
    with contextlib.suppress(OSError):  # where there are no locks
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_UN)
