#!/usr/bin/env python3
"""End-point error in the LV myocardium of phantoms whose images have other shapes: voxels not square,
fewer voxels, dark margins, another order of the axes.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/input_shapes.py mri2d:20 echo2d:20 echo3d:4

With the grid of the model, and with it as it would be without `isotropic`, `min_size`, `spare_margins` and
`depth_axis`. The error is in voxels of the pair as it is. Seeds from 7,000 on, which no training draws.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bench import machine
from hetreg.config import RegisterConfig
from hetreg.datasets.phantom import PhantomPair, make_pair
from hetreg.image import Image
from hetreg.metrics.deformation import end_point_error
from hetreg.model import RegistrationModel
from hetreg.register import register_pair
from hetreg.tables import Column, Table, markdown

FIRST_SEED, MYOCARDIUM = 7_000, 2
MODELS = {"mri": "cine-mri-2d", "echo2d": "echo-2d", "echo3d": "echo-3d"}
PLAIN = {"isotropic": False, "min_size": 1, "spare_margins": False, "depth_axis": -1}
COLUMNS = (
    Column("Phantom"),
    Column("Pairs", 0),
    Column("Images"),
    Column("Plain grid", 2),
    Column("Grid of the model", 2),
)


@dataclass(frozen=True)
class Change:
    """image: of an image; array: of labels and fields, along their last three axes. voxel: size of the new
    voxels in old ones; order: of the components of a field."""

    image: Callable[[Image], Image]
    array: Callable[[np.ndarray], np.ndarray]
    voxel: tuple[int, int, int] = (1, 1, 1)
    order: tuple[int, int, int] = (0, 1, 2)


def merged(steps: tuple[int, int, int], *, told: bool = True) -> Change:
    """The mean of so many voxels along each axis. told: the geometry knows."""

    def image(old: Image) -> Image:
        array, matrix = old.array.astype(np.float32), old.ijk_to_lps.copy()
        for d, n in enumerate(steps):
            parts = np.moveaxis(array, d, 0)
            array = np.moveaxis(sum(parts[k::n] for k in range(n)) / n, 0, d)
            if told:
                matrix[:, 3] += (n - 1) / 2 * matrix[:, 2 - d]
                matrix[:, 2 - d] *= n
        return Image(np.ascontiguousarray(array), matrix, old.name)

    return Change(image, lambda a: a[(..., *[slice(None, None, n) for n in steps])], steps)


def margins(size: tuple[int, ...]) -> Change:
    """As wide as half the image, on all sides."""
    widths = [(n // 2, n // 2) if n > 1 else (0, 0) for n in size]

    def array(old: np.ndarray) -> np.ndarray:
        return np.pad(old, [(0, 0)] * (old.ndim - 3) + widths)

    def image(old: Image) -> Image:
        matrix = old.ijk_to_lps.copy()
        matrix[:, 3] -= sum(matrix[:, 2 - d] * widths[d][0] for d in range(3))
        return Image(array(old.array), matrix, old.name)

    return Change(image, array)


def reordered(order: tuple[int, int, int]) -> Change:
    """The same images in space, their array axes in another order."""

    def array(old: np.ndarray) -> np.ndarray:
        first = old.ndim - 3
        return np.ascontiguousarray(old.transpose(*range(first), *(first + d for d in order)))

    def image(old: Image) -> Image:
        columns = [*(2 - d for d in reversed(order)), 3]
        return Image(array(old.array), old.ijk_to_lps[:, columns], old.name)

    return Change(image, array, order=order)


def changes(size: tuple[int, ...]) -> dict[str, Change]:
    """All that an image of that size takes."""
    all_axes = tuple(2 if n > 1 else 1 for n in size)
    made = {
        "as they are": merged((1, 1, 1)),
        "two columns in one": merged((1, 1, 2)),
        "the same, and the geometry does not say so": merged((1, 1, 2), told=False),
        "half as many voxels along each axis": merged(all_axes),
        "margins as wide as half the image": margins(size),
    }
    return made if size[0] == 1 else made | {"depth along the first axis": reordered((1, 0, 2))}


def error(pair: PhantomPair, change: Change, model: RegistrationModel, refine: int) -> float:
    """In voxels of the pair."""
    config = RegisterConfig(refine=refine, inverse=False)
    result = register_pair(change.image(pair.fixed), change.image(pair.moving), model, config)
    disp = result.disp_vox * np.reshape(change.voxel, (3, 1, 1, 1))
    wall = change.array(pair.fixed_label.array) == MYOCARDIUM
    return end_point_error(disp, change.array(pair.disp_vox[list(change.order)]), wall)


def measure(kind: str, count: int, name: str, refine: int) -> list[tuple[object, ...]]:
    """Rows of the table; pairs without myocardium do not count."""
    model, plain = RegistrationModel.load(name), RegistrationModel.load(name)
    plain.grid = replace(model.grid, **PLAIN)
    pairs = [make_pair(kind, FIRST_SEED + n, with_truth=False) for n in range(count)]
    pairs = [pair for pair in pairs if (pair.fixed_label.array == MYOCARDIUM).any()]
    rows = []
    for what, change in changes(pairs[0].fixed.array.shape).items():
        means = [np.mean([error(p, change, used, refine) for p in pairs]) for used in (plain, model)]
        rows.append((kind, len(pairs), what, *map(float, means)))
    return rows


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
        rows += measure(kind, int(count), arguments.model or name, arguments.refine)
    print(markdown(Table(COLUMNS, tuple(rows), "End-point error in the myocardium (voxels), means")))
    print(f"{machine.versions()}.")


if __name__ == "__main__":
    main()
