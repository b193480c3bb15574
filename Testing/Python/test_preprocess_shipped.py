"""What shipped models ask of their grid: a limit of the brightest, a margin beyond the image, and voxels
that are square."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from squares import square_case

import hetreg
from hetreg.config import GridConfig, RegisterConfig
from hetreg.datasets.pairs import PairsDataset
from hetreg.datasets.phantom import make_pair
from hetreg.image import Image, write_image
from hetreg.preprocess import intensity_range, to_network_grid
from hetreg.spatial import disp_to_vox


def test_bright_fat_does_not_darken_the_rest_where_the_model_has_a_limit():
    tissue = np.linspace(0.0, 100.0, 1001)
    tissue[-30:] = 2000.0
    grid = GridConfig(low_percentile=0, bright_limit=3.0)
    assert intensity_range(tissue, tissue, GridConfig(low_percentile=0))[1] == 2000
    assert intensity_range(tissue, tissue, grid)[1] == pytest.approx(3 * 90, rel=0.03)
    bordered = np.concatenate([np.zeros(1000), tissue])  # black borders say nothing of the tissue
    assert intensity_range(bordered, bordered, grid)[1] == pytest.approx(3 * 90, rel=0.03)
    bordered[0] = -1.0
    assert intensity_range(bordered, bordered, grid)[1] == pytest.approx(3 * 90, rel=0.03)
    tissue[-30:] = 98.0
    assert intensity_range(tissue, tissue, grid)[1] == pytest.approx(98.0)


def test_what_both_images_have_in_one_place_does_not_change_the_range():
    fixed, moving = np.random.default_rng(0).random((2, 40, 50))
    plain = intensity_range(fixed, moving, GridConfig())
    for image in (fixed, moving):
        image[:3], image[5:8, 20:30] = -7.0, 30.0
    assert intensity_range(fixed, moving, GridConfig())[0] == -7.0
    marked = intensity_range(fixed, moving, GridConfig(changed_only=True))
    np.testing.assert_allclose(marked, plain, atol=0.01)
    inside = np.ones(fixed.shape, bool)
    inside[:, :10], moving[:, :10] = False, 99.0
    np.testing.assert_allclose(
        intensity_range(fixed, moving, GridConfig(changed_only=True), inside), plain, atol=0.01
    )
    same = intensity_range(fixed, fixed, GridConfig(changed_only=True))  # nothing else is left
    assert same == intensity_range(fixed, fixed, GridConfig())


@pytest.mark.parametrize("offset", [0, -1024])
@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_air_does_not_change_where_an_image_is_stored_flipped(kind, offset):
    """Resampling it rounds, air too."""
    noise = np.random.default_rng(1).integers(30, 90, (2, 3, 60, 64))
    noise[..., :40, :] = 0
    matrix = np.array([[1.4, 0.3, 0, -70], [-0.3, 1.4, 0, 33], [0, 0, 8, 11], [0, 0, 0, 1]])
    fixed, moving = (Image((array + offset).astype(kind), matrix) for array in noise)
    turned = matrix.copy()
    turned[:, 3] += matrix[:, 0] * 63 + matrix[:, 2] * 2
    turned[:, [0, 2]] *= -1
    flipped = Image(moving.array[::-1, :, ::-1], turned)
    grid = GridConfig(changed_only=True)
    pairs = [to_network_grid(fixed, m, grid, ndim=2, multiple=8) for m in (moving, flipped)]
    assert pairs[0].low == 30 + offset
    np.testing.assert_allclose(pairs[1].low, pairs[0].low, rtol=0, atol=1e-3)
    np.testing.assert_allclose(pairs[1].scale, pairs[0].scale, rtol=1e-4)
    torch.testing.assert_close(pairs[1].moving, pairs[0].moving, atol=1e-4, rtol=0)


def test_what_the_moving_image_does_not_cover_is_no_part_of_its_range():
    """Zero in its place would make any change of these small beside the range."""
    noise = np.random.default_rng(1).integers(0, 100, (2, 1, 60, 64)) + 10**8
    noise[..., :4, :] += 1000  # a border that both have
    noise[1, ..., :4, :] = noise[0, ..., :4, :]
    fixed, moving = Image(noise[0], np.eye(4)), Image(noise[1, ..., :50], np.eye(4))
    pair = to_network_grid(fixed, moving, GridConfig(changed_only=True), ndim=2, multiple=8)
    assert pair.scale < 100


def test_images_on_one_grid_change_by_any_difference():
    fixed = np.linspace(0, 1, 10_000, dtype=np.float32).reshape(100, 100)
    moving = np.nextafter(fixed, np.float32(2))
    fixed[:20], moving[:20] = -5, -5
    images = (Image(array[None], np.eye(4)) for array in (fixed, moving))
    pair = to_network_grid(*images, GridConfig(changed_only=True, low_percentile=0), ndim=2, multiple=8)
    assert pair.low == fixed[20, 0]


@pytest.mark.parametrize("shape", [(2, 20, 33), (14, 20, 22)])
def test_a_margin_repeats_the_outermost_voxels_and_is_cut_off_again(shape):
    ndim = 2 if shape[0] == 2 else 3
    fixed, moving = (Image(np.random.default_rng(n).random(shape, np.float32), np.eye(4)) for n in range(2))
    grid = GridConfig(low_percentile=0, high_percentile=100, margin_vox=7)
    pair = to_network_grid(fixed, moving, grid, ndim=ndim, multiple=8)
    assert all(n % 8 == 0 and n >= s + 14 for n, s in zip(pair.plan.padded_size, shape[-ndim:], strict=True))
    inside = pair.crop(pair.fixed)
    start = [part.start for part in pair.plan.crop]
    assert min(start) >= 7
    assert torch.equal(pair.fixed[0, 0][(0,) * ndim], inside[0, 0][(0,) * ndim])
    assert pair.mask.sum() == inside[0].numel()
    assert (pair.window * (1 - pair.mask)).max() == 0
    np.testing.assert_allclose(pair.map_to_image(pair.fixed) * pair.scale + pair.low, fixed.array, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "lies", "expected"),
    [
        ((1, 200, 100), (slice(50, 150), slice(None)), (200, 100)),  # half of it is margin
        ((1, 200, 100), (slice(None), slice(20, 40)), (100, 50)),
        ((1, 900, 900), (slice(400, 500), slice(400, 500)), (200, 200)),  # four times the voxels, no more
    ],
)
def test_dark_margins_do_not_make_the_network_see_less(shape, lies, expected):
    array = np.zeros(shape, np.float32)
    array[0][lies] = np.random.default_rng(0).random(array[0][lies].shape)
    fixed, moving = Image(array, np.eye(4)), Image(0.9 * array, np.eye(4))
    for spare, size in ((True, expected), (False, (100, 100 * shape[2] // shape[1]))):
        grid = GridConfig(max_size=100, spare_margins=spare, low_percentile=0, high_percentile=100)
        assert to_network_grid(fixed, moving, grid, ndim=2, multiple=1).plan.network_size == size


def test_training_pairs_have_no_margin(tmp_path):
    case = square_case()
    images = {"ES": case.fixed, "ED": case.moving, "ES_seg": case.fixed_label, "ED_seg": case.moving_label}
    for end, image in images.items():
        write_image(image, tmp_path / f"a_{end}.nrrd")
    with_margin, plain = (PairsDataset(tmp_path).samples(GridConfig(margin_vox=width))[0] for width in (7, 0))
    np.testing.assert_array_equal(with_margin.fixed, plain.fixed)
    np.testing.assert_array_equal(with_margin.fixed_label, plain.fixed_label)


def every_other(image: Image) -> Image:
    """The image with the mean of every two columns: pixels twice as wide as high."""
    matrix = image.ijk_to_lps.copy()
    matrix[:, 3] += matrix[:, 0] / 2
    matrix[:, 0] *= 2
    return Image((image.array[..., ::2] + image.array[..., 1::2]) / 2, matrix, image.name)


@pytest.mark.parametrize(("kind", "model"), [("mri2d", "cine-mri-2d"), ("echo2d", "echo-2d")])
def test_pixels_need_not_be_square(kind, model):
    pair = make_pair(kind, 7000, with_truth=False)
    wall = pair.fixed_label.array == 2

    def error(fixed: Image, moving: Image, width: int) -> float:
        result = hetreg.register_pair(fixed, moving, model, RegisterConfig(inverse=False))
        found = (
            disp_to_vox(result.disp_lps_mm, fixed.ijk_to_lps) * np.array([1, 1, width])[:, None, None, None]
        )
        off = (found - pair.disp_vox[..., ::width])[:, wall[..., ::width]]
        return float(np.sqrt((off**2).sum(0)).mean())

    wide = error(every_other(pair.fixed), every_other(pair.moving), 2)
    assert wide < 1.35 * error(pair.fixed, pair.moving, 1)
