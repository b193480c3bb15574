"""Several processes for work on arrays, where they cost little to start: on Linux, by fork."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

Made = TypeVar("Made")
MOST = 16
_SHARE = 16  # of the work, that pays for a process
_work: list[Callable[[int], Any]] = []  # of a process of `each`


def can_fork() -> bool:
    """True where a process is copied with what it has in memory; not in one of a pool, which may have no
    children."""
    if sys.platform != "linux" or multiprocessing.current_process().daemon:
        return False
    return "fork" in multiprocessing.get_all_start_methods()


def processors() -> int:
    """Those that this process may use, shared by the processes of a torchrun."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, there // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def each(make: Callable[[int], Made], numbers: Sequence[int]) -> Generator[Made, None, None]:
    """make(n) for each of the numbers, in their order; by several processes where there is enough to do.

    Close it when no more are wanted. make: NumPy alone; a process that was copied from one with threads
    cannot rely on PyTorch's. Raises OSError if one of the processes is ended from outside.
    """
    count = min(MOST, processors(), len(numbers) // _SHARE) if can_fork() else 1
    if count < 2:
        yield from map(make, numbers)
        return
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("fork"), _begin, (make,))
    try:
        yield from pool.map(_one, numbers, chunksize=2)
    except BrokenProcessPool as error:
        raise OSError(
            f"One of {count} processes that were to make {len(numbers)} pairs was killed: fewer pairs or "
            "more memory are accepted."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def ignore_ctrl_c() -> None:
    """In a process of one's own: Ctrl-C is for the one that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _begin(make: Callable[[int], Any]) -> None:
    ignore_ctrl_c()
    _work.append(make)


def _one(number: int) -> Any:
    return _work[-1](number)
