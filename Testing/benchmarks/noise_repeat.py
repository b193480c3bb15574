#!/usr/bin/env python3
"""How much of a predicted noise variance is the residual that the network saw: the same phantoms are
registered twice, with two draws of the noise.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/noise_repeat.py [--kind mri2d] [--pairs 12] MODEL

MODEL: names or weight files. A variance that repeats its residual differs from draw to draw although the
true one does not. The pairs (seeds from 70500 on) are neither trained nor tested on.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from scipy.ndimage import uniform_filter

from bench import machine
from hetreg.config import RegisterConfig
from hetreg.datasets.phantom import make_pair
from hetreg.metrics.calibration import gaussian_divergence, spearman
from hetreg.metrics.deformation import end_point_error
from hetreg.model import RegistrationModel
from hetreg.register import register_pair
from hetreg.tables import Column, Table, markdown

FIRST_SEED, MYOCARDIUM, WINDOW, LEAST_SD = 70_500, 2, 3, 1e-3
COLUMNS = (
    Column("Model"),
    Column("Two draws", 2),
    Column("With the truth", 2),
    Column("Over 3 pixels", 2),
    Column("Excess over all noise (nats)", 3),
    Column("End-point error (voxels)", 2),
)


def measure(model: RegistrationModel, kind: str, seed: int) -> list[float]:
    """The numbers of one pair: rank correlations in the body, excess of the likelihood, end-point error."""
    config, maps = RegisterConfig(inverse=False), []
    for draw in (None, 1):
        pair = make_pair(kind, seed, noise_seed=draw)
        result = register_pair(pair.fixed, pair.moving, model, config)
        maps.append(result.noise_variance.array)
        if draw is None:
            first, disp = pair, result.disp_vox
    true = first.residual_variance.array
    scale = float(np.percentile(first.fixed.array, 99.5))
    inside = (first.body.array > 0) & (true > (LEAST_SD * scale) ** 2)
    window = [1 if n == 1 else WINDOW for n in true.shape]
    smooth = [uniform_filter(a, window) for a in (maps[0], true)]
    return [
        spearman(maps[0], maps[1], inside),
        spearman(maps[0], true, inside),
        spearman(smooth[0], smooth[1], inside),
        gaussian_divergence(true, maps[0], inside),
        end_point_error(disp, first.disp_vox, first.fixed_label.array == MYOCARDIUM),
    ]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--kind", default="mri2d")
    parser.add_argument("--pairs", type=int, default=12)
    arguments = parser.parse_args()
    rows = []
    for name in arguments.models:
        model = RegistrationModel.load(name)
        found = [measure(model, arguments.kind, FIRST_SEED + n) for n in range(arguments.pairs)]
        rows.append((name, *np.mean(found, axis=0).tolist()))
    caption = f"{arguments.pairs} {arguments.kind} phantoms, means"
    print(markdown(Table(COLUMNS, tuple(rows), caption)))
    print(f"{machine.versions()}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
