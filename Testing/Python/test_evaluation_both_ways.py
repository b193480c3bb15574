"""Inverse consistency: whether the registrations of a pair there and back agree."""

from __future__ import annotations

import numpy as np
import pytest
from squares import square_case

from hetreg.assemble import result_from_field
from hetreg.evaluation.scores import inverse_consistency
from hetreg.image import Image


@pytest.mark.parametrize("spacing", [2.0, 0.5])
def test_inverse_consistency_is_that_of_both_ways(spacing):
    """Also where the moving image has another grid: one of that spacing, with its x axis turned round."""
    case, shift_mm = square_case(), 2.0
    ijk_to_lps = np.diag([-spacing, spacing, 1.0, 1.0])
    ijk_to_lps[0, 3] = 62.0
    size = (1, int(64 / spacing), int(64 / spacing))
    other = Image(np.random.default_rng(0).random(size, np.float32), ijk_to_lps, "moving")
    there, back = np.zeros((3, 1, 32, 32)), np.zeros((3, *size))
    there[2] = shift_mm / 2.0
    result = result_from_field(case.fixed, other, there)
    for share, error_mm in ((1.0, 0.0), (0.0, 2.0), (0.5, 1.0)):
        back[2] = share * shift_mm / spacing  # x points the other way there
        row = inverse_consistency(
            result, result_from_field(other, case.fixed, back), np.ones((1, 32, 32), bool)
        )
        assert row["inverse_consistency_mm"] == pytest.approx(error_mm, abs=1e-5)
        assert row["inverse_consistency_vox"] == pytest.approx(error_mm / 2, abs=1e-5)


def test_the_way_back_starts_where_the_way_there_ends():
    case, x = square_case(), np.arange(32.0) - 16
    there, back = np.zeros((2, 3, 1, 32, 32))
    there[2], back[2] = 0.25 * x, -0.2 * x  # x -> 1.25 x, x -> x / 1.25
    middle = np.zeros((1, 32, 32), bool)
    middle[..., 5:27] = True
    numbers = [
        inverse_consistency(result_from_field(case.fixed, case.moving, there), way, middle)
        for way in (result_from_field(case.moving, case.fixed, v) for v in (back, -there))
    ]
    assert numbers[0]["inverse_consistency_vox"] == pytest.approx(0.0, abs=1e-5)
    assert numbers[1]["inverse_consistency_vox"] > 0.05


def test_inverse_consistency_is_in_mm_where_axes_are_not_perpendicular():
    case, sheared = square_case(), np.diag([2.0, 2.0, 8.0, 1.0])
    sheared[0, 1] = 1.5
    fixed, moving = (Image(image.array, sheared) for image in (case.fixed, case.moving))
    there, back = np.zeros((2, 3, 1, 32, 32))
    there[1:] = 1.0  # (2 + 1.5, 2) mm
    ways = result_from_field(fixed, moving, there), result_from_field(moving, fixed, back)
    row = inverse_consistency(*ways, np.ones((1, 32, 32), bool))
    assert row["inverse_consistency_mm"] == pytest.approx(np.hypot(3.5, 2.0))
