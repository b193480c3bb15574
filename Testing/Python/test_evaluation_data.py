"""The data of an evaluation: statistics of rows by hand, and the slice that is drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from builders import tiny_model
from hetreg.config import RegisterConfig
from hetreg.datasets.phantom import make_pair
from hetreg.evaluation.data import describe, picture, primary
from hetreg.register import register_pair

NAN = float("nan")
ROWS = [
    {"case": "a1", "patient": "a", "split": "test", "error": "", "dice_2": 0.8, "slices": 3},
    {"case": "a2", "patient": "a", "split": "test", "error": "", "dice_2": 0.6, "slices": 5},
    {"case": "b1", "patient": "b", "split": "test", "error": "", "dice_2": 0.9, "slices": 4},
    {"case": "b2", "patient": "b", "split": "test", "error": "", "dice_2": NAN, "slices": 4},
    {"case": "c1", "patient": "c", "split": "test", "error": "It is not an image."},
]


def test_statistics_over_cases_and_patients_by_hand():
    found = describe(ROWS)
    assert list(found) == ["dice_2", "slices"]
    dice = found["dice_2"]
    assert (dice["cases"], dice["skipped"], dice["patients"]) == (3, 2, 2)
    assert dice["mean"] == pytest.approx(2.3 / 3)
    assert (dice["median"], dice["min"], dice["max"]) == (0.8, 0.6, 0.9)
    assert dice["sd"] == pytest.approx(np.std([0.8, 0.6, 0.9], ddof=1))
    assert dice["patient_mean"] == pytest.approx(0.8)  # of 0.7 and 0.9
    assert dice["patient_sd"] == pytest.approx(math.sqrt(0.02))
    assert (dice["low"], dice["high"]) == pytest.approx((0.7, 0.9))
    assert found["slices"]["cases"] == 4


def test_a_column_without_a_number_is_counted():
    found = describe([{"patient": "a", "dice_2": NAN}])["dice_2"]
    assert (found["cases"], found["skipped"], found["patients"]) == (0, 1, 0)
    assert math.isnan(found["mean"])
    assert math.isnan(found["low"])


def test_the_picture_shows_the_slice_of_the_largest_label():
    pair = make_pair("mri2d", 0, size=32, slices=4)
    labels = np.zeros_like(pair.fixed_label.array)
    labels[1, 10:14, 10:14], labels[2, 10:20, 10:20] = 3, 3
    result = register_pair(
        pair.fixed, pair.moving, tiny_model(), RegisterConfig(), moving_seg=pair.moving_label
    )
    fixed_label = pair.fixed_label.like(labels, "labels")
    shown = picture("case 1", pair.fixed, pair.moving, result, fixed_label, pair.moving_label)
    assert shown.title == "case 1, slice 3 of 4"
    assert np.array_equal(shown.fixed, pair.fixed.array[2])
    assert np.array_equal(shown.fixed_label, labels[2])
    assert np.array_equal(shown.moving_label, pair.moving_label.array[2])
    assert np.array_equal(shown.noise_sd, result.noise_sd.array[2])
    assert np.array_equal(shown.disp, result.disp_vox[1:, 2])
    assert shown.spacing_mm == tuple(pair.fixed.spacing_mm[[1, 0]])
    assert "slice 3 of 4" in picture("x", pair.fixed, pair.moving, result).title  # the middle one


def test_cases_are_ranked_by_dice_where_there_is_one():
    columns = ["seconds", "mse", "hd_mm_2", "dice_3_before", "dice_3", "dice_2", "epe_mm_body"]
    assert primary(columns) == "dice_2"
    assert primary(columns, 3) == "dice_3"
    assert primary(columns, 7) == "dice_2"
    assert primary(["seconds", "mse", "epe_mm_body"]) == "epe_mm_body"
    assert primary(["seconds", "mse"]) == ""
