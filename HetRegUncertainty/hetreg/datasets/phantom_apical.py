"""Apical anatomy: left ventricle along its long axis, right ventricle, atria, mitral valve.

Positions are (e, z, a) in mm at end-diastole: elevation (0 in the imaging plane), distance from the
epicardial apex along the long axis, and lateral position with the right ventricle towards -a. 2D views are
the plane e = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .phantom_motion import ApicalMotion, Bump, calibrate, small_pushes


@dataclass(frozen=True)
class ApicalHeart:
    """Lengths in mm. `oval` stretches elevation, `lean` bends the axis, `wobble` makes the wall uneven."""

    length: float
    radius: float
    wall: float
    apex_wall: float
    widest: float
    taper: float
    oval: float
    lean: float
    wobble: tuple[float, float, float]
    atrium: tuple[float, float, float]
    rv_centre: tuple[float, float]
    rv_radius: tuple[float, float]
    rv_wall: float
    leaflet: float

    def endo_sq(self, z: np.ndarray) -> np.ndarray:
        """Squared endocardial radius at z, mm^2, kept positive beyond the apex."""
        tip = np.maximum(self.widest - z, 0.0) / (self.widest - self.apex_wall)
        inside = 1.0 - tip * tip
        inside = 0.5 * (inside + np.sqrt(inside * inside + 0.02))
        return self.radius**2 * inside * self._narrowing(z) ** 2

    def _narrowing(self, z: np.ndarray) -> np.ndarray:
        beyond = np.clip((z - self.widest) / (self.length - self.widest), 0.0, 1.5)
        return 1.0 - self.taper * beyond * beyond

    def distances(self, e: np.ndarray, z: np.ndarray, a: np.ndarray) -> dict[str, np.ndarray]:
        """Signed distances (mm, negative inside) of chambers and walls; `base` is z minus the base."""
        bend = a - self.lean * np.sin(np.pi * np.clip(z / self.length, 0.0, 1.2))
        d = np.sqrt((e / self.oval) ** 2 + bend * bend) + 1e-3
        side = bend / d
        amount, where, skew = self.wobble
        uneven = amount * np.sin(z / 14.0 + where + 1.5 * side) * side + skew * side
        narrow = self._narrowing(z)
        tip = np.maximum(self.widest - z, 0.0)
        endo = np.hypot(d / (self.radius * narrow), tip / (self.widest - self.apex_wall)) - 1.0
        thick = (self.radius + self.wall) * narrow + uneven + self.wall * (1.0 - narrow)
        epi = np.hypot(d / thick, tip / self.widest) - 1.0
        height, width, shift = self.atrium
        la = np.hypot(np.hypot(a - shift, e) / width, (z - self.length - 0.72 * height) / height) - 1.0
        cz, ca = self.rv_centre
        rz, ra = self.rv_radius
        rv = (np.hypot(np.hypot(a - ca, 0.8 * e) / ra, (z - cz) / rz) - 1.0) * ra
        epi = epi * self.radius
        base = z - self.length - 0.06 * np.abs(bend)
        return {
            "endo": endo * self.radius * 0.9,
            "epi": epi,
            "base": base,
            "atrium": np.maximum(la * width * 0.9, -base),
            "rv": np.maximum(rv, z - self.length - 4.0),
            "rv_cavity": np.maximum(np.maximum(rv + self.rv_wall, 0.4 - epi), z - self.length),
            "right_atrium": np.maximum(
                np.hypot(np.hypot(a - ca + 2.0, e) / (0.95 * ra), (z - self.length - 20.0) / 24.0) - 1.0, 0
            )
            + np.maximum(self.length + 3.0 - z, 0.0),
            "bend": bend,
            "d": d,
        }

    def wall_at(self, e: np.ndarray, z: np.ndarray, a: np.ndarray) -> np.ndarray:
        """True in the LV myocardium."""
        d = self.distances(e, z, a)
        return (d["epi"] < 0) & (d["endo"] >= 0) & (d["base"] < 0)

    def labels(self, e: np.ndarray, z: np.ndarray, a: np.ndarray) -> np.ndarray:
        """uint8: 1 RV cavity, 2 LV myocardium, 3 LV cavity, 4 left atrium."""
        d = self.distances(e, z, a)
        label = np.where(d["rv_cavity"] < 0, 1, 0).astype(np.uint8)
        label[d["atrium"] < 0] = 4
        label[(d["epi"] < 0) & (d["base"] < 0)] = 2
        label[(d["endo"] < 0) & (d["base"] < 0)] = 3
        return label


def draw_heart(rng: np.random.Generator, ndim: int) -> ApicalHeart:
    """A random ventricle; in 3D, where voxels are larger, with a somewhat thicker wall."""
    length = rng.uniform(74.0, 98.0)
    radius = rng.uniform(20.0, 27.0) * length / 90.0
    wall = rng.uniform(7.5, 11.5) if ndim == 2 else rng.uniform(9.0, 11.5)
    rv_width = rng.uniform(17.0, 24.0)
    two_chambers = rng.random() < 0.3 and ndim == 2  # the right heart is not in the plane
    far = 10.0 if two_chambers else 1.0
    return ApicalHeart(
        length=length,
        radius=radius,
        wall=wall,
        apex_wall=wall * rng.uniform(0.75, 1.0),
        widest=length * rng.uniform(0.54, 0.7),
        taper=rng.uniform(0.06, 0.28),
        oval=rng.uniform(0.9, 1.1),
        lean=rng.normal(0.0, 2.5),
        wobble=(rng.uniform(0.0, 2.2), rng.uniform(0, 6.28), rng.normal(0.0, 0.9)),
        atrium=(rng.uniform(17.0, 26.0), rng.uniform(17.0, 25.0), rng.normal(2.0, 3.0)),
        rv_centre=(
            length * rng.uniform(0.6, 0.72),
            -far * (radius + wall + rv_width * rng.uniform(0.45, 0.7)),
        ),
        rv_radius=(length * rng.uniform(0.38, 0.46), rv_width),
        rv_wall=rng.uniform(3.0, 4.5),
        leaflet=rng.uniform(-3.0, 8.0),
    )


def draw_motion(
    rng: np.random.Generator, heart: ApicalHeart, target: float, room: float, ndim: int
) -> ApicalMotion:
    """A random contraction with wall thickening, descent of the base and, in 3D, torsion; see `calibrate`."""
    motion = ApicalMotion(
        length=heart.length,
        endo_sq=heart.endo_sq,
        epi=heart.radius + heart.wall,
        fraction=0.7,
        descent=min(rng.uniform(9.0, 15.0), 0.42 * room),
        room=room,
        twist=rng.uniform(0.1, 0.3) if ndim == 3 else 0.0,
        pushes=(
            Bump((0.5 * heart.length, 0.0), tuple(rng.normal(0, 1.5, 2).tolist()), 50.0),
            *small_pushes(rng, 40.0, rng.uniform(0.5, 2.5)),
        ),
    )
    n = (60, 50) if ndim == 2 else (26, 22)
    z = np.linspace(-3.0, heart.length + 4.0, n[0], dtype=np.float32)
    a = np.linspace(-1.2, 1.2, n[1], dtype=np.float32) * motion.epi
    if ndim == 2:
        grid = (np.zeros((1, 1), np.float32), *np.meshgrid(z, a, indexing="ij"))
    else:
        grid = tuple(np.meshgrid(a, z, a, indexing="ij"))
    return calibrate(motion, heart.wall_at, grid, target)
