"""Ultrasound of the phantom: echogenicity, beam geometry, speckle, attenuation, shadows, log compression, exact variance.

Envelope model at every pixel: |a e^(i psi) + sigma n|. The tissue part a e^(i psi) is a complex Gaussian speckle pattern that
is a function of the material point: it moves and deforms with the tissue. The other part, n, is drawn anew for each frame:
decorrelating speckle, blood, haze and electronic noise, correlated over the size of the beam. The image is
clip(log envelope, window) scaled to [0, 1]. Given the tissue speckle the envelope is Rician, and mean and variance of its
clipped logarithm come from quadrature (`phantom_moments`), not from sampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from .phantom_fields import SpeckleField, Texture, smoothstep
from .phantom_moments import LogMoments, log_moments
from .phantom_truth import Interpolator

DB = np.log(10.0) / 20.0  # natural log of amplitude per decibel


@dataclass(frozen=True)
class Beam:
    """A phased-array sector. `probe` is (y, x) in image mm; angles in radians; `node` is the node step along r, theta, phi."""

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

    def nodes(self, r: np.ndarray, theta: np.ndarray, phi: np.ndarray, ndim: int) -> list[np.ndarray]:
        """Polar coordinates in units of the speckle field's nodes, `ndim` arrays."""
        polar = (r, theta, phi)[:ndim]
        return [p / step for p, step in zip(polar, self.node, strict=False)]

    def inside(self, r: np.ndarray, theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """True within the sector."""
        ahead = (np.abs(theta) < self.half_angle) & (np.abs(phi) < self.half_elevation)
        return ahead & (r > self.near) & (r < self.far)


@dataclass(frozen=True)
class EchoScene:
    """Scanner settings and tissue echogenicities of a pair; levels in dB of amplitude, 0 is the top of the window."""

    levels: dict[str, float]
    dynamic_range: float
    attenuation: float
    frame_gain: tuple[float, float]
    shadows: tuple[tuple[float, float, float], ...]
    drop_out: tuple[tuple[float, float, float], ...]
    haze: float
    haze_depth: float
    floor: float
    floor_slope: float
    tissue_share: float
    contrast: float
    coarse: Texture
    medium: Texture


def draw_scene(rng: np.random.Generator, beam: Beam, ndim: int) -> EchoScene:
    """Random levels, window, artefacts and noise."""
    muscle = rng.uniform(-30.0, -17.0)
    count = rng.integers(0, 3)
    return EchoScene(
        levels={
            "blood": muscle - rng.uniform(16.0, 28.0),
            "muscle": muscle,
            "bright": min(muscle + rng.uniform(9.0, 18.0), -3.0),
            "valve": muscle + rng.uniform(3.0, 10.0),
            "border": muscle + rng.uniform(0.0, 7.0),
            "outside": muscle + rng.uniform(-10.0, 3.0),
        },
        dynamic_range=rng.uniform(42.0, 64.0),
        attenuation=rng.uniform(0.0, 9.0),
        frame_gain=tuple(rng.normal(0.0, 0.9, 2)),
        shadows=tuple(
            (rng.uniform(-0.95, 0.95) * beam.half_angle, rng.uniform(0.04, 0.11), rng.uniform(6.0, 22.0))
            for _ in range(count)
        ),
        drop_out=tuple((rng.uniform(0, 1), rng.uniform(0.3, 0.9), rng.uniform(0.0, 14.0)) for _ in range(3)),
        haze=muscle + rng.uniform(-6.0, 10.0),
        haze_depth=rng.uniform(9.0, 24.0),
        floor=rng.uniform(-66.0, -48.0),
        floor_slope=rng.uniform(0.0, 12.0),
        tissue_share=rng.uniform(0.72, 0.95),
        contrast=rng.uniform(0.55, 1.0),
        coarse=Texture(rng, 7.0, ndim, 32),
        medium=Texture(rng, 2.5, ndim, 64 if ndim == 2 else 48),
    )


def amplitude(decibel: np.ndarray | float) -> np.ndarray:
    """Amplitude of a level in dB."""
    return np.exp(DB * decibel)


@dataclass(frozen=True)
class EchoFrame:
    """The noise model of one frame on the pixels of the sector (n,): signal amplitude and phase, component noise SD.

    node: positions in the speckle grid; low, high: window as natural logarithm of the envelope.
    """

    signal: np.ndarray
    phase: np.ndarray
    sigma: np.ndarray
    node: list[np.ndarray]
    low: float
    high: float

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """(n,) pixel values in [0, 1] with fresh noise from a speckle field of `shape` nodes."""
        noise = SpeckleField(rng, shape)(self.node) * np.sqrt(2.0)
        envelope = np.abs(self.signal * self.phase + self.sigma * noise)
        return np.clip((np.log(np.maximum(envelope, 1e-12)) - self.low) / (self.high - self.low), 0.0, 1.0)

    def moments(self) -> LogMoments:
        """(n,) moments of the pixel values, scaled to the window."""
        base = np.log(self.sigma)
        m = log_moments(self.signal / self.sigma, self.low - base, self.high - base)
        scale = 1.0 / (self.high - self.low)
        return LogMoments(
            m.mean * scale, m.variance * scale**2, m.par * scale, m.par2 * scale, m.perp2 * scale
        )


def frame(scene: EchoScene, decibel, share, speckle, polar, node, gain: float) -> EchoFrame:
    """The frame's signal and noise from tissue level (dB), share of moving speckle, and the speckle that moves (complex)."""
    r, theta, _ = polar
    loss = gain - scene.attenuation * r / 100.0
    for where, width, depth in scene.shadows:
        loss = loss - depth * np.exp(-0.5 * ((theta - where) / width) ** 2) * smoothstep(r, 12.0, 45.0)
    strength = amplitude(decibel + loss)
    size = np.abs(speckle) + 1e-9
    signal = strength * np.sqrt(share) * size**scene.contrast
    haze = amplitude(scene.haze + gain - 26.0 * np.maximum(r - 6.0, 0.0) / scene.haze_depth)
    floor = amplitude(scene.floor + scene.floor_slope * r / 100.0)
    sigma = np.sqrt(0.5 * (strength**2 * (1.0 - share) + haze**2 + floor**2))
    sigma = np.maximum(sigma, signal / 50.0)
    return EchoFrame(signal, speckle / size, sigma, node, -DB * scene.dynamic_range, 0.0)


def truth(frames, inside: np.ndarray, disp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Noise variance of the fixed frame and E[(fixed - moving(x + disp))^2], both on the grid of `inside`.

    The noise variances are exact to the table's interpolation (1e-3 relative). Neighbouring pixels of the moving frame are
    correlated; their covariance is the first two terms of its chaos expansion and an estimate of the rest.
    """
    fixed, moving = frames[0].moments(), frames[1].moments()
    warp = Interpolator(disp)

    def spread(values: np.ndarray) -> np.ndarray:
        grid = np.zeros(inside.shape)
        grid[inside] = values
        return grid

    noise = spread(fixed.variance)
    moved = warp.variance(spread(moving.variance))
    moved += warp.covariance(_neighbour_covariance(frames[1], moving, inside, spread))
    bias = spread(fixed.mean) - warp.mean(spread(moving.mean))
    return noise, noise + np.maximum(moved, 0.0) + bias**2


def _neighbour_covariance(frame: EchoFrame, moments: LogMoments, inside: np.ndarray, spread):
    """Covariance of the pixel values at x and x + offset for every neighbour offset that linear interpolation needs."""
    rest = np.sqrt(np.maximum(moments.variance - moments.par**2 - moments.par2**2 - moments.perp2**2, 0.0))
    maps = [spread(v) for v in (moments.par, moments.par2, moments.perp2, rest, *frame.node)]
    phase = np.zeros(inside.shape, complex)
    phase[inside] = frame.phase
    pairs = {}
    for offset in product((-1, 0, 1), repeat=inside.ndim):
        if offset <= (0,) * inside.ndim:
            continue
        here = tuple(slice(max(0, -o), n - max(0, o)) for o, n in zip(offset, inside.shape, strict=True))
        there = tuple(slice(max(0, o), n - max(0, -o)) for o, n in zip(offset, inside.shape, strict=True))
        a, b = [m[here] for m in maps], [m[there] for m in maps]
        shared = np.ones(a[0].shape)
        for p, q in zip(a[4:], b[4:], strict=True):
            shared = shared * SpeckleField.correlation(p - q)
        turn = (phase[here] * phase[there].conj()).real
        first = shared * turn * a[0] * b[0]
        along, across = a[1] * b[1] + a[2] * b[2], a[1] * b[2] + a[2] * b[1]
        second = shared**2 * (turn**2 * along + (1.0 - turn**2) * across)
        pairs[offset] = np.zeros(inside.shape)
        pairs[offset][here] = first + second + shared**6 * a[3] * b[3]
    return pairs


def draw_beam(rng: np.random.Generator, field: float, ndim: int) -> Beam:
    """A random sector for an image that reaches `field` mm to each side of its centre."""
    coarse = 1.0 if ndim == 2 else 1.6
    half = rng.uniform(0.56, 0.8)
    return Beam(
        probe=(-field + rng.uniform(-1.0, 4.0), rng.normal(0.0, 2.0)),
        tilt=rng.normal(0.0, 0.04),
        half_angle=half,
        half_elevation=half * rng.uniform(0.85, 1.0),
        near=rng.uniform(1.0, 6.0),
        far=2.0 * field * rng.uniform(0.9, 1.0),
        node=(
            coarse * rng.uniform(0.45, 0.8),
            coarse * rng.uniform(0.009, 0.016),
            coarse * rng.uniform(0.012, 0.018),
        ),
    )


def simulate(scene: EchoScene, beam: Beam, levels, material, image, disp, streams, with_truth: bool):
    """Fixed and moving images, both variance maps and the sector, all on the grid of `disp` (ndim, *shape).

    Args:
        levels: (dB, share of moving speckle) of fixed and moving, each on the grid.
        material: position (e, y, x), mm, of each fixed pixel's material point at end-diastole. image: of the pixels themselves.
        streams: random generators of the anatomy's speckle and of the noise.
    """
    ndim, shape = len(disp), disp.shape[1:]
    polar = [np.broadcast_to(p, shape) for p in beam.polar(*image)]
    inside = beam.inside(*polar)
    polar = [p[inside] for p in polar]
    node = beam.nodes(*polar, ndim)
    count = (int(beam.far / beam.node[0]) + 8, int(2 * beam.half_angle / beam.node[1]) + 8)
    count = (*count, int(2 * beam.half_elevation / beam.node[2]) + 8)[:ndim]
    pattern = SpeckleField(streams[0], count)
    there = beam.nodes(*(np.broadcast_to(p, shape)[inside] for p in beam.polar(*material)), ndim)
    frames = [
        frame(scene, db[inside], share[inside], pattern(at), polar, node, gain)
        for (db, share), at, gain in zip(levels, (there, node), scene.frame_gain, strict=True)
    ]
    images = [np.zeros(shape), np.zeros(shape)]
    for target, one in zip(images, frames, strict=True):
        target[inside] = one.draw(streams[1], count)
    zero = np.zeros(shape)
    variances = truth(frames, inside, disp) if with_truth else (zero, zero)
    return (*images, *variances, inside)
