"""Exact moments of the phantom's noise: Rician magnitudes, clipping, log-compressed speckle.

All functions are vectorised over voxels. `nu` is the ratio of signal amplitude to the noise SD of one complex
component.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.integrate import trapezoid
from scipy.special import erf, i0e, i1e, ive


def rician(amplitude: np.ndarray, sigma: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of |amplitude + n1 + i n2| with n1, n2 ~ N(0, sigma^2).

    Exact (Bessel functions); above an amplitude of 1000 sigma the variance is sigma^2 to 1e-6.
    """
    sigma_sq = np.maximum(np.square(np.asarray(sigma, np.float64)), 1e-30)
    amplitude = np.asarray(amplitude, np.float64)
    t = amplitude**2 / (4.0 * sigma_sq)
    mean = np.sqrt(0.5 * np.pi * sigma_sq) * ((1.0 + 2.0 * t) * i0e(t) + 2.0 * t * i1e(t))
    variance = amplitude**2 + 2.0 * sigma_sq - mean**2
    return mean, np.where(t > 2.5e5, sigma_sq, variance)


def clipped_above(mean: np.ndarray, variance: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of min(X, limit) for Gaussian X.

    Used for magnitudes near the upper end of the window, where X is many SD above zero and Gaussian to
    O((sigma/X)^2).
    """
    sd = np.sqrt(np.maximum(variance, 1e-30))
    b = (limit - mean) / sd
    density = np.exp(-0.5 * np.minimum(b * b, 1400.0)) / np.sqrt(2.0 * np.pi)
    below = 0.5 * (1.0 + erf(b / np.sqrt(2.0)))
    first = -density + b * (1.0 - below)
    second = below - b * density + b * b * (1.0 - below)
    inside = np.abs(b) < 8.0
    clipped_mean = np.where(inside, mean + sd * first, np.minimum(mean, limit))
    clipped_variance = np.where(inside, variance * (second - first**2), np.where(b > 0, variance, 0.0))
    return clipped_mean, np.maximum(clipped_variance, 0.0)


class LogMoments(NamedTuple):
    """Moments of h = clip(log R, low, high) with R = |nu + n1 + i n2|, n ~ N(0, 1), and its first chaos
    coefficients.

    par = E[h n1], par2 = E[h (n1^2 - 1)] / sqrt2, perp2 = E[h (n2^2 - 1)] / sqrt2:
    what two correlated samples share.
    """

    mean: np.ndarray
    variance: np.ndarray
    par: np.ndarray
    par2: np.ndarray
    perp2: np.ndarray


NU_MAX = 60.0
_NU, _TAU = 161, 321  # table size: amplitude, uniform in asinh, and threshold, uniform after the scaling
_TAU_MAX = 9.0


def _spread(nu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale of log R, roughly: where the table puts its threshold axis."""
    return 0.5 * np.log1p(nu * nu), 1.0 / np.sqrt(1.0 + nu * nu)


@cache
def _table() -> np.ndarray:
    """(_NU, _TAU, 5) integrals of y = log R - centre over y > t: E[(y-t)+], E[(y-t)+^2], E[(y-t)+ f(n)]."""
    nu = np.sinh(np.linspace(0.0, np.arcsinh(NU_MAX), _NU))[:, None]
    centre, scale = _spread(nu)
    y = np.linspace(-13.0, _TAU_MAX, 4401) * scale
    r = np.exp(y + centre)
    x = r * nu
    density = r * r * np.exp(-0.5 * (r - nu) ** 2) * i0e(x)
    bessel = 1.0 / i0e(x)
    cos1, cos2 = i1e(x) * bessel, 0.5 * (1.0 + ive(2, x) * bessel)
    par = r * cos1 - nu
    par2 = (r * r * cos2 - 2.0 * nu * r * cos1 + nu * nu - 1.0) / np.sqrt(2.0)
    perp2 = (r * r * (1.0 - cos2) - 1.0) / np.sqrt(2.0)
    density /= trapezoid(density, y, axis=1)[:, None]
    threshold = np.linspace(-_TAU_MAX, _TAU_MAX, _TAU) * scale

    def above(weight: np.ndarray) -> np.ndarray:
        """Integral of weight * density over y > threshold."""
        f = weight * density
        step = 0.5 * (f[:, 1:] + f[:, :-1]) * np.diff(y, axis=1)
        total = np.concatenate([np.cumsum(step[:, ::-1], 1)[:, ::-1], np.zeros((_NU, 1))], 1)
        return np.stack([np.interp(t, a, b) for t, a, b in zip(threshold, y, total, strict=True)])

    one, first, second = above(np.ones_like(y)), above(y), above(y * y)
    columns = [first - threshold * one, (second - 2.0 * threshold * first + threshold**2 * one) / scale]
    columns += [above(y * w) - threshold * above(w) for w in (par, par2, perp2)]
    columns = [c / scale for c in columns]  # in units of the spread the table is smooth along nu
    return np.stack(columns, axis=-1)


def _one_sided(nu: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(n, 5) the table's integrals at amplitude `nu` and threshold `t` from the centre, both (n,)."""
    table = _table()
    _, scale = _spread(nu)
    tau = t / scale
    row = np.arcsinh(nu) * ((_NU - 1) / np.arcsinh(NU_MAX))
    column = (np.clip(tau, -_TAU_MAX, _TAU_MAX) + _TAU_MAX) * ((_TAU - 1) / (2.0 * _TAU_MAX))
    i = np.minimum(row.astype(np.intp), _NU - 2)
    j = np.minimum(column.astype(np.intp), _TAU - 2)
    a, b = (row - i)[:, None], (column - j)[:, None]
    flat = table.reshape(-1, 5)
    at = i * _TAU + j
    left = flat[at] * (1.0 - b) + flat[at + 1] * b
    values = left * (1.0 - a) + (flat[at + _TAU] * (1.0 - b) + flat[at + _TAU + 1] * b) * a
    values *= scale[:, None]
    values[:, 1] *= scale
    return values


def log_moments(nu: np.ndarray, low: np.ndarray, high: np.ndarray) -> LogMoments:
    """Moments of clip(log R, low, high) - low, from a table of one-dimensional quadratures.

    Args:
        nu: (n,) amplitude over component SD, 0 to NU_MAX (larger values are taken as NU_MAX).
        low, high: (n,) clipping bounds of log R.
    """
    nu = np.minimum(nu, NU_MAX)
    centre, scale = _spread(nu)
    limit = _TAU_MAX * scale
    t0 = np.maximum(low - centre, -limit)
    extra = t0 - (low - centre)  # below the table nothing is clipped: log R - low = (log R - t0) + extra
    t1 = high - centre
    lower = _one_sided(nu, t0)
    upper = np.zeros_like(lower)
    near = t1 < limit
    if near.any():
        upper[near] = _one_sided(nu[near], np.maximum(t1[near], -limit[near]))
    deep = t1 < -limit
    first = lower[:, 0] - upper[:, 0]
    second = lower[:, 1] - upper[:, 1] - 2.0 * (t1 - t0) * upper[:, 0]
    variance = np.where(deep, 0.0, np.maximum(second - first**2, 0.0))
    mean = np.where(deep, high - low, first + extra)
    par, par2, perp2 = np.where(deep[:, None], 0.0, lower[:, 2:] - upper[:, 2:]).T
    return LogMoments(mean, variance, par, par2, perp2)
