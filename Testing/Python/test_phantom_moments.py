"""The moments that the phantom takes its variances from, against known constants and quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import i0e

from hetreg.datasets import phantom_moments
from hetreg.datasets.phantom_fields import SpeckleGrid


@pytest.mark.parametrize(("amplitude", "sigma"), [(0.0, 1.0), (0.7, 1.0), (3.0, 0.5), (40.0, 0.5)])
def test_rician_moments(amplitude, sigma):
    def density(m):
        return m / sigma**2 * np.exp(-((m - amplitude) ** 2) / (2 * sigma**2)) * i0e(m * amplitude / sigma**2)

    low, high = max(0.0, amplitude - 12 * sigma), amplitude + 12 * sigma
    mean = quad(lambda m: m * density(m), low, high, points=[amplitude])[0]
    variance = quad(lambda m: (m - mean) ** 2 * density(m), low, high, points=[amplitude])[0]
    found = phantom_moments.rician(np.array([amplitude]), sigma)
    assert found[0][0] == pytest.approx(mean, rel=1e-7)
    assert found[1][0] == pytest.approx(variance, rel=1e-6)


def test_clipped_moments():
    sample = np.random.default_rng(0).normal(1.0, 0.1, 400_000)
    for limit in (0.8, 0.95, 1.05, 1.3, 5.0):
        mean, variance = phantom_moments.clipped_above(np.array([1.0]), np.array([0.01]), limit)
        assert mean[0] == pytest.approx(np.minimum(sample, limit).mean(), abs=1e-3)
        assert variance[0] == pytest.approx(np.minimum(sample, limit).var(), rel=0.02, abs=3e-6)


def test_log_rayleigh_moments_are_the_known_constants():
    m = phantom_moments.log_moments(np.zeros(1), np.full(1, -30.0), np.full(1, 30.0))
    assert m.mean[0] - 30.0 == pytest.approx(0.5 * (np.log(2.0) - np.euler_gamma), abs=1e-3)
    assert m.variance[0] == pytest.approx(np.pi**2 / 24.0, rel=1e-3)
    assert m.par[0] == pytest.approx(0.0, abs=1e-6)
    assert m.par2[0] ** 2 + m.perp2[0] ** 2 == pytest.approx(0.25, rel=1e-3)


@pytest.mark.parametrize("nu", [0.3, 1.0, 2.5, 8.0, 30.0])
@pytest.mark.parametrize("window", [(-6.0, 6.0), (-0.2, 0.5), (0.8, 2.2), (2.0, 6.0)])
def test_log_moments_against_quadrature(nu, window):
    low, high = window
    r = np.linspace(max(1e-6, nu - 9.0), nu + 9.0, 200_001)
    weight = r * np.exp(-0.5 * (r - nu) ** 2) * i0e(r * nu)
    weight /= weight.sum()
    value = np.clip(np.log(r), low, high) - low
    mean = (weight * value).sum()
    found = phantom_moments.log_moments(np.array([nu]), np.array([low]), np.array([high]))
    assert found.mean[0] == pytest.approx(mean, abs=1e-3)
    assert found.variance[0] == pytest.approx((weight * (value - mean) ** 2).sum(), rel=0.01, abs=2e-5)


def test_speckle_has_unit_power_everywhere_and_the_stated_correlation():
    rng = np.random.default_rng(0)
    axis = np.linspace(0.0, 3.0, 31)
    grid = SpeckleGrid([axis, np.full(31, 2.3)], (16, 16))
    draws = np.stack([grid.sample(grid.nodes(rng, (16, 16))) for _ in range(8000)])
    np.testing.assert_allclose((np.abs(draws) ** 2).mean(0), 1.0, atol=0.05)
    together = (draws[:, :-10] * draws[:, 10:].conj()).real.mean()
    assert together == pytest.approx(SpeckleGrid.correlation(np.ones(1))[0], abs=0.03)
