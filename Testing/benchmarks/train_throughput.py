#!/usr/bin/env python3
"""Steps per second of our training step against a plain one, side by side in one run on 2 CPU threads.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/train_throughput.py [--rounds 10] [--profile]

The plain step is what a first implementation does with the same networks, losses and batch (VoxelMorph 2D,
128 x 128, batch 8, method `ours`): each pair is read, cropped and augmented on its own before the step, the
weights have torch's default layout, and what a loss needs is computed where it is needed, so that the
displacement network runs once for the weight, once for the displacement loss and once for the variance loss.
Its U-Nets upsample, join and convolve as they are drawn; ours merge these (`networks.unet.joined_conv`).
Each side has its own process, as `hetreg train` has; they take turns, so that other work on the machine slows
both alike, and the median of the rounds is reported.
"""

from __future__ import annotations

import hetreg  # noqa: F401  # isort: skip  before torch, whose threads then sleep while they wait

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import torch
import torch.nn.functional as F

from bench import machine
from hetreg.config import GridConfig, TrainConfig, network_config
from hetreg.datasets.augment import Pairs, augment
from hetreg.datasets.base import PairSample, stack
from hetreg.datasets.simulated import PhantomDataset
from hetreg.losses.nll import gaussian_nll
from hetreg.losses.smoothness import mean_squared_gradient
from hetreg.losses.snr_weighted import data_weight
from hetreg.model import RegistrationModel
from hetreg.networks.unet import UNet
from hetreg.tables import Column, Table, markdown
from hetreg.training.accelerate import keep_memory
from hetreg.training.data import batches
from hetreg.training.distributed import Ranks
from hetreg.training.trainer import Trainer

CONFIG = TrainConfig(batch=8, crop=128, warmup=0, steps=1_000_000, device="cpu")


def plain_unet(net: UNet, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """What `UNet.forward` computes, layer by layer."""
    x, skips = torch.cat((first, second), dim=1), []
    for block in net.encoder:
        skips.append(block(x))
        x = net.pool(skips[-1])
    for block in net.decoder:
        x = torch.cat((F.interpolate(block(x), scale_factor=2.0), skips.pop()), dim=1)
    return net.head(net.tail(x))


class Plain:
    """The same step written plainly."""

    def __init__(self, samples: list[PairSample]) -> None:
        torch.manual_seed(0)
        self.samples, self.model = samples, RegistrationModel(network_config(CONFIG, 2)).train()
        for net in (self.model.displacement_net, self.model.variance_net.unet):
            net.forward = partial(plain_unet, net)
        self.first = torch.optim.Adam(self.model.displacement_net.parameters(), CONFIG.learning_rate)
        self.second = torch.optim.Adam(self.model.variance_net.parameters(), CONFIG.learning_rate)
        self.generator = torch.Generator().manual_seed(0)

    def load(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Fixed and moving images, pair by pair."""
        pairs = []
        for _ in range(CONFIG.batch):
            n = int(torch.randint(len(self.samples), (1,), generator=self.generator))
            offset = [torch.randint(-16, 17, (2,), generator=self.generator).tolist()]
            images = [stack([self.samples[n]], name, CONFIG.crop, offset) for name in ("fixed", "moving")]
            pairs.append(augment(Pairs(*images), self.generator))
        return torch.cat([p.fixed for p in pairs]), torch.cat([p.moving for p in pairs])

    def step(self) -> None:
        """Load, displacement step, variance step."""
        model, (fixed, moving) = self.model, self.load()
        with torch.no_grad():
            variance = model.log_variance(model.move(moving, fixed).moved, fixed)
            weight = data_weight(fixed, variance)
        self.first.zero_grad()
        motion = model.move(moving, fixed)
        data = (weight * (fixed - motion.moved).square()).mean()
        (data + CONFIG.smoothness * mean_squared_gradient(motion.disp)).backward()
        self.first.step()
        self.second.zero_grad()
        with torch.no_grad():
            moved = model.move(moving, fixed).moved
        gaussian_nll(fixed, moved, model.log_variance(moved, fixed), beta=CONFIG.beta).backward()
        self.second.step()


class Ours:
    """The loop's own step with its own batches."""

    def __init__(self, samples: list[PairSample]) -> None:
        self.trainer = Trainer(CONFIG, network_config(CONFIG, 2), GridConfig(), Ranks(torch.device("cpu")))
        self.trainer.model.train()
        self.batches: Iterator = batches(samples, CONFIG, 0)

    def step(self) -> None:
        """The next batch, displacement step, variance step."""
        self.trainer.one_step(next(self.batches))


def seconds(run: Plain | Ours, steps: int) -> float:
    """Seconds per step."""
    began = time.perf_counter()
    for _ in range(steps):
        run.step()
    return (time.perf_counter() - began) / steps


def waiting(run: Ours, steps: int) -> float:
    """Share of the time that the step waits for its batch."""
    waited, began = 0.0, time.perf_counter()
    for _ in range(steps):
        at = time.perf_counter()
        batch = next(run.batches)
        waited += time.perf_counter() - at
        run.trainer.one_step(batch)
    return waited / (time.perf_counter() - began)


def profile(run: Plain | Ours) -> str:
    """Where the time of a step goes."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as recorded:
        for _ in range(3):
            run.step()
    return recorded.key_averages().table(
        sort_by="self_cpu_time_total", row_limit=10, max_name_column_width=50
    )


def work(side: type, pipe: Connection) -> None:
    """A process that answers each number of steps with the seconds per step, and a question with a text."""
    torch.set_num_threads(2)
    if side is Ours:
        keep_memory()
    run = side(PhantomDataset("mri2d", 8).samples(GridConfig()))
    for asked in iter(pipe.recv, None):
        answers = {"profile": profile, "waiting": lambda run: waiting(run, 5)}
        pipe.send(answers[asked](run) if isinstance(asked, str) else seconds(run, asked))


def ask(pipe: Connection, question: int | str) -> Any:
    """Send and wait."""
    pipe.send(question)
    return pipe.recv()


def table(names: list[str], rounds: list[list[float]]) -> Table:
    """Median seconds of a step, and the median of the rounds' ratios of the plain step to each."""
    rows = []
    for name, times in zip(names, zip(*rounds, strict=True), strict=True):
        seconds = statistics.median(times)
        ratios = sorted(r[0] / t for r, t in zip(rounds, times, strict=True))
        faster = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        rows.append((name, 1000 * seconds, 1 / seconds, faster))
    columns = (
        Column("step"),
        Column("ms", 1),
        Column("steps per second", 2),
        Column("times as fast as plain"),
    )
    return Table(columns, tuple(rows), f"Training step, {len(rounds)} rounds of 2 threads")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=2, help="steps per round and side")
    parser.add_argument("--profile", action="store_true", help="also show where the time goes")
    arguments = parser.parse_args()
    context, pipes = multiprocessing.get_context("spawn"), {}
    for name, side in {"plain": Plain, "ours": Ours}.items():
        pipes[name], end = context.Pipe()
        context.Process(target=work, args=(side, end), daemon=True).start()
        ask(pipes[name], 2)  # warm up
    rounds = [[ask(pipe, arguments.steps) for pipe in pipes.values()] for _ in range(arguments.rounds)]
    print(markdown(table(list(pipes), rounds)))
    print(f"Our step waits for data {100 * ask(pipes['ours'], 'waiting'):.1f} % of the time.\n")
    print(f"{machine.versions()}; {machine.load()}.")
    if arguments.profile:
        for name, pipe in pipes.items():
            print(f"\n{name}\n{ask(pipe, 'profile')}")
    for pipe in pipes.values():
        pipe.send(None)


if __name__ == "__main__":
    main()
