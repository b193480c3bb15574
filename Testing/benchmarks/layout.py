#!/usr/bin/env python3
"""Time of a training step with default and channels-last weights and in bfloat16, on 2 CPU threads.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/layout.py [--rounds 7] [--networks voxelmorph ...]

Method `ours`: 128 x 128, batch 8, and 48 x 48 x 48 (TransMorph 64), batch 1; --sizes of the networks. The
ways take turns; a ratio is to the default in each round, and medians are shown. In 3D, whole: without the
halves of `networks/convolution.py`. bfloat16 (`--amp`) has the layout that a run has; it is left out where
the processor does not compute in it.
"""

from __future__ import annotations

import hetreg  # noqa: F401  # isort: skip  before torch, whose threads then sleep while they wait

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from unittest import mock

import torch

from bench import machine
from bench.peers import THREADS
from hetreg.config import GridConfig, TrainConfig, network_config
from hetreg.networks import convolution
from hetreg.registry import NETWORKS
from hetreg.registry import SIZES as SIZE_NAMES
from hetreg.tables import Cell, Column, Table, markdown
from hetreg.training.accelerate import computes_in_bfloat16, keep_memory
from hetreg.training.distributed import Ranks
from hetreg.training.objective import Batch
from hetreg.training.trainer import Trainer

SIZES = {2: (8, 128), 3: (1, 48)}  # dimension: (pairs, voxels per side)
FORMATS = {2: torch.channels_last, 3: torch.channels_last_3d}
DEFAULT, LAST, WHOLE, AMP = "default", "channels-last", "whole", "bfloat16"
STEPS = 3  # of each turn
CPU = torch.device("cpu")


def trainer(network: str, size: str, ndim: int, way: str) -> Trainer:
    """A run's trainer whose weights have the layout, or that computes in bfloat16."""
    config = TrainConfig(
        network=network, size=size, warmup=0, batch=SIZES[ndim][0], device="cpu", amp=way == AMP
    )
    made = Trainer(config, network_config(config, ndim), GridConfig(), Ranks(CPU))
    if way != AMP:
        wanted = FORMATS[ndim] if way == LAST else torch.contiguous_format
        made.model.to(memory_format=wanted)  # type: ignore[call-overload]
    made.model.train()
    return made


def seconds(run: Trainer, batch: Batch, way: str) -> float:
    """Of one step, the mean of STEPS."""
    whole = mock.patch.object(convolution, "worth_halving", return_value=False)
    with whole if way == WHOLE else nullcontext():
        began = time.perf_counter()
        for _ in range(STEPS):
            run.one_step(batch)
        return (time.perf_counter() - began) / STEPS


def rounds_of(network: str, size: str, ndim: int, ways: Sequence[str], rounds: int) -> list[dict[str, float]]:
    """Seconds of a step each way, in each round after a first one."""
    pairs, side = SIZES[ndim]
    side = 64 if network == "transmorph" and ndim == 3 else side
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((2, pairs, 1, *[side] * ndim), generator=generator)
    batch = Batch(images[0], images[1], seeds=tuple(range(pairs)))
    runs = {way: trainer(network, size, ndim, way) for way in ways}
    return [{way: seconds(run, batch, way) for way, run in runs.items()} for _ in range(rounds + 1)][1:]


def table(ways: Sequence[str], found: dict[str, list[dict[str, float]]], rounds: int) -> Table:
    """Median time of a step each way, and the medians of the rounds' ratios to the default."""
    rows: list[tuple[Cell, ...]] = []
    for name, times in found.items():
        middle = [1000 * statistics.median(t[way] for t in times) for way in ways]
        ratios = [sorted(t[DEFAULT] / t[way] for t in times) for way in ways[1:]]
        told = [f"{statistics.median(r):.2f} ({r[0]:.2f} to {r[-1]:.2f})" for r in ratios]
        rows.append((name, *middle, *told))
    columns = (Column("network"), *(Column(f"{way} (ms)", 0) for way in ways))
    columns += tuple(Column(f"{way}, times as fast") for way in ways[1:])
    return Table(columns, tuple(rows), f"A training step, {rounds} rounds of {STEPS} steps")


def main() -> int:
    """Run the benchmark."""
    asking = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asking.add_argument("--rounds", type=int, default=7)
    asking.add_argument("--networks", nargs="+", default=["voxelmorph"], choices=NETWORKS)
    asking.add_argument("--sizes", nargs="+", default=["paper", "small"], choices=SIZE_NAMES)
    arguments = asking.parse_args()
    torch.set_num_threads(THREADS)
    keep_memory()
    for ndim, own in {2: [], 3: [WHOLE]}.items():
        ways = [DEFAULT, LAST, *own] + [AMP] * computes_in_bfloat16(CPU)
        found = {
            f"{NETWORKS[n].label} {size}, {ndim}D": rounds_of(n, size, ndim, ways, arguments.rounds)
            for n in arguments.networks
            for size in arguments.sizes
        }
        print(markdown(table(ways, found, arguments.rounds)))
    print(f"{machine.versions()}; {machine.load()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
