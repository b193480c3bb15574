#!/usr/bin/env python3
"""Time of a registration while other programs use the processor, with and without HetReg's setting for it.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/busy.py [--repeats 5] [--slices 10] [--busy 2]

`import hetreg` lets PyTorch's threads sleep while they wait for each other (`OMP_WAIT_POLICY`). Where torch
is imported first, that comes too late: PyTorch's own default. A stack, 30 iterations, as many threads as
PyTorch takes (a plane has one); --busy: how many programs compute meanwhile. Each time is the median of a
process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hetreg
from bench import machine
from hetreg.tables import Cell, Column, Table, markdown

HERE = Path(__file__).resolve().parent
BUSY = "while True: sum(range(10_000))"
TIMED = """
import statistics, sys, time
import {first}
import torch
from hetreg.config import RegisterConfig
from cost import stack_pair
from hetreg.model import RegistrationModel
from hetreg.register import register_pair
from hetreg.zoo import default_model, locate
pair, config = stack_pair(128, int(sys.argv[2])), RegisterConfig(refine=30)
model, times = RegistrationModel.load(locate(default_model(2).name)), []
for _ in range(int(sys.argv[1]) + 1):
    began = time.perf_counter()
    register_pair(*pair, model, config)
    times.append(time.perf_counter() - began)
print(statistics.median(times[1:]))
"""
FIRST = {"PyTorch's default": "torch", "HetReg's": "hetreg"}


def seconds(first: str, repeats: int, slices: int) -> float:
    """Median time of a registration in a process that imports `first` first."""
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(hetreg.__file__).parents[1]), str(HERE)])
    command = [sys.executable, "-c", TIMED.format(first=first), str(repeats), str(slices)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


@contextmanager
def busy(count: int) -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    """So many programs that compute without end."""
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def measure(repeats: int, slices: int, count: int) -> Table:
    """A row for each setting: alone, beside busy programs, and how many times as long that takes."""
    rows: list[tuple[Cell, ...]] = []
    for name, first in FIRST.items():
        alone = seconds(first, repeats, slices)
        with busy(count):
            beside = seconds(first, repeats, slices)
        rows.append((name, alone, beside, beside / alone))
    columns = (Column("setting"), Column("alone (s)", 2), Column(f"beside {count} busy programs (s)", 2))
    title = f"A stack of 128 x 128 x {slices}, {repeats} times"
    return Table((*columns, Column("times as long", 1)), tuple(rows), title)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--slices", type=int, default=10)
    parser.add_argument("--busy", type=int, default=2)
    arguments = parser.parse_args()
    print(markdown(measure(arguments.repeats, arguments.slices, arguments.busy)))
    print(f"{machine.versions()}; {machine.load()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
