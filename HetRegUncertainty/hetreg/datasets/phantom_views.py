"""The echo views: what the anatomy of `phantom_apical` and `phantom_sax` looks like to ultrasound."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..registry import phantom_ndim
from . import phantom_apical, phantom_sax
from .phantom_apical import ApicalHeart
from .phantom_beam import draw_beam
from .phantom_echo import EchoScene, draw_scene, simulate
from .phantom_fields import paint, smoothstep, soft_inside
from .phantom_motion import ApicalMotion, SaxMotion, border_fade
from .phantom_sax import SaxHeart


def _line(distance: np.ndarray, width: float) -> np.ndarray:
    """Coverage of a thin bright line at distance 0."""
    return np.exp(-((distance / width) ** 2))


def _drop_out(scene: EchoScene, z: np.ndarray, side: np.ndarray, length: float) -> np.ndarray:
    """dB lost where the wall runs along the beam: patches on the side walls, moving with the tissue."""
    loss = np.zeros_like(z)
    for where, sign, depth in scene.drop_out:
        direction = 1.0 if sign > 0.6 else -1.0
        patch = np.exp(-(((z / length - 0.15 - 0.7 * where) / 0.16) ** 2))
        loss += depth * patch * smoothstep(direction * side, 0.2, 0.9)
    return loss


def apical(scene: EchoScene, heart: ApicalHeart, e, z, a, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Level in dB and share of speckle that moves with the tissue, at end-diastolic (e, z, a), mm."""
    d = heart.distances(e, z, a)
    texture = (z, a) if scene.coarse.tile.ndim == 2 else (e, z, a)
    broad, coarse, medium = scene.broad(*texture), scene.coarse(*texture), scene.medium(*texture)
    level, lv = scene.levels, np.minimum(d["epi"], np.maximum(d["rv"], -60.0))
    outline = np.where(d["base"] < 6.0, lv, np.minimum(d["atrium"] - 2.5, d["right_atrium"] * 20.0))
    db = level["outside"] + 5.0 * broad + 2.5 * coarse + 2.0 * medium - 0.2 * np.clip(outline, 0.0, 60.0)
    paint(db, level["muscle"] + 1.5 * coarse, soft_inside(d["rv"], width))
    paint(db, level["blood"], soft_inside(d["rv_cavity"], 1.5 * width))
    paint(db, level["muscle"] + 2.0, soft_inside(d["atrium"] - 2.8, width))
    ra = soft_inside((d["right_atrium"] - 0.02) * 20.0, 1.5 * width)
    paint(db, level["blood"], ra * (d["atrium"] > 2.5))
    paint(db, level["blood"], soft_inside(d["atrium"], 1.5 * width))
    wall = soft_inside(np.maximum(d["epi"], d["base"] - 2.0), width)
    fibre = 2.0 * broad + 2.0 * np.sin(1.1 * d["epi"] + 1.5 * coarse) + 1.5 * medium + 1.5 * coarse
    paint(db, level["muscle"] + fibre, wall)
    lateral = smoothstep(d["bend"], -6.0, 14.0)
    paint(
        db,
        level["bright"] + 2.0 * coarse,
        _line(d["epi"] - 1.2, 1.8) * (0.35 + 0.65 * lateral) * (d["base"] < 4.0),
    )
    paint(db, level["border"] + 2.0 * coarse, 0.8 * _line(d["endo"] - 1.2, 1.5) * wall)
    rough = np.clip(0.5 + 1.2 * medium, 0.0, 2.5) * (
        1.0 - 0.5 * smoothstep(z, 0.4 * heart.length, 0.8 * heart.length)
    )
    cavity = soft_inside(np.maximum(d["endo"] + rough, d["base"]), 2.0 * width)
    paint(db, level["blood"] + 3.0 * smoothstep(-z, -0.35 * heart.length, 0.0), cavity)
    _valve(scene, heart, d, db)
    db -= _drop_out(scene, z, d["bend"] / d["d"], heart.length) * (1.0 - cavity)
    return db, _share(scene, db, level)


def _valve(scene: EchoScene, heart: ApicalHeart, d, db) -> None:
    """Two leaflets from the annulus to where they meet, and the bright annulus itself."""
    half = heart.radius * (1.0 - heart.taper)
    across = np.clip(d["d"] / half, 0.0, 1.0)
    closed = d["base"] + heart.leaflet * (1.0 - across * across) * np.where(d["bend"] > 0, 1.0, 0.75)
    leaflet = _line(closed, 1.2) * (d["d"] < half + 2.0)
    paint(db, scene.levels["valve"], 0.8 * leaflet)
    hinge = _line(np.hypot(d["d"] - half - 1.5, d["base"]), 2.8)
    paint(db, scene.levels["bright"], 0.7 * hinge)


def _share(scene: EchoScene, db: np.ndarray, level: dict[str, float]) -> np.ndarray:
    """Share of the speckle's power that moves with the tissue: hardly any in blood."""
    return scene.tissue_share * smoothstep(db, level["blood"] + 2.0, level["muscle"] - 4.0)


def sax(scene: EchoScene, heart: SaxHeart, y, x, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Level in dB and share of moving speckle of the parasternal short axis, at end-diastolic (y, x), mm."""
    d = heart.distances(y, x)
    broad, coarse, medium = scene.broad(y, x), scene.coarse(y, x), scene.medium(y, x)
    level, outline = scene.levels, np.minimum(d["epi"], d["rv"])
    db = level["outside"] + 5.0 * broad + 2.5 * coarse + 2.0 * medium - 0.25 * np.clip(outline, 0.0, 50.0)
    behind = smoothstep(y, -0.2 * heart.epi, 0.5 * heart.epi)
    paint(db, level["muscle"] + 2.0 + 2.0 * coarse, soft_inside(d["rv"], width))
    paint(
        db, level["blood"] + 5.0 * np.clip(medium - 0.6, 0.0, 1.5), soft_inside(d["rv_cavity"], 1.5 * width)
    )
    wall = soft_inside(d["epi"], width)
    paint(
        db,
        level["muscle"] + 2.0 * broad + 1.5 * np.sin(1.1 * d["epi"] + coarse) + 1.5 * medium + 1.5 * coarse,
        wall,
    )
    paint(db, level["bright"] + 2.0 * coarse, _line(outline - 1.5, 1.9) * (0.25 + 0.75 * behind))
    paint(db, level["border"] + 2.0 * coarse, 0.8 * _line(d["endo"] - 1.0, 1.4) * wall)
    muscle = heart.muscle_in_cavity(y, x, d["endo"], width)
    cavity = soft_inside(d["endo"], 2.0 * width) * (1.0 - 0.9 * muscle)
    paint(db, level["blood"], cavity)
    vertical = np.abs(y) / (np.hypot(y, x) + 1e-3)  # the side walls run along the beam and give less echo
    db -= 8.0 * scene.drop_out[0][1] * smoothstep(1.0 - vertical, 0.4, 0.95) * wall * (1.0 - cavity)
    return db, _share(scene, db, level)


def _look(
    scene: EchoScene, heart: ApicalHeart | SaxHeart, position: tuple[np.ndarray, ...], width: float
) -> tuple[np.ndarray, np.ndarray]:
    """`apical` or `sax`, whichever the heart is, at a heart-frame position."""
    if isinstance(heart, SaxHeart):
        y, x = position
        return sax(scene, heart, y, x, width)
    e, z, a = position
    return apical(scene, heart, e, z, a, width)


@dataclass(frozen=True)
class View:
    """A heart placed in the image: heart-frame (v, u) = rotation of image (y, x) about `origin`, mm."""

    heart: ApicalHeart | SaxHeart
    motion: ApicalMotion | SaxMotion
    origin: tuple[float, float]
    angle: float

    def to_heart(self, e: np.ndarray, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Heart-frame position: (e, z, a) in an apical view, (y, x) in a short-axis view."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        y, x = y - self.origin[0], x - self.origin[1]
        plane = c * y - s * x, s * y + c * x
        return plane if isinstance(self.heart, SaxHeart) else (e, *plane)

    def to_image(self, *p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Image position (e, y, x) of a heart-frame position."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        v, u = p[-2:]
        e = p[0] if len(p) == 3 else np.zeros((1, 1), np.float32)
        return e, c * v + s * u + self.origin[0], c * u - s * v + self.origin[1]


def _draw_heart(rng: np.random.Generator, kind: str):
    """A random heart as `kind` sees it: share of the cavity that is left, the heart, its level (apical: room
    below it, mm), the space above an apex, mm, and the side of the image around it, mm."""
    target = rng.uniform(0.47, 0.8)
    if kind == "echo2d_sax":
        side, level = 128.0 * rng.uniform(0.95, 1.15), rng.uniform(0.1, 0.68)
        return target, phantom_sax.draw_heart(rng, side / 128.0, level), level, 0.0, side
    heart = phantom_apical.draw_heart(rng, phantom_ndim(kind))
    top, room = rng.uniform(12.0, 24.0), rng.uniform(34.0, 56.0)
    return target, heart, room, top, top + heart.length + room


def draw_side(rng: np.random.Generator, kind: str) -> float:
    """The side of the image that `make_echo` makes with this generator, mm."""
    return _draw_heart(rng, kind)[-1]


def draw_view(rng: np.random.Generator, kind: str) -> tuple[View, float]:
    """A random heart with its motion as `kind` sees it, and the side of the image around it, mm."""
    target, heart, place, top, side = _draw_heart(rng, kind)
    if kind == "echo2d_sax":
        motion = phantom_sax.draw_motion(rng, heart, place, target)
        origin = -0.5 * side + rng.uniform(70.0, 82.0), rng.normal(5.0, 5.0)
        return View(heart, motion, origin, rng.uniform(0.4, 1.2)), side
    motion = phantom_apical.draw_motion(rng, heart, target, place, phantom_ndim(kind))
    return View(heart, motion, (top - 0.5 * side, rng.normal(3.0, 7.0)), rng.normal(0.05, 0.17)), side


def make_echo(kind: str, size: int, with_truth: bool, rng: np.random.Generator, noise: np.random.Generator):
    """One echo pair: arrays by name as `PhantomPair` has them, `disp` in pixels, and the pixel size in mm."""
    ndim = phantom_ndim(kind)
    view, side = draw_view(rng, kind)
    pixel, field = side / size, 0.5 * side
    beam = draw_beam(rng, field, pixel)
    scene = draw_scene(rng, beam, ndim)
    axis = (np.arange(size, dtype=np.float32) - 0.5 * (size - 1)) * pixel
    grid = np.meshgrid(*(axis,) * ndim, indexing="ij")
    image = grid if ndim == 3 else [np.zeros((1, 1), np.float32), *grid]
    here = view.to_heart(*image)
    fade = border_fade(grid[0].shape)
    there = tuple(h + (t - h) * fade for h, t in zip(here, view.motion(*here), strict=True))
    material = view.to_image(*there)
    disp = np.stack([(m - g) / pixel for m, g in zip(material[3 - ndim :], grid, strict=True)])
    levels = [_look(scene, view.heart, p, pixel) for p in (there, here)]
    fixed, moving, variance, residual, inside = simulate(
        scene, beam, levels, material, image, disp, (rng, noise), with_truth
    )
    parts = {"fixed": fixed, "moving": moving, "noise_variance": variance, "residual_variance": residual}
    parts |= {  # nobody sees, and labels, what lies outside the sector
        "fixed_label": view.heart.labels(*there) * inside,
        "moving_label": view.heart.labels(*here) * inside,
    }
    return parts | {"body": inside, "disp": disp}, pixel
