"""Which kind of image it is: a sector or fine pixels are an echocardiogram."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.ndimage import rotate

from hetreg import modality as judge
from hetreg.datasets.phantom import make_pair
from hetreg.image import Image, read_image
from hetreg.modality import ECHO, MRI, modality, shows_sector
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


@pytest.mark.parametrize("scale", [1e-16, 1e-10, 1e15])
def test_the_unit_of_the_intensities_does_not_matter(scale):
    assert shows_sector(scale * fan())
    assert not shows_sector(scale * disc())


@pytest.mark.parametrize("opening", [2.8, 0.7])
def test_a_sector_whose_pixels_are_not_square_is_found(opening):
    assert shows_sector(fan(opening=opening))


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("step", [3, 4])
def test_oblong_pixels_are_made_square(step, axis):
    stack = np.repeat(fan(128)[None], 3, axis=0)
    thinned = stack[:, ::step] if axis == 1 else stack[:, :, ::step]
    sides = [step if d == axis else 1 for d in (2, 1)]
    image = Image(thinned.astype(np.float32), np.diag([*sides, 8.0, 1.0]))
    assert modality(image, 0)[0] == ECHO
    disc_too = replace(image, array=np.repeat(disc()[None], 3, axis=0).astype(np.float32))
    assert modality(disc_too, 0)[0] == MRI


def test_absurdly_oblong_pixels_are_not_an_error():
    image = Image(fan()[None].astype(np.float32), np.diag([1e6, 1.0, 8.0, 1.0]))
    assert modality(image, 0)[0] == MRI


def test_what_has_no_straight_parting_sides_is_none():
    assert not shows_sector(disc())
    assert not shows_sector(np.zeros((64, 64)))
    assert not shows_sector(np.pad(np.random.default_rng(0).random((60, 60)), 20))  # a square
    assert not shows_sector(fan(opening=0.3))
    assert not shows_sector(fan(192, opening=0.4))  # straight, but of 23 degrees


@pytest.mark.parametrize("degrees", [20, 35, 45, 60])
def test_a_square_on_its_corner_is_no_sector(degrees):
    square = 0.5 + 0.1 * np.random.default_rng(0).random((64, 64))
    assert not shows_sector(rotate(square, degrees, order=1))


def test_a_little_noise_beside_the_sector_is_background_and_much_is_not():
    image = fan()
    noise = np.random.default_rng(1).standard_normal(image.shape)
    assert shows_sector(np.round(255 * image) + 2 * noise)
    assert not shows_sector(image + 0.1 * noise)


def dark_fan(size: int = 160) -> np.ndarray:
    """A sector as machines show it, 0 to 255: heart and far wall are bright, both flanks almost black, but
    never as black as what is beside the sector."""
    inside = fan(size, opening=2.0) > 0
    y, x = np.mgrid[:size, :size] - np.array([0, size / 2])[:, None, None]
    heart = np.exp(-((x / (0.15 * size)) ** 2) - ((y - 0.5 * size) / (0.3 * size)) ** 2)
    speckle = np.random.default_rng(2).rayleigh(1.0, inside.shape)
    return np.clip(np.round(inside * (1 + speckle * (1.0 + 80 * heart))), 0, 255)


@pytest.mark.parametrize("step", [1, 2])
def test_flanks_that_are_almost_black_belong_to_the_sector(step):
    assert shows_sector(dark_fan(160 * step))


def test_a_screen_with_letters_and_lines_around_the_sector():
    screen = np.zeros((240, 320))
    screen[20:180, 80:240] = dark_fan()
    screen[5:9, 5:60:2] = 200  # letters
    screen[20:200, 290] = 90  # a scale
    screen[18:23, 170:175] = 255  # the mark beside the transducer
    screen[225:235, 20:300] = 60  # a bar
    assert shows_sector(screen)


def draw_marks(image: np.ndarray) -> None:
    image[::12, -4:] = image[:, -1] = 1.0


def draw_bar(image: np.ndarray) -> None:
    image[16:64, 2:5] = np.linspace(1, 0, 48)[:, None]


def draw_letters(image: np.ndarray) -> None:
    image[2:11, 2:44][np.random.default_rng(5).random((9, 42)) < 0.5] = 1.0


def draw_outlier(image: np.ndarray) -> None:
    image[2, 3] = -100.0


@pytest.mark.parametrize("draw", [draw_marks, draw_bar, draw_letters, draw_outlier])
def test_a_scale_letters_or_a_pixel_far_below_the_others_do_not_hide_the_sector(draw):
    plane = make_pair("echo2d", 7004, with_truth=False).fixed.array[0]
    drawn = plane / plane.max()
    draw(drawn)
    assert shows_sector(drawn)


def test_the_background_may_be_brighter_than_the_darkest_of_the_sector():
    speckle = np.random.default_rng(4).rayleigh(40.0, (128, 128))
    screen = np.where(fan(128) > 0, np.clip(np.round(speckle), 0, 255), 20)
    assert (screen < 20).mean() > 0.02
    assert shows_sector(screen)


@pytest.mark.parametrize("margin", [0, 40])
def test_a_sector_that_its_picture_cuts_off_may_have_margins(margin):
    wide = fan(opening=2.4)
    assert (wide[50:70, [0, -1]] > 0).all()  # cut off
    assert shows_sector(np.pad(wide, ((0, 0), (margin, margin))))


@pytest.mark.parametrize(("cut", "radius"), [(0, 54), (30, 60), (45, 60)])
def test_a_disc_that_the_border_cuts_is_no_sector(cut, radius):
    y, x = np.mgrid[:100, :110] - np.array([50 - cut, 55])[:, None, None]
    tissue = 0.3 + 0.1 * np.random.default_rng(3).random(x.shape)
    assert not shows_sector((np.hypot(x, y) < radius) * tissue)


def test_a_mark_beside_the_content_does_not_matter():
    image = fan()
    image[2:6, 2:10] = 1.0  # as burnt-in text
    assert shows_sector(image)
    spot = np.zeros((64, 64))
    spot[0, 0] = 1.0
    spot[30:50, 20:50] = 0.7
    assert not shows_sector(spot)


def test_a_mask_is_an_image_too():
    assert not shows_sector(disc() > 0)
    assert shows_sector(fan() > 0.3)


@pytest.mark.parametrize(("kind", "expected"), [("mri2d", MRI), ("echo2d", ECHO), ("echo2d_sax", ECHO)])
def test_phantoms_are_told_apart(kind, expected):
    found = [modality(make_pair(kind, seed, with_truth=False).fixed, 0)[0] for seed in SEEDS]
    assert found.count(expected) >= len(SEEDS) - 1


def test_fine_pixels_are_no_mri():
    plain = np.random.default_rng(0).random((1, 64, 64)).astype(np.float32)
    for size, expected in ((0.3, ECHO), (0.45, MRI)):
        assert modality(Image(plain, np.diag([size, size, 10.0, 1.0])), 0)[0] == expected


def test_most_slices_decide():
    planes = np.stack([fan(), fan(), disc()]).astype(np.float32)
    stack = Image(planes, np.diag([1.0, 1.0, 8.0, 1.0]))
    assert modality(stack, 0)[0] == ECHO
    assert modality(replace(stack, array=planes[[0, 2, 2]]), 0)[0] == MRI
    assert (
        modality(replace(stack, array=np.concatenate([planes[:2], 0 * planes])), 0)[0] == ECHO
    )  # empty ones
    assert modality(replace(stack, array=0 * planes), 0)[0] == MRI
    turned = Image(np.moveaxis(planes, 0, 2).copy(), np.diag([8.0, 1.0, 1.0, 1.0]))
    assert modality(turned, 2)[0] == ECHO


def test_real_cine_mri_is_mri(data_dir):
    files = sorted((data_dir / "sunnybrook").glob("*_ES.nii.gz"))[::8]
    assert files
    for file in files:
        image = read_image(file)
        middle = replace(image, array=image.array[:, 64:192, 64:192])
        assert modality(image, 0)[0] == modality(middle, 0)[0] == MRI


def test_a_volume_is_known_by_its_middle_planes():
    pair = make_pair("echo3d", 95_000, size=32, with_truth=False)
    assert modality(pair.fixed, None)[0] == ECHO


REASONS = {
    ("mri2d", "cine-mri-2d"): "the fixed image shows no sector of an echocardiogram",
    ("echo2d", "echo-2d"): "the fixed image shows the sector of an echocardiogram",
    ("echo3d", "echo-3d"): "no other 3D model comes with HetReg",
}


@pytest.mark.parametrize(("kind", "name"), REASONS)
def test_register_takes_the_model_that_fits_and_says_why(kind, name):
    pair = make_pair(kind, 95_000, size=48, with_truth=False)
    summary = register_pair(pair.fixed, pair.moving).summary
    assert summary["model"] == name
    assert summary["notes"][0].startswith(
        f"The model '{name}' was chosen automatically: {REASONS[kind, name]}"
    )


@pytest.mark.parametrize("count", [1, 4, 5])
def test_most_slices_decide_and_no_more_are_looked_at_than_that_takes(count, monkeypatch):
    stack = Image(np.arange(count * 400.0).reshape(count, 20, 20), np.eye(4))
    for sectors in product([False, True], repeat=count):
        left = list(sectors)
        monkeypatch.setattr(judge, "shows_sector", lambda _plane, left=left: left.pop(0))
        most = 2 * sum(sectors) > count
        assert modality(stack, 0)[0] == (ECHO if most else MRI)
        seen = sectors[: count - len(left)]
        needed = count // 2 + 1 if most else count - count // 2  # of the kind that decides
        assert seen.count(most) == needed
        assert seen[-1] is most
