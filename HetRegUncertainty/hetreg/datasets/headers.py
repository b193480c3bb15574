"""Image files by their headers alone: size, spacing and place in space."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..image import geometry
from ..imagefile import ENDINGS, ending, opened

COMPANIONS = (".raw", ".zraw")  # the voxels of an .mhd file
_SYSTEM = ("Thumbs.db", "desktop.ini", "__MACOSX")


def visible(folder: Path) -> list[Path]:
    """What lies in a folder, by name, without what the system keeps for itself (.DS_Store, ._name, ...). The
    case of letters counts, as it does not where Windows compares paths: batches depend on the order."""
    found = (p for p in folder.iterdir() if not p.name.startswith((".", "~")) and p.name not in _SYSTEM)
    return sorted(found, key=lambda path: path.name)


@dataclass(frozen=True, eq=False)
class Header:
    """size, spacing_mm: along i, j (, k) as the file has them; ijk_to_lps: (4, 4)."""

    path: Path
    size: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    ijk_to_lps: np.ndarray

    @property
    def size_ijk(self) -> tuple[int, ...]:
        """Three numbers, 1 where the file has two dimensions."""
        return (*self.size, 1)[:3]


def read_header(path: Path) -> Header:
    """What the header says. Raises ValueError, in one sentence, if the file is no usable scalar image."""
    name = path.name
    if not path.is_file():
        raise ValueError(f"{name} is missing or is not a file: an image file is accepted.")
    if not ending(path):
        raise ValueError(f"{name} is not an image file: accepted endings are {', '.join(ENDINGS)}.")
    reader = opened(path)
    size = tuple(int(n) for n in reader.GetSize())
    if len(size) == 4 and size[3] == 1:
        size = size[:3]
    if len(size) not in (2, 3):
        raise ValueError(
            f"{name} has {len(size)} dimensions, size {_times(size)} (a sequence): "
            "one frame, in two or three dimensions, is accepted."
        )
    if reader.GetNumberOfComponents() != 1:
        raise ValueError(f"{name} has {reader.GetNumberOfComponents()} channels per voxel: one is accepted.")
    return _header(path, size, reader)


def _header(path: Path, size: tuple[int, ...], reader: sitk.ImageFileReader) -> Header:
    count, total = len(size), reader.GetDimension()
    origin, spacing, direction = np.zeros(3), np.ones(3), np.eye(3)
    origin[:count], spacing[:count] = reader.GetOrigin()[:count], reader.GetSpacing()[:count]
    direction[:count, :count] = np.reshape(reader.GetDirection(), (total, total))[:count, :count]
    if count == 2:
        spacing[2] = float(np.sqrt(spacing[0] * spacing[1]))
    if not (spacing > 0).all() or not np.isfinite(spacing).all():
        raise ValueError(f"{path.name} has voxels of {_times(spacing)} mm: positive sizes are accepted.")
    matrix = geometry(origin, spacing, direction)
    return Header(path, size, tuple(float(s) for s in spacing[:count]), matrix)


def overlap(fixed: Header, moving: Header) -> bool:
    """False if the boxes of the two images have nothing in common."""
    ends = [(-0.5, n - 0.5) for n in fixed.size_ijk]
    corners = np.array([(*c, 1.0) for c in itertools.product(*ends)])
    index = (corners @ fixed.ijk_to_lps.T @ np.linalg.inv(moving.ijk_to_lps).T)[:, :3]
    high = np.array(moving.size_ijk) - 0.5
    return bool((index.max(axis=0) > -0.5).all() and (index.min(axis=0) < high).all())


def _times(numbers: tuple[int, ...] | np.ndarray) -> str:
    return " x ".join(f"{n:g}" for n in numbers)
