"""Metrics against numbers made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hetreg.metrics.deformation import folding_percent, similarity
from hetreg.metrics.overlap import dice, dice_per_label


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
