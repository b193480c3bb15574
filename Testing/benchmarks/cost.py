#!/usr/bin/env python3
"""What registrations cost, other than the time of a stack (`time_stack.py`): start-up of the core, memory
against the size of the stack, and the time of one plane and one volume.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/cost.py [--starts 3] [--repeats 5]

Every start and every memory figure is of a process of its own; memory on Linux only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench import machine
from bench.start import STEPS
from hetreg.config import RegisterConfig
from hetreg.datasets.phantom import make_pair
from hetreg.image import Image
from hetreg.model import RegistrationModel
from hetreg.register import register_pair
from hetreg.tables import Column, Table, markdown
from hetreg.zoo import default_model, locate

PAIRS = {
    "MRI, 128 x 128": ("mri2d", "cine-mri-2d"),
    "echo, 128 x 128": ("echo2d", "echo-2d"),
    "echo, 64 x 64 x 64": ("echo3d", "echo-3d"),
}
SIZES = ((128, 10), (256, 10), (256, 20), (512, 10), (512, 20))
HERE = Path(__file__).resolve().parent


def stack_pair(side: int, slices: int) -> tuple[Image, Image]:
    """A smooth random stack and the same one shifted and noisier, 1.4 mm pixels, 8 mm slices."""
    rng = np.random.default_rng(0)
    coarse = rng.random((slices, side // 8, side // 8)).astype(np.float32)
    array = np.kron(coarse, np.ones((1, 8, 8), np.float32)) * 200
    noise = rng.normal(0, 5, (2, *array.shape)).astype(np.float32)
    geometry = np.diag([1.4, 1.4, 8.0, 1.0])
    fixed = Image(array + noise[0], geometry, "fixed")
    return fixed, Image(np.roll(array, 2, 2) + noise[1], geometry, "moving")


def output(*arguments: str) -> list[float]:
    """The numbers that a process of this Python prints."""
    command = [sys.executable, *arguments]
    search = os.pathsep.join([str(HERE), *sys.path])  # this process's, where a PYTHONPATH may be relative
    environment = os.environ | {"PYTHONPATH": search}
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    return [float(word) for word in told.split()]


def start_up(starts: int) -> Table:
    """Median seconds of each step of the first registration of a process."""
    runs = [output("-m", "bench.start") for _ in range(starts)]
    rows = [
        (step, statistics.median(times)) for step, times in zip(STEPS, zip(*runs, strict=True), strict=True)
    ]
    return Table(
        (Column("step"), Column("seconds", 3)), tuple(rows), f"Start-up, median of {starts} processes"
    )


def memory() -> Table:
    """Memory before and at the peak for each of SIZES, and the line through the differences."""
    rows = []
    for side, slices in SIZES:
        before, peak = output(str(HERE / "cost.py"), "--child", str(side), str(slices))
        rows.append((f"{side} x {side} x {slices}", before, peak, peak - before))
    voxels = [side * side * slices / 1e6 for side, slices in SIZES]
    above = [row[3] for row in rows]
    slope, base = np.polyfit(voxels, above, 1)
    rest = np.abs(np.polyval((slope, base), voxels) - above).max()
    note = f"Line: {base:.0f} MB + {slope:.0f} bytes per voxel, largest deviation {rest:.0f} MB."
    columns = (Column("stack"), Column("before (MB)", 0), Column("peak (MB)", 0), Column("more (MB)", 0))
    return Table(columns, tuple(rows), "Memory of a registration without refinement", (note,))


def single(repeats: int, pairs: Mapping[str, tuple[str, str]] = PAIRS) -> Table:
    """Median seconds of a phantom of each kind (seed 50,000), without iterations and with 30."""
    rows = []
    for shown, (kind, name) in pairs.items():
        model, pair = RegistrationModel.load(locate(name)), make_pair(kind, 50_000, with_truth=False)
        for refine in (0, 30):
            config, seconds = RegisterConfig(refine=refine), []
            for _ in range(repeats + 1):  # the first warms up
                result = register_pair(pair.fixed, pair.moving, model, config)
                seconds.append(result.summary["seconds"])
            rows.append((shown, refine, statistics.median(seconds[1:])))
    columns = (Column("pair"), Column("iterations", 0), Column("seconds", 2))
    return Table(columns, tuple(rows), f"Single pairs, median of {repeats}")


def child(side: int, slices: int) -> None:
    """Register once and print this process's memory before and at the peak (Linux), in MB."""
    model = RegistrationModel.load(locate(default_model(2).name))
    pair = stack_pair(side, slices)
    register_pair(*stack_pair(64, 4), model)  # what the libraries take once
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
    register_pair(*pair, model)
    print(before, status("VmHWM"))


def status(name: str) -> float:
    """A line of /proc/self/status in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--starts", type=int, default=3, help="processes of which the start is timed")
    parser.add_argument("--repeats", type=int, default=5, help="registrations of each single pair")
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return 0
    print(markdown(start_up(arguments.starts)))
    print(markdown(memory()))
    print(markdown(single(arguments.repeats)))
    print(f"{machine.versions()}; {machine.load()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
