#!/usr/bin/env python3
"""Accuracy and time of HetReg's models against the tools that people use, on the same cases, scored by one
code (`hetreg.evaluate`).

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/accuracy.py --install  # once
    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/accuracy.py --phantoms mri2d:40 echo2d:40 \\
        --pairs FOLDER --peers all --model cine-mri-2d echo-2d --refine 0 30 --output DIR

--phantoms: held-out seeds, from 50000 on, which no training draws. --pairs: a folder of <case>_ED / <case>_ES
pairs with labels; --split-file and --part choose its patients. --model: names or weight files, each a row for
every number of --refine; joined by +, run folders of a cross-validation, of which each patient is registered
by the one that held it out. The peers' fields are kept in --cache, so that models can be run again without
them; their seconds are those of the day on which they ran. Each tool has 2 threads.
DIR: table.md, rows.csv, slices.csv, complete after every line of a table.
"""

from __future__ import annotations

import hetreg  # noqa: F401  # isort: skip  before torch, whose threads then sleep while they wait

import argparse
import contextlib
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from bench import machine, summary
from bench.methods import HetReg, Method, peer, true_field, undeformed
from bench.peers import THREADS, TOOLS
from bench.peers.install import install
from bench.peers.process import Peer
from hetreg.config import EvaluateConfig
from hetreg.evaluate import evaluate
from hetreg.registry import phantom_ndim
from hetreg.tables import Cell, markdown

CAVITY, MYOCARDIUM = 3, 2


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--install", action="store_true", help="make the peers' environments and stop")
    made.add_argument("--phantoms", nargs="*", default=[], metavar="KIND:COUNT")
    made.add_argument("--pairs", default="", metavar="FOLDER")
    made.add_argument("--label", type=int, default=CAVITY, help="label to score in --pairs")
    made.add_argument("--split-file", default="", help="JSON file of the patients in each part")
    made.add_argument("--part", default="all", help="part of the split: train, val, test, all")
    made.add_argument(
        "--peers",
        nargs="*",
        default=[],
        metavar="TOOL",
        choices=["all", *TOOLS],
        help=f"all, or of: {', '.join(TOOLS)}",
    )
    made.add_argument(
        "--percentiles",
        action="store_true",
        help="give the tools the stack clipped at its percentiles, as the networks see it",
    )
    made.add_argument("--model", nargs="*", default=[])
    made.add_argument("--refine", nargs="*", type=int, default=[0])
    made.add_argument("--cache", type=Path, default=Path("build/peers-cache"))
    made.add_argument("--output", type=Path, default=Path("build/accuracy"))
    return made


def groups(arguments: argparse.Namespace) -> Iterator[tuple[str, EvaluateConfig, int]]:
    """(name, configuration, label) of each table."""
    if arguments.pairs:
        yield Path(arguments.pairs).name, EvaluateConfig(
            dataset="pairs", root=arguments.pairs, split=arguments.part, split_file=arguments.split_file,
            labels=str(arguments.label), both_ways=False,
        ), arguments.label  # fmt: skip
    for asked in arguments.phantoms:
        kind, _, count = asked.partition(":")
        yield kind, EvaluateConfig(
            kind=kind, phantoms=int(count or 20), labels=str(MYOCARDIUM), both_ways=False
        ), MYOCARDIUM  # fmt: skip


def peers(arguments: argparse.Namespace) -> list[str]:
    """The names of the chosen ones."""
    return [*TOOLS] if "all" in arguments.peers else arguments.peers


def methods(
    arguments: argparse.Namespace, config: EvaluateConfig, stack: contextlib.ExitStack
) -> Iterator[tuple[str, Method]]:
    """The lines of a group's table: those that are made for its dimension and have what they need."""
    phantom = config.dataset == "phantom"
    ndim = phantom_ndim(config.kind) if phantom else 2
    yield "undeformed", undeformed
    if phantom:
        yield "true field", true_field
    for name in peers(arguments):
        if ndim == 2 or TOOLS[name].in_3d:
            tool = stack.enter_context(Peer(name, arguments.cache))
            yield name, peer(tool, percentiles=arguments.percentiles)
    for names in arguments.model:
        for refine in arguments.refine:
            model = HetReg(names.split("+"), refine)
            label = "HetReg " + "+".join(Path(n).stem for n in names.split("+"))
            if model.ndim == ndim:
                yield (f"{label}, {refine} iterations" if refine else label), model


def run(arguments: argparse.Namespace) -> str:
    """All tables as Markdown; files are written after every line. Raises ValueError or OSError, before the
    first case, if a peer is not installed."""
    for name in peers(arguments):
        Peer(name, arguments.cache).check()
    arguments.output.mkdir(parents=True, exist_ok=True)
    tables: dict[str, str] = {}
    rows: dict[str, list[dict[str, Any]]] = {"rows": [], "slices": []}
    for group, config, label in groups(arguments):
        lines: list[tuple[Cell, ...]] = []
        trust: list[tuple[Cell, ...]] = []
        failed: list[str] = []
        used: dict[str, str] = {}  # packages of the peers
        with contextlib.ExitStack() as stack:
            for name, method in methods(arguments, config, stack):
                found = evaluate(config, register=method, pictures=False)
                about = {"group": group, "tool": name}
                rows["rows"] += [about | row for row in found.rows]
                rows["slices"] += [about | row for row in found.slices]
                lines.append(summary.line(name, found, label))
                failed += summary.failures(name, found)
                if (cells := summary.calibration(name, found)) is not None:
                    trust.append(cells)
                used |= getattr(method, "versions", {})
                others = "".join(f", {package} {version}" for package, version in sorted(used.items()))
                note = f"{machine.versions()}{others}; {machine.load()}."
                made = summary.tables(group, lines, trust, note, *failed)
                tables[group] = "\n".join(markdown(table) for table in made)
                write(tables, rows, arguments.output)
                print(f"{group}, {name}: done", file=sys.stderr, flush=True)
    return "\n".join(tables.values())


def write(tables: dict[str, str], rows: dict[str, list[dict[str, Any]]], folder: Path) -> None:
    """table.md, rows.csv and slices.csv."""
    (folder / "table.md").write_text("\n".join(tables.values()), encoding="utf-8")
    for name, content in rows.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fields(content))
            writer.writeheader()
            writer.writerows(content)


def fields(rows: Sequence[dict[str, Any]]) -> list[str]:
    """All keys, in the order in which they first come."""
    return list(dict.fromkeys(key for row in rows for key in row))


def main() -> int:
    """Run the benchmark."""
    asking = parser()
    arguments = asking.parse_args()
    if arguments.install:
        install()
        return 0
    if not (arguments.pairs or arguments.phantoms):
        asking.error("name --pairs or --phantoms")
    torch.set_num_threads(THREADS)
    try:
        print(run(arguments))
    except (ValueError, OSError) as error:
        asking.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
