#!/usr/bin/env python3
"""Cost of a registration: time against the networks' own forward time, memory against size, start-up of the
core.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/cost.py

Each memory figure is of a process of its own (Linux).
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from hetreg.image import Image
from hetreg.model import RegistrationModel
from hetreg.preprocess import to_network_grid
from hetreg.register import register_pair
from hetreg.zoo import default_model, locate

SIZES = ((128, 10), (256, 10), (256, 20), (512, 10), (512, 20))


def stack_pair(side: int, slices: int) -> tuple[Image, Image]:
    """A smooth random stack and the same one shifted and noisier, 1.4 mm pixels, 8 mm slices."""
    rng = np.random.default_rng(0)
    coarse = rng.random((slices, side // 8, side // 8)).astype(np.float32)
    array = np.kron(coarse, np.ones((1, 8, 8), np.float32)) * 200
    noise = rng.normal(0, 5, (2, *array.shape)).astype(np.float32)
    geometry = np.diag([1.4, 1.4, 8.0, 1.0])
    return Image(array + noise[0], geometry, "fixed"), Image(
        np.roll(array, 2, 2) + noise[1], geometry, "moving"
    )


def time_ratio(repeats: int) -> None:
    """Total of `register_pair` against both networks' forward passes, alternating in one run."""
    fixed, moving = stack_pair(256, 10)
    model = RegistrationModel.load(locate(default_model(2).name))
    register_pair(fixed, moving, model)
    pair = to_network_grid(fixed, moving, model.grid, ndim=2, multiple=model.multiple)
    totals, forwards = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        register_pair(fixed, moving, model)
        totals.append(time.perf_counter() - start)
        with torch.inference_mode():
            start = time.perf_counter()
            model.displacement_net(pair.moving, pair.fixed)
            model.variance_net(pair.moving, pair.fixed)
            forwards.append(time.perf_counter() - start)
    total, forward = statistics.median(totals), statistics.median(forwards)
    ratio = total / forward
    print(f"256 x 256 x 10: register_pair {total:.3f} s, both networks {forward:.3f} s, ratio {ratio:.2f}")


def memory_mb(side: int, slices: int) -> tuple[float, float]:
    """(before, peak) memory in MB of a process of its own that registers a stack of that size."""
    command = [sys.executable, __file__, "--child", str(side), str(slices)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout
    before, peak = output.split()[-2:]
    return float(before), float(peak)


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
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return 0
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    time_ratio(arguments.repeats)
    sizes, above = [], []
    for side, slices in SIZES:
        before, peak = memory_mb(side, slices)
        sizes.append(side * side * slices / 1e6)
        above.append(peak - before)
        print(f"{side} x {side} x {slices}: {before:.0f} MB before, peak {peak:.0f} MB, +{above[-1]:.0f} MB")
    slope, start = np.polyfit(sizes, above, 1)
    rest = np.abs(np.polyval((slope, start), sizes) - above).max()
    print(f"line: {start:.0f} MB + {slope:.0f} bytes per voxel, largest deviation {rest:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
