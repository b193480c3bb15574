#!/usr/bin/env python3
"""Time of a training step with channels-last and with default weights, in 2D and 3D, on 2 CPU threads.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/layout.py [--rounds 7]

VoxelMorph of the paper's size, method `ours`: 128 x 128, batch 8, and 48 x 48 x 48, batch 1. The layouts take
turns; the ratio is that of each round, and medians are shown.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import torch

from bench import machine
from bench.peers import THREADS
from hetreg.config import GridConfig, TrainConfig, network_config
from hetreg.tables import Cell, Column, Table, markdown
from hetreg.training.accelerate import keep_memory
from hetreg.training.distributed import Ranks
from hetreg.training.objective import Batch
from hetreg.training.trainer import Trainer

SIZES = {2: (8, 128), 3: (1, 48)}  # dimension: (pairs, voxels per side)
FORMATS = {2: torch.channels_last, 3: torch.channels_last_3d}
LAYOUTS = ("default", "channels-last")
STEPS = 3  # of each turn


def trainer(ndim: int, layout: str) -> Trainer:
    """A run's trainer whose weights have the layout."""
    config = TrainConfig(warmup=0, batch=SIZES[ndim][0], crop=SIZES[ndim][1], device="cpu")
    made = Trainer(config, network_config(config, ndim), GridConfig(), Ranks(torch.device("cpu")))
    wanted = FORMATS[ndim] if layout == "channels-last" else torch.contiguous_format
    made.model.to(memory_format=wanted)  # type: ignore[call-overload]
    made.model.train()
    return made


def seconds(run: Trainer, batch: Batch) -> float:
    """Of one step, the mean of STEPS."""
    began = time.perf_counter()
    for _ in range(STEPS):
        run.one_step(batch)
    return (time.perf_counter() - began) / STEPS


def measure(rounds: int) -> Table:
    """Median time of a step of each layout, and the median of the rounds' ratios."""
    rows: list[tuple[Cell, ...]] = []
    for ndim, (pairs, side) in SIZES.items():
        generator = torch.Generator().manual_seed(0)
        images = torch.rand((2, pairs, 1, *[side] * ndim), generator=generator)
        batch = Batch(images[0], images[1], seeds=tuple(range(pairs)))
        runs = {name: trainer(ndim, name) for name in LAYOUTS}
        times = [{name: seconds(run, batch) for name, run in runs.items()} for _ in range(rounds + 1)][1:]
        ratios = sorted(t["default"] / t["channels-last"] for t in times)
        middle = [1000 * statistics.median(t[name] for t in times) for name in LAYOUTS]
        rows.append((f"{ndim}D", *middle, statistics.median(ratios), f"{ratios[0]:.2f} to {ratios[-1]:.2f}"))
    columns = (Column("images"), *(Column(f"{name} (ms)", 0) for name in LAYOUTS))
    columns += (Column("times as fast", 2), Column("range"))
    return Table(columns, tuple(rows), f"A training step, {rounds} rounds of {STEPS} steps")


def main() -> int:
    """Run the benchmark."""
    asking = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asking.add_argument("--rounds", type=int, default=7)
    arguments = asking.parse_args()
    torch.set_num_threads(THREADS)
    keep_memory()
    print(markdown(measure(arguments.rounds)))
    print(f"{machine.versions()}; {machine.load()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
