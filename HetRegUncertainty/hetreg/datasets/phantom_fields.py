"""Random fields and soft edges that the cardiac phantom is made of. numpy and scipy only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates


def soft_inside(distance: np.ndarray, width: float) -> np.ndarray:
    """1 where the signed distance is negative, 0 where positive, a ramp of `width` mm between."""
    return np.clip(0.5 - distance / width, 0.0, 1.0)


def smoothstep(x: np.ndarray | float, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, with a continuous slope between."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def paint(canvas: np.ndarray, value: np.ndarray | float, coverage: np.ndarray) -> np.ndarray:
    """Lay a tissue of intensity `value` over `canvas`, in place, where `coverage` (0 to 1) says so."""
    canvas += coverage * (value - canvas)
    return canvas


class Texture:
    """A periodic, smooth, zero-mean, unit-variance random function of position.

    Args:
        rng: where the values come from.
        scale: distance between two values, mm; features are about three times as wide.
        ndim: 2 or 3.
        tile: values per axis before the texture repeats.
    """

    def __init__(self, rng: np.random.Generator, scale: float, ndim: int = 2, tile: int = 64) -> None:
        values = gaussian_filter(rng.standard_normal((tile,) * ndim, dtype=np.float32), 1.0, mode="wrap")
        self.tile = ((values - values.mean()) / values.std()).astype(np.float32)
        self.scale = scale
        self.shift = rng.uniform(0, tile, ndim)

    def __call__(self, *position: np.ndarray) -> np.ndarray:
        """Values at `position` (one array of mm per axis, all of one shape)."""
        at = [p / self.scale + s for p, s in zip(position, self.shift, strict=True)]
        return map_coordinates(self.tile, at, order=1, mode="grid-wrap", prefilter=False)


class SpeckleGrid:
    """Circular complex Gaussian fields of exactly unit power E|c|^2 = 1 at given points, correlated over
    about two nodes.

    White complex nodes are smoothed by [1, 2, 1] along each axis and interpolated linearly; the
    interpolation's loss of power depends only on the fractions between the nodes and is divided out exactly.

    Args:
        position: coordinates of the points in node units, one (n,) array per axis.
        shape: nodes per axis; fields repeat beyond.
    """

    LAG_1 = 2.0 / 3.0  # correlation of two neighbouring nodes: (1*2 + 2*1) / (1 + 4 + 1)
    LAG_2 = 1.0 / 6.0

    def __init__(self, position: Sequence[np.ndarray], shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        corners = [(np.zeros(1, np.int32), np.ones(1, np.float32))]
        power = np.ones_like(position[0])
        for p, n in zip(position, self.shape, strict=True):
            base = np.floor(p)
            f = p - base
            power *= 1.0 - 2.0 * f * (1.0 - f) * (1.0 - self.LAG_1)
            near = base.astype(np.int32) % n
            far = (near + 1) % n
            steps = ((near, (1.0 - f).astype(np.float32)), (far, f.astype(np.float32)))
            corners = [(i * n + j, w * v) for i, w in corners for j, v in steps]
        scale = (1.0 / np.sqrt(power)).astype(np.float32)
        self.corners = [(i, w * scale) for i, w in corners]

    @staticmethod
    def nodes(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
        """(shape) complex64 correlated nodes of unit power."""
        white = rng.standard_normal((2, *shape), dtype=np.float32)
        for axis in range(1, white.ndim):
            white = (2.0 * white + np.roll(white, 1, axis) + np.roll(white, -1, axis)) / np.float32(
                np.sqrt(6.0)
            )
        return (white[0] + 1j * white[1]) * np.float32(np.sqrt(0.5))

    def sample(self, nodes: np.ndarray) -> np.ndarray:
        """(n,) complex64 values of the field that has these nodes."""
        flat = nodes.ravel()
        return sum(w * flat[i] for i, w in self.corners)

    @classmethod
    def correlation(cls, offset: np.ndarray) -> np.ndarray:
        """Mean correlation of two points of one axis that lie `offset` nodes apart."""
        return np.interp(np.abs(offset), *_correlation_table())


@cache
def _correlation_table() -> tuple[np.ndarray, np.ndarray]:
    """Correlation against distance (0 to 4 nodes), averaged over where the first point lies."""
    offsets = np.linspace(0.0, 4.0, 61)
    lags = np.array([1.0, SpeckleGrid.LAG_1, SpeckleGrid.LAG_2, 0.0, 0.0, 0.0])
    start = np.linspace(0.0, 1.0, 41)[:-1][:, None]
    there = start + offsets

    def weights(at: np.ndarray) -> np.ndarray:
        return np.maximum(0.0, 1.0 - np.abs(at[..., None] - np.arange(7)))

    covariance = lags.take(np.abs(np.subtract.outer(np.arange(7), np.arange(7))), mode="clip")
    a, b = weights(start), weights(there)
    power = [np.einsum("...i,ij,...j->...", w, covariance, w) for w in (a, b)]
    cross = np.einsum("...i,ij,...j->...", np.broadcast_to(a, b.shape), covariance, b)
    return offsets, (cross / np.sqrt(power[0] * power[1])).mean(0)
