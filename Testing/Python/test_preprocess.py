"""The way to the network's grid and back; geometry against SimpleITK; refusals."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from builders import (
    FLIPPED,
    FULL_RANGE,
    OBLIQUE,
    SWAPPED,
    assert_sentence,
    points_of,
    resample,
    sampled,
    scene,
)
from hetreg.checks import check_pair
from hetreg.config import GridConfig
from hetreg.image import Image
from hetreg.preprocess import choose_dimension, intensity_range, plan, slice_axis_of, to_network_grid
from hetreg.reach import reached
from hetreg.resample import resample_like

GRIDS = {
    "size": ((20, 26, 11), (1.0, 1.0, 1.0), np.eye(3), (0, 0, 0)),
    "spacing": ((20, 20, 20), (0.8, 1.3, 1.7), np.eye(3), (0, 0, 0)),
    "origin": ((24, 22, 20), (1.0, 1.0, 1.0), np.eye(3), (4.3, -2.1, 1.7)),
    "oblique": ((24, 22, 20), (1.0, 1.2, 0.9), OBLIQUE, (1, 0, 0)),
    "flipped": ((24, 22, 20), (1.0, 1.0, 1.0), FLIPPED, (0, 0, 0)),
    "swapped": ((24, 22, 20), (1.0, 1.0, 1.0), SWAPPED, (0, 0, 0)),
}


def noise(shape, spacing=(1.0, 1.0, 1.0), seed: int = 0) -> Image:
    """White noise on a plain grid; shape in array order, spacing i, j, k."""
    array = np.random.default_rng(seed).random(shape).astype(np.float32)
    return Image(array, np.diag([*spacing, 1.0]), f"noise{seed}")


@pytest.mark.parametrize(
    ("shape", "spacing", "expected"),
    [
        ((1, 64, 64), (1, 1, 1), (2, 0)),
        ((64, 1, 64), (1, 1, 1), (2, 1)),
        ((64, 64, 1), (1, 1, 1), (2, 2)),
        ((10, 64, 64), (1.4, 1.4, 8), (2, 0)),
        ((64, 10, 64), (1.4, 8, 1.4), (2, 1)),
        ((64, 64, 10), (8, 1.4, 1.4), (2, 2)),
        ((12, 64, 64), (1.4, 1.4, 2.0), (2, 0)),
        ((40, 64, 64), (1.4, 1.4, 8), (2, 0)),
        ((64, 64, 64), (1, 1, 1), (3, None)),
        ((20, 64, 64), (1, 1, 1.8), (3, None)),
        ((64, 64, 64), (1, 1, 2 + 1e-6), (3, None)),  # twice, as an oblique header rounds it
        ((64, 64, 64), (1, 1, 2.01), (2, 0)),
        ((18, 128, 96), (1, 1, 1), (2, 0)),
        ((12, 14, 16), (1, 1, 1), (3, None)),
        ((15, 30, 29), (1, 1, 1), (2, 0)),
        ((15, 29, 29), (1, 1, 1), (3, None)),
        ((16, 63, 32), (1, 1, 1), (3, None)),
        ((31, 124, 31), (1, 1, 1), (2, 0)),
        ((32, 128, 32), (1, 1, 1), (3, None)),
    ],
)
def test_dimension_by_size_and_spacing(shape, spacing, expected):
    assert choose_dimension(noise(shape, spacing)) == expected


@pytest.mark.parametrize(("spacing", "axis"), [((1, 1, 1.5), 0), ((1.5, 1, 1), 2), ((1, 1, 1), 1)])
def test_a_volume_is_cut_along_its_coarsest_axis_or_else_the_shortest(spacing, axis):
    assert slice_axis_of(noise((24, 20, 28), spacing)) == axis


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("plane", [(4, 4), (5, 16), (17, 31), (16, 16), (33, 15), (63, 65)])
def test_slices_go_to_the_network_and_back_exactly(axis, plane):
    shape = list(plane)
    shape.insert(axis, 3)
    spacing = [1.0, 1.0, 1.0]
    spacing[2 - axis] = 8.0
    fixed, moving = noise(shape, spacing), noise(shape, spacing, 1)
    pair = to_network_grid(fixed, moving, FULL_RANGE, ndim=2, multiple=16)
    assert pair.plan.slice_axis == axis
    assert pair.fixed.shape[:2] == (3, 1)
    assert all(n % 16 == 0 for n in pair.fixed.shape[2:])
    for tensor, image in ((pair.fixed, fixed), (pair.moving, moving)):
        back = pair.map_to_image(tensor)
        np.testing.assert_array_equal(back, (image.array - np.float32(pair.low)) / np.float32(pair.scale))
    assert pair.mask.sum() == plane[0] * plane[1]
    assert torch.equal(pair.crop(pair.mask), torch.ones((1, 1, *plane)))


@pytest.mark.parametrize("shape", [(4, 4, 4), (16, 16, 16), (17, 18, 20), (20, 33, 15)])
def test_volumes_go_to_the_network_and_back_exactly(shape):
    fixed, moving = noise(shape), noise(shape, seed=1)
    pair = to_network_grid(fixed, moving, FULL_RANGE, ndim=3, multiple=16)
    assert pair.fixed.shape[:2] == (1, 1)
    assert all(n % 16 == 0 for n in pair.fixed.shape[2:])
    back = pair.map_to_image(pair.fixed)
    np.testing.assert_array_equal(back, (fixed.array - np.float32(pair.low)) / np.float32(pair.scale))


@pytest.mark.parametrize("axis", [0, 1, 2, None])
def test_fields_keep_their_components_on_the_way_back(axis):
    shape = [12, 14, 18]
    if axis is not None:
        shape[axis] = 3
    fixed = noise(shape, [8.0 if 2 - d == axis else 1.0 for d in range(3)])
    ndim = 3 if axis is None else 2
    pair = to_network_grid(fixed, noise(shape, fixed.spacing_mm, 1), FULL_RANGE, ndim=ndim, multiple=16)
    kept = [d for d in range(3) if d != axis]
    disp = torch.zeros((pair.fixed.shape[0], ndim, *pair.plan.padded_size))
    for c, d in enumerate(kept):
        disp[:, c] = d + 1.0
    field = pair.field_to_image(disp)
    assert field.shape == (3, *shape)
    for d in range(3):
        np.testing.assert_array_equal(field[d], d + 1.0 if d in kept else 0.0)
    field = np.random.default_rng(0).random(field.shape).astype(np.float32)
    if axis is not None:
        field[axis] = 0
    np.testing.assert_array_equal(pair.samples_to_field(pair.field_samples(field)), field)


def test_a_resampled_field_counts_in_voxels_of_the_image():
    fixed = noise((1, 64, 32), (0.5, 0.5, 1.0))
    pair = to_network_grid(
        fixed, noise((1, 64, 32), (0.5, 0.5, 1.0), 1), GridConfig(min_spacing_mm=1.0), ndim=2, multiple=16
    )
    assert pair.plan.network_size == (32, 16)
    field = pair.field_to_image(torch.ones((1, 2, *pair.plan.padded_size)))
    np.testing.assert_allclose(field[1:], 2.0)


@pytest.mark.parametrize(
    ("shape", "spacing", "grid", "expected"),
    [
        ((1, 64, 32), (0.5, 0.5, 1), GridConfig(), (64, 32)),
        ((1, 64, 32), (4.0, 4.0, 1), GridConfig(max_spacing_mm=2.0), (128, 64)),
        ((1, 64, 32), (0.5, 2.0, 1), GridConfig(min_spacing_mm=1.0), (64, 16)),
        ((1, 64, 32), (0.5, 2.0, 1), GridConfig(min_spacing_mm=1.0, isotropic=True), (128, 16)),
        ((1, 778, 549), (0.308, 0.154, 1), GridConfig(max_size=160, isotropic=True), (113, 160)),
        ((1, 60, 40), (1.0, 1.0, 1), GridConfig(min_size=120), (120, 80)),
        ((1, 160, 40), (1.0, 1.0, 1), GridConfig(min_size=120), (160, 40)),
        ((1, 1024, 512), (1.0, 1.0, 1), GridConfig(max_size=256), (256, 128)),
        ((1, 1000, 4), (1.0, 1.0, 1), GridConfig(max_size=100), (100, 4)),
    ],
)
def test_size_on_the_network_grid(shape, spacing, grid, expected):
    assert plan(noise(shape, spacing), grid, ndim=2, multiple=16).network_size == expected


@pytest.mark.parametrize("name", GRIDS)
def test_moving_comes_to_the_fixed_grid_as_simpleitk_brings_it(name):
    size, spacing, direction, centre = GRIDS[name]
    fixed = sampled((22, 24, 18), (1.1, 1.0, 1.2), centre=(0.5, 0.3, -0.2))
    moving = sampled(size, spacing, direction, centre=centre)
    array, cover = resample_like(moving, fixed), reached(moving, fixed).inside
    theirs = sitk.Resample(moving.to_sitk(), fixed.to_sitk(), sitk.Transform(), sitk.sitkLinear)
    np.testing.assert_array_equal(array, sitk.GetArrayFromImage(theirs))
    assert 0.2 < cover.mean() <= 1.0
    assert not array[~cover].any()
    inside = array != 0
    assert np.abs(array - scene(points_of(fixed)))[inside].max() < 3.5


def test_the_same_grid_is_not_resampled():
    image = sampled((10, 11, 12), (1, 2, 3), OBLIQUE)
    other = image.like(image.array * 2, "other")
    array = resample_like(image, other)
    assert reached(image, other).inside.all()
    np.testing.assert_array_equal(array, image.array)


def test_a_moving_image_that_covers_a_part_says_how_much():
    fixed = noise((4, 4, 8))
    moving = Image(fixed.array[:, :, :4], fixed.ijk_to_lps)
    array, cover = resample_like(moving, fixed), reached(moving, fixed).inside
    assert (cover == (np.arange(8) < 4)).all()
    assert (array[:, :, 5:] == 0).all()
    assert to_network_grid(fixed, moving, GridConfig(), ndim=2, multiple=4).cover == 0.5


@pytest.mark.parametrize("level", [-1000.0, 1000.0])
def test_what_the_moving_image_does_not_cover_is_taken_as_dark_and_does_not_change_the_range(level):
    whole, other = (
        image.like(image.array + level, "image") for image in (noise((1, 32, 32)), noise((1, 32, 32), seed=1))
    )
    part = Image(other.array[:, 8:-8, 8:-8], other.ijk_to_lps.copy())
    part.ijk_to_lps[:3, 3] += other.ijk_to_lps[:3, :3] @ (8, 8, 0)
    pairs = [to_network_grid(whole, moving, GridConfig(), ndim=2, multiple=4) for moving in (other, part)]
    assert pairs[1].low == pytest.approx(pairs[0].low, abs=0.05 * pairs[0].scale)
    assert pairs[1].scale == pytest.approx(pairs[0].scale, rel=0.05)
    assert pairs[1].moving[0, 0, :6].max() == 0
    torch.testing.assert_close(
        pairs[1].moving[..., 9:-9, 9:-9], pairs[0].moving[..., 9:-9, 9:-9], atol=0.05, rtol=0
    )


def test_intensities_by_percentiles_of_both_images():
    fixed, moving = np.arange(101.0), np.arange(101.0, 202.0)
    assert intensity_range(fixed, moving, FULL_RANGE) == (0.0, 201.0)
    low, high = intensity_range(fixed, moving, GridConfig(low_percentile=10, high_percentile=90))
    assert low == pytest.approx(20.1)
    assert high == pytest.approx(180.9)
    spike = np.zeros(10_000)
    spike[0] = 7.0
    assert intensity_range(spike, spike, GridConfig()) == (0.0, 7.0)
    assert intensity_range(spike * 0, spike * 0, GridConfig()) == (0.0, 1.0)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_window_vanishes_at_the_image_border_and_in_the_padding(ndim):
    shape = (18, 20, 22) if ndim == 3 else (1, 20, 22)
    pair = to_network_grid(noise(shape), noise(shape, seed=1), GridConfig(), ndim=ndim, multiple=16)
    assert (pair.window * (1 - pair.mask)).max() == 0
    assert pair.crop(pair.window).max() == 1
    window = np.broadcast_to(pair.image_window(), shape)
    for axis in range(3 - ndim, 3):
        assert np.take(window, [0, -1], axis=axis).max() == 0


BAD = {
    "constant": (np.full((4, 8, 8), 3.0), ("same value", "3.0")),
    "nan": (np.where(np.arange(256).reshape(4, 8, 8) == 5, np.nan, 1.0), ("1 NaN or infinite", "finite")),
    "inf": (np.where(np.arange(256).reshape(4, 8, 8) < 7, np.inf, 1.0), ("7 NaN or infinite",)),
    "huge": (np.arange(256.0).reshape(4, 8, 8) * 1e300, ("1e+18",)),
    "faint": (np.arange(256.0).reshape(4, 8, 8) * 1e-19, ("0 to 2.55e-17", "1e-16 or more")),
    "empty": (np.zeros((0, 8, 8)), ("size 8 x 8 x 0", "4 x 4")),
    "one voxel": (np.zeros((1, 1, 1)), ("1 x 1 x 1",)),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("role", ["fixed", "moving"])
def test_an_unusable_image_is_refused_by_role(name, role):
    array, words = BAD[name]
    images = {"fixed": noise((4, 8, 8)), "moving": noise((4, 8, 8), seed=1)}
    images[role] = Image(array, np.eye(4))
    with pytest.raises(ValueError, match=f"The {role} image") as caught:
        check_pair(**images)
    assert_sentence(caught.value, *words)
    with pytest.raises(ValueError, match=re.escape(str(caught.value))):
        to_network_grid(**images, grid=GridConfig(), ndim=2, multiple=8)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "uint16", "int32", "uint64", "float16", "float64"]
)
def test_every_real_type_is_accepted(dtype):
    images = [Image((noise((4, 8, 8), seed=s).array > 0.5).astype(dtype), np.eye(4)) for s in (0, 1)]
    check_pair(*images)
    pair = to_network_grid(*images, GridConfig(), ndim=2, multiple=8)
    assert pair.fixed.dtype == torch.float32


def test_the_same_image_twice_is_refused_and_elsewhere_it_is_not():
    image = noise((4, 8, 8))
    for other in (image, Image(image.array.copy(), image.ijk_to_lps.copy(), "copy"), noise((4, 8, 8))):
        with pytest.raises(ValueError, match="the same") as caught:
            check_pair(image, other)
        assert_sentence(caught.value, "two different images")
    shifted = image.ijk_to_lps.copy()
    shifted[:3, 3] += 1.0
    check_pair(image, replace(image, ijk_to_lps=shifted))


def test_images_apart_in_space_are_refused():
    fixed, moving = noise((4, 8, 8)), noise((4, 8, 8), seed=1)
    far = moving.ijk_to_lps.copy()
    far[0, 3] = 500.0
    with pytest.raises(ValueError, match="do not overlap") as caught:
        to_network_grid(fixed, replace(moving, ijk_to_lps=far), GridConfig(), ndim=2, multiple=8)
    assert_sentence(str(caught.value).split(". ")[0] + ".", "overlap")


@pytest.mark.parametrize(
    ("shape", "ndim"), [((1, 3, 3), 2), ((3, 3, 3), 3), ((1, 3, 64), 2), ((1, 64, 64), 3)]
)
def test_too_small_is_refused_with_its_size(shape, ndim):
    with pytest.raises(ValueError, match="at least 4") as caught:
        to_network_grid(noise(shape), noise(shape, seed=1), GridConfig(), ndim=ndim, multiple=16)
    kept = shape[1:] if ndim == 2 else shape
    assert_sentence(caught.value, " x ".join(str(n) for n in kept[::-1]))


def test_the_reference_resampling_of_the_builders_is_the_identity():
    image = sampled((10, 11, 12), (1, 2, 3), OBLIQUE)
    np.testing.assert_allclose(resample(image, image, sitk.Transform()), image.array, rtol=1e-5)
