"""From arrays to a result: moved image, maps, numbers, labels."""

from __future__ import annotations

import re

import numpy as np
import pytest

from builders import FULL_RANGE, OBLIQUE, assert_sentence, pair_2d, points_of, resample, sampled, scene
from hetreg.assemble import (
    Maps,
    add_segmentation,
    assemble,
    displacement_sd_mm,
    inverse_field,
    less_alike,
    on_image_grid,
    pair_notes,
    result_notes,
    there_and_back_mm,
)
from hetreg.config import GridConfig
from hetreg.image import Image
from hetreg.preprocess import NetworkPair, to_network_grid
from hetreg.resample import displacement_transform, resample_like
from hetreg.result import RegisterResult


def laid(fixed: Image, moving: Image) -> NetworkPair:
    """The pair on the network's grid: in slices where it is flat."""
    ndim = 2 if min(fixed.array.shape) < 5 else 3
    return to_network_grid(fixed, moving, FULL_RANGE, ndim=ndim, multiple=4)


def assembled(fixed: Image, moving: Image, disp: np.ndarray) -> RegisterResult:
    """A result of this field with variance 4 and weight 0.5."""
    shape = fixed.array.shape
    maps = Maps(disp, None, np.full(shape, 4.0, np.float32), np.full(shape, 0.5, np.float32))
    return assemble(fixed, moving, laid(fixed, moving), maps)


def still(fixed: Image) -> np.ndarray:
    """The zero field."""
    return np.zeros((3, *fixed.array.shape), np.float32)


@pytest.mark.parametrize("shape", [(1, 15, 13), (9, 15, 13)])
@pytest.mark.parametrize("shift", [-1.5, -0.5, 0.0, 0.25, 0.5, 1.5])
def test_a_shift_moves_the_image_as_itk_does_also_onto_its_outer_faces(shape, shift):
    rng = np.random.default_rng(0)
    fixed, moving = (Image(1 + rng.random(shape, np.float32), np.eye(4), name) for name in ("f", "m"))
    disp = still(fixed)
    disp[np.array(shape) > 1] = shift
    result = assembled(fixed, moving, disp)
    expected = resample(moving, fixed, result.transform())
    np.testing.assert_allclose(result.moved.array, expected, atol=1e-5)


def test_a_zero_field_leaves_the_image_and_its_numbers():
    fixed, moving = pair_2d()
    result = assembled(fixed, moving, still(fixed))
    np.testing.assert_allclose(result.moved.array, moving.array, rtol=1e-6)
    np.testing.assert_allclose(result.residual.array, fixed.array - moving.array, atol=1e-4)
    assert result.log_jacobian.array.max() == result.log_jacobian.array.min() == 0
    numbers = result.summary
    expected = np.mean((fixed.array - moving.array) ** 2)
    assert numbers["mse_before"] == numbers["mse_after"] == pytest.approx(expected, rel=1e-4)
    correlation = np.corrcoef(fixed.array.ravel(), moving.array.ravel())[0, 1]
    assert numbers["ncc_before"] == pytest.approx(correlation, abs=1e-4)
    assert numbers["folded_percent"] == numbers["displacement_max_mm"] == 0
    assert numbers["noise_sd_median"] == 2
    np.testing.assert_array_equal(result.noise_sd.array, 2)


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE], ids=["plain", "oblique"])
def test_a_translation_by_hand(direction):
    fixed = sampled((24, 22, 1), (0.5, 2.0, 3.0), direction)
    moving = fixed.like(scene(points_of(fixed) + 1).astype(np.float32), "moving")
    disp = still(fixed)
    disp[1], disp[2] = 2.0, -1.0  # two rows down, one column back
    result = assembled(fixed, moving, disp)
    expected = np.zeros_like(moving.array)
    expected[:, :-2, 1:] = moving.array[:, 2:, :-1]
    np.testing.assert_allclose(result.moved.array[:, 1:-2, 1:-1], expected[:, 1:-2, 1:-1], rtol=1e-4)
    np.testing.assert_allclose(result.displacement_mm.array, np.hypot(2 * 2.0, 0.5), rtol=1e-5)
    lps = 4.0 * direction[:, 1] - 0.5 * direction[:, 0]
    np.testing.assert_allclose(result.disp_lps_mm[0, 5, 5], lps, atol=1e-9)
    assert result.summary["displacement_p95_mm"] == pytest.approx(np.hypot(4.0, 0.5))


def test_the_sd_of_a_displacement_by_hand():
    fixed = sampled((6, 5, 4), (0.5, 2.0, 3.0), OBLIQUE)
    sd = np.zeros((3, 4, 5, 6), np.float32)
    sd[0], sd[1], sd[2] = 0.1, 0.2, 0.4  # along k, j, i: 0.3, 0.4 and 0.2 mm
    np.testing.assert_allclose(displacement_sd_mm(sd, fixed), np.sqrt(0.09 + 0.16 + 0.04), rtol=1e-6)


def test_stretching_and_folding_show_in_the_jacobian():
    fixed, moving = pair_2d()
    disp = still(fixed)
    disp[2] = 0.25 * np.arange(32)
    result = assembled(fixed, moving, disp)
    np.testing.assert_allclose(result.log_jacobian.array, np.log(1.25), rtol=1e-4)
    disp[2, ..., :16] = -2.0 * np.arange(16)
    folded = assembled(fixed, moving, disp)
    assert 40 < folded.summary["folded_percent"] < 60
    assert np.isfinite(folded.log_jacobian.array).all()
    assert folded.summary["log_jacobian_min"] == pytest.approx(np.log(1e-3))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.5, 2.0)])
@pytest.mark.parametrize("shape", ["same grid", "another grid"])
def test_moved_is_the_transform_applied_by_simpleitk_even_where_the_field_leaves_the_image(spacing, shape):
    fixed = sampled((12, 11, 10), spacing)
    function = lambda p: scene(p + 1) + 10  # noqa: E731
    moving = sampled((12, 11, 10), spacing, function=function)
    if shape == "another grid":
        moving = sampled((14, 9, 13), (0.9, 1.1, 1.2), OBLIQUE, function=function)
    disp = np.random.default_rng(0).uniform(-3, 3, (3, 10, 11, 12)).astype(np.float32)
    result = assembled(fixed, moving, disp)
    theirs = resample(moving, fixed, displacement_transform(result.disp_lps_mm, fixed.ijk_to_lps))
    assert (theirs == 0).any()
    np.testing.assert_allclose(result.moved.array, theirs, atol=1e-3 * np.ptp(moving.array))


def test_the_inverse_field_undoes_the_field():
    fixed, moving = pair_2d()
    pair = laid(fixed, moving)
    field = still(fixed)
    bump = np.sin(np.linspace(0, np.pi, 32))
    field[1:] = 2.0 * bump[:, None] * bump[None]
    inverse = inverse_field(field, -field, pair)
    assert there_and_back_mm(field, inverse, pair, fixed).max() < 0.05 * fixed.spacing_mm.min()
    way, way_back = (
        displacement_transform(displacement_mm(f, fixed), fixed.ijk_to_lps) for f in (field, inverse)
    )
    back = resample(fixed.like(resample(fixed, fixed, way), "there"), fixed, way_back)
    assert np.abs(back - fixed.array)[:, 4:-4, 4:-4].max() < 0.02 * np.ptp(fixed.array)
    assert not inverse[0].any()


def test_there_and_back_is_in_mm_along_each_axis_and_both_ways():
    spacing = (1.0, 2.0, 5.0)
    fixed = sampled((12, 11, 10), spacing)
    pair = laid(fixed, sampled((12, 11, 10), spacing, function=lambda p: scene(p + 1)))
    for axis, edge in enumerate(spacing[::-1]):
        field = still(fixed)
        field[axis] = 0.5  # a shift: the same everywhere
        np.testing.assert_allclose(there_and_back_mm(field, -field, pair, fixed), 0.0, atol=1e-6)
        np.testing.assert_allclose(there_and_back_mm(field, -0.8 * field, pair, fixed), 0.1 * edge, rtol=1e-5)
    one, other = still(fixed), still(fixed)
    one[2], other[2, ..., 1:] = 1.0, -1.0  # nothing comes to the first voxels of the axis but from themselves
    assert there_and_back_mm(one, other, pair, fixed).max(axis=(1, 2, 3, 4)).tolist() == [1, 0]
    assert there_and_back_mm(other, one, pair, fixed).max(axis=(1, 2, 3, 4)).tolist() == [0, 1]
    sheared = Image(fixed.array, fixed.ijk_to_lps.copy())
    sheared.ijk_to_lps[0, 1] = 1.5  # j also leads along the first axis: i + j is (1 + 1.5, 2) mm
    field = still(fixed)
    field[1:] = 0.5
    found = there_and_back_mm(field, -0.8 * field, pair, sheared)
    np.testing.assert_allclose(found, 0.1 * np.hypot(2.5, 2.0), rtol=1e-5)


def displacement_mm(field: np.ndarray, image: Image) -> np.ndarray:
    """(3, K, J, I) voxels -> (K, J, I, 3) mm on an image with axes along x, y, z."""
    return np.moveaxis(field[::-1], 0, -1).astype(np.float64) * image.spacing_mm


def test_labels_are_carried_along_and_scored():
    fixed, moving = pair_2d()
    moving_seg = moving.like((moving.array > 50).astype(np.uint8) * 3, "labels")
    fixed_seg = fixed.like((fixed.array > 50).astype(np.uint8) * 3, "labels")
    disp = still(fixed)
    disp[2] = -1.5
    plain = assembled(fixed, moving, disp)
    result = add_segmentation(plain, fixed, moving_seg, fixed_seg)
    assert result.moved_seg.array.dtype == np.uint8
    assert set(np.unique(result.moved_seg.array)) == {0, 3}
    assert result.summary["dice_after"]["3"] > result.summary["dice_before"]["3"] > 0.5
    assert "dice_after" not in plain.summary
    alone = add_segmentation(plain, fixed, moving_seg, None)
    assert "dice_after" not in alone.summary
    np.testing.assert_array_equal(alone.moved_seg.array, result.moved_seg.array)


def test_labels_on_another_grid_and_of_bool_are_carried_too():
    fixed, moving = pair_2d()
    seg = sampled((64, 64, 1), (0.5, 0.5, 1.0), function=lambda p: scene(p + np.array([1.5, 0, 0])))
    mask = seg.like(seg.array > 50, "mask")
    result = add_segmentation(assembled(fixed, moving, still(fixed)), fixed, mask, None)
    assert result.moved_seg.array.dtype == bool
    assert (result.moved_seg.array == (moving.array > 50)).mean() > 0.97


@pytest.mark.parametrize("grid", ["same grid", "another grid"])
def test_labels_that_32_bits_cannot_tell_apart_stay_apart(grid):
    fixed, moving = pair_2d()
    seg = moving if grid == "same grid" else sampled((64, 64, 1), (0.5, 0.5, 1.0))
    seg = seg.like(np.where(seg.array > 30, 16777217, 20000001).astype(np.int64), "labels")
    result = add_segmentation(assembled(fixed, moving, still(fixed)), fixed, seg, None)
    assert result.moved_seg.array.dtype == np.int64
    assert set(np.unique(result.moved_seg.array[:, 2:-2, 2:-2])) == {16777217, 20000001}
    seen = resample_like(seg, fixed, labels=True)
    assert seen.dtype == np.int64
    assert {16777217, 20000001} <= set(np.unique(seen))


def test_notes_say_where_the_field_does_not_vanish():
    volume = sampled((12, 12, 12), (5, 5, 5))
    slices = sampled((12, 12, 2), (5, 5, 8))
    tiny = sampled((4, 4, 1), (15, 15, 1))
    for fixed, words in ((volume, []), (slices, ["last slice"]), (tiny, ["too small"])):
        notes = pair_notes(fixed, laid(fixed, fixed.like(fixed.array + points_of(fixed)[..., 0], "m")))
        assert len(notes) == len(words)
        assert all(w in n for w, n in zip(words, notes, strict=True))


@pytest.mark.parametrize(("spacing", "told"), [(0.12, "15.4 mm"), (1.2, ""), (1200.0, "1.54e+05 mm")])
def test_a_note_tells_of_an_image_that_is_no_heart_by_its_size(spacing, told):
    """Spacings of an echocardiogram in cm, mm and um."""
    fixed = sampled((125, 128, 1), (spacing, spacing, 1))
    notes = pair_notes(fixed, laid(fixed, fixed.like(fixed.array[..., ::-1], "m")))
    assert [told in note for note in notes if "spacing is in mm" in note] == [True] * bool(told)


@pytest.mark.parametrize(
    ("factor", "offset", "told"),
    [(1, 0, False), (0.7, 0, False), (-1, 100, False), (0.1, 0, True), (10, 0, True), (1, 500, True)],
)
def test_a_note_tells_of_intensities_on_different_scales(factor, offset, told):
    array = np.tile(np.linspace(0, 99, 100, dtype=np.float32), (3, 64, 1))
    fixed = Image(array, np.diag([1, 1, 8, 1.0]), "f")
    notes = pair_notes(fixed, laid(fixed, fixed.like(array[..., ::-1] * factor + offset, "m")))
    found = [note for note in notes if "scale" in note]
    assert len(found) == told
    for note in found:
        own, other = np.array(re.findall(r"(\S+) to (\S+?)[,.] ", note), float)
        assert own == pytest.approx([1, 98], abs=1.5)
        assert other == pytest.approx([factor + offset, 98 * factor + offset], abs=1.5 * factor)


def test_a_note_tells_where_the_images_are_less_alike_afterwards():
    fixed, moving = pair_2d()
    wrong = still(fixed)
    wrong[1] = 6.0
    result = assembled(fixed, moving, wrong)
    (note,) = result_notes(result, fixed, moving, laid(fixed, moving))
    numbers = (f"{result.summary[name]:.3f}" for name in ("ncc_before", "ncc_after"))
    assert_sentence(note, *numbers, "trust")
    # by what is left to 1: Sunnybrook with the model for volumes of ultrasound; MRI and speckle held still
    for before, after, told in (
        (0.9720, 0.9565, True),
        (0.9696, 0.9608, True),
        (-0.2, -0.4, True),
        (0.9, 0.95, False),
        (0.9, 0.891, False),
        (0.9994, 0.9982, False),
        (0.9, float("nan"), False),
        (float("nan"), float("nan"), False),
    ):
        assert less_alike({"ncc_before": before, "ncc_after": after}) == told


def test_a_pixel_that_outshines_all_others_does_not_make_the_images_less_alike():
    array = np.random.default_rng(0).random((1, 64, 64), np.float32)
    fixed = Image(array, np.diag([1, 1, 8, 1.0]), "fixed")
    moving = fixed.like(np.roll(array, 1, axis=2), "moving")
    for image in (fixed, moving):
        image.array[0, 30, 30] = 100
    field = still(fixed)
    field[2] = 1.0  # the true one; the hot pixel stays where it is
    result = assembled(fixed, moving, field)
    assert less_alike(result.summary)
    pair = to_network_grid(fixed, moving, GridConfig(), ndim=2, multiple=4)
    assert not result_notes(result, fixed, moving, pair)


@pytest.mark.parametrize("shape", [(2, 64, 64), (32, 32, 32)])
def test_the_variance_of_a_resampled_image_has_the_level_of_its_own_voxels(shape):
    """White noise of SD 3 on the left and 6 on the right; the networks saw less, in a pattern of theirs."""
    rng = np.random.default_rng(0)
    left = np.arange(shape[2]) < shape[2] // 2
    residual = (rng.normal(0, 1, shape) * np.where(left, 3, 6)).astype(np.float32)
    variance = (np.where(left, 0.5, 2.0) * np.ones(shape)).astype(np.float32)
    image = Image(rng.random(shape, np.float32), np.eye(4), "image")
    other = image.like(rng.random(shape, np.float32), "other")
    ndim = 2 if shape[0] < 5 else 3
    same, half = (
        to_network_grid(image, other, GridConfig(max_size=n), ndim=ndim, multiple=4)
        for n in (64, shape[2] // 2)
    )
    assert on_image_grid(variance, residual, same) is variance
    found = on_image_grid(variance, residual, half)
    assert found[..., : shape[2] // 4].mean() == pytest.approx(9, rel=0.1)
    assert found[..., 3 * shape[2] // 4 :].mean() == pytest.approx(36, rel=0.1)
    assert (found > 0).all()
