#!/usr/bin/env python3
"""Which map says where the displacement is wrong: within each phantom the rank correlation of noise SD, of
1 - SNR weight and of displacement SD with the true error of the displacement.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/trust.py [mri2d:10 echo2d:10 echo3d:5]

Shipped models, no iterations. The pairs (seeds from 93000 on) are neither trained, calibrated nor tested on.
Beside each correlation: how many times the mean error is larger in the fifth of the voxels where the map is
highest than in the others.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from bench import machine
from hetreg.config import RegisterConfig
from hetreg.datasets.phantom import PhantomPair, make_pair
from hetreg.metrics.calibration import spearman
from hetreg.model import RegistrationModel
from hetreg.register import register_pair
from hetreg.result import RegisterResult
from hetreg.tables import Cell, Column, Table, markdown

MODELS = {"mri2d": "cine-mri-2d", "echo2d": "echo-2d", "echo2d_sax": "echo-2d", "echo3d": "echo-3d"}
FIRST_SEED, MYOCARDIUM, OTHERS = 93_000, 2, 0.8
REGIONS, MAPS = ("myocardium", "body"), ("noise SD", "1 - SNR weight", "displacement SD")


def measure(pair: PhantomPair, result: RegisterResult) -> np.ndarray:
    """(region, map, 2): rank correlation with the error, and how many times it is larger in the fifth."""
    error = np.linalg.norm(result.disp_vox - pair.disp_vox, axis=0)
    maps = (result.noise_sd.array, 1 - result.snr_weight.array, result.displacement_sd_mm.array)
    masks = (pair.fixed_label.array == MYOCARDIUM, pair.body.array > 0)
    return np.array([[(spearman(a, error, m), ratio(a[m], error[m])) for a in maps] for m in masks])


def ratio(values: np.ndarray, error: np.ndarray) -> float:
    """Mean error of the fifth with the highest values over that of the others, both (voxels,)."""
    ordered = error[np.argsort(values, kind="stable")]
    first = int(OTHERS * len(ordered))
    return float(ordered[first:].mean() / ordered[:first].mean())


def rows(kind: str, count: int) -> list[tuple[Cell, ...]]:
    """One for each region: means and ranges over the pairs."""
    model, config = RegistrationModel.load(MODELS[kind]), RegisterConfig(inverse=False)
    found = []
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        pair = make_pair(kind, seed)
        found.append(measure(pair, register_pair(pair.fixed, pair.moving, model, config)))
        print(f"{kind}, {seed}: done", file=sys.stderr, flush=True)
    return [(kind, count, region, *told(np.array(found)[:, n])) for n, region in enumerate(REGIONS)]


def told(found: np.ndarray) -> list[str]:
    """A cell for each map of found (pair, map, 2)."""
    return [
        f"{r.mean():.2f} ({r.min():.2f} to {r.max():.2f}); {times.mean():.1f}"
        for r, times in found.transpose(1, 2, 0)
    ]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = ["mri2d:10", "echo2d:10", "echo2d_sax:10", "echo3d:5"]
    parser.add_argument("phantoms", nargs="*", default=default, metavar="KIND:PAIRS")
    asked = [text.partition(":") for text in parser.parse_args().phantoms]
    if wrong := [kind for kind, _, _ in asked if kind not in MODELS]:
        parser.error(f"kind {wrong[0]}: {', '.join(MODELS)} are accepted.")
    made = [row for kind, _, count in asked for row in rows(kind, int(count or 10))]
    columns = (Column("phantom"), Column("pairs"), Column("region"), *(Column(name) for name in MAPS))
    print(markdown(Table(columns, tuple(made), "Rank correlation with the error (range); times the error")))
    print(f"{machine.versions()}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
