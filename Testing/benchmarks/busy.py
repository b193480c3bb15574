#!/usr/bin/env python3
"""Time of a registration while other programs use the processor, with and without HetReg's setting for it.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/busy.py [--repeats 5] [--busy 2]

`import hetreg` lets PyTorch's threads sleep while they wait for each other (`OMP_WAIT_POLICY`). Where torch
is imported first, that comes too late: PyTorch's own default. A 128 x 128 phantom, 30 iterations, as many
threads as PyTorch takes; --busy: how many programs compute meanwhile. Each time is the median of a process.
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

BUSY = "while True: sum(range(10_000))"
TIMED = """
import statistics, sys, time
import {first}
import torch
from hetreg.config import RegisterConfig
from hetreg.datasets.phantom import make_pair
from hetreg.model import RegistrationModel
from hetreg.register import register_pair
from hetreg.zoo import default_model, locate
pair, config = make_pair("mri2d", 50_000, size=int(sys.argv[2])), RegisterConfig(refine=int(sys.argv[3]))
model, times = RegistrationModel.load(locate(default_model(2).name)), []
for _ in range(int(sys.argv[1]) + 1):
    began = time.perf_counter()
    register_pair(pair.fixed, pair.moving, model, config)
    times.append(time.perf_counter() - began)
print(statistics.median(times[1:]))
"""
FIRST = {"PyTorch's default": "torch", "HetReg's": "hetreg"}


def seconds(first: str, repeats: int, size: int = 128, refine: int = 30) -> float:
    """Median time of a registration in a process that imports `first` first."""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    environment["PYTHONPATH"] = str(Path(hetreg.__file__).parents[1])
    command = [sys.executable, "-c", TIMED.format(first=first), str(repeats), str(size), str(refine)]
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


def measure(repeats: int, count: int) -> Table:
    """A row for each setting: alone, beside busy programs, and how many times as long that takes."""
    rows: list[tuple[Cell, ...]] = []
    for name, first in FIRST.items():
        alone = seconds(first, repeats)
        with busy(count):
            beside = seconds(first, repeats)
        rows.append((name, alone, beside, beside / alone))
    columns = (Column("setting"), Column("alone (s)", 2), Column(f"beside {count} busy programs (s)", 2))
    return Table((*columns, Column("times as long", 1)), tuple(rows), f"A registration, {repeats} times")


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--busy", type=int, default=2)
    arguments = parser.parse_args()
    print(markdown(measure(arguments.repeats, arguments.busy)))
    print(f"{machine.versions()}; {machine.load()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
