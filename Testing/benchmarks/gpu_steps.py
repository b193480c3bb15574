#!/usr/bin/env python3
"""Time and memory of a training step on an NVIDIA GPU, plain and with the options that a GPU has.

    PYTHONPATH=HetRegUncertainty:Testing python Testing/benchmarks/gpu_steps.py [--steps 20] [--only vox]

plain: 32-bit floats; amp: the networks in bfloat16; compile: torch.compile; graphs: the step recorded and
replayed. Each line is the median over steps with one batch, which lies ready; what drawing it takes of one
CPU core stands beside. A combination that fails is a line with its error.
"""

from __future__ import annotations

import hetreg  # noqa: F401  # isort: skip  before torch, whose threads then sleep while they wait

import argparse
import statistics
import sys
import time
from dataclasses import dataclass, replace

import torch

from bench import machine
from hetreg.config import GridConfig, NetworkConfig, TrainConfig, network_config
from hetreg.datasets.simulated import PhantomDataset
from hetreg.registry import METHODS, phantom_ndim
from hetreg.tables import Column, Table, markdown
from hetreg.training import accelerate, recording
from hetreg.training.data import draw_batch
from hetreg.training.distributed import Ranks
from hetreg.training.objective import Batch
from hetreg.training.trainer import Trainer
from recipes import DEEP, ECHO, FLAT, NOISE, SOLID

BASE = TrainConfig(weight_mode="paper", warmup=0, steps=1_000_000)
OPTIONS: dict[str, dict[str, bool]] = {
    "plain": {},
    "amp": {"amp": True},
    "compile": {"compile": True},
    "amp, compile": {"amp": True, "compile": True},
    "graphs": {"graphs": True},
    "amp, graphs": {"amp": True, "graphs": True},
}
WARM_UP = 6


@dataclass(frozen=True)
class Case:
    """What is trained: a configuration, and a network if it is not the configuration's own."""

    config: TrainConfig
    network: NetworkConfig | None = None


CASES = {
    "VoxelMorph, 2D, batch 8": Case(replace(BASE, batch=8)),
    "TransMorph, 2D, batch 8": Case(replace(BASE, batch=8, network="transmorph")),
    "TransMorph small, 2D, batch 8": Case(replace(BASE, batch=8, network="transmorph", size="small")),
    "pyramid of echo-2d, batch 8": Case(replace(ECHO, batch=8), FLAT),
    "pyramid of echo-2d, batch 32": Case(replace(ECHO, batch=32), FLAT),
    "noise network of echo-2d, batch 16": Case(replace(NOISE, kind="echo2d", batch=16), FLAT),
    "pyramid of echo-3d, batch 1": Case(replace(SOLID, crop=64), DEEP),
    "pyramid of echo-3d, batch 4": Case(replace(SOLID, crop=64, batch=4), DEEP),
}


def drawn(config: TrainConfig) -> tuple[Batch, float]:
    """A batch, and the seconds that drawing one takes."""
    ndim, truth = phantom_ndim(config.kind), bool(METHODS[config.method].extra)
    samples = PhantomDataset(config.kind, 2 if ndim == 3 else 8, truth=truth).samples(GridConfig())
    times = []
    for step in range(3):
        began = time.perf_counter()
        batch = draw_batch(samples, config, step)
        times.append(time.perf_counter() - began)
    return batch, min(times)


def line(name: str, option: str, steps: int, device: torch.device) -> tuple[object, ...]:
    """Name, option, ms, GB and ms of drawing; of a failure, its error."""
    case = CASES[name]
    config = replace(case.config, device=device.type, **OPTIONS[option])
    ndim = phantom_ndim(config.kind)
    try:
        accelerate.check(config, device)
        recording.check(config, device, grouped=False)
        batch, seconds = drawn(config)
        network = case.network or network_config(config, ndim)
        trainer = Trainer(config, network, GridConfig(), Ranks(device))
        trainer.model.train()
        trainer.step = 1
        for _ in range(WARM_UP):
            trainer.one_step(batch)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        times = []
        for _ in range(steps):
            began = time.perf_counter()
            trainer.one_step(batch)
            times.append(time.perf_counter() - began)
    except (RuntimeError, ValueError) as error:
        return name, f"{option}: {str(error).splitlines()[0]}", None, None, None
    memory = torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else None
    return name, option, 1000 * statistics.median(times), memory, 1000 * seconds


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--only", default="", help="cases whose name begins so")
    parser.add_argument("--options", nargs="*", default=list(OPTIONS), choices=OPTIONS)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    arguments = parser.parse_args()
    names = [n for n in CASES if n.lower().startswith(arguments.only.lower())]
    if not names:
        parser.error(f"no case begins with '{arguments.only}': accepted are {', '.join(CASES)}")
    device = torch.device(arguments.device)
    rows = [line(name, option, arguments.steps, device) for name in names for option in arguments.options]
    columns = (
        Column("step"),
        Column("options"),
        Column("ms", 1),
        Column("GB", 2),
        Column("ms to draw the batch", 1),
    )
    print(markdown(Table(columns, tuple(rows), "A training step on a GPU")))
    print(f"{machine.versions()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
