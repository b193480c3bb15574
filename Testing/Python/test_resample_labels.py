"""Labels on another grid: the one whose linear weight is largest, each in its own type, none invented."""

from __future__ import annotations

import numpy as np
import pytest

from hetreg.image import Image
from hetreg.resample import resample_like


def shifted(array: np.ndarray, shift_ij: tuple[float, float]) -> np.ndarray:
    """The labels at a grid that lies that many voxels along i and j from theirs."""
    labels = Image.from_array(array[None], (1, 1, 1))
    grid = Image.from_array(np.zeros_like(array[None]), (1, 1, 1), origin_lps=(*shift_ij, 0))
    return resample_like(labels, grid, labels=True)[0]


@pytest.mark.parametrize(("shift", "weight"), [((-0.4, -0.4), 0.36), ((-0.2, -0.2), 0.64), ((-0.4, 0), 0.6)])
def test_a_label_needs_half_of_the_weight_beside_the_background(shift, weight):
    """At the corner of a square, products of the shares along i and j; nearest neighbour takes all three."""
    array = np.zeros((8, 8), np.uint8)
    array[3:6, 3:6] = 7
    assert shifted(array, shift)[3, 3] == (7 if weight > 0.5 else 0)


def test_among_several_labels_the_largest_weight_wins_and_none_is_made_up():
    """Half way between 1, 5, 9 and 9: 9 has half of the weight. Between 1 and 9 there is no 5."""
    array = np.full((6, 6), 9, np.int16)
    array[2, 2], array[2, 3] = 1, 5
    found = shifted(array, (0.5, 0.5))
    assert found[2, 2] == 9
    assert set(np.unique(found[:5, :5])) <= {1, 5, 9}
    assert found.dtype == np.int16


def test_many_labels_are_taken_from_the_nearest_voxel():
    array = np.arange(1, 65, dtype=np.uint8).reshape(8, 8)
    np.testing.assert_array_equal(shifted(array, (0.4, -0.4)), array)


def test_labels_that_stay_are_the_same():
    array = np.random.default_rng(0).integers(0, 4, (9, 9)).astype(np.uint8)
    np.testing.assert_array_equal(shifted(array, (0, 0)), array)
    np.testing.assert_array_equal(shifted(array, (1, 0))[:, :-1], array[:, 1:])
