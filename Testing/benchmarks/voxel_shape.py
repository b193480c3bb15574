#!/usr/bin/env python3
"""End-point error in the LV myocardium of phantoms whose voxels are twice as long along one axis.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/voxel_shape.py mri2d:20 echo2d:20 echo3d:4

Each pair as it is; with the mean of every two columns of voxels, of which the geometry tells; the same where
the model takes voxels as they are (its grid without `isotropic`); and the same where the geometry does not
tell. The error is in voxels of the pair as it is. Seeds from 7,000 on, which no training draws.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench import machine
from hetreg import zoo
from hetreg.config import RegisterConfig
from hetreg.datasets.phantom import PhantomPair, make_pair
from hetreg.image import Image
from hetreg.metrics.deformation import end_point_error
from hetreg.model import RegistrationModel
from hetreg.register import register_pair
from hetreg.tables import Column, Table, markdown

FIRST_SEED, MYOCARDIUM = 7_000, 2
MODELS = {"mri": "cine-mri-2d", "echo2d": "echo-2d", "echo3d": "echo-3d"}
COLUMNS = (
    Column("Phantom"),
    Column("Pairs", 0),
    Column("As it is", 2),
    Column("Two columns in one", 2),
    Column("Taken as they are", 2),
    Column("Not told", 2),
)


def halved(image: Image, *, told: bool) -> Image:
    """The mean of every two columns. told: the geometry has them twice as wide."""
    matrix = image.ijk_to_lps.copy()
    if told:
        matrix[:, 3] += matrix[:, 0] / 2
        matrix[:, 0] *= 2
    return Image((image.array[..., ::2] + image.array[..., 1::2]) / 2, matrix, image.name)


def error(pair: PhantomPair, model: RegistrationModel, refine: int, told: bool | None) -> float:
    """Of the pair as it is (told: None) or with two columns in one."""
    fixed, moving, width = pair.fixed, pair.moving, 1
    if told is not None:
        fixed, moving, width = halved(fixed, told=told), halved(moving, told=told), 2
    result = register_pair(fixed, moving, model, RegisterConfig(refine=refine, inverse=False))
    disp_vox = result.disp_vox.copy()
    disp_vox[2] *= width
    wall = pair.fixed_label.array[..., ::width] == MYOCARDIUM
    return end_point_error(disp_vox, pair.disp_vox[..., ::width], wall)


def measure(kind: str, count: int, name: str, refine: int) -> tuple[object, ...]:
    """A row of the table; pairs without myocardium do not count."""
    path = Path(name) if Path(name).is_file() else zoo.locate(name)
    model, plain = RegistrationModel.load(path), RegistrationModel.load(path)
    plain.grid = replace(model.grid, isotropic=False)
    pairs = [make_pair(kind, FIRST_SEED + n, with_truth=False) for n in range(count)]
    pairs = [pair for pair in pairs if (pair.fixed_label.array == MYOCARDIUM).any()]
    ways = ((model, None), (model, True), (plain, True), (model, False))
    errors = [[error(pair, used, refine, told) for used, told in ways] for pair in pairs]
    return (kind, len(pairs), *np.mean(errors, axis=0).tolist())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("phantoms", nargs="+", help="KIND:COUNT")
    parser.add_argument("--model", help="instead of the shipped one for that kind")
    parser.add_argument("--refine", type=int, default=0)
    arguments = parser.parse_args()
    rows = []
    for phantom in arguments.phantoms:
        kind, count = phantom.split(":")
        name = next(model for start, model in MODELS.items() if kind.startswith(start))
        rows.append(measure(kind, int(count), arguments.model or name, arguments.refine))
    print(markdown(Table(COLUMNS, tuple(rows), "End-point error in the myocardium (voxels), means")))
    print(f"{machine.versions()}.")


if __name__ == "__main__":
    main()
