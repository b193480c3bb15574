"""Short-axis anatomy: signed distances of ventricles and papillary muscles, in the LV frame.

Positions are (y, x) in mm from the LV centre at end-diastole; the right ventricle lies towards -x. The scene
around the heart uses body coordinates, the same point turned so that the chest wall is up and the liver down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .phantom_fields import Texture, soft_inside
from .phantom_motion import Bump, SaxMotion, calibrate, small_pushes


@dataclass(frozen=True)
class SaxHeart:
    """A cross-section at end-diastole, mm; `wobble_*` are complex harmonics 2, 3, 4 of the radius."""

    endo: float
    epi: float
    round_off: np.ndarray
    wobble_endo: np.ndarray
    wobble_epi: np.ndarray
    rv_centre: tuple[float, float]
    rv_radius: tuple[float, float]
    rv_wall: float
    papillaries: tuple[tuple[float, float, float], ...]
    trabeculae: Texture
    trabecular_depth: float

    def distances(self, y: np.ndarray, x: np.ndarray) -> dict[str, np.ndarray]:
        """Signed distances (mm, negative inside) of `endo`, `epi`, `rv` (outer border) and `rv_cavity`."""
        m = self.round_off
        v, u = m[0, 0] * y + m[0, 1] * x, m[1, 0] * y + m[1, 1] * x
        r = np.sqrt(v * v + u * u) + 1e-3
        turn = (u + 1j * v) / r
        turn2 = turn * turn
        powers = (turn2, turn2 * turn, turn2 * turn2)
        endo = r - self.endo * (
            1.0 + sum((c * p).real for c, p in zip(self.wobble_endo, powers, strict=True))
        )
        epi = r - self.epi * (1.0 + sum((c * p).real for c, p in zip(self.wobble_epi, powers, strict=True)))
        (cy, cx), (ry, rx) = self.rv_centre, self.rv_radius
        rv = (np.sqrt(((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2) - 1.0) * min(rx, ry)
        return {"endo": endo, "epi": epi, "rv": rv, "rv_cavity": np.maximum(rv + self.rv_wall, 0.4 - epi)}

    def wall(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """True in the LV myocardium."""
        d = self.distances(y, x)
        return (d["epi"] < 0) & (d["endo"] >= 0)

    def labels(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """uint8: 1 RV cavity, 2 LV myocardium, 3 LV cavity (with papillary muscles and trabeculae)."""
        d = self.distances(y, x)
        label = np.where(d["rv_cavity"] < 0, 1, 0).astype(np.uint8)
        label[d["epi"] < 0] = 2
        label[d["endo"] < 0] = 3
        return label

    def muscle_in_cavity(self, y: np.ndarray, x: np.ndarray, endo: np.ndarray, width: float) -> np.ndarray:
        """Coverage (0 to 1) of the papillary muscles and trabeculae inside the LV cavity."""
        cover = np.zeros_like(y)
        rough = self.trabeculae(y, x)
        for angle, where, size in self.papillaries:
            s, c = math.sin(angle), math.cos(angle)
            v, u = y - self.endo * where * s, x - self.endo * where * c
            along, across = v * (s / 1.35) + u * (c / 1.35), u * s - v * c
            distance = np.sqrt(along * along + across * across) - size * (1.0 + 0.22 * rough)
            cover = np.maximum(cover, soft_inside(distance, width))
        depth = self.trabecular_depth * np.clip(0.35 + 0.9 * rough, 0.0, 2.2)
        return np.maximum(cover, soft_inside(-endo - depth, 1.6 * width))


def draw_heart(rng: np.random.Generator, spacing: float, level: float) -> SaxHeart:
    """A random short-axis cross-section.

    Args:
        rng: draws as many values for every `level`, so that the slices of a stack belong together.
        spacing: pixel size, mm: the wall is kept at least 5.6 pixels thick.
        level: 0 at the base, 1 at the apex: radii shrink towards the apex.
    """
    shrink = math.sqrt(1.0 - 0.72 * level**2)
    wall = max(rng.uniform(7.0, 11.5) * (1.0 - 0.15 * level), 5.6 * spacing)
    endo = rng.uniform(21.0, 30.0) * shrink
    if rng.random() < 0.15:
        wall, endo = 1.25 * wall, 0.9 * endo  # hypertrophy
    endo = max(
        endo, 1.75 * wall
    )  # smaller cavities cannot reach the wanted overlap by a plausible contraction
    epi, stretch, angle = endo + wall, math.exp(rng.normal(0.0, 0.06)), rng.uniform(0, np.pi)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    wobble = (rng.normal(0.0, 1.0, (2, 3)) + 1j * rng.normal(0.0, 1.0, (2, 3))).astype(np.complex64)
    common = wobble[0] * np.array([0.018, 0.012, 0.008], np.float32)
    side, size = rng.uniform(-0.35, 0.35), rng.uniform(0.88, 1.12) * (1.0 - 0.35 * level**2)
    reach, first = epi * rng.uniform(0.72, 0.95), rng.uniform(0.5, 1.0)
    papillaries = tuple(
        (first + offset + rng.uniform(-0.25, 0.25), rng.uniform(0.66, 0.86), rng.uniform(2.6, 5.2) * shrink)
        for offset in (0.0, rng.uniform(-1.9, -1.5), rng.uniform(1.0, 4.0))[: rng.integers(2, 4)]
    )
    return SaxHeart(
        endo=endo,
        epi=epi,
        round_off=(turn @ np.diag([stretch, 1.0 / stretch]) @ turn.T).astype(np.float32),
        wobble_endo=common + wobble[1] * np.array([0.009, 0.009, 0.008], np.float32),
        wobble_epi=common,
        rv_centre=(reach * math.sin(side), -reach * math.cos(side)),
        rv_radius=(epi * size * rng.uniform(0.9, 1.2), epi * size * rng.uniform(0.85, 1.15)),
        rv_wall=rng.uniform(2.5, 4.0),
        papillaries=papillaries,
        trabeculae=Texture(rng, 1.3),
        trabecular_depth=rng.uniform(0.6, 3.2),
    )


def draw_motion(rng: np.random.Generator, heart: SaxHeart, level: float, target: float) -> SaxMotion:
    """A random contraction of `heart` with an undeformed Dice of `target`; base and apex twist oppositely."""
    segment = rng.uniform(0, 2 * np.pi)
    middle = 0.5 * (heart.endo + heart.epi) * 0.8
    free_wall = heart.rv_centre[0], heart.rv_centre[1] - 0.9 * heart.rv_radius[1]
    push = rng.uniform(2.5, 7.0) / math.hypot(*free_wall)
    rv_push = Bump(free_wall, (push * free_wall[0], push * free_wall[1]), 0.62 * heart.epi)
    motion = SaxMotion(
        endo=heart.endo,
        epi=heart.epi,
        round_off=heart.round_off,
        fraction=0.7,
        stretch=rng.uniform(0.82, 0.95),
        twist=rng.uniform(0.05, 0.16) * (2.2 * level - 0.8) + rng.normal(0, 0.02),
        weak=Bump((middle * math.sin(segment), middle * math.cos(segment)), (0.0, 0.0), 0.5 * heart.epi),
        weakness=float(rng.uniform(0.1, 0.55) * (rng.random() < 0.45)),
        pushes=(
            rv_push,
            Bump((0.0, 0.0), tuple(rng.normal(0, 1.0, 2).tolist()), 1.2 * heart.epi),
            *small_pushes(rng, 1.2 * heart.epi, 1.0),
        ),
    )
    axis = np.linspace(-1.25 * heart.epi, 1.25 * heart.epi, 60, dtype=np.float32)
    return calibrate(motion, heart.wall, tuple(np.meshgrid(axis, axis, indexing="ij")), target)
