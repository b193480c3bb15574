"""The cases of the benchmarks: pairs of a folder, by patient, and phantoms that no training saw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hetreg.datasets.pairs import PairsDataset
from hetreg.datasets.phantom import make_pair
from hetreg.image import Image, read_image
from hetreg.preprocess import choose_dimension

FIRST_SEED = 50_000  # training draws its seeds from 100,000 on
CAVITY, MYOCARDIUM = 3, 2


@dataclass(frozen=True, eq=False)
class Case:
    """One pair with the label to score. ndim 2: every slice is a case of its own.

    true_disp: (3, K, J, I) voxels, or None where the truth is not known.
    """

    group: str
    name: str
    patient: str
    fixed: Image
    moving: Image
    fixed_label: Image
    moving_label: Image
    label: int
    ndim: int
    true_disp: np.ndarray | None = None

    def samples(self) -> Iterator[tuple[int, np.ndarray, np.ndarray, tuple[float, ...]]]:
        """(slice, fixed, moving, spacing) as a tool takes them: (*spatial), array order, together scaled to
        [0, 1]; the slice of a volume is 0."""
        spacing = tuple(float(s) for s in self.fixed.spacing_mm[::-1])
        if self.ndim == 3:
            yield 0, *scaled(self.fixed.array, self.moving.array), spacing
            return
        for k in range(len(self.fixed.array)):
            yield k, *scaled(self.fixed.array[k], self.moving.array[k]), spacing[1:]


def scaled(fixed: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with the lowest value of the two at 0 and the highest at 1, float32."""
    low = min(float(fixed.min()), float(moving.min()))
    span = max(float(fixed.max()), float(moving.max())) - low or 1.0
    first, second = (((a - low) / span).astype(np.float32) for a in (fixed, moving))
    return first, second


def folder_cases(root: Path, label: int, patients: set[str] | None = None) -> Iterator[Case]:
    """The labelled pairs of a folder, of some patients or of all. Raises ValueError if it has none."""
    pairs = [p for p in PairsDataset(root).scan().pairs if p.labels == "both"]
    pairs = [p for p in pairs if patients is None or p.patient in patients]
    if not pairs:
        raise ValueError(f"{root} has no labelled pairs of the patients asked for.")
    for pair in pairs:
        fixed, moving = read_image(pair.fixed), read_image(pair.moving)
        labels = read_image(pair.fixed_label), read_image(pair.moving_label)
        ndim = choose_dimension(fixed)[0]
        yield Case(root.name, pair.case, pair.patient, fixed, moving, *labels, label, ndim)


def phantom_cases(kind: str, count: int) -> Iterator[Case]:
    """Phantoms from FIRST_SEED on."""
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        pair = make_pair(kind, seed, with_truth=False)
        name, ndim = f"{kind}-{seed}", 3 if kind.endswith("3d") else 2
        images = (pair.fixed, pair.moving, pair.fixed_label, pair.moving_label)
        yield Case(kind, name, name, *images, MYOCARDIUM, ndim, pair.disp_vox)


def patients_of(split: Path, part: str) -> set[str]:
    """The patients of a part (training, validation, test) of a split file. Raises ValueError."""
    content = json.loads(split.read_text(encoding="utf-8"))
    if part not in content:
        raise ValueError(f"{split.name} has no part '{part}': it has {', '.join(content)}.")
    return set(content[part])
