"""Which kind of image it is: a sector or fine pixels are an echocardiogram."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hetreg.datasets.phantom import make_pair
from hetreg.image import Image, read_image
from hetreg.modality import ECHO, MRI, background, modality, shows_sector
from hetreg.register import register_pair

SEEDS = range(95_000, 95_006)


def fan(size: int = 96, *, opening: float = 1.4, noise: float = 0.1) -> np.ndarray:
    """A sector that opens downwards from the top, with noise in it and zero beside it."""
    y, x = np.mgrid[:size, :size] - np.array([4, size / 2])[:, None, None]
    inside = (np.abs(x) < 2 + 0.5 * opening * y) & (np.hypot(x, y) < 0.9 * size) & (y >= 0)
    return inside * (0.5 + noise * np.random.default_rng(0).standard_normal((size, size)))


def disc(size: int = 96) -> np.ndarray:
    """A chest: an ellipse with noise, zero beside it."""
    y, x = np.mgrid[:size, :size] - size / 2
    return (np.hypot(x / 1.2, y) < 0.35 * size) * (
        0.5 + 0.1 * np.random.default_rng(0).standard_normal((size, size))
    )


@pytest.mark.parametrize("turns", range(4))
def test_a_fan_is_a_sector_whatever_its_direction(turns):
    assert shows_sector(np.rot90(fan(), turns))


def test_what_has_no_straight_parting_sides_is_none():
    assert not shows_sector(disc())
    assert not shows_sector(np.zeros((64, 64)))
    assert not shows_sector(np.pad(np.random.default_rng(0).random((60, 60)), 20))  # a square
    assert not shows_sector(fan(opening=0.3))


def test_noise_beside_the_sector_is_no_background():
    image = fan()
    noisy = image + 0.02 * np.random.default_rng(1).standard_normal(image.shape)
    assert background(image).mean() > 0.3
    assert background(noisy).mean() < 0.01


@pytest.mark.parametrize(("kind", "expected"), [("mri2d", MRI), ("echo2d", ECHO), ("echo2d_sax", ECHO)])
def test_phantoms_are_told_apart(kind, expected):
    found = [modality(make_pair(kind, seed, with_truth=False).fixed, 0)[0] for seed in SEEDS]
    assert found.count(expected) >= len(SEEDS) - 1


def test_fine_pixels_are_no_mri():
    plain = np.random.default_rng(0).random((1, 64, 64)).astype(np.float32)
    for size, expected in ((0.3, ECHO), (0.6, MRI)):
        kind, reason = modality(Image(plain, np.diag([size, size, 10.0, 1.0])), 0)
        assert kind == expected
        assert reason


def test_most_slices_decide():
    planes = np.stack([fan(), fan(), disc()]).astype(np.float32)
    stack = Image(planes, np.diag([1.0, 1.0, 8.0, 1.0]))
    assert modality(stack, 0)[0] == ECHO
    assert modality(replace(stack, array=planes[[0, 2, 2]]), 0)[0] == MRI
    turned = Image(np.moveaxis(planes, 0, 2).copy(), np.diag([8.0, 1.0, 1.0, 1.0]))
    assert modality(turned, 2)[0] == ECHO


def test_real_cine_mri_is_mri(data_dir):
    for file in sorted((data_dir / "sunnybrook").glob("*_ES.nii.gz"))[::8]:
        image = read_image(file)
        middle = replace(image, array=image.array[:, 64:192, 64:192])
        assert modality(image, 0)[0] == modality(middle, 0)[0] == MRI


@pytest.mark.parametrize(("kind", "name"), [("mri2d", "cine-mri-2d"), ("echo2d", "echo-2d")])
def test_register_takes_the_model_that_fits_and_says_why(kind, name):
    pair = make_pair(kind, 95_000, with_truth=False)
    summary = register_pair(pair.fixed, pair.moving).summary
    assert summary["model"] == name
    assert any(name in note and "sector" in note for note in summary["notes"])
