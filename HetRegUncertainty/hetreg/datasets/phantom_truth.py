"""What linear interpolation does to a noisy frame: mean and variance of moving(x + disp(x)), exactly."""

from __future__ import annotations

from itertools import product

import numpy as np


class Interpolator:
    """Linear interpolation at x + disp(x), zero outside, as plain gathers that can be applied to means and to
    variances.

    Args:
        disp: (ndim, *shape) displacement in voxels, components in array order, on the grid `shape`.
    """

    def __init__(self, disp: np.ndarray) -> None:
        shape = disp.shape[1:]
        grid = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij", sparse=True)
        at = [d.astype(np.float64) + g for d, g in zip(disp, grid, strict=True)]
        base = [np.floor(a).astype(np.intp) for a in at]
        fraction = [a - b for a, b in zip(at, base, strict=True)]
        self.shape = shape
        self.offsets = [np.array(o) for o in product((0, 1), repeat=len(shape))]
        self.index: list[np.ndarray] = []
        self.weight: list[np.ndarray] = []
        for offset in self.offsets:
            weight, index = np.ones(shape), np.zeros(shape, np.intp)
            for axis, n in enumerate(shape):
                p = base[axis] + offset[axis]
                weight = weight * (fraction[axis] if offset[axis] else 1.0 - fraction[axis])
                weight = np.where((p >= 0) & (p < n), weight, 0.0)
                index = index * n + np.clip(p, 0, n - 1)
            self.index.append(index)
            self.weight.append(weight)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Interpolated `values` (shape)."""
        flat = values.ravel()
        return sum(w * flat[i] for w, i in zip(self.weight, self.index, strict=True))

    def variance(self, variance: np.ndarray) -> np.ndarray:
        """Variance of the interpolated value, of noise that is independent from voxel to voxel."""
        flat = variance.ravel()
        return sum(w * w * flat[i] for w, i in zip(self.weight, self.index, strict=True))

    def covariance(self, pairs: dict[tuple[int, ...], np.ndarray]) -> np.ndarray:
        """The part of the variance that correlation adds: twice the sum over pairs of neighbours.

        Args:
            pairs: per voxel offset (one of the pair differences in {-1, 0, 1}^ndim, first non-zero entry
                positive) the covariance of the noise at each voxel x and at x + offset, (shape).
        """
        total = np.zeros(self.shape)
        for a, first in enumerate(self.offsets):
            for b in range(a + 1, len(self.offsets)):
                offset = tuple(int(v) for v in self.offsets[b] - first)
                total += 2.0 * self.weight[a] * self.weight[b] * pairs[offset].ravel()[self.index[a]]
        return total
