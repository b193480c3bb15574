"""The numbers of the noise of one case, by hand, and the voxels that they are of."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from squares import undeformed

from hetreg.datasets.phantom import make_pair
from hetreg.evaluation.case import Case
from hetreg.evaluation.noise import Frame, content, frame, noise_numbers


def test_the_numbers_of_five_voxels_of_which_four_count():
    """Squared residuals of 1 to 4 with variances in the reversed order; the fifth lies outside."""
    squares, variance = np.array([1.0, 4, 2, 3, 900]), np.array([90.0, 10, 30, 20, 1e4])
    image, mask = np.zeros((1, 1, 5)), (np.arange(5) < 4).reshape(1, 1, 5)
    given = Frame(
        1.0, image, image, np.sqrt(squares).reshape(image.shape), variance.reshape(image.shape), mask
    )
    numbers, _ = noise_numbers(given)
    assert numbers["ause_mask"] == pytest.approx((0 + 1 + 2 + 3) / 4)
    assert numbers["spearman_residual"] == pytest.approx(-1)
    assert numbers["noise_sd_median"] == pytest.approx(5)
    nothing, _ = noise_numbers(replace(given, mask=np.zeros_like(mask)))
    assert math.isnan(nothing["noise_sd_median"])


def test_the_voxels_of_a_phantom_are_those_of_its_body():
    phantom = make_pair("mri2d", 3, size=64, slices=2)
    case = Case("a", "p", phantom.fixed, phantom.moving, truth=phantom)
    body = phantom.body.array > 0
    assert 0 < body.mean() < 1
    assert np.array_equal(frame(case, undeformed(case)).mask, body)


def test_the_content_of_slices_is_filled_slice_by_slice():
    """A tube that is open at both ends has a hole in each slice, but is none in a volume."""
    tube = np.zeros((8, 24, 28))
    tube[:, 2:22, 2:26], tube[:, 5:19, 5:23] = 1.0, 0.0
    full = np.zeros(tube.shape, bool)
    full[:, 2:22, 2:26] = True
    assert np.array_equal(content(tube, None), tube > 0)
    for axis in range(3):
        found = content(np.moveaxis(tube, 0, axis), axis)
        assert np.array_equal(found, np.moveaxis(full, 0, axis))
