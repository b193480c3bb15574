"""Echo made of point scatterers: the phantom's hearts as another simulator than that of `phantom_echo` shows
them.

Hearts, motion and labels are those of `phantom`; nothing of the images is. Some 200,000 scatterers lie at
random in the tissue and move with it; each echoes a pulse of a given wavelength with the phase of its
distance. The sum, filtered by the pulse along the beam and by the beam's width across, is the signal; its
envelope is compressed, windowed and resampled from beams to pixels, and rounded to 8 bit. Muscle along the
beam echoes less than muscle across it. Blood, a share of the tissue (motion through the plane) and the noise
are drawn anew for each frame, clutter near the probe stands still.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_filter1d, map_coordinates

from .phantom_echo import amplitude
from .phantom_pair import PhantomPair

RV, MYOCARDIUM, CAVITY, ATRIUM = 1, 2, 3, 4  # labels of the phantom
BLOOD = (RV, CAVITY, ATRIUM)
STEP_MM, STEP_RAD = 0.12, math.radians(0.35)  # of the grid of beams
MARGIN_RAD, MARGIN_MM = 0.1, 5.0
PER_MM2 = 9.0  # scatterers; a resolution cell has about ten
Points = tuple[np.ndarray, np.ndarray]  # places (2, n) in mm from the centre, amplitudes (n,)


@dataclass(frozen=True)
class Scanner:
    """Pulse, beam and display; lengths in mm, levels in dB, 0 is that of the brightest 3 %."""

    wavelength: float
    pulse: float
    width_rad: float
    lobes: float
    looks: int
    window: float
    gain: float
    gamma: float
    loss: float
    floor: float
    floor_slope: float
    blur: float
    shadows: tuple[tuple[float, float, float], ...]  # angle and width in radians, dB


def draw_scanner(rng: np.random.Generator) -> Scanner:
    """Random settings."""
    return Scanner(
        wavelength=rng.uniform(0.45, 0.75),
        pulse=rng.uniform(0.28, 0.5),
        width_rad=math.radians(rng.uniform(0.55, 1.1)),
        lobes=rng.uniform(-38.0, -28.0),
        looks=int(rng.integers(1, 4)),
        window=rng.uniform(48.0, 66.0),
        gain=rng.uniform(-4.0, 3.0),
        gamma=rng.uniform(0.85, 1.5),
        loss=rng.uniform(0.0, 0.08),
        floor=rng.uniform(-62.0, -50.0),
        floor_slope=rng.uniform(0.0, 0.08),
        blur=rng.uniform(0.3, 0.9),
        shadows=tuple(
            (rng.uniform(-0.7, 0.7), rng.uniform(0.03, 0.12), rng.uniform(6.0, 25.0))
            for _ in range(rng.integers(0, 3))
        ),
    )


@dataclass(frozen=True)
class Plane:
    """The image plane: size pixels of `pixel` mm a side, and the sector in it. probe: (y, x), mm."""

    size: int
    pixel: float
    probe: tuple[float, float]
    half_angle: float
    near: float = 3.0

    @property
    def far(self) -> float:
        """Depth at which the image ends, mm."""
        return 0.5 * self.size * self.pixel - self.probe[0]

    @property
    def pixels(self) -> np.ndarray:
        """(2, size, size) places of the pixels, mm from the centre."""
        axis = (np.arange(self.size) - 0.5 * (self.size - 1)) * self.pixel
        return np.stack(np.meshgrid(axis, axis, indexing="ij"))

    def polar(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Range (mm) and angle of places (2, ...)."""
        y, x = places[0] - self.probe[0], places[1] - self.probe[1]
        return np.hypot(y, x), np.arctan2(x, y)

    @property
    def sector(self) -> np.ndarray:
        """(size, size) mask of what is shown."""
        r, theta = self.polar(self.pixels)
        return (np.abs(theta) < self.half_angle) & (r > self.near) & (r < self.far)

    def at(self, values: np.ndarray, places: np.ndarray, order: int = 1) -> np.ndarray:
        """Values of an image (size, size) at places (2, ...)."""
        where = places / self.pixel + 0.5 * (self.size - 1)
        return map_coordinates(values, where, order=order, mode="nearest")

    def scatter(self, rng: np.random.Generator) -> np.ndarray:
        """(2, n) random places all over the image."""
        side = self.size * self.pixel
        return rng.uniform(-0.5 * side, 0.5 * side, (2, int(PER_MM2 * side * side)))


def draw_plane(rng: np.random.Generator, pair: PhantomPair) -> Plane:
    """A sector of random width, with its probe just above where the phantom's is."""
    pixel, body = float(pair.fixed.spacing_mm[0]), pair.body.array[0] > 0
    first = int(np.flatnonzero(body.any(axis=1))[0])
    middle = 0.5 * (len(body) - 1)
    across = float(np.flatnonzero(body[first]).mean() - middle) * pixel
    probe = ((first - middle) * pixel - rng.uniform(2.0, 4.0), across)
    return Plane(len(body), pixel, probe, rng.uniform(0.62, 0.8))


def _pattern(rng: np.random.Generator, plane: Plane, millimetres: float) -> np.ndarray:
    """A smooth random field of SD 1."""
    field = gaussian_filter(rng.normal(size=(plane.size, plane.size)), millimetres / plane.pixel, mode="wrap")
    return field / field.std()


def _facing(labels: np.ndarray, plane: Plane) -> np.ndarray:
    """|cosine| of the angle between the beam and the normal of the wall."""
    inside = np.select([labels == MYOCARDIUM, labels == CAVITY], [0.0, 1.0], -1.0)
    normal = np.stack(np.gradient(gaussian_filter(inside, 3.0 / plane.pixel)))
    beam = plane.pixels - np.reshape(plane.probe, (2, 1, 1))
    length = np.linalg.norm(normal, axis=0) * np.linalg.norm(beam, axis=0)
    return np.abs((normal * beam).sum(axis=0)) / (length + 1e-9)


def echogenicity(rng: np.random.Generator, labels: np.ndarray, plane: Plane) -> np.ndarray:
    """Level in dB of what moves with the tissue, at the fixed frame's pixels; -inf in blood."""

    def near(label: int, millimetres: float) -> np.ndarray:
        return distance_transform_edt(labels != label) * plane.pixel < millimetres

    outside, facing = labels == 0, _facing(labels, plane)
    away = distance_transform_edt(outside) * plane.pixel
    level = rng.uniform(-8.0, 0.0) + 4.5 * _pattern(rng, plane, 7.0) + 3.0 * _pattern(rng, plane, 2.0)
    level = level - 0.12 * away
    muscle = rng.uniform(-3.0, 2.0) + 2.0 * _pattern(rng, plane, 2.5)
    level = np.where(labels == MYOCARDIUM, muscle - rng.uniform(4.0, 12.0) * (1.0 - facing) ** 1.5, level)
    level = np.where(outside & near(RV, 4.0), rng.uniform(-4.0, 0.0), level)
    pericardium = np.maximum(level, rng.uniform(6.0, 12.0) * facing)
    level = np.where(outside & near(MYOCARDIUM, 2.5), pericardium, level)
    level = np.where(outside & near(ATRIUM, 2.2), np.maximum(level, rng.uniform(0.0, 5.0)), level)
    level = np.where(np.isin(labels, BLOOD), -np.inf, level)
    return np.where((labels == CAVITY) & near(ATRIUM, 1.5), rng.uniform(2.0, 8.0), level)


def _tissue(rng: np.random.Generator, level: np.ndarray, plane: Plane, share: float) -> Points:
    """Scatterers of the tissue at their places in the fixed frame, with this share of the power."""
    places = plane.scatter(rng)
    strength = plane.at(np.where(np.isfinite(level), amplitude(level), 0.0), places)
    return places, math.sqrt(share) * strength * rng.normal(size=places.shape[1])


def _blood(rng: np.random.Generator, labels: np.ndarray, plane: Plane, level: float) -> Points:
    places = plane.scatter(rng)
    there = np.isin(plane.at(labels, places, order=0), BLOOD)
    return places, amplitude(level) * there * rng.normal(size=places.shape[1])


def _clutter(rng: np.random.Generator, plane: Plane) -> Points:
    """Scatterers that stand still and fade with depth."""
    places = plane.scatter(rng)
    level = rng.uniform(-6.0, 8.0) - plane.polar(places)[0] / rng.uniform(1.2, 4.0)
    return places, amplitude(level) * rng.normal(size=places.shape[1])


def _filtered(signal: np.ndarray, sigma: float, axis: int) -> np.ndarray:
    return gaussian_filter1d(signal.real, sigma, axis) + 1j * gaussian_filter1d(signal.imag, sigma, axis)


def beams(points: Points, plane: Plane, scanner: Scanner, wavelength: float) -> np.ndarray:
    """The complex signal (range, angle) of the points, on the grid of beams."""
    r, theta = plane.polar(points[0])
    shape = int((plane.far + MARGIN_MM) / STEP_MM), int(2.0 * (plane.half_angle + MARGIN_RAD) / STEP_RAD)
    row, column = (r / STEP_MM).astype(int), np.floor((theta + plane.half_angle + MARGIN_RAD) / STEP_RAD)
    seen = (row < shape[0]) & (column >= 0) & (column < shape[1])
    cell = row[seen] * shape[1] + column[seen].astype(int)
    echo = (points[1] * np.exp(-4j * np.pi * r / wavelength))[seen]
    size = shape[0] * shape[1]
    signal = np.bincount(cell, echo.real, size) + 1j * np.bincount(cell, echo.imag, size)
    signal = _filtered(signal.reshape(shape), scanner.pulse / STEP_MM, 0)
    width = scanner.width_rad / STEP_RAD
    side = amplitude(scanner.lobes) * _filtered(signal, math.radians(8.0) / STEP_RAD, 1)
    return math.sqrt(width) * (_filtered(signal, width, 1) + side)


def display(
    rng: np.random.Generator, signals: list[np.ndarray], reference: float, plane: Plane, scanner: Scanner
) -> np.ndarray:
    """(size, size) uint8: what the screen shows of the signals of one frame, one for each wavelength."""
    depth = np.arange(len(signals[0]))[:, None] * STEP_MM
    floor = amplitude(scanner.floor + scanner.floor_slope * depth)
    power = np.zeros(signals[0].shape)
    for signal in signals:
        noise = rng.normal(size=signal.shape) + 1j * rng.normal(size=signal.shape)
        power += np.abs(signal / reference + floor * noise) ** 2 / len(signals)
    level = 10.0 * np.log10(power + 1e-12) - scanner.loss * depth + scanner.gain + rng.normal()
    angle = np.arange(level.shape[1]) * STEP_RAD - plane.half_angle - MARGIN_RAD
    for where, width, loss in scanner.shadows:
        level = level - loss * np.exp(-0.5 * ((angle - where) / width) ** 2) * (depth > 15.0)
    shade = np.clip(level / scanner.window + 1.0, 0.0, 1.0) ** scanner.gamma
    shade = gaussian_filter(shade, (0.3 * scanner.blur / STEP_MM, scanner.blur))
    r, theta = plane.polar(plane.pixels)
    at = r / STEP_MM, (theta + plane.half_angle + MARGIN_RAD) / STEP_RAD
    shown = map_coordinates(shade, at, order=1, mode="nearest")
    return np.round(255.0 * shown * plane.sector).astype(np.uint8)


def images(rng: np.random.Generator, pair: PhantomPair, plane: Plane) -> tuple[np.ndarray, np.ndarray]:
    """Fixed and moving image (size, size) of the pair's heart."""
    scanner, share = draw_scanner(rng), rng.uniform(0.35, 0.9)
    level = echogenicity(rng, pair.fixed_label.array[0], plane)
    blood, still = rng.uniform(-34.0, -24.0), _clutter(rng, plane)
    lasting = _tissue(rng, level, plane, share)
    lengths = [scanner.wavelength * (1.0 + 0.12 * n) for n in range(scanner.looks)]

    def follow(places: np.ndarray) -> np.ndarray:
        """Where places of the fixed frame are in the moving one."""
        return places + plane.pixel * np.stack([plane.at(d, places) for d in pair.disp_vox[1:, 0]])

    shown: list[np.ndarray] = []
    reference = 0.0
    for label in (pair.fixed_label, pair.moving_label):
        tissue = [lasting, _tissue(rng, level, plane, 1.0 - share)]
        if label is pair.moving_label:
            tissue = [(follow(places), strength) for places, strength in tissue]
        parts = [*tissue, _blood(rng, label.array[0], plane, blood), still]
        points = np.concatenate([p for p, _ in parts], axis=1), np.concatenate([a for _, a in parts])
        signals = [beams(points, plane, scanner, length) for length in lengths]
        reference = reference or float(np.quantile(np.abs(signals[0]), 0.97))  # one gain for both
        shown.append(display(rng, signals, reference, plane, scanner))
    return shown[0], shown[1]


def seen_by_scatterers(pair: PhantomPair) -> PhantomPair:
    """The heart of an echo phantom in 2D as this simulator shows it; the same pair gives the same images.

    Labels end with the sector. Displacement and labels are exact, the variance of the noise is not known.
    """
    rng = np.random.default_rng([pair.seed, pair.fixed.array.shape[-1]])
    plane = draw_plane(rng, pair)
    shown = plane.sector[None].astype(np.uint8)
    fixed, moving = (a[None].astype(np.float32) for a in images(rng, pair, plane))
    return replace(
        pair,
        fixed=pair.fixed.like(fixed, "fixed"),
        moving=pair.moving.like(moving, "moving"),
        fixed_label=pair.fixed_label.like(pair.fixed_label.array * shown, "fixed_label"),
        moving_label=pair.moving_label.like(pair.moving_label.array * shown, "moving_label"),
        noise_variance=None,
        residual_variance=None,
        body=pair.body.like(shown, "body"),
    )
