"""Phantom pairs as a dataset."""

from __future__ import annotations

import os
from contextlib import closing

import numpy as np

from ..config import GridConfig
from ..device import physical_memory_gb
from ..preprocess import intensity_range
from ..progress import Progress
from ..registry import phantom_ndim
from .base import PairSample
from .listing import Listing, PairFiles
from .ondemand import Kept, OnDemand
from .parallel import each
from .phantom import make_pair, pixel_size_mm, side_vox
from .phantom_pair import PhantomPair

_BYTES = 26  # of a voxel: two images, two labels, displacement (3D), variance
_SHARE = 0.5  # of the memory, for phantoms
_UNKNOWN_GB = 8.0  # taken as the memory where the system does not tell


def to_sample(pair: PhantomPair, grid: GridConfig) -> PairSample:
    """A phantom pair with its intensities brought to [0, 1] as registration does it."""
    fixed, moving = pair.fixed.array.astype(np.float32), pair.moving.array.astype(np.float32)
    low, high = intensity_range(fixed, moving, grid)
    scale = high - low
    plane = (lambda a: a[0]) if fixed.shape[0] == 1 else (lambda a: a)
    truth = None if pair.residual_variance is None else plane(pair.residual_variance.array / scale**2)
    disp = pair.disp_vox[1:, 0] if fixed.shape[0] == 1 else pair.disp_vox
    name = f"{pair.kind}-{pair.seed}"
    return PairSample(
        plane(np.clip((fixed - low) / scale, 0, 1)),
        plane(np.clip((moving - low) / scale, 0, 1)),
        plane(pair.fixed_label.array),
        plane(pair.moving_label.array),
        name,
        truth,
        disp,
        tuple(pair.fixed.spacing_mm[::-1][fixed.shape[0] == 1 :].tolist()),
        name,
        simulated=True,
    )


class PhantomDataset:
    """`count` phantom pairs of one kind (or several, joined by +), seeds `seed`, `seed` + 1, ...

    truth: also the true residual variance of each pair (three times as slow to make). An unknown kind is a
    ValueError of `scan` and `samples`.
    """

    def __init__(
        self, kind: str, count: int, *, seed: int = 0, size: int | None = None, truth: bool = False
    ) -> None:
        self.kinds, self.count, self.seed, self.size, self.truth = kind.split("+"), count, seed, size, truth
        self._listing: Listing | None = None

    def _drawn(self) -> list[tuple[str, int]]:
        """(kind, seed) of each pair."""
        return [(self.kinds[n % len(self.kinds)], self.seed + n) for n in range(self.count)]

    def scan(self) -> Listing:
        """The pairs that `samples` makes."""
        if self._listing is None:
            self._listing = self._scan()
        return self._listing

    def _scan(self) -> Listing:
        listing = Listing()
        for kind, seed in self._drawn():
            ndim = phantom_ndim(kind)
            name, size = f"{kind}-{seed}", (self._side(kind),) * ndim
            spacing = (pixel_size_mm(kind, seed, size=self.size),) * ndim
            listing.pairs.append(
                PairFiles(name, name, None, None, size=size, spacing_mm=spacing, simulated=True)
            )
        return listing

    def _kept(self) -> int:
        """How many pairs the memory may hold: all, or as many as this process's part of half of it takes."""
        voxels = [self._side(kind) ** phantom_ndim(kind) for kind in self.kinds]
        needed = self.count * sum(voxels) / len(voxels) * _BYTES / 2**30
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        there = _SHARE * (physical_memory_gb() or _UNKNOWN_GB) / processes
        return int(self.count * there / needed) if needed > there else self.count

    def _side(self, kind: str) -> int:
        return self.size or side_vox(kind)

    @property
    def fits(self) -> bool:
        """True if the memory takes all pairs at once."""
        return self._kept() >= self.count

    def samples(self, grid: GridConfig, progress: Progress | None = None) -> list[PairSample]:
        """Make all pairs. Where the memory does not take them, each is made when it is looked at, and the
        last ones are kept."""
        drawn = self._drawn()

        def make(n: int) -> PairSample:
            return to_sample(make_pair(*drawn[n], size=self.size, with_truth=self.truth), grid)

        made: list[PairSample] = []
        room = self._kept()
        if room < self.count:
            kept = Kept(make, room)
            made = [OnDemand(kept, n, f"{k}-{seed}", phantom_ndim(k)) for n, (k, seed) in enumerate(drawn)]
            if progress:
                text = f"{room} of {self.count} phantoms fit into the memory: the others are made when used"
                progress.report(1.0, text)
        with closing(each(make, range(len(made), self.count))) as rest:
            for sample in rest:
                made.append(sample)
                if progress and len(made) % 20 == 1:
                    progress.step(len(made) / self.count, f"Making phantom {len(made)} of {self.count}")
        return made
