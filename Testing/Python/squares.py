"""Cases whose numbers are known by hand: squares that move by two voxels; and what registers them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from builders import sampled
from hetreg.assemble import result_from_field
from hetreg.config import EvaluateConfig
from hetreg.evaluation.case import Case
from hetreg.image import Image, write_image

PHANTOM = EvaluateConfig(phantoms=2, phantom_size=32)


def undeformed(case):
    """No displacement."""
    return result_from_field(case.fixed, case.moving, np.zeros((3, *case.fixed.array.shape)))


def shifted(case, by: float = 2.0):
    """Each voxel is `by` voxels further along the last axis in the moving image."""
    disp = np.zeros((3, *case.fixed.array.shape))
    disp[2] = by
    return result_from_field(case.fixed, case.moving, disp)


def true_field(case):
    """The phantom's own displacement."""
    return result_from_field(case.fixed, case.moving, case.truth.disp_vox)


def square(slices: int = 1, *, start: int = 10, there: tuple[int, ...] = (), value: int = 2) -> Image:
    """Label with a square of 10 x 10 voxels from `start` along i, in these slices (all), 2 x 2 x 8 mm."""
    image = sampled((32, 32, slices), (2.0, 2.0, 8.0))
    array = np.zeros(image.array.shape, np.uint8)
    array[list(there or range(slices)), 11:21, start : start + 10] = value
    return image.like(array, "label")


def square_case(slices: int = 1, **fixed) -> Case:
    """The fixed square lies 2 voxels before the moving one; the images are as smooth as they get."""
    image = sampled((32, 32, slices), (2.0, 2.0, 8.0))
    moved = image.like(np.roll(image.array, 2, axis=2), "moving")
    return Case("a", "p", image, moved, square(slices, **fixed), square(slices, start=12))


def write_squares(folder: Path, *cases: str, labels: bool = True) -> Path:
    """Pairs <case>_ED, <case>_ES of `square_case`, each brighter than the one before, with labels."""
    folder.mkdir(exist_ok=True)
    for n, name in enumerate(cases, 1):
        case = square_case()
        images = {end: im.like(n * im.array, "x") for end, im in (("ES", case.fixed), ("ED", case.moving))}
        images |= {"ES_seg": case.fixed_label, "ED_seg": case.moving_label} if labels else {}
        for end, image in images.items():
            write_image(image, folder / f"{name}_{end}.nrrd")
    return folder


def folder_config(folder: Path, **changes) -> EvaluateConfig:
    """All pairs of the folder."""
    return EvaluateConfig(**{"dataset": "pairs", "root": str(folder), "split": "all"} | changes)
