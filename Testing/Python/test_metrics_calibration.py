"""Calibration: hand numbers, and draws whose variance is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hetreg.metrics.calibration import (
    coverage,
    coverage_curve,
    ence,
    expected_coverage,
    gaussian_divergence,
    gaussian_nll,
    reliability,
    spearman,
)

RNG = np.random.default_rng(0)
VARIANCE = np.exp(RNG.uniform(-6, 0, 200_000))
DRAWS = RNG.normal(0, np.sqrt(VARIANCE))


def test_the_divergence_by_hand_and_as_the_expected_excess_of_the_likelihood():
    true, found = np.array([1.0, 4.0]), np.array([2.0, 1.0])
    by_hand = ((0.5 + math.log(2) - 1) + (4 - math.log(4) - 1)) / 4
    assert gaussian_divergence(true, found) == pytest.approx(by_hand)
    assert gaussian_divergence(true, true) == 0
    noise = np.random.default_rng(0).normal(size=(200_000, 2)) * np.sqrt(true)
    wide = np.broadcast_to(found, noise.shape), np.broadcast_to(true, noise.shape)
    excess = gaussian_nll(noise, wide[0]) - gaussian_nll(noise, wide[1])
    assert excess == pytest.approx(by_hand, rel=0.02)
    assert math.isnan(gaussian_divergence(true, -found))
    assert math.isnan(gaussian_divergence(np.zeros(2), found))


def test_the_coverage_of_all_noise_by_hand_and_as_the_mean_over_draws():
    true, found = np.array([1.0, 4.0]), np.array([1.0, 1.0])
    by_hand = (95.0 + 67.29) / 2  # 1.96 and 0.98 SD
    assert expected_coverage(true, found, 0.95) == pytest.approx(by_hand, abs=0.01)
    noise = np.random.default_rng(0).normal(size=(200_000, 2)) * np.sqrt(true)
    assert coverage(noise, np.ones_like(noise), 0.95) == pytest.approx(by_hand, abs=0.2)
    assert expected_coverage(true, found, 0.95, np.array([True, False])) == pytest.approx(95.0)
    for unusable in ((true, -found), (np.zeros(2), found)):
        assert math.isnan(expected_coverage(*unusable, 0.95))


def test_nll_by_hand():
    residual, variance = np.array([0.0, 2.0]), np.array([1.0, 4.0])
    by_hand = (math.log(2 * math.pi) + math.log(2 * math.pi * 4) + 1) / 4
    assert gaussian_nll(residual, variance) == pytest.approx(by_hand)
    assert gaussian_nll(residual, variance, np.array([True, False])) == pytest.approx(
        0.5 * math.log(2 * math.pi)
    )


def test_nll_of_draws_is_the_entropy_and_least_at_the_true_variance():
    entropy = 0.5 * float(np.mean(np.log(2 * np.pi * math.e * VARIANCE)))
    assert gaussian_nll(DRAWS, VARIANCE) == pytest.approx(entropy, abs=0.01)
    for factor in (0.8, 1.25):
        assert gaussian_nll(DRAWS, factor * VARIANCE) > gaussian_nll(DRAWS, VARIANCE) + 0.005


def test_coverage_by_hand():
    residual = np.array([0.0, 0.5, -0.99, 1.0, 1.95, -1.97])
    assert coverage(residual, np.ones(6), 0.68) == pytest.approx(100 * 3 / 6)  # 0.994 SD
    assert coverage(residual, np.ones(6), 0.95) == pytest.approx(100 * 5 / 6)  # 1.960 SD
    assert coverage(residual, np.ones(6), 0.95, residual < 0) == 50.0


def test_coverage_of_draws_is_the_level():
    levels = (0.5, 0.68, 0.95)
    assert coverage_curve(DRAWS, VARIANCE, levels) == pytest.approx([50.0, 68.0, 95.0], abs=0.4)
    assert coverage(DRAWS, VARIANCE / 4, 0.95) == pytest.approx(67.3, abs=0.5)  # 0.98 SD


def test_reliability_and_ence_by_hand():
    residual, variance = np.array([3.0, 1.0, 5.0, -1.0]), np.array([4.0, 1.0, 4.0, 1.0])
    curve = reliability(residual, variance, bins=2)
    assert curve.predicted_sd.tolist() == [1.0, 2.0]
    assert curve.observed_sd.tolist() == [1.0, math.sqrt(17)]
    assert ence(curve) == pytest.approx((math.sqrt(17) - 2) / 2 / 2)
    assert reliability(residual, variance, bins=99).predicted_sd.tolist() == [1, 1, 2, 2]


def test_voxels_of_equal_variance_share_their_residual_in_any_order():
    """Four voxels of SD 2 with squared residuals of mean 4: in image order both bins would be wrong by half
    and more."""
    residual = np.array([1.0, 1.0, math.sqrt(7), math.sqrt(7)])
    assert ence(reliability(residual, np.full(4, 4.0), bins=2)) == pytest.approx(0.0)
    assert reliability(residual, np.full(4, 4.0), bins=2).observed_sd == pytest.approx([2.0, 2.0])


def test_a_tie_across_two_bins_is_split_by_its_mean():
    residual, variance = np.array([1.0, 3.0, 1.0, 2.0]), np.array([1.0, 4.0, 4.0, 9.0])
    for order in ([0, 1, 2, 3], [2, 0, 3, 1], [3, 2, 1, 0]):
        curve = reliability(residual[order], variance[order], bins=2)
        assert curve.predicted_sd == pytest.approx([math.sqrt(2.5), math.sqrt(6.5)])
        assert curve.observed_sd == pytest.approx([math.sqrt((1 + 5) / 2), math.sqrt((5 + 4) / 2)])
        by_hand = (math.sqrt(3 / 2.5) - 1 + 1 - math.sqrt(4.5 / 6.5)) / 2
        assert ence(curve) == pytest.approx(by_hand)


def test_ence_of_draws_is_near_0_and_that_of_half_the_sd_near_1():
    assert ence(reliability(DRAWS, VARIANCE, bins=20)) < 0.01
    assert ence(reliability(DRAWS, VARIANCE / 4, bins=20)) == pytest.approx(1.0, abs=0.02)


def test_spearman_sees_the_order_alone():
    a = np.array([1.0, 2.0, 3.0, 4.0])
    assert spearman(a, np.exp(a)) == pytest.approx(1.0)
    assert spearman(a, -a) == pytest.approx(-1.0)
    assert spearman(a[:2], a[:2]) == pytest.approx(1.0)
    assert spearman(a, np.array([1.0, 3.0, 2.0, 4.0])) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert spearman(a, np.array([4.0, 1.0, 2.0, 3.0]), a > 1) == pytest.approx(1.0)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_an_unusable_variance_gives_nan_and_not_a_number_without_it(bad):
    residual, variance = np.ones(4), np.array([1.0, 1.0, 1.0, bad])
    found = [gaussian_nll(residual, variance), coverage(residual, variance, 0.95)]
    assert np.isnan([*found, ence(reliability(residual, variance, bins=2))]).all()
    assert np.isfinite(gaussian_nll(residual, variance, np.arange(4) < 3))


def test_nothing_to_look_at_is_nan():
    residual, nothing = np.ones(4), np.zeros(4, bool)
    found = [f(residual, residual, mask=nothing) for f in (gaussian_nll, spearman)]
    found.append(ence(reliability(residual, residual, 2, nothing)))
    assert np.isnan([*found, coverage(residual, residual, 0.5, nothing)]).all()
    assert math.isnan(spearman(residual, np.arange(4.0)))


def test_refusals():
    with pytest.raises(ValueError, match=r"\(4,\), \(3,\)"):
        gaussian_nll(np.ones(4), np.ones(3))
    with pytest.raises(ValueError, match="level 95"):
        coverage(np.ones(4), np.ones(4), 95)
