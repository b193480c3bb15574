"""Cine MRI of the phantom: tissue intensities, coil, Rician noise, flow artefacts, exact variance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import phantom_sax
from .phantom_fields import Texture, paint, smoothstep, soft_inside
from .phantom_moments import clipped_above, rician
from .phantom_motion import border_fade
from .phantom_sax import SaxHeart
from .phantom_truth import Interpolator


@dataclass(frozen=True)
class MriScene:
    """Everything but the heart's shape: intensities (blood is near 1), chest, coil, noise, artefacts."""

    blood: float
    rv_blood: float
    muscle: float
    fat: float
    lung: float
    liver: float
    chest_gap: float
    chest_slope: float
    chest_muscle: float
    fat_depth: float
    diaphragm: float
    dome: float
    stomach: tuple[float, float, float, float]
    aorta: tuple[float, float, float]
    fat_pad: float
    mediastinum: float
    sternum: float
    turn: float
    fine: Texture
    medium: Texture
    coarse: Texture
    coil: tuple[float, float, float]
    normalised: float
    noise: float
    g_factor: float
    frame_gain: tuple[float, float]
    blood_drop: float
    flow: float
    ghost: float
    ghost_shift: float
    limit: float
    width: float


def draw_scene(rng: np.random.Generator, heart: SaxHeart, spacing: float) -> MriScene:
    """Random contrasts, surroundings, coil, noise level and artefacts; `spacing` is the pixel size, mm."""
    blood = rng.uniform(0.7, 0.95)
    return MriScene(
        blood=blood,
        rv_blood=blood * rng.uniform(0.85, 1.08),
        muscle=blood * rng.uniform(0.2, 0.44),
        fat=blood * rng.uniform(0.75, 1.35),
        lung=rng.uniform(0.03, 0.09),
        liver=blood * rng.uniform(0.25, 0.55),
        chest_gap=heart.epi + rng.uniform(0.0, 26.0),
        chest_slope=rng.uniform(-0.5, 0.15),
        chest_muscle=rng.uniform(4.0, 12.0),
        fat_depth=rng.uniform(8.0, 40.0),
        diaphragm=heart.epi + rng.uniform(-5.0, 9.0),
        dome=rng.uniform(-50.0, 10.0),
        stomach=tuple(rng.uniform((24.0, 12.0, 10.0, 0.1 * blood), (90.0, 26.0, 22.0, 1.1 * blood)).tolist()),
        aorta=(rng.uniform(-20.0, 40.0), heart.epi + rng.uniform(14.0, 80.0), rng.uniform(8.0, 12.0)),
        fat_pad=rng.uniform(0.0, 6.0),
        mediastinum=float(rng.random() < 0.7),
        sternum=rng.uniform(-0.4, 0.6),
        turn=rng.uniform(-0.6, 0.6),
        fine=Texture(rng, 0.9),
        medium=Texture(rng, 2.2),
        coarse=Texture(rng, 9.0),
        coil=(rng.uniform(-0.5, 0.5), rng.uniform(60.0, 170.0), rng.uniform(0.4, 1.4)),
        normalised=float(rng.choice([0.0, 0.5, 0.9])),
        noise=blood / math.exp(rng.uniform(math.log(17.0), math.log(110.0))),
        g_factor=rng.uniform(0.0, 1.6),
        frame_gain=tuple(rng.uniform(0.97, 1.03, 2).tolist()),
        blood_drop=rng.uniform(0.0, 0.1),
        flow=rng.uniform(0.01, 0.09),
        ghost=blood * rng.uniform(0.0, 0.035),
        ghost_shift=rng.uniform(45.0, 80.0) * rng.choice([-1, 1]),
        limit=float(rng.choice([blood * rng.uniform(1.1, 1.7), np.inf])),
        width=spacing * rng.uniform(1.3, 2.4),
    )


def _surroundings(scene: MriScene, y: np.ndarray, x: np.ndarray, noise: tuple[np.ndarray, ...]) -> np.ndarray:
    """Lung, liver, stomach, aorta and chest wall at the heart-frame position (y, x)."""
    fine, medium, coarse = noise
    c, s = math.cos(scene.turn), math.sin(scene.turn)
    v, u = c * y - s * x, s * y + c * x
    canvas = scene.lung * (1.0 + 0.3 * medium) + 0.5 * np.clip(medium + 0.5 * fine - 2.0, 0.0, 1.0)
    fatty = (
        np.hypot((v + 0.75 * scene.chest_gap) / (0.55 * scene.chest_gap), (u + 26.0) / 42.0)
        - 1.0
        + 0.3 * coarse
    )
    fat = scene.fat * np.clip(0.62 + 0.16 * medium - 0.5 * np.clip(coarse - 0.8, 0.0, 1.0), 0.1, 2.0)
    paint(canvas, fat, smoothstep(-fatty, 0.0, 0.12) * scene.mediastinum)
    floor = scene.diaphragm + 0.0035 * (u - scene.dome) ** 2 + 1.2 * coarse - v
    liver = scene.liver * (1.0 + 0.07 * fine + 0.1 * coarse - 0.35 * np.clip(medium - 1.4, 0.0, 1.0))
    paint(canvas, liver, soft_inside(floor, 1.5 * scene.width))
    paint(canvas, 0.12, soft_inside(np.abs(floor) - 0.7, scene.width) * 0.8)
    sx, ry, rx, value = scene.stomach
    stomach = (np.hypot((v - scene.diaphragm - ry - 3.0) / ry, (u - sx) / rx) - 1.0) * rx + 1.5 * coarse
    paint(canvas, 0.22, soft_inside(stomach - 2.5, scene.width))
    paint(canvas, value * (1.0 + 0.25 * medium), soft_inside(stomach, scene.width))
    ax, ay, radius = scene.aorta
    vessel = np.hypot(v - ay, u - ax) - radius
    paint(canvas, 0.2, soft_inside(vessel - 1.8, scene.width))
    paint(canvas, scene.blood, soft_inside(vessel, scene.width))
    return _chest_wall(scene, canvas, v, u, noise)


def _chest_wall(scene: MriScene, canvas: np.ndarray, v: np.ndarray, u: np.ndarray, noise) -> np.ndarray:
    """Intercostal muscle with ribs, muscle, subcutaneous fat, skin and air, above the heart."""
    fine, medium, coarse = noise
    depth = -v - scene.chest_gap + scene.chest_slope * u + 0.0038 * u * u
    depth = depth + 2.5 * coarse + 3.0 * np.sin(u / 24.0 + 9.0 * scene.sternum)
    paint(canvas, 0.24 * scene.blood * (1.0 + 0.2 * medium), soft_inside(-depth, scene.width))
    rib_u = np.abs((u / 28.0 + scene.sternum) % 1.0 - 0.5) * 28.0
    rib = np.hypot(rib_u / 1.9, depth - 0.55 * scene.chest_muscle - 2.0) - 4.2
    paint(canvas, 0.07, soft_inside(rib, scene.width))
    paint(canvas, 0.5 * scene.fat, soft_inside(rib + 2.2, scene.width))
    stripe = np.clip(1.0 - np.abs(depth - scene.chest_muscle - 5.0 - coarse) / 1.6, 0.0, 1.0)
    paint(canvas, scene.fat, stripe * 0.8)
    subcutaneous = depth - scene.chest_muscle - 9.0 - 4.0 * coarse
    paint(canvas, scene.fat * (1.0 + 0.06 * fine + 0.05 * coarse), soft_inside(-subcutaneous, scene.width))
    strand = np.clip(1.0 - np.abs(medium + 0.4 * coarse) / 0.16, 0.0, 1.0) * (subcutaneous > 0)
    paint(canvas, 0.45 * scene.fat, 0.35 * strand)
    paint(canvas, 0.35, soft_inside(-(subcutaneous - scene.fat_depth), scene.width))
    return paint(canvas, 0.0, soft_inside(-(subcutaneous - scene.fat_depth - 2.0), scene.width))


def tissue(scene: MriScene, heart: SaxHeart, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Noise-free signal and coverage by blood (0 to 1) at the end-diastolic position (y, x), mm."""
    noise = scene.fine(y, x), scene.medium(y, x), scene.coarse(y, x)
    fine, medium, coarse = noise
    width = scene.width
    d = heart.distances(y, x)
    canvas = _surroundings(scene, y, x, noise)
    outline = np.minimum(d["epi"], d["rv"])
    groove = np.exp(-((d["epi"] - d["rv"]) ** 2) / 60.0)
    pad = np.maximum(scene.fat_pad * (1.0 + 1.1 * coarse - 0.02 * x) + 8.0 * groove - 2.0, 0.0)
    paint(canvas, 0.08, soft_inside(outline - pad - 1.4, width) * 0.8)
    fat = scene.fat * (0.72 + 0.14 * medium + 0.1 * coarse)
    paint(canvas, fat, soft_inside(outline - pad, width) * smoothstep(pad, 0.3, 1.5))
    muscle = scene.muscle * (1.0 + 0.06 * fine + 0.05 * medium + 0.04 * coarse)
    paint(canvas, muscle, soft_inside(d["rv"], width))
    rv_blood = soft_inside(d["rv_cavity"], width)
    ridges = np.clip(0.9 * medium + 0.35 * fine - 0.55, 0.0, 0.75) * smoothstep(d["rv_cavity"], -16.0, -2.0)
    paint(canvas, scene.rv_blood * (1.0 + 0.07 * coarse + 0.03 * medium), rv_blood * (1.0 - ridges))
    paint(canvas, muscle, soft_inside(d["epi"], width))
    lv_blood = soft_inside(d["endo"], width)
    lv_blood = lv_blood * (1.0 - 0.9 * heart.muscle_in_cavity(y, x, d["endo"], width))
    paint(canvas, scene.blood * (1.0 + 0.05 * coarse + 0.025 * medium), lv_blood)
    blood = np.maximum(rv_blood * (1.0 - ridges) * (d["epi"] > 0), lv_blood)
    return np.maximum(canvas, 0.0), blood


@dataclass(frozen=True)
class MriFrame:
    """The noise model of one frame: M (1 + sum_k g_k flow_k) + g ghost, M Rician(amplitude, sigma), clipped
    at `limit`.

    g_k ~ N(0, 1), g uniform of unit variance, one value per frame: pulsatile inflow and a ghost differ from
    beat to beat.
    """

    amplitude: np.ndarray
    sigma: np.ndarray
    flow: np.ndarray
    ghost: np.ndarray
    limit: float

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """One noisy image, same shape as `amplitude`."""
        real, imag = rng.standard_normal((2, *self.amplitude.shape), dtype=np.float32)
        magnitude = np.sqrt((self.amplitude + self.sigma * real) ** 2 + (self.sigma * imag) ** 2)
        gain = 1.0 + np.tensordot(rng.standard_normal(len(self.flow), dtype=np.float32), self.flow, 1)
        image = magnitude * gain + rng.uniform(-math.sqrt(3.0), math.sqrt(3.0)) * self.ghost
        return np.minimum(image, self.limit)

    def moments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, variance of the part independent from pixel to pixel, and modes (n, *shape) of the correlated
        rest.

        The total variance is independent + sum(modes^2). Clipping scales both parts alike.
        """
        mean, variance = rician(self.amplitude, self.sigma)
        modes = np.concatenate([mean * self.flow, self.ghost[None]])
        independent = variance * (1.0 + (self.flow**2).sum(0))
        if np.isfinite(self.limit):
            total = independent + (modes**2).sum(0)
            mean, clipped = clipped_above(mean, total, self.limit)
            keep = clipped / total
            independent, modes = independent * keep, modes * np.sqrt(keep)
        return mean, independent, modes


def build_frames(scene: MriScene, signals, y: np.ndarray, x: np.ndarray, rng: np.random.Generator):
    """The noise models of fixed and moving from their `signals` (tissue, blood) at the pixels (y, x), mm."""
    angle, reach, power = scene.coil
    v = math.cos(angle + scene.turn) * y - math.sin(angle + scene.turn) * x
    away = np.maximum(v + 70.0, 0.0) / reach
    coil = ((1.0 + (70.0 / reach) ** 2) / (1.0 + away**2)) ** (0.5 * power)
    g = 1.0 + scene.g_factor * np.exp(-((y / 45.0) ** 2) - (x / 60.0) ** 2)
    sigma = scene.noise * g / coil**scene.normalised
    phases = rng.uniform(0, 2 * np.pi, (3, 3)).tolist()
    waves = np.stack([np.cos(p[0] + math.cos(p[1]) / 12.0 * y + math.sin(p[1]) / 12.0 * x) for p in phases])
    waves *= scene.flow * math.sqrt(2.0 / 3.0)
    shift = round(scene.ghost_shift / abs(float(y[1, 0] - y[0, 0])))
    frames = []
    for (signal, blood), gain, drop in zip(signals, scene.frame_gain, (scene.blood_drop, 0.0), strict=True):
        amplitude = gain * signal * (1.0 - drop * blood) * coil ** (1.0 - scene.normalised)
        ghost = (
            scene.ghost * np.roll(blood, shift, axis=0) * smoothstep(signal, 0.0, 2.5 * scene.ghost + 0.05)
        )
        frames.append(MriFrame(amplitude, sigma, waves * blood, ghost, scene.limit))
    return frames


def truth(frames, disp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Noise variance of the fixed frame and E[(fixed - moving(x + disp))^2], both (J, I)."""
    (mean_f, own_f, modes_f), (mean_m, own_m, modes_m) = (frame.moments() for frame in frames)
    noise = own_f + (modes_f**2).sum(0)
    warp = Interpolator(disp)
    moved = warp.variance(own_m) + sum(warp.mean(mode) ** 2 for mode in modes_m)
    return noise, noise + moved + (mean_f - warp.mean(mean_m)) ** 2


def draw_spacing(rng: np.random.Generator) -> float:
    """The pixel size of an image of 128 pixels a side that `make_mri` makes with this generator, mm."""
    return 1.0 + 0.9 * rng.beta(1.6, 2.2)


def make_mri(size: int, slices: int, with_truth: bool, rng, noise):
    """Short-axis MRI, a slice or a stack of one patient: arrays by name per slice, and the pixel size."""
    spacing = draw_spacing(rng)
    pixel = spacing * 128 / size
    patient, turn = int(rng.integers(2**31)), rng.uniform(-0.5, 0.5)
    centre, target = rng.uniform(-6.0, 6.0, 2).tolist(), rng.uniform(0.47, 0.68)
    levels = np.linspace(0.05, 0.85, slices) if slices > 1 else rng.uniform(0.1, 0.68, 1)
    axis = (np.arange(size, dtype=np.float32) - 0.5 * (size - 1)) * pixel
    y, x = np.meshgrid(axis, axis, indexing="ij")
    parts = [
        _mri_slice(patient, lv, spacing, target, (y, x), centre, turn, with_truth, noise)
        for lv in levels.tolist()
    ]
    return parts, pixel


def _mri_slice(
    patient, level, spacing, target, grid, centre, turn, with_truth, noise
) -> dict[str, np.ndarray]:
    """One slice at `level` (0 base, 1 apex): arrays (J, I) by name, and `disp` (2, J, I) in pixels."""
    rng = np.random.default_rng(patient)
    heart = phantom_sax.draw_heart(rng, spacing, level)
    motion = phantom_sax.draw_motion(rng, heart, level, target)
    scene = draw_scene(rng, heart, spacing)
    y, x = grid
    c, s = math.cos(turn), math.sin(turn)
    here = c * (y - centre[0]) - s * (x - centre[1]), s * (y - centre[0]) + c * (x - centre[1])
    there = motion(*here)
    fade = border_fade(y.shape)
    dv, du = (there[0] - here[0]) * fade, (there[1] - here[1]) * fade
    there = here[0] + dv, here[1] + du
    pixel = float(y[1, 0] - y[0, 0])
    disp = np.stack([c * dv + s * du, c * du - s * dv]) / pixel
    signals = [tissue(scene, heart, *p) for p in (there, here)]
    frames = build_frames(scene, signals, *here, rng)
    fixed, moving = (frame.draw(noise) for frame in frames)
    variance, residual = truth(frames, disp) if with_truth else (None, None)
    body = signals[0][0] > 0.0
    labels = heart.labels(*there), heart.labels(*here)
    names = ("fixed", "moving", "fixed_label", "moving_label", "noise_variance", "residual_variance", "body")
    return dict(zip(names, (fixed, moving, *labels, variance, residual, body), strict=True)) | {"disp": disp}
