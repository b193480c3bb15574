"""Whether labels lie where their image does; the panel asks it before torch."""

from __future__ import annotations

import itertools
from typing import Protocol

import numpy as np

from .image import Image

_BESIDE_VOX = 0.1  # of the image; headers round, and so little changes no label
_LEAST_SHARE = 0.5  # of an extent
_TAKEN = (
    "labels are taken where their file says: if they were drawn on the image, give them its spacing, origin "
    "and direction"
)


class Placed(Protocol):
    """An image, or its header alone."""

    @property
    def size_ijk(self) -> tuple[int, ...]: ...

    @property
    def ijk_to_lps(self) -> np.ndarray: ...


def outside(labels: Placed, image: Placed) -> bool:
    """True if labels lie mostly outside of the image: along one of its axes the box around them shares less
    than half of the shorter of both extents. Of an `Image` the box around its labels counts, of a header that
    around all voxels. Labels of a part of the image are inside, as are those that contain all of it."""
    ends = [np.array([-0.5, n - 0.5]) for n in labels.size_ijk]
    if isinstance(labels, Image):
        found = [np.flatnonzero(labels.array.any(axis=others)) for others in ((0, 1), (0, 2), (1, 2))]
        if not found[0].size:
            return False
        ends = [np.array([f[0] - 0.5, f[-1] + 0.5]) for f in found]
    corners = np.array([(*c, 1.0) for c in itertools.product(*ends)])
    index = (corners @ labels.ijk_to_lps.T @ np.linalg.inv(image.ijk_to_lps).T)[:, :3]
    size, low, high = np.array(image.size_ijk), index.min(axis=0), index.max(axis=0)
    shared = np.minimum(high, size - 0.5) - np.maximum(low, -0.5)
    return bool((shared < _LEAST_SHARE * np.minimum(high - low, size)).any())


def misplaced(labels: Placed, image: Placed, name: str, of: str) -> str:
    """A sentence, without its end, if labels of the size of their image lie elsewhere than its voxels, as
    after an export that loses the geometry, or those of another size mostly `outside` of it; "" otherwise,
    also where the voxels are the image's in another order (flipped). name, of: what the sentence calls the
    two."""
    if labels.size_ijk != image.size_ijk:
        found = f"{name} lies mostly outside of {of}, and {_TAKEN}"
        return found if outside(labels, image) else ""
    corners = np.array([(*c, 1.0) for c in itertools.product(*((0, n - 1) for n in image.size_ijk))])
    places, there = corners @ labels.ijk_to_lps.T, corners @ image.ijk_to_lps.T
    index = places @ np.linalg.inv(image.ijk_to_lps).T
    beside = np.abs(index[:, None] - corners).max(axis=2)  # of each corner of the labels, each of the image
    if max(beside.min(axis=0).max(), beside.min(axis=1).max()) <= _BESIDE_VOX:
        return ""
    most = np.linalg.norm(places - there, axis=1).max()
    return (
        f"{name} has the size of {of}, but its voxels lie up to {most:.3g} mm from those of the image, and "
        f"{_TAKEN}"
    )
