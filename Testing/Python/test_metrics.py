"""Metrics against numbers made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hetreg.metrics.deformation import (
    end_point_error,
    folding_percent,
    similarity,
)
from hetreg.metrics.overlap import binarise, dice, dice_per_label, sizes


def test_dice_by_hand():
    a, b = np.array([1, 1, 1, 0], bool), np.array([0, 1, 1, 1], bool)
    assert dice(a, a) == 1.0
    assert dice(a, b) == pytest.approx(2 * 2 / 6)
    assert dice(a, ~a) == 0.0
    assert math.isnan(dice(a & False, a & False))
    assert dice(a, a & False) == 0.0


def test_dice_refuses_two_shapes():
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        dice(np.ones(2, bool), np.ones(3, bool))


def test_dice_of_each_label_of_either_image():
    a, b = np.array([0, 1, 1, 2, 2, 5]), np.array([0, 1, 2, 2, 2, 0])
    assert dice_per_label(a, b) == {1: pytest.approx(2 / 3), 2: pytest.approx(0.8), 5: 0.0}


def test_masks_of_weights_by_both_policies():
    weights = np.array([0.0, 0.01, 0.49, 0.5, 1.0])
    assert binarise(weights, "as_published").tolist() == [False, True, True, True, True]
    assert binarise(weights).tolist() == [False, False, False, True, True]
    assert binarise(np.array([True, False])).tolist() == [True, False]
    with pytest.raises(ValueError, match=r"'soft'.*as_published, corrected"):
        binarise(weights, "soft")


def test_folding_counts_zero_and_negative():
    assert folding_percent(np.array([1.0, 0.0, -2.0, 0.5])) == 50.0
    assert folding_percent(np.ones((2, 2))) == 0.0


def test_similarity_by_hand():
    a = np.array([[0.0, 1.0], [2.0, 3.0]])
    assert similarity(a, a) == {"mse": 0.0, "ncc": pytest.approx(1.0)}
    assert similarity(a, a + 2) == {"mse": 4.0, "ncc": pytest.approx(1.0)}
    assert similarity(a, -a)["ncc"] == pytest.approx(-1.0)
    expected = np.corrcoef(a.ravel(), [3.0, 1.0, 4.0, 1.0])[0, 1]
    assert similarity(a, np.array([[3.0, 1.0], [4.0, 1.0]]))["ncc"] == pytest.approx(expected, abs=1e-6)


def test_similarity_of_a_constant_is_nan_and_of_large_images_exact():
    assert math.isnan(similarity(np.ones((4, 4)), np.eye(4))["ncc"])
    rng = np.random.default_rng(0)
    a = (1000 + rng.random((300, 300))).astype(np.float32)
    b = (1000 + rng.random((300, 300))).astype(np.float32)
    found = similarity(a, b)
    assert found["ncc"] == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1], abs=1e-4)
    assert found["mse"] == pytest.approx(np.mean((a.astype(float) - b) ** 2), rel=1e-4)
    a = rng.random(2**24, np.float32)
    assert similarity(a, a + np.float32(0.2))["mse"] == pytest.approx(0.04, rel=1e-6)


def test_end_point_error_in_voxels_and_mm():
    truth = np.zeros((2, 3, 4), np.float32)
    disp = truth + np.array([3.0, 4.0]).reshape(2, 1, 1)
    assert end_point_error(disp, truth) == 5.0
    assert end_point_error(disp, truth, spacing_mm=(2.0, 0.5)) == pytest.approx(math.hypot(6.0, 2.0))
    mask = np.zeros((3, 4), bool)
    assert math.isnan(end_point_error(disp, truth, mask))
    disp[:, 1, 2] = 0.0
    mask[1, 2] = True
    assert end_point_error(disp, truth, mask) == 0.0


def test_volumes_by_hand():
    labels = np.zeros((2, 10, 10), np.int32)
    labels[0, :5], labels[1, 0, 0] = 3, 7
    assert sizes(labels, np.array([2.0, 2.5, 10.0])) == pytest.approx({3: 2.5, 7: 0.05})
    assert sizes(labels[:, 5:], np.ones(3)) == {}


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_labels_of_a_plane_have_an_area(axis):
    labels = np.moveaxis(np.full((1, 4, 5), 3), 0, axis)
    spacing = np.insert([2.0, 2.5], 2 - axis, 0.3)  # of i, j, k
    assert sizes(labels, spacing) == pytest.approx({3: 20 * 0.05})
