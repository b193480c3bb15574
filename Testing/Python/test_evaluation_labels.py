"""What the labels' numbers were before registration: each of them, of planes and of stacks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from squares import shifted, square, square_case, undeformed

from hetreg.evaluation.labels import label_numbers

SHIFT = 2.0  # of the square, voxels
NAMES = ("dice", "hd_px", "hd_mm", "hd95_px", "hd95_mm", "asd_px", "asd_mm")
NAMES += ("dice_published", "hd_published_px", "asd_published_px")


@pytest.mark.parametrize("slices", [1, 3])
def test_every_number_of_a_label_has_its_value_before(slices):
    case = square_case(slices)
    still, _ = label_numbers(case, undeformed(case))
    home, rows = label_numbers(case, shifted(case, SHIFT))
    of_label = {name for name in home if not name.startswith("slices")}
    assert of_label == {f"{name}_2{when}" for name in NAMES for when in ("", "_before")}
    for name in NAMES:
        assert home[f"{name}_2_before"] == pytest.approx(still[f"{name}_2"])
    assert (home["hd_px_2_before"], home["hd_mm_2_before"], home["hd_px_2"]) == (2.0, 4.0, 0.0)
    assert home["hd_published_px_2_before"] == 2.0
    assert all(of_label <= row.keys() for row in rows)


def test_many_labels_on_one_image_alone_are_as_none():
    case = square_case()
    many = case.fixed.like(np.arange(case.fixed.array.size).reshape(case.fixed.array.shape), "many")
    alone = replace(case, fixed_label=many, moving_label=None)
    assert label_numbers(alone, undeformed(case)) == ({}, [])
    with pytest.raises(ValueError, match="at most 32, or a choice, are accepted"):
        label_numbers(replace(case, fixed_label=many), undeformed(case))


def test_the_published_mask_of_a_label_that_does_not_move_does_not_grow():
    case = square_case()
    turned = case.moving_label.ijk_to_lps.copy()
    turned[:3, 3] += 1e-6  # an origin that was rounded
    case.moving_label.ijk_to_lps[:] = turned
    found, _ = label_numbers(case, undeformed(case))
    assert found["dice_published_2_before"] == pytest.approx(found["dice_2_before"])
    assert np.isclose(found["dice_published_2"], found["dice_2"])


def test_fixed_labels_of_another_grid_go_to_the_nearest_voxel():
    """A quarter of a voxel beside that of their image."""
    case = square_case()
    expected = label_numbers(case, undeformed(case))
    case.fixed_label.ijk_to_lps[0, 3] += 0.5
    assert label_numbers(case, undeformed(case)) == expected


def test_a_label_of_one_frame_alone_is_left_out_and_one_of_neither_is_nothing():
    case = square_case()
    alone = replace(case, fixed_label=None, moving_label=square(value=1))
    assert label_numbers(alone, undeformed(case)) == ({"slices_left_out_1": 1}, [])
    assert label_numbers(case, undeformed(case), (7,)) == ({}, [])


def test_a_slice_without_the_label_is_not_left_out_and_a_volume_is_one_slice():
    case = square_case(3, there=(0,))
    stack = replace(case, moving_label=square(3, start=12, there=(0,)))
    found, _ = label_numbers(stack, undeformed(case))
    assert (found["slices_2"], found["slices_left_out_2"]) == (1, 0)
    whole, (row,) = label_numbers(replace(stack, volume=True), undeformed(case))
    assert (row["slice"], row["dice_2"]) == (0, whole["dice_2"])
