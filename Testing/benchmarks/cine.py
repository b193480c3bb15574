#!/usr/bin/env python3
"""Overlap over a whole cine: the labels of one frame, carried to every other one, against the labels there.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/cine.py CINE_4D LABELS_4D --slices 2 14

Both files are 4D, with as many frames; --slices: the first and the one after the last of the labels to use;
--moving-frame: the frame whose labels are carried (1). Labels on another grid, as those of a short-axis cine
for a long-axis one of the same examination, are laid on that of the cine, and count where their slices are.
The table has the mean over all other frames, and the frame with the least overlap before the registration.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np

from bench import machine
from hetreg.config import RegisterConfig
from hetreg.image import Image
from hetreg.metrics.overlap import dice_per_label
from hetreg.progress import Progress
from hetreg.resample import resample_like, same_grid
from hetreg.sequence import read_frames, register_sequence
from hetreg.tables import Column, Table, markdown

COLUMNS = (
    Column("Label"),
    Column("Frames", 0),
    Column("Dice before", 3),
    Column("after", 3),
    Column("better in", 0),
    Column("Worst frame", 0),
    Column("before", 3),
    Column("after", 3),
)


def cut(frame: Image, first: int, stop: int) -> Image:
    """Some slices along the first axis."""
    place = frame.ijk_to_lps.copy()
    place[:, 3] += first * place[:, 2]
    return Image(np.ascontiguousarray(frame.array[first:stop]), place, frame.name)


def read(cine: str, labels: str, slices: tuple[int, int]) -> tuple[list[Image], list[Image], np.ndarray]:
    """Frames, their labels on the same grid, and 1 at the voxels that count: in the slices of the labels."""
    frames, drawn = read_frames(cine), read_frames(labels)
    parts = [cut(f, *slices) for f in drawn]
    if same_grid(frames[0], drawn[0]):
        return [cut(f, *slices) for f in frames], parts, np.ones(parts[0].array.shape, np.uint8)
    everywhere = parts[0].like(np.ones(parts[0].array.shape, np.uint8), "slices")
    laid = [f.like(resample_like(p, f, labels=True), p.name) for f, p in zip(frames, parts, strict=True)]
    return frames, laid, resample_like(everywhere, frames[0], labels=True)


def rows(before: list[dict], after: list[dict], others: list[int]) -> Iterator[tuple]:
    """A row of the table for each label. before, after: {label: Dice} of each frame; others: which count."""
    for label in sorted(set.intersection(*(set(found) for found in after))):
        pairs = np.array([(before[i][label], after[i][label]) for i in others])
        worst = int(pairs[:, 0].argmin())
        better = int((pairs[:, 1] > pairs[:, 0]).sum())
        yield (str(label), len(others), *pairs.mean(0), better, others[worst] + 1, *pairs[worst])


def main() -> None:
    """Print the table and what it was made with."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cine")
    parser.add_argument("labels")
    parser.add_argument("--slices", type=int, nargs=2, default=(0, None))
    parser.add_argument("--moving-frame", type=int, default=1)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--refine", type=int, default=0)
    given = parser.parse_args()
    frames, labels, counts = read(given.cine, given.labels, given.slices)
    n, began = given.moving_frame - 1, time.perf_counter()
    config = RegisterConfig(model=given.model, refine=given.refine, inverse=False)
    before, after, folded = [], [], 0.0
    results = register_sequence(frames, frames[n], None, config, Progress(), moving_seg=labels[n])
    for i, result in enumerate(results):
        truth = labels[i].array * counts
        before.append(dice_per_label(truth, labels[n].array * counts))
        after.append(dice_per_label(truth, result.moved_seg.array * counts))
        folded = max(folded, result.summary["folded_percent"])
        print(f"frame {i + 1}: before {before[-1]}, after {after[-1]}", flush=True)
    others = [i for i in range(len(frames)) if i != n]
    print(markdown(Table(COLUMNS, tuple(rows(before, after, others)), "Dice with the labels of each frame")))
    print(
        f"Model {result.summary['model']}, {given.refine} iterations; folded voxels at most {folded:.4f} %."
    )
    print(f"{time.perf_counter() - began:.0f} s. {machine.versions()}.")


if __name__ == "__main__":
    main()
