"""Phantom pairs as a dataset."""

from __future__ import annotations

import numpy as np

from ..config import GridConfig
from ..preprocess import intensity_range
from ..progress import Progress
from .base import PairSample
from .phantom import PhantomPair, make_pair


def to_sample(pair: PhantomPair, grid: GridConfig) -> PairSample:
    """A phantom pair with its intensities brought to [0, 1] as registration does it."""
    fixed, moving = pair.fixed.array.astype(np.float32), pair.moving.array.astype(np.float32)
    low, high = intensity_range(fixed, moving, grid)
    scale = high - low
    plane = (lambda a: a[0]) if fixed.shape[0] == 1 else (lambda a: a)
    truth = None if pair.residual_variance is None else plane(pair.residual_variance.array / scale**2)
    return PairSample(
        plane(np.clip((fixed - low) / scale, 0, 1)),
        plane(np.clip((moving - low) / scale, 0, 1)),
        plane(pair.fixed_label.array),
        plane(pair.moving_label.array),
        f"{pair.kind}-{pair.seed}",
        truth,
    )


class PhantomDataset:
    """`count` phantom pairs of one kind (or several, joined by +), seeds `seed`, `seed` + 1, ..."""

    def __init__(self, kind: str, count: int, *, seed: int = 0, size: int | None = None) -> None:
        self.kinds, self.count, self.seed, self.size = kind.split("+"), count, seed, size

    def samples(self, grid: GridConfig, progress: Progress | None = None) -> list[PairSample]:
        """Make all pairs."""
        made = []
        for n in range(self.count):
            pair = make_pair(self.kinds[n % len(self.kinds)], self.seed + n, size=self.size, with_truth=False)
            made.append(to_sample(pair, grid))
            if progress and n % 20 == 0:
                progress.step(n / self.count, f"Making phantom {n + 1} of {self.count}")
        return made
