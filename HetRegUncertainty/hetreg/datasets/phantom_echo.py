"""Ultrasound of the phantom: speckle, attenuation, shadows, log compression, and the exact variance.

Envelope model at every pixel: |a e^(i psi) + sigma n|. The tissue part a e^(i psi) is a complex Gaussian
speckle pattern that is a function of the material point: it moves and deforms with the tissue; how much of
the tissue's speckle does so differs from almost none to almost all. Clutter that stands still while the
heart moves is added to it. The other part, n, is drawn anew for each frame: decorrelating speckle, blood,
haze, side lobes and electronic noise, correlated over the size of the beam. The gain of each frame differs
from place to place. The image is clip(log envelope, window) scaled to [0, 1]. Given the tissue speckle and
the clutter the envelope is Rician, and mean and variance of its clipped logarithm come from quadrature
(`phantom_moments`), not from sampling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.ndimage import uniform_filter

from .phantom_beam import Beam
from .phantom_fields import SpeckleGrid, Texture, smoothstep
from .phantom_moments import LogMoments, log_moments
from .phantom_truth import Interpolator

DB = math.log(10.0) / 20.0  # natural log of amplitude per decibel


@dataclass(frozen=True)
class EchoScene:
    """Scanner settings and tissue echogenicities; levels in dB of amplitude, 0 is the top of the window."""

    levels: dict[str, float]
    dynamic_range: float
    attenuation: float
    frame_gain: tuple[float, float]
    flicker: tuple[Texture, Texture]
    flicker_gain: float
    clutter: float
    clutter_depth: float
    clutter_patch: tuple[float, float, float]
    shadows: tuple[tuple[float, float, float], ...]
    drop_out: tuple[tuple[float, float, float], ...]
    haze: float
    haze_depth: float
    leak: float
    floor: float
    floor_slope: float
    tissue_share: float
    contrast: float
    looks: int
    broad: Texture
    coarse: Texture
    medium: Texture


def draw_scene(rng: np.random.Generator, beam: Beam, ndim: int) -> EchoScene:
    """Random levels, window, artefacts and noise."""
    muscle, window = rng.uniform(-26.0, -15.0), rng.uniform(44.0, 64.0)
    count = rng.integers(0, 3)
    return EchoScene(  # in this order: another one would draw other phantoms
        levels=_draw_levels(rng, muscle),
        dynamic_range=window,
        attenuation=rng.uniform(0.0, 7.0),
        frame_gain=tuple(rng.normal(0.0, 1.2, 2).tolist()),
        flicker=(Texture(rng, 12.0, ndim, 24), Texture(rng, 12.0, ndim, 24)),
        flicker_gain=rng.uniform(0.0, 2.5),
        clutter=muscle + rng.uniform(-24.0, 2.0),
        clutter_depth=rng.uniform(12.0, 40.0),
        clutter_patch=(
            rng.uniform(-0.9, 0.9) * beam.half_angle,
            rng.uniform(20.0, 0.7 * beam.far),
            rng.uniform(-30.0, 6.0),
        ),
        shadows=tuple(
            (rng.uniform(-0.95, 0.95) * beam.half_angle, rng.uniform(0.04, 0.11), rng.uniform(6.0, 22.0))
            for _ in range(count)
        ),
        drop_out=tuple((rng.uniform(0, 1), rng.uniform(0.3, 0.9), rng.uniform(0.0, 14.0)) for _ in range(3)),
        haze=muscle + rng.uniform(-6.0, 10.0),
        haze_depth=rng.uniform(9.0, 24.0),
        leak=rng.uniform(12.0, 26.0),
        floor=min(-window + rng.uniform(-10.0, 9.0), muscle - 22.0),
        floor_slope=rng.uniform(0.0, 8.0),
        tissue_share=rng.uniform(0.1, 0.95),
        contrast=rng.uniform(0.55, 1.0),
        looks=int(rng.integers(2, 5)),
        broad=Texture(rng, 11.0, ndim, 24),
        coarse=Texture(rng, 5.0, ndim, 32),
        medium=Texture(rng, 2.5, ndim, 64 if ndim == 2 else 48),
    )


def _draw_levels(rng: np.random.Generator, muscle: float) -> dict[str, float]:
    return {
        "blood": muscle - rng.uniform(20.0, 32.0),
        "muscle": muscle,
        "bright": min(muscle + rng.uniform(9.0, 18.0), -3.0),
        "valve": muscle + rng.uniform(3.0, 10.0),
        "border": muscle + rng.uniform(0.0, 7.0),
        "outside": muscle + rng.uniform(-14.0, 0.0),
    }


def amplitude(decibel: np.ndarray | float) -> np.ndarray:
    """Amplitude of a level in dB."""
    return np.exp(DB * decibel)


@dataclass(frozen=True)
class EchoFrame:
    """The noise model of one frame on the pixels of the sector (n,): amplitude, phase, SD of a component.

    grid, node: where the speckle lives; low, high: window as natural logarithm of the envelope; looks: how
    many independent log-compressed envelopes are averaged (frequency compounding).
    """

    signal: np.ndarray
    phase: np.ndarray
    sigma: np.ndarray
    grid: SpeckleGrid
    node: list[np.ndarray]
    low: float
    high: float
    looks: int

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """(n,) pixel values in [0, 1] with fresh noise."""
        steady, scale = self.signal * self.phase, self.sigma * math.sqrt(2.0)
        total = np.zeros(self.signal.shape)
        for _ in range(self.looks):
            noise = self.grid.sample(self.grid.nodes(rng, self.grid.shape))
            total += np.clip(np.log(np.abs(steady + scale * noise) + 1e-12), self.low, self.high)
        return np.clip((total / self.looks - self.low) / (self.high - self.low), 0.0, 1.0)

    def moments(self) -> LogMoments:
        """(n,) moments of one look, scaled to the window; variance and covariance fall with `looks`."""
        base = np.log(self.sigma)
        m = log_moments(self.signal / self.sigma, self.low - base, self.high - base)
        scale = 1.0 / (self.high - self.low)
        return LogMoments(m.mean * scale, m.variance * scale**2, *(c * scale for c in m[2:]))


def still_clutter(scene: EchoScene, polar) -> np.ndarray:
    """(n,) amplitude of reverberations, which stand still: near the probe, and around one place."""
    r, theta, _ = polar
    where, depth, more = scene.clutter_patch
    near = scene.clutter - 26.0 * np.maximum(r - 4.0, 0.0) / scene.clutter_depth
    patch = scene.clutter + more - 9.0 * (((theta - where) / 0.16) ** 2 + ((r - depth) / 18.0) ** 2)
    return amplitude(np.maximum(near, patch))


def frame(scene: EchoScene, level, speckle, polar, grid: SpeckleGrid, node, gain: np.ndarray) -> EchoFrame:
    """The frame's signal and noise.

    Args:
        level: (dB, share of the speckle's power that moves with the tissue, side-lobe power of the
            surroundings), each (n,).
        speckle: three complex (n,) patterns: two move with the tissue, the last stands still. polar: range
            and angles of the pixels. gain: (n,) dB.
    """
    (decibel, share, lobes), (r, theta, _) = level, polar
    loss = gain - scene.attenuation * r / 100.0
    for where, width, depth in scene.shadows:
        loss = loss - depth * np.exp(-0.5 * ((theta - where) / width) ** 2) * smoothstep(r, 12.0, 45.0)
    strength = amplitude(decibel + loss)
    size = [np.abs(s) + 1e-9 for s in speckle[:2]]
    steady = strength * np.sqrt(share) * (size[0] * size[1]) ** (0.5 * scene.contrast) * speckle[0] / size[0]
    steady = steady + still_clutter(scene, polar) * amplitude(gain) * speckle[2]
    signal = np.abs(steady) + 1e-9
    haze = amplitude(scene.haze + gain - 26.0 * np.maximum(r - 6.0, 0.0) / scene.haze_depth)
    floor = amplitude(scene.floor + scene.floor_slope * r / 100.0)
    lobes = lobes * amplitude(2.0 * (loss - scene.leak))
    sigma = np.sqrt(0.5 * (strength**2 * (1.0 - share) + lobes + haze**2 + floor**2))
    sigma = np.maximum(sigma, signal / 50.0)
    window = -DB * scene.dynamic_range
    return EchoFrame(signal, steady / signal, sigma, grid, node, window, 0.0, scene.looks)


def truth(frames, inside: np.ndarray, disp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Noise variance of the fixed frame and E[(fixed - moving(x + disp))^2], both on the grid of `inside`.

    The noise variances are exact to the table's interpolation (1e-3 relative). Neighbouring pixels of the
    moving frame are correlated; their covariance is the first two terms of its chaos expansion and an
    estimate of the rest.
    """
    fixed, moving = frames[0].moments(), frames[1].moments()
    warp = Interpolator(disp)

    def spread(values: np.ndarray) -> np.ndarray:
        grid = np.zeros(inside.shape)
        grid[inside] = values
        return grid

    looks = frames[0].looks
    noise = spread(fixed.variance) / looks
    moved = warp.variance(spread(moving.variance))
    moved += warp.covariance(_neighbour_covariance(frames[1], moving, inside, spread))
    bias = spread(fixed.mean) - warp.mean(spread(moving.mean))
    return noise, noise + np.maximum(moved, 0.0) / looks + bias**2


def _neighbour_covariance(frame: EchoFrame, moments: LogMoments, inside: np.ndarray, spread):
    """Covariance of the pixels at x and x + offset, for every offset that linear interpolation needs."""
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
            shared = shared * SpeckleGrid.correlation(p - q)
        turn = (phase[here] * phase[there].conj()).real
        first = shared * turn * a[0] * b[0]
        along, across = a[1] * b[1] + a[2] * b[2], a[1] * b[2] + a[2] * b[1]
        second = shared**2 * (turn**2 * along + (1.0 - turn**2) * across)
        pairs[offset] = np.zeros(inside.shape)
        pairs[offset][here] = first + second + shared**6 * a[3] * b[3]
    return pairs


def simulate(scene: EchoScene, beam: Beam, levels, material, image, disp, streams, with_truth: bool):
    """Fixed and moving images, both variance maps and the sector, all on the grid of `disp` (ndim, *shape).

    Args:
        levels: (dB, share of moving speckle) of fixed and moving, each on the grid.
        material: position (e, y, x), mm, of each fixed pixel's material point at end-diastole. image: of the
            pixels themselves.
        streams: random generators of the anatomy's speckle and of the noise.
    """
    ndim, shape, size = len(disp), disp.shape[1:], disp.shape[-1]
    polar = [np.broadcast_to(p, shape) for p in beam.polar(*image)]
    inside = beam.inside(*polar)
    polar = [p[inside] for p in polar]
    material = [np.broadcast_to(p, shape)[inside] for p in beam.polar(*material)]
    count = beam.node_counts(ndim)
    node, there = beam.nodes(*polar, ndim=ndim), beam.nodes(*material, ndim=ndim)
    grid = SpeckleGrid(node, count)
    patterns = [SpeckleGrid.nodes(streams[0], count) for _ in range(3)]
    still, place = grid.sample(patterns[2]), [np.broadcast_to(p, shape)[inside] for p in image[3 - ndim :]]
    frames = []
    for (db, share), at, whole, flicker in zip(
        levels, (SpeckleGrid(there, count), grid), scene.frame_gain, scene.flicker, strict=True
    ):
        speckle = [*(at.sample(p) for p in patterns[:2]), still]
        gain = whole + scene.flicker_gain * flicker(*place)
        lobes = uniform_filter(
            amplitude(2.0 * db), [1] * (ndim - 2) + [size // 40 + 1, size // 10], mode="nearest"
        )
        level = db[inside], share[inside], lobes[inside]
        frames.append(frame(scene, level, speckle, polar, grid, node, gain))
    images = [np.zeros(shape), np.zeros(shape)]
    for target, one in zip(images, frames, strict=True):
        target[inside] = one.draw(streams[1])
    variances = truth(frames, inside, disp) if with_truth else (None, None)
    return (*images, *variances, inside)
