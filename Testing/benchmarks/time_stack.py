#!/usr/bin/env python3
"""Time of a 256 x 256 x 10 stack: HetReg without and with refinement against greedy slice by slice.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/accuracy.py --install  # once
    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/time_stack.py [--repeats 7] [--refine 30]

Each tool has 2 threads. They take turns, one stack each, so that other work on the machine slows all alike;
the ratio is that of each round, and medians are shown. The peers' time is that of the registration alone,
HetReg's that of `register_pair`, with its maps, its inverse and its moved image.
"""

from __future__ import annotations

import hetreg  # noqa: F401  # isort: skip  before torch, whose threads then sleep while they wait

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from bench import machine
from bench.methods import samples
from bench.peers import THREADS, TOOLS
from bench.peers.process import Peer
from hetreg.config import RegisterConfig
from hetreg.datasets.phantom import make_pair
from hetreg.evaluation.case import Case
from hetreg.model import RegistrationModel
from hetreg.preprocess import to_network_grid
from hetreg.register import register_pair
from hetreg.tables import Column, Table, markdown
from hetreg.zoo import default_model, locate

Run = Callable[[], float]


def networks(case: Case, model: RegistrationModel) -> Run:
    """The seconds of both networks' own forward passes."""
    pair = to_network_grid(case.fixed, case.moving, model.grid, ndim=2, multiple=model.multiple)

    def run() -> float:
        began = time.perf_counter()
        with torch.inference_mode():
            model.displacement_net(pair.moving, pair.fixed)
            model.variance_net(pair.moving, pair.fixed)
        return time.perf_counter() - began

    return run


def at_once(case: Case, model: RegistrationModel, refine: int) -> Run:
    """The seconds of `register_pair`."""
    config = RegisterConfig(refine=refine)

    def run() -> float:
        began = time.perf_counter()
        register_pair(case.fixed, case.moving, model, config)
        return time.perf_counter() - began

    return run


def slice_by_slice(case: Case, tool: Peer) -> Run:
    """The seconds of a peer on all slices."""
    pairs = [
        {"fixed": fixed, "moving": moving, "spacing": np.array(spacing)}
        for _, _, fixed, moving, spacing in samples(case)
    ]
    return lambda: sum(tool.compute(pair)[1] for pair in pairs)


def measure(runs: dict[str, Run], repeats: int, against: str) -> Table:
    """Median seconds, and the median ratio to the tool `against`, over the rounds after a first one."""
    rounds = [{name: run() for name, run in runs.items()} for _ in range(repeats + 1)][1:]
    rows = []
    for name in runs:
        ratios = sorted(times[name] / times[against] for times in rounds)
        seconds = statistics.median(times[name] for times in rounds)
        rows.append((name, seconds, statistics.median(ratios), f"{ratios[0]:.2f} to {ratios[-1]:.2f}"))
    columns = (Column("tool"), Column("seconds", 3), Column(f"of {against}", 2), Column("range"))
    return Table(columns, tuple(rows), f"A stack of 256 x 256 x 10, {repeats} rounds")


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--refine", type=int, default=30)
    parser.add_argument("--model", default=default_model(2).name)
    parser.add_argument(
        "--peers", nargs="+", default=["greedy SSD", "greedy NCC"], choices=TOOLS, metavar="TOOL"
    )
    arguments = parser.parse_args()
    try:
        for name in arguments.peers:
            Peer(name, Path()).check()
    except OSError as error:
        parser.error(str(error))
    torch.set_num_threads(THREADS)
    pair = make_pair("mri2d", 50_000, size=256, slices=10, with_truth=False)
    case = Case("stack", "stack", pair.fixed, pair.moving)
    model = RegistrationModel.load(locate(arguments.model))
    runs = {
        "both networks alone": networks(case, model),
        "HetReg": at_once(case, model, 0),
        f"HetReg, {arguments.refine} iterations": at_once(case, model, arguments.refine),
    }
    with contextlib.ExitStack() as stack:
        for name in arguments.peers:
            runs[name] = slice_by_slice(case, stack.enter_context(Peer(name, Path())))
        print(markdown(measure(runs, arguments.repeats, arguments.peers[0])))
    print(f"{machine.versions()}; {machine.load()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
