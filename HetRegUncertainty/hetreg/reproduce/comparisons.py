"""Does the paper's ordering hold? Every comparison of its tables, tested on the pairs that both methods have.

p as published: Student's paired t-test over all units. The verdict does not use it but the test over
patients, adjusted by Holm within its family: slices of a patient are not independent, and many methods are
compared at once. It knows nothing of chance in the training: where the runs of single seeds do not even agree
on the sign, it says so instead, and a t-test over the seeds stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from ..metrics.means import nanmean
from ..metrics.statistics import (
    bootstrap_interval,
    cluster_means,
    clustered_test,
    differences,
    holm,
    paired_t_test,
)
from .scores import Measure, Series, Unit, common_seeds

LEVEL = 0.05
HOLDS, FAILS, OPEN = "holds", "does not hold", "not significant"
EQUAL, UNTESTED = "equal in the paper", "not tested"
BETTER, WORSE = "better", "worse"
DISAGREE = "seeds disagree"


@dataclass(frozen=True)
class Claim:
    """first against second in one measure. paper: the paper's difference first - second, NaN if it has none.
    family: the tests that are adjusted together."""

    table: str
    source: str
    network: str
    measure: str
    first: str
    second: str
    paper: float
    family: str


@dataclass(frozen=True)
class Comparison:
    """A claim and what was found: the mean difference over patients with its 95 % interval, five p-values,
    the number of units and patients, the difference of the runs of each seed, and the verdict."""

    claim: Claim
    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p_published: float = math.nan
    p_patients: float = math.nan
    p_wilcoxon: float = math.nan
    p_holm: float = math.nan
    p_seeds: float = math.nan
    units: int = 0
    patients: int = 0
    seeds: tuple[float, ...] = ()
    verdict: str = UNTESTED


def verdict(paper: float, difference: float, p: float, *, higher: bool, seeds: Sequence[float] = ()) -> str:
    """One of the words above; without a number of the paper it is whether `first` is better than `second`.

    seeds: the difference of the runs of each seed.
    """
    if math.isnan(p) or math.isnan(difference):
        return UNTESTED
    if paper == 0:
        return EQUAL
    if p >= LEVEL:
        return OPEN
    if any(d * difference <= 0 for d in seeds):
        return DISAGREE
    if math.isnan(paper):
        return BETTER if (difference > 0) == higher else WORSE
    return HOLDS if (difference > 0) == (paper > 0) else FAILS


def ordering(
    table: str, source: str, network: str, measure: str, paper: dict[str, float], champion: str
) -> list[Claim]:
    """All pairs of a table's methods. Those of the champion are one family, all others a second one."""
    claims = []
    names = [champion, *(n for n in paper if n != champion)] if champion in paper else list(paper)
    for first, second in combinations(names, 2):
        kind = champion if first == champion else "others"
        difference = round(paper[first] - paper[second], 10)
        family = f"{table}/{source}/{network}/{measure}/{kind}"
        claims.append(Claim(table, source, network, measure, first, second, difference, family))
    return claims


def compare(
    claims: Sequence[Claim], found: Callable[[Claim, str], Series | None], measures: dict[str, Measure]
) -> list[Comparison]:
    """Test all claims. found(claim, variant): the series of one of its two methods, None if it was not run.

    A claim whose methods were not both run is left out of its family.
    """
    tested = []
    for claim in claims:
        first, second = found(claim, claim.first), found(claim, claim.second)
        if first is not None and second is not None:
            tested.append(_test(claim, first, second))
    families: dict[str, list[int]] = {}
    for n, item in enumerate(tested):
        families.setdefault(item.claim.family, []).append(n)
    for members in families.values():
        adjusted = holm([tested[n].p_patients for n in members])
        for n, p in zip(members, adjusted, strict=True):
            tested[n] = _judged(tested[n], p, bool(measures[tested[n].claim.measure].higher))
    return tested


def _test(claim: Claim, first: Series, second: Series) -> Comparison:
    """All tests on the units and the seeds that both have."""
    units, runs = _paired_runs(first, second)
    patients = [patient for patient, _ in units]
    values = nanmean(runs, axis=0)
    none = np.zeros_like(values)
    plain, clustered = paired_t_test(values, none), clustered_test(values, none, patients)
    low, high = bootstrap_interval(values, patients)
    means = [float(nanmean(cluster_means(row, patients))) for row in runs]
    random = bool(first.seeds or second.seeds)
    seeds = tuple(d for d in means if random and not math.isnan(d))
    return Comparison(
        claim,
        clustered.t.difference,
        low,
        high,
        plain.p,
        clustered.t.p,
        clustered.wilcoxon.p,
        p_seeds=paired_t_test(seeds, np.zeros(len(seeds))).p,
        units=plain.n,
        patients=clustered.t.n,
        seeds=seeds,
    )


def _paired_runs(first: Series, second: Series) -> tuple[list[Unit], np.ndarray]:
    """The units that both have, and (seeds, units) first - second of the runs of each seed that both have; of
    two baselines one row.

    A unit that one of the two runs lacks is NaN for that seed: with the mean over the other seeds in its
    place, the difference would be one of the seeds.
    """
    there = set(second.units)
    units = [u for u in first.units if u in there]
    seeds = common_seeds(first, second) or ([] if first.seeds or second.seeds else [0])
    pairs = [(first.of_seed(seed), second.of_seed(seed)) for seed in seeds]
    runs = [differences([a[u] for u in units], [b[u] for u in units]) for a, b in pairs]
    return units, np.array(runs, float).reshape(len(seeds), len(units))


def _judged(item: Comparison, p: float, higher: bool) -> Comparison:
    words = verdict(item.claim.paper, item.difference, p, higher=higher, seeds=item.seeds)
    return replace(item, p_holm=p, verdict=words)


def tally(comparisons: Sequence[Comparison]) -> dict[str, int]:
    """How many comparisons of the paper have each verdict."""
    words = (HOLDS, FAILS, OPEN, DISAGREE, EQUAL, UNTESTED)
    return {w: sum(c.verdict == w for c in comparisons if not math.isnan(c.claim.paper)) for w in words}
