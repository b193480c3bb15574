"""Is a difference more than chance? Tests of paired values, also where some values belong together.

Slices of one patient are not independent; a test that takes them so finds differences where there are none.
`clustered_test` makes one value of each patient first. A pair with a NaN is not tested but counted.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

NAN = float("nan")
_ROUNDING = 1e-12  # of the larger value: differences by less are rounding
_FEW = 5  # clusters: the draws of fewer have too few different means for percentiles
_EXACT = 50  # ranks up to which all signs are counted; beyond it the normal distribution is close


@dataclass(frozen=True)
class PairedResult:
    """Of one test: the mean of the differences, the statistic (t or W), p (two-sided), pairs used (of
    Wilcoxon's test those with a rank) and passed over as NaN."""

    difference: float
    statistic: float
    p: float
    n: int
    skipped: int = 0


@dataclass(frozen=True)
class ClusteredResult:
    """Both tests over the clusters' mean differences; n is a number of clusters, skipped that of pairs."""

    t: PairedResult
    wilcoxon: PairedResult


def paired_t_test(a: ArrayLike, b: ArrayLike) -> PairedResult:
    """Student's paired t-test of a - b, every pair on its own, as in the paper's Table 2.

    p is NaN for less than two pairs, 1 if all pairs are equal and 0 if all differ by the same number.
    """
    difference, skipped = _paired(a, b)
    return _t_test(difference, skipped)


def wilcoxon(a: ArrayLike, b: ArrayLike) -> PairedResult:
    """Wilcoxon's signed-rank test of a - b; pairs without a difference have no rank (p is 1 if all are
    such). p is exact for up to 50 ranks, with ties too."""
    difference, skipped = _paired(a, b)
    return _signed_rank(difference, skipped)


def clustered_test(a: ArrayLike, b: ArrayLike, cluster: Sequence[Hashable]) -> ClusteredResult:
    """Both tests over one mean difference per cluster (patient), each patient with the same weight."""
    difference, skipped = _paired(a, b)
    means = cluster_means(difference, cluster)
    return ClusteredResult(_t_test(means, skipped), _signed_rank(means, skipped))


def cluster_means(values: ArrayLike, cluster: Sequence[Hashable]) -> np.ndarray:
    """Mean of the values of each cluster, NaN passed over, in the order in which they first come; a cluster
    of NaN alone is NaN."""
    return np.array([np.mean(g) if g else NAN for g in _groups(values, cluster)])


def bootstrap_interval(
    values: ArrayLike,
    cluster: Sequence[Hashable] | None = None,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 10_000,
    *,
    pooled: bool = False,
) -> tuple[float, float]:
    """Interval of the mean over clusters, as far as it hangs on which clusters there are (cluster None: each
    value is one). NaN is passed over; of less than two clusters, NaN.

    pooled: of the mean over all values, in which a cluster weighs as much as it has values, and not of that
    over the clusters' means.

    From five clusters on they are drawn with replacement. The percentiles are moved outwards for few
    clusters, as far as Student's t lies outside the normal distribution (Hesterberg 2015, expanded percentile
    interval): the plain ones of ten are too narrow. Of two to four it is Student's t interval, with the
    standard error from leaving out one cluster at a time (jackknife; that of a plain mean is the usual one).
    It can reach beyond the values that are possible.
    """
    if not 0 < level < 1:
        raise ValueError(f"bootstrap_interval: level {level}; a number between 0 and 1 is accepted.")
    groups = [g for g in _groups(values, range(np.size(values)) if cluster is None else cluster) if g]
    n = len(groups)
    if n < 2:
        return NAN, NAN
    weight = np.array([len(g) if pooled else 1.0 for g in groups], float)
    total = weight * [np.mean(g) for g in groups]
    t = stats.t.ppf((1 - level) / 2, n - 1)
    if n < _FEW:
        mean = total.sum() / weight.sum()
        without = (total.sum() - total) / (weight.sum() - weight)
        reach = -t * np.sqrt((n - 1) / n * np.sum((without - mean) ** 2))
        return float(mean - reach), float(mean + reach)
    drawn = np.random.default_rng(seed).integers(0, n, (resamples, n), dtype=np.int32)
    tail = stats.norm.cdf(t * np.sqrt(n / (n - 1)))
    low, high = np.quantile(total[drawn].sum(axis=1) / weight[drawn].sum(axis=1), [tail, 1 - tail])
    return float(low), float(high)


def holm(p_values: ArrayLike) -> list[float]:
    """Holm's adjusted p-values of a family of tests, in the order given; NaN stays NaN and does not count."""
    p = np.asarray(p_values, float)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    adjusted = np.full(p.shape, np.nan)
    steps = p[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted.tolist()


def differences(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """a - b, of any one shape; 0 where the two differ by rounding alone, NaN where either is."""
    first, second = np.asarray(a, float), np.asarray(b, float)
    difference = first - second
    same = np.abs(difference) <= _ROUNDING * np.maximum(np.abs(first), np.abs(second))
    return np.where(same, 0.0, difference)


def _groups(values: ArrayLike, cluster: Sequence[Hashable]) -> list[list[float]]:
    """The values of each cluster but NaN, in the order in which the clusters first come."""
    values = np.asarray(values, float)
    if len(values) != len(cluster):
        raise ValueError(f"{len(values)} values and {len(cluster)} clusters; as many of both are accepted.")
    groups: dict[Hashable, list[float]] = {}
    for value, name in zip(values, cluster, strict=True):
        groups.setdefault(name, []).extend([] if np.isnan(value) else [value])
    return list(groups.values())


def _paired(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, int]:
    """The differences with the NaN in place, and how many there are."""
    first, second = np.asarray(a, float), np.asarray(b, float)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(
            f"A paired test of {_size(first)} and {_size(second)} values; two lists, as many of both, are "
            "accepted."
        )
    difference = differences(first, second)
    return difference, int(np.isnan(difference).sum())


def _size(values: np.ndarray) -> str:
    return " x ".join(map(str, values.shape)) or "single"


def _t_test(difference: np.ndarray, skipped: int) -> PairedResult:
    d = difference[~np.isnan(difference)]
    mean = float(d.mean()) if d.size else NAN
    if d.size < 2:
        return PairedResult(mean, NAN, NAN, d.size, skipped)
    if np.ptp(d) <= _ROUNDING * np.abs(d).max():
        t, p = (0.0, 1.0) if mean == 0 else (float(np.copysign(np.inf, mean)), 0.0)
        return PairedResult(mean, t, p, d.size, skipped)
    found = stats.ttest_1samp(d, 0.0)
    return PairedResult(mean, float(found.statistic), float(found.pvalue), d.size, skipped)


def _signed_rank(difference: np.ndarray, skipped: int) -> PairedResult:
    d = difference[~np.isnan(difference)]
    mean = float(d.mean()) if d.size else NAN
    if d.size < 2:
        return PairedResult(mean, NAN, NAN, d.size, skipped)
    d = d[d != 0]
    if not d.size:
        return PairedResult(mean, 0.0, 1.0, 0, skipped)
    rank = stats.rankdata(np.abs(d))
    statistic = float(min(rank[d > 0].sum(), rank[d < 0].sum()))
    p = _p_of_ranks(rank, statistic) if d.size <= _EXACT else float(stats.wilcoxon(d).pvalue)
    return PairedResult(mean, statistic, p, d.size, skipped)


def _p_of_ranks(rank: np.ndarray, statistic: float) -> float:
    """Two-sided p of the smaller sum of ranks (those of ties are their mean) among all choices of signs."""
    steps = np.rint(2 * rank).astype(int)  # mean ranks are whole or half
    share = np.zeros(steps.sum() + 1)  # of the choices of signs, by twice the sum of one sign's ranks
    share[0] = 1.0
    for step in steps:
        share[step:] = (share[step:] + share[:-step]) / 2
        share[:step] /= 2
    return min(1.0, 2 * float(share[: round(2 * statistic) + 1].sum()))
