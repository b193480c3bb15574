"""Where each point of the end-systolic heart was at end-diastole: analytic, smooth pull-back maps.

Every map takes positions of the fixed (end-systolic) frame in mm and returns positions in the moving
(end-diastolic) frame. The myocardium keeps its volume: with q the squared distance from the long axis, a wall
that conserves volume while the ventricle shortens by `stretch` = ES length / ED length obeys
Q(q) = stretch * q + constant. The cavity is filled in smoothly, and far from the heart the map fades to the
identity.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .phantom_fields import smoothstep

# Width of the cavity part of Q(q), as a fraction of the squared end-systolic endocardial radius.
CAVITY = 0.33
BORDER = 0.12  # of an image's side, where a displacement fades


@dataclass(frozen=True)
class Bump:
    """A Gaussian push: displacement `shift` (mm per axis) at `centre`, fading with `sigma` (mm)."""

    centre: tuple[float, ...]
    shift: tuple[float, ...]
    sigma: float

    def weight(self, *p: np.ndarray) -> np.ndarray:
        """Gaussian weight at the position `p` (one array of mm per axis)."""
        square = sum((x - c) ** 2 for x, c in zip(p, self.centre, strict=True))
        return np.exp(square * (-0.5 / self.sigma**2))


def radial_gain(q: np.ndarray, endo_sq: np.ndarray | float, fraction: float, stretch: float) -> np.ndarray:
    """(Q(q) - q) / q of the volume-conserving map.

    Args:
        q: squared distance from the axis at end-systole, mm^2.
        endo_sq: squared end-diastolic endocardial radius, mm^2.
        fraction: end-systolic over end-diastolic endocardial radius.
        stretch: end-systolic over end-diastolic length of the ventricle.
    """
    small = fraction**2 * endo_sq
    amount = (endo_sq - stretch * small) / -math.expm1(-1.0 / CAVITY)
    q = np.maximum(q, 1e-3)
    return amount * -np.expm1(-q / (CAVITY * small)) / q - (1.0 - stretch)


@dataclass(frozen=True)
class SaxMotion:
    """Short-axis motion in the LV frame: positions (y, x) in mm from the LV centre, the RV towards -x.

    Args:
        endo, epi: end-diastolic mean radii, mm.
        round_off: (2, 2) map that makes the elliptic ventricle round; area preserving.
        fraction: ES over ED endocardial radius. stretch: ES over ED length.
        twist: rotation of the wall, radians. weak: a segment that contracts less (`shift` unused), with
            `weakness` 0 to 1.
        pushes: further Gaussian displacements: the RV free wall, whole-heart motion, small irregularities.
    """

    endo: float
    epi: float
    round_off: np.ndarray
    fraction: float
    stretch: float
    twist: float
    weak: Bump
    weakness: float
    pushes: tuple[Bump, ...]

    def __call__(self, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Position at end-diastole of the point (y, x) of end-systole."""
        m = self.round_off
        v, u = m[0, 0] * y + m[0, 1] * x, m[1, 0] * y + m[1, 1] * x
        q = v * v + u * u
        fade = np.exp(-((q / (1.5 * self.epi) ** 2) ** 2))
        gain = radial_gain(q, self.endo**2, self.fraction, self.stretch) * fade
        gain = gain * (1.0 - self.weakness * self.weak.weight(v, u))
        scale, turn = np.sqrt(1.0 + gain), self.twist * fade
        c, s = np.cos(turn) * scale, np.sin(turn) * scale
        v, u = c * v - s * u, s * v + c * u
        back = np.linalg.inv(m)
        y, x = back[0, 0] * v + back[0, 1] * u, back[1, 0] * v + back[1, 1] * u
        return _push(self.pushes, y, x)


@dataclass(frozen=True)
class ApicalMotion:
    """Long-axis motion in the LV frame: positions (e, z, a) in mm: elevation, from apex (0) to base
    (`length`), lateral.

    Args:
        length: apex to mitral plane at end-diastole, mm. endo_sq: squared ED endocardial radius as a function
            of z.
        epi: largest ED epicardial radius, mm. fraction: ES over ED endocardial radius.
        descent: how far the base moves towards the apex, mm. room: length below the base over which that
            fades. twist: apical minus basal rotation, radians (0 in 2D).
        pushes: further Gaussian displacements, on (z, a).
    """

    length: float
    endo_sq: Callable[[np.ndarray], np.ndarray]
    epi: float
    fraction: float
    descent: float
    room: float
    twist: float
    pushes: tuple[Bump, ...]

    def __call__(
        self, e: np.ndarray, z: np.ndarray, a: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Position at end-diastole of the point (e, z, a) of end-systole."""
        q = e * e + a * a
        near = np.exp(-((q / (1.7 * self.epi) ** 2) ** 2))
        base = self.length - self.descent
        ramp = _soft_ramp(z / base) * (1.0 - smoothstep(z, base + 2.0, self.length + self.room))
        z = z + self.descent * ramp * near
        fade = np.exp(-((q / (1.5 * self.epi) ** 2) ** 2)) * smoothstep(z, -18.0, 4.0)
        fade = fade * (1.0 - smoothstep(z, self.length - 8.0, self.length + 34.0))
        gain = radial_gain(q, self.endo_sq(z), self.fraction, base / self.length) * fade
        scale = np.sqrt(1.0 + gain)
        turn = self.twist * (0.65 - z / self.length) * fade
        c, s = np.cos(turn) * scale, np.sin(turn) * scale
        e, a = c * e - s * a, s * e + c * a
        z, a = _push(self.pushes, z, a)
        return e, z, a


def _soft_ramp(t: np.ndarray) -> np.ndarray:
    """0 for t < 0, t for 0 < t < 1, 1 beyond, with rounded corners."""
    corner = 0.08

    def soft_plus(x: np.ndarray) -> np.ndarray:
        return 0.5 * (x + np.sqrt(x * x + corner * corner))

    return soft_plus(t) - soft_plus(t - 1.0)


def _push(pushes: tuple[Bump, ...], y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Apply the Gaussian pushes one after the other."""
    for push in pushes:
        weight = push.weight(y, x)
        y, x = y + push.shift[0] * weight, x + push.shift[1] * weight
    return y, x


def small_pushes(rng: np.random.Generator, reach: float, amount: float) -> tuple[Bump, ...]:
    """Three irregular displacements of up to `amount` mm within `reach` mm of the LV centre."""
    return tuple(
        Bump(
            tuple(rng.uniform(-reach, reach, 2).tolist()),
            tuple(rng.uniform(-amount, amount, 2).tolist()),
            rng.uniform(0.45, 0.8) * reach,
        )
        for _ in range(3)
    )


def calibrate(motion, wall: Callable[..., np.ndarray], grid: tuple[np.ndarray, ...], target: float):
    """The motion whose undeformed overlap of the myocardium is `target`.

    Args:
        motion: a motion with a `fraction` to set (and a `descent` that follows it, where it has one).
        wall: (positions) -> bool array, myocardium at end-diastole.
        grid: coarse positions, mm, one array per axis.
        target: wanted Dice of ED and ES myocardium. Where the range of fractions cannot give it, the nearest
            is taken.
    """
    before = wall(*grid)
    low, high = (0.5, 0.95) if isinstance(motion, ApicalMotion) else (0.45, 0.95)
    for _ in range(7):
        fraction = 0.5 * (low + high)
        trial = with_fraction(motion, fraction)
        after = wall(*trial(*grid))
        total = int(np.count_nonzero(before)) + int(np.count_nonzero(after))
        dice = 2.0 * int(np.count_nonzero(before & after)) / max(1, total)
        low, high = (low, fraction) if dice > target else (fraction, high)
    return with_fraction(motion, 0.5 * (low + high))


def with_fraction(motion, fraction: float):
    """`motion` with another contraction; a long-axis motion shortens in proportion."""
    if isinstance(motion, ApicalMotion):
        return replace(motion, fraction=fraction, descent=motion.descent * min(1.25, (1.0 - fraction) / 0.3))
    return replace(motion, fraction=fraction)


def border_fade(shape: tuple[int, ...]) -> np.ndarray:
    """(shape) weight that is 1 inside and falls to 0 at the border over BORDER of the image."""
    weight = np.ones(shape, np.float32)
    for axis, n in enumerate(shape):
        if n == 1:
            continue
        edge = np.minimum(np.arange(n), np.arange(n)[::-1]).astype(np.float32) / (n - 1)
        view = [1] * len(shape)
        view[axis] = n
        weight = weight * smoothstep(edge, 0.0, BORDER).reshape(view)
    return weight
