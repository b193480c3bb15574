"""Geometry of an ultrasound sector: from image positions to range and angles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Beam:
    """A phased-array sector. `probe` is (y, x), mm; angles in radians; `node`: step along r, theta, phi."""

    probe: tuple[float, float]
    tilt: float
    half_angle: float
    half_elevation: float
    near: float
    far: float
    node: tuple[float, float, float]

    def polar(self, e: np.ndarray, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Range (mm), lateral angle and elevation angle of image positions (mm)."""
        v, u = y - self.probe[0], x - self.probe[1]
        theta = np.arctan2(u, v) - self.tilt
        flat = np.hypot(u, v)
        return np.hypot(flat, e), theta, np.arctan2(e, np.maximum(flat, 1e-3))

    def nodes(self, r: np.ndarray, theta: np.ndarray, phi: np.ndarray, *, ndim: int) -> list[np.ndarray]:
        """Polar coordinates in units of the speckle field's nodes, `ndim` arrays."""
        polar = (r, theta, phi)[:ndim]
        return [p / step for p, step in zip(polar, self.node, strict=False)]

    def node_counts(self, ndim: int) -> tuple[int, ...]:
        """Nodes that cover the sector along each of its `ndim` coordinates."""
        extent = (self.far, 2.0 * self.half_angle, 2.0 * self.half_elevation)
        return tuple(int(length / step) + 8 for length, step in zip(extent, self.node, strict=True))[:ndim]

    def inside(self, r: np.ndarray, theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """True within the sector."""
        ahead = (np.abs(theta) < self.half_angle) & (np.abs(phi) < self.half_elevation)
        return ahead & (r > self.near) & (r < self.far)


def draw_beam(rng: np.random.Generator, field: float, pixel: float) -> Beam:
    """A random sector for an image of `pixel` mm that reaches `field` mm to each side of its centre."""
    coarse = max(1.0, 0.7 * pixel)  # resampling to large pixels leaves no finer speckle
    half = rng.uniform(0.6, 0.82)
    return Beam(
        probe=(-field + rng.uniform(-1.0, 4.0), rng.normal(0.0, 2.0)),
        tilt=rng.normal(0.0, 0.04),
        half_angle=half,
        half_elevation=half * rng.uniform(0.85, 1.0),
        near=rng.uniform(1.0, 6.0),
        far=2.0 * field * rng.uniform(0.9, 1.0),
        node=(
            coarse * rng.uniform(0.45, 1.0),
            coarse * rng.uniform(0.009, 0.026),
            coarse * rng.uniform(0.012, 0.026),
        ),
    )
