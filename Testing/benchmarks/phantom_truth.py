#!/usr/bin/env python3
"""The shipped models on phantoms they were not trained on: against the true displacement and the true noise
variance.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/phantom_truth.py [--cases 20] [--refine N]

Dice and end-point error (in voxels) of the LV myocardium, Spearman correlation of predicted and true
variance of the residual inside the body. Training draws its seeds from 100,000 on, this from `FIRST_SEED`.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from scipy.stats import spearmanr

from hetreg.config import RegisterConfig
from hetreg.datasets.phantom import make_pair
from hetreg.model import RegistrationModel
from hetreg.register import register_pair
from hetreg.zoo import locate

FIRST_SEED, MYOCARDIUM = 50_000, 2
MODELS = {"mri2d": "cine-mri-2d", "echo2d": "echo-2d", "echo2d_sax": "echo-2d", "echo3d": "echo-3d"}


def case(kind: str, seed: int, model: RegistrationModel, config: RegisterConfig) -> list[float]:
    """Dice before and after, end-point error before and after, Spearman, folded percent of one phantom."""
    pair = make_pair(kind, seed)
    result = register_pair(
        pair.fixed, pair.moving, model, config, moving_seg=pair.moving_label, fixed_seg=pair.fixed_label
    )
    wall, body = pair.fixed_label.array == MYOCARDIUM, pair.body.array > 0
    error = np.linalg.norm(result.disp_vox - pair.disp_vox, axis=0)[wall].mean()
    before = np.linalg.norm(pair.disp_vox, axis=0)[wall].mean()
    true, predicted = pair.residual_variance.array[body], result.noise_variance.array[body]
    dice = [result.summary[f"dice_{when}"][str(MYOCARDIUM)] for when in ("before", "after")]
    return [*dice, before, error, spearmanr(true, predicted).statistic, result.summary["folded_percent"]]


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--refine", type=int, default=0)
    arguments = parser.parse_args()
    print("| phantom | Dice before | Dice after | error before | error after | Spearman | folded % |")
    print("|---|---|---|---|---|---|---|")
    for kind, name in MODELS.items():
        model, config = RegistrationModel.load(locate(name)), RegisterConfig(refine=arguments.refine)
        count = max(1, arguments.cases // (4 if kind.endswith("3d") else 1))
        rows = np.array([case(kind, FIRST_SEED + n, model, config) for n in range(count)])
        mean = rows.mean(axis=0)
        print(
            f"| {kind} ({count}) | " + " | ".join(f"{v:.3f}" for v in mean[:5]) + f" | {mean[5]:.4f} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
