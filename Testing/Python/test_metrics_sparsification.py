"""Sparsification curves of four and ten voxels, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hetreg.metrics.sparsification import PUBLISHED_BINS, ause, ause_numbers, sparsification

ERROR = np.array([1.0, 4.0, 2.0, 3.0])


def test_a_perfect_order_has_no_area():
    curve = sparsification(ERROR, ERROR**2)
    assert curve.fraction.tolist() == [0.0, 0.25, 0.5, 0.75]
    assert curve.oracle.tolist() == [2.5, 2.0, 1.5, 1.0]
    assert curve.by_uncertainty.tolist() == curve.oracle.tolist()
    assert ause(ERROR, ERROR) == 0.0


def test_a_reversed_order_by_hand():
    curve = sparsification(ERROR, -ERROR)
    assert curve.by_uncertainty.tolist() == [2.5, 3.0, 3.5, 4.0]
    assert curve.area() == pytest.approx((0 + 1 + 2 + 3) / 4)
    assert curve.area(normalised=True) == pytest.approx(1.5 / 2.5)
    assert ause(ERROR, -ERROR, normalised=True) == pytest.approx(0.6)


def test_a_constant_uncertainty_is_the_mean_line():
    assert sparsification(ERROR, np.ones(4)).by_uncertainty.tolist() == [2.5] * 4
    # of two that tie, each counts with their mean: 1; 2 and 3 of mean 2.5; 4
    curve = sparsification(ERROR, np.array([0.0, 2.0, 1.0, 1.0]))
    assert curve.by_uncertainty == pytest.approx([2.5, 2.0, 1.75, 1.0])


def test_only_the_mask_counts():
    error = np.append(ERROR, 100.0).reshape(5, 1)
    mask = np.array([1, 1, 1, 1, 0], bool).reshape(5, 1)
    assert ause(error, -error, mask) == pytest.approx(1.5)
    empty = sparsification(error, error, np.zeros((5, 1), bool))
    assert empty.fraction.size == 0
    assert empty.sampled(4).fraction.tolist() == [0.0, 0.25, 0.5, 0.75]
    assert np.isnan([empty.sampled(4).by_uncertainty, empty.sampled(4).oracle]).all()
    assert np.isnan(ause(error, error, np.zeros((5, 1), bool)))


def test_published_bins_take_whole_voxels():
    error = np.arange(100.0)
    curve = sparsification(error, error).sampled(PUBLISHED_BINS)
    assert curve.fraction[:3].tolist() == [0.0, 0.02, 0.04]
    assert curve.oracle[:2].tolist() == [np.arange(100).mean(), np.arange(98).mean()]
    assert curve.oracle[-1] == 0.5  # voxels 0 and 1 are left
    assert sparsification(ERROR, -ERROR).sampled(2).area() == pytest.approx((0 + 2) / 2)


def test_an_empty_background_lowers_only_what_is_of_the_whole_image():
    rng = np.random.default_rng(0)
    image = rng.random((16, 16))
    uncertainty = 1.0 + rng.random((16, 16))
    mask = np.zeros((32, 16), bool)
    mask[:16] = True
    alone, _, _ = ause_numbers(image, uncertainty, np.ones_like(image, bool))
    padded, _, curve = ause_numbers(
        np.vstack([image, 0 * image]), np.vstack([uncertainty, 0 * uncertainty]), mask
    )
    assert padded["ause_mask"] == pytest.approx(alone["ause_mask"])
    assert padded["ause_published"] < 0.6 * alone["ause_published"]
    assert alone["ause_published"] == pytest.approx(alone["ause_mask"], rel=0.05)
    assert alone["ause_whole"] == pytest.approx(alone["ause_mask_normalised"])
    assert curve.fraction.size == 256


def test_what_is_not_finite_is_not_passed_over():
    uncertainty = ERROR.copy()
    uncertainty[0] = np.nan
    assert np.isnan(ause(ERROR, uncertainty))
    assert ause(ERROR, uncertainty, np.array([0, 1, 1, 1], bool)) == 0.0
    assert ause(0 * ERROR, ERROR) == 0.0
    assert np.isnan(ause(0 * ERROR, ERROR, normalised=True))


def test_two_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(4,\), \(3,\)"):
        sparsification(ERROR, ERROR[:3])
