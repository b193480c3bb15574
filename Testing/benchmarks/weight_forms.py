#!/usr/bin/env python3
"""What a form of the data term's weight can do where each pair is optimised to the end: the end-point error
of phantoms for each form and lambda, with the predicted and with the true noise variance.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/weight_forms.py [--kind mri2d] [--noise 0.15]

Starts at the displacement of the model, without it as a prior. --noise: SD of white noise that is added to
about half of each fixed image, in smooth patches, of intensities from 0 to 1. The pairs (seeds from 70200 on)
are neither trained nor tested on.
"""

from __future__ import annotations

import hetreg  # noqa: F401  # isort: skip  before torch, whose threads then sleep while they wait

import argparse
import sys
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench import machine
from hetreg import zoo
from hetreg.datasets.phantom import make_pair
from hetreg.datasets.simulated import to_sample
from hetreg.model import Motion, RegistrationModel
from hetreg.refine import RefineOptions, optimise
from hetreg.tables import Cell, Column, Table, markdown

MODELS = {"mri2d": "cine-mri-2d", "echo2d": "echo-2d", "echo2d_sax": "echo-2d"}
FORMS = {  # name: (mode, gamma, true variance)
    "none": ("precision", 0.0, False),
    "paper, gamma 0.5": ("paper", 0.5, False),
    "robust, gamma 0.5": ("robust", 0.5, False),
    "precision, gamma 0.5": ("precision", 0.5, False),
    "precision, gamma 1": ("precision", 1.0, False),
    "robust, gamma 0.5, true variance": ("robust", 0.5, True),
    "precision, gamma 0.5, true variance": ("precision", 0.5, True),
    "precision, gamma 1, true variance": ("precision", 1.0, True),
}
FIRST_SEED, MYOCARDIUM, PATCHES = 70_200, 2, 4


class Knowing:
    """A model whose noise variance is the true one."""

    def __init__(self, model: RegistrationModel, variance: Tensor) -> None:
        self._model, self._log_variance = model, variance.clamp(min=1e-6).log()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def log_variance(self, moved: Tensor, fixed: Tensor) -> Tensor:
        """Of the phantoms, whatever the images."""
        return self._log_variance


class Pairs:
    """Phantoms of one size as batches (B, 1, H, W), with what is known of them."""

    def __init__(self, kind: str, count: int, model: RegistrationModel, noise: float) -> None:
        made = [to_sample(make_pair(kind, FIRST_SEED + n), model.grid) for n in range(count)]

        def batch(name: str) -> Tensor:
            return torch.from_numpy(np.stack([np.asarray(getattr(s, name), np.float32) for s in made]))

        self.fixed, self.moving = batch("fixed")[:, None], batch("moving")[:, None]
        self.variance, self.disp = batch("true_variance")[:, None], batch("true_disp")
        self.wall = batch("fixed_label") == MYOCARDIUM
        if noise:
            generator = torch.Generator().manual_seed(0)
            coarse = torch.rand((count, 1, PATCHES, PATCHES), generator=generator)
            sd = noise * (F.interpolate(coarse, size=self.fixed.shape[2:], mode="bilinear") > 0.5)
            self.fixed = self.fixed + sd * torch.randn(self.fixed.shape, generator=generator)
            self.variance = self.variance + sd.square()

    def error(self, motion: Motion) -> float:
        """Mean end-point error in the myocardium, voxels, of all pairs alike."""
        off = (motion.disp - self.disp).square().sum(1).sqrt()
        return float(np.mean([float(row[wall].mean()) for row, wall in zip(off, self.wall, strict=True)]))


def measure(kind: str, count: int, noise: float, iterations: int, lambdas: list[float]) -> Table:
    """The error of every form and lambda."""
    model = RegistrationModel.load(zoo.locate(MODELS[kind])).eval()
    pairs = Pairs(kind, count, model, noise)
    with torch.no_grad():
        start = model.move(pairs.moving, pairs.fixed)
    rows: list[tuple[Cell, ...]] = []
    for name, (mode, gamma, known) in FORMS.items():
        used: Any = Knowing(model, pairs.variance) if known else model
        errors = []
        for smoothness in lambdas:
            options = RefineOptions(iterations, mode, gamma, smoothness, anchor=0.0)
            errors.append(pairs.error(optimise(used, pairs.moving, pairs.fixed, start, options)))
        rows.append((name, *errors, min(errors)))
        print(f"{name}: {', '.join(f'{e:.3f}' for e in errors)}", file=sys.stderr)
    columns = [Column("weight"), *(Column(f"lambda {v:g}", 3, "low") for v in lambdas)]
    title = f"{kind}, {count} pairs, added noise {noise:g}: {pairs.error(start):.3f} at the start"
    return Table((*columns, Column("best", 3, "low")), tuple(rows), title)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=MODELS, default="mri2d")
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--lambdas", type=float, nargs="+", default=[0.01, 0.03, 0.1, 0.3])
    a = parser.parse_args()
    print(markdown(measure(a.kind, a.pairs, a.noise, a.iterations, a.lambdas)))
    print(f"{machine.versions()}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
