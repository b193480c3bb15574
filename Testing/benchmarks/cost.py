#!/usr/bin/env python3
"""Cost of a registration: time against the networks' own forward time, memory against size, start-up of the
core.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/cost.py

Each memory figure is the peak of a process of its own, above that of one that has only imported and loaded.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

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


def peak_mb(side: int, slices: int) -> float:
    """Peak memory in MB of a process that registers a stack of that size (0 slices: of one that only
    loads)."""
    command = [sys.executable, __file__, "--child", str(side), str(slices)]
    return float(
        subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout.split()[-1]
    )


def child(side: int, slices: int) -> None:
    """Register once and print the peak memory of this process in MB."""
    model = RegistrationModel.load(locate(default_model(2).name))
    if slices:
        register_pair(*stack_pair(side, slices), model)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak / (1024**2 if sys.platform == "darwin" else 1024))


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
    base = peak_mb(0, 0)
    print(f"only loaded: {base:.0f} MB")
    for side, slices in SIZES:
        peak = peak_mb(side, slices)
        voxels = side * side * slices
        above = (peak - base) * 1e6 / voxels
        print(f"{side} x {side} x {slices}: peak {peak:.0f} MB, {above:.0f} bytes per voxel above")
    return 0


if __name__ == "__main__":
    sys.exit(main())
