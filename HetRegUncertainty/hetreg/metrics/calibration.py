"""Is the variance right? The residual is compared with the Gaussian of mean 0 that the variance promises.

All take arrays of one shape, and a boolean mask (default everywhere). A result is NaN if the mask is empty
or if a value in it is not finite or a variance not positive: it is not passed over in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import spearmanr

from .means import sorted_by

NAN = float("nan")
LEVELS = tuple(np.round(np.arange(0.05, 1.0, 0.05), 2).tolist())


@dataclass(frozen=True, eq=False)
class Reliability:
    """Promised and found SD in bins of equal count, from the smallest to the largest promise.

    predicted_sd: root of the mean variance. observed_sd: root mean square of the residual. Arrays (bins,).
    """

    predicted_sd: np.ndarray
    observed_sd: np.ndarray


def gaussian_nll(residual: np.ndarray, variance: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean of (log(2 pi variance) + residual^2 / variance) / 2: nats per voxel, lower is better.

    Half of what the loss of the same name has, plus a constant.
    """
    r, v = _chosen(residual, variance, mask)
    return float(0.5 * np.mean(np.log(2 * np.pi * v) + r**2 / v)) if r.size else NAN


def coverage(
    residual: np.ndarray, variance: np.ndarray, level: float, mask: np.ndarray | None = None
) -> float:
    """Percentage of the residuals inside their central interval of that level (0.95: +-1.96 SD).

    Right is 100 level. Raises ValueError for a level that is not between 0 and 1.
    """
    return coverage_curve(residual, variance, (level,), mask)[0]


def coverage_curve(
    residual: np.ndarray,
    variance: np.ndarray,
    levels: Sequence[float] = LEVELS,
    mask: np.ndarray | None = None,
) -> list[float]:
    """`coverage` at each level."""
    wrong = [level for level in levels if not 0 < level < 1]
    if wrong:
        raise ValueError(f"coverage: level {wrong[0]}; a number between 0 and 1 is accepted.")
    r, v = _chosen(residual, variance, mask)
    score = np.abs(r) / np.sqrt(v)
    widths = ndtri((1 + np.asarray(levels)) / 2)
    return [100.0 * float(np.mean(score <= width)) if r.size else NAN for width in widths]


def expected_coverage(
    true: np.ndarray, variance: np.ndarray, level: float, mask: np.ndarray | None = None
) -> float:
    """Percentage of all Gaussian noise of the true variance inside the central interval of that level of this
    one: what `coverage` is in the mean over noise that the variance was not estimated from."""
    t, v = _chosen(true, variance, mask)
    inside = 2 * ndtr(ndtri((1 + level) / 2) * np.sqrt(v / t)) - 1 if (t > 0).all() else np.empty(0)
    return 100.0 * float(inside.mean()) if inside.size else NAN


def reliability(
    residual: np.ndarray, variance: np.ndarray, bins: int, mask: np.ndarray | None = None
) -> Reliability:
    """Voxels sorted by variance and cut into bins of equal count (to one voxel); fewer voxels, fewer bins.
    Voxels of equal variance share their mean squared residual: their order says nothing."""
    r, v = _chosen(residual, variance, mask)
    if not r.size:
        return Reliability(np.full(1, np.nan), np.full(1, np.nan))
    promised, found = (np.array_split(x, min(bins, r.size)) for x in (np.sort(v), sorted_by(v, r**2)))
    return Reliability(*(np.sqrt([part.mean() for part in parts]) for parts in (promised, found)))


def ence(curve: Reliability) -> float:
    """Expected normalised calibration error: mean over the bins of |found SD - promised SD| / promised SD
    (Levi et al., Sensors 2022); 0 is right."""
    return float(np.mean(np.abs(curve.observed_sd - curve.predicted_sd) / curve.predicted_sd))


def gaussian_divergence(true: np.ndarray, variance: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean of (true / variance - log(true / variance) - 1) / 2, nats per voxel: the Kullback-Leibler
    divergence from the Gaussian of the true variance to that of this one; 0 is right.

    It is what `gaussian_nll` is above that of the true variance in the mean over all noise, also over noise
    that the variance was not estimated from.
    """
    t, v = _chosen(true, variance, mask)
    ratio = t / v
    return float(0.5 * np.mean(ratio - np.log(ratio) - 1)) if t.size and (t > 0).all() else NAN


def spearman(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Rank correlation, -1 to 1; NaN if one of them is constant or not finite."""
    first, second = (x.ravel() if mask is None else x[mask] for x in (a, b))
    usable = np.isfinite(first).all() and np.isfinite(second).all()
    if first.size < 2 or not usable or np.ptp(first) == 0 or np.ptp(second) == 0:
        return NAN
    return float(spearmanr(first, second).statistic)


def _chosen(
    residual: np.ndarray, variance: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Both (N,) float64, and empty if a value is not usable. Raises ValueError if the shapes differ."""
    shapes = [a.shape for a in (residual, variance, mask) if a is not None]
    if len(set(shapes)) > 1:
        raise ValueError(f"calibration: shapes {', '.join(map(str, shapes))}; the same shape is accepted.")
    r, v = (np.asarray(x if mask is None else x[mask], np.float64).ravel() for x in (residual, variance))
    if not (np.isfinite(r).all() and np.isfinite(v).all() and (v > 0).all()):
        return np.empty(0), np.empty(0)
    return r, v
