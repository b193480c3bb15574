"""A cardiac phantom: pairs of end-diastole (moving) and end-systole (fixed) of known displacement and noise.

`make_pair(kind, seed)` draws a random heart, its surroundings, its motion and its images. The end-diastolic
anatomy is one continuous function of position; the end-systolic frame is the same function evaluated at x +
disp(x), so the displacement and the labels are exact. The noise differs from place to place and its variance
is computed from the noise model, not estimated; that of images made of point scatterers is not known.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..files import whole_folder, write_whole
from ..image import Image, geometry, vector_to_sitk, write_image, write_sitk
from ..registry import PHANTOMS, SCATTERERS, phantom_ndim
from .phantom_mri import draw_spacing, make_mri
from .phantom_pair import PhantomPair
from .phantom_scatterers import seen_by_scatterers
from .phantom_views import draw_side, make_echo

KINDS = tuple(PHANTOMS)  # their order is part of the seed
SLICE_DISTANCE = 8.0  # mm, of a short-axis stack
MIN_SIZE, MAX_SIZE, MAX_SIZE_3D = 16, 1024, 256  # voxels per side


@np.errstate(under="ignore")  # what is far from an edge or a centre is 0 in the end
def make_pair(
    kind: str,
    seed: int,
    *,
    size: int | None = None,
    slices: int = 1,
    with_truth: bool = True,
    noise_seed: int | None = None,
) -> PhantomPair:
    """Simulate one pair; the same arguments give the same bits.

    Args:
        kind: one of KINDS.
        seed: decides everything: anatomy, motion, contrast, noise.
        size: pixels per side, default 128 (2D) or 64 (3D); the field of view does not depend on it.
        slices: mri2d only: a short-axis stack from base to apex, 8 mm apart.
        with_truth: False skips both variance maps (None), for training on the fly.
        noise_seed: another draw of the noise on the same anatomy; not of point scatterers.

    Raises ValueError for an unknown kind or a size or number of slices that cannot be made.
    """
    _check(kind, size, slices)
    if kind.endswith(SCATTERERS):
        if noise_seed is not None:
            raise ValueError(f"noise_seed is given for '{kind}': it is accepted for the other kinds.")
        heart = make_pair(kind.removesuffix(SCATTERERS), seed, size=size, with_truth=False)
        return replace(seen_by_scatterers(heart), kind=kind)
    anatomy = _anatomy(kind, seed)
    noise = np.random.default_rng([seed, KINDS.index(kind), 1 if noise_seed is None else 2 + noise_seed])
    size = size or side_vox(kind)
    if kind == "mri2d":
        parts, pixel = make_mri(size, slices, with_truth, anatomy, noise)
        spacing = (pixel, pixel, SLICE_DISTANCE)
    else:
        part, pixel = make_echo(kind, size, with_truth, anatomy, noise)
        parts, spacing = [part], (pixel, pixel, pixel)
    shape = parts[0]["fixed"].shape
    shape = shape if len(shape) == 3 else (len(parts), *shape)
    return _assemble(kind, seed, parts, _place(anatomy, shape, spacing))


def side_vox(kind: str) -> int:
    """Voxels per side of a pair whose size is not given."""
    return 64 if phantom_ndim(kind) == 3 else 128


def pixel_size_mm(kind: str, seed: int, *, size: int | None = None) -> float:
    """Side of a pixel of the pair that `make_pair` makes of these arguments. Raises ValueError like that."""
    _check(kind, size, 1)
    kind = kind.removesuffix(SCATTERERS)
    anatomy = _anatomy(kind, seed)
    side = 128 * draw_spacing(anatomy) if kind == "mri2d" else draw_side(anatomy, kind)
    return side / (size or side_vox(kind))


def _anatomy(kind: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, KINDS.index(kind)])


def _check(kind: str, size: int | None, slices: int) -> None:
    if kind not in KINDS:
        raise ValueError(f"Unknown phantom kind '{kind}': accepted are {', '.join(KINDS)}.")
    most = MAX_SIZE_3D if phantom_ndim(kind) == 3 else MAX_SIZE
    if size is not None and not MIN_SIZE <= size <= most:
        raise ValueError(f"Phantom size {size} of '{kind}': {MIN_SIZE} to {most} voxels a side are accepted.")
    if slices < 1 or (slices > 1 and kind != "mri2d"):
        raise ValueError(f"{slices} slices of '{kind}': 1 is accepted, for mri2d also more.")


def _place(
    rng: np.random.Generator, shape: tuple[int, int, int], spacing: tuple[float, float, float]
) -> np.ndarray:
    """ijk_to_lps of an oblique view with `spacing` (i, j, k), centred near the heart."""
    rows, _ = np.linalg.qr(
        np.array([[0.72, -0.35, 0.6], [0.1, 0.9, 0.42], [-0.68, -0.24, 0.69]]) + rng.normal(0, 0.08, (3, 3))
    )
    rows *= np.sign(np.diag(rows))
    if np.linalg.det(rows) < 0:
        rows[:, 2] *= -1.0
    step = rows * np.array(spacing)
    middle = 0.5 * (np.array(shape[::-1]) - 1.0)
    return geometry(rng.normal(0, 15.0, 3) - step @ middle, np.array(spacing), rows)


_TYPES = {"fixed_label": np.uint8, "moving_label": np.uint8, "body": np.uint8}


def _assemble(
    kind: str, seed: int, parts: list[dict[str, np.ndarray]], ijk_to_lps: np.ndarray
) -> PhantomPair:
    """Stack the slices (each (J, I), or one volume (K, J, I)) and give them their place in space."""
    first = parts[0]

    def image(name: str) -> Image:
        array = np.stack([p[name] for p in parts]) if first[name].ndim == 2 else first[name]
        return Image(array.astype(_TYPES.get(name, np.float32)), ijk_to_lps, name)

    if first["fixed"].ndim == 2:
        disp = np.zeros((3, len(parts), *first["fixed"].shape), np.float32)
        disp[1:] = np.stack([p["disp"] for p in parts], axis=1)
    else:
        disp = first["disp"].astype(np.float32)
    return PhantomPair(
        fixed=image("fixed"),
        moving=image("moving"),
        fixed_label=image("fixed_label"),
        moving_label=image("moving_label"),
        disp_vox=disp,
        noise_variance=None if first["noise_variance"] is None else image("noise_variance"),
        residual_variance=None if first["residual_variance"] is None else image("residual_variance"),
        body=image("body"),
        kind=kind,
        seed=seed,
    )


def displacement_lps(pair: PhantomPair) -> np.ndarray:
    """(K, J, I, 3) true displacement in LPS mm, as a SimpleITK displacement field transform takes it."""
    ijk = np.moveaxis(pair.disp_vox[::-1], 0, -1).astype(np.float64)
    return ijk @ pair.fixed.ijk_to_lps[:3, :3].T


_IMAGES = {  # files and what of a pair is in them
    "fixed": "fixed",
    "moving": "moving",
    "fixed_seg": "fixed_label",
    "moving_seg": "moving_label",
    "true_noise_variance": "noise_variance",
    "true_residual_variance": "residual_variance",
    "body": "body",
}
FILES = (*(f"{name}.nrrd" for name in _IMAGES), "true_displacement.nrrd", "phantom.json")


def save_pair(pair: PhantomPair, folder: str | Path) -> dict[str, Path]:
    """Write the pair to `folder` (made if missing): images, labels, truth and phantom.json, all or none; they
    take the place of another pair's.

    Returns the paths by name. Raises OSError if something cannot be written.
    """
    every = {name: getattr(pair, attribute) for name, attribute in _IMAGES.items()}
    images = {name: image for name, image in every.items() if image is not None}
    files = {name: f"{name}.nrrd" for name in images}
    files["true_displacement"] = "true_displacement.nrrd"
    about = {"kind": pair.kind, "seed": pair.seed, "shape_kji": pair.fixed.array.shape}
    about |= {"spacing_mm": pair.fixed.spacing_mm.tolist(), "files": files}
    about |= {"labels": {"1": "RV cavity", "2": "LV myocardium", "3": "LV cavity", "4": "left atrium"}}
    with whole_folder(Path(folder), [f"{name}.nrrd" for name in _IMAGES]) as partial:
        for name, image in images.items():
            write_image(image, partial / files[name])
        field = vector_to_sitk(displacement_lps(pair), pair.fixed.ijk_to_lps)
        write_sitk(field, partial / files["true_displacement"])
        write_whole(partial / "phantom.json", json.dumps(about, indent=2) + "\n")
    return {name: Path(folder) / file for name, file in {**files, "phantom": "phantom.json"}.items()}
