#!/usr/bin/env python3
"""Accuracy and time of HetReg's models against the tools that people use, on the same cases, scored by one
code.

    python Testing/benchmarks/accuracy.py --install                   # once: the peers' own environments
    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/accuracy.py --phantoms mri2d:40 echo2d:40 \\
        --pairs FOLDER --peers all --model cine-mri-2d echo-2d --refine 0 30 --output DIR

--pairs: a folder of <case>_ED / <case>_ES pairs with labels; --patients and --part choose its patients by a
split file. --model: names or weight files, each a row per number of --refine; joined by +, run folders of a
cross-validation, of which each patient is registered by the one that held it out. Peers' fields are kept in
--cache, so that models can be run again without them. Each tool has 2 threads. DIR: table.md, rows.csv.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from bench import machine
from bench.cases import CAVITY, Case, folder_cases, patients_of, phantom_cases
from bench.methods import HetReg, Method, peer, true_field, undeformed
from bench.peers import THREADS, TOOLS
from bench.peers.install import install
from bench.peers.process import Peer
from bench.scoring import Row, score, table, write_csv


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--install", action="store_true", help="make the peers' environments and stop")
    made.add_argument("--phantoms", nargs="*", default=[], metavar="KIND:COUNT")
    made.add_argument("--pairs", type=Path)
    made.add_argument("--label", type=int, default=CAVITY, help="label to score in --pairs")
    made.add_argument("--patients", type=Path, help="split file, JSON")
    made.add_argument("--part", default="test", help="part of the split file")
    made.add_argument("--peers", nargs="*", default=[], metavar="TOOL", help=f"all, or of: {', '.join(TOOLS)}")
    made.add_argument("--model", nargs="*", default=[])
    made.add_argument("--refine", nargs="*", type=int, default=[0])
    made.add_argument("--cache", type=Path, default=Path("build/peers-cache"))
    made.add_argument("--output", type=Path, default=Path("build/accuracy"))
    return made


def cases(arguments: argparse.Namespace) -> Iterator[Case]:
    """All cases asked for."""
    if arguments.pairs:
        chosen = patients_of(arguments.patients, arguments.part) if arguments.patients else None
        yield from folder_cases(arguments.pairs, arguments.label, chosen)
    for asked in arguments.phantoms:
        kind, _, count = asked.partition(":")
        yield from phantom_cases(kind, int(count or 20))


def methods(arguments: argparse.Namespace, stack: contextlib.ExitStack) -> dict[str, Method]:
    """The rows of the table by name."""
    made: dict[str, Method] = {"undeformed": undeformed, "true field": true_field}
    for name in TOOLS if arguments.peers == ["all"] else arguments.peers:
        made[name] = peer(stack.enter_context(Peer(name, arguments.cache)))
    for names in arguments.model:
        for refine in arguments.refine:
            label = "HetReg " + "+".join(Path(n).stem for n in names.split("+"))
            made[f"{label}, {refine} iterations" if refine else label] = HetReg(names.split("+"), refine)
    return made


def run(arguments: argparse.Namespace) -> list[Row]:
    """All rows; what is there is written after every case, for a run that takes hours."""
    rows: list[Row] = []
    arguments.output.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        chosen = methods(arguments, stack)
        for case in cases(arguments):
            for name, method in chosen.items():
                if case.ndim == 2 or name not in TOOLS or TOOLS[name].in_3d:
                    rows += score(case, name, method(case))
            write(rows, arguments.output)
            print(f"{case.name}: {len(rows)} rows", file=sys.stderr, flush=True)
    return rows


def write(rows: list[Row], folder: Path) -> None:
    """table.md and rows.csv."""
    about = f"{machine.versions()}; {machine.load()}"
    (folder / "table.md").write_text(f"{table(rows)}\n\n{about}\n", encoding="utf-8")
    write_csv(rows, folder / "rows.csv")


def main() -> int:
    """Run the benchmark."""
    asking = parser()
    arguments = asking.parse_args()
    if arguments.install:
        install()
        return 0
    if not arguments.pairs and not arguments.phantoms:
        asking.error("name --pairs or --phantoms")
    torch.set_num_threads(THREADS)
    try:
        rows = run(arguments)
    except (ValueError, OSError) as error:
        asking.error(str(error))
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
