"""Tests of paired values: hand numbers, scipy, and slices that are copies of each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hetreg.metrics.statistics import (
    bootstrap_interval,
    cluster_means,
    clustered_test,
    differences,
    holm,
    paired_t_test,
    wilcoxon,
)

RNG = np.random.default_rng(1)
A = RNG.normal(0.3, 1.0, 12)
B = RNG.normal(0.0, 1.0, 12)


def test_t_by_hand():
    found = paired_t_test([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])  # differences 1, 2, 3: mean 2, SD 1
    assert found.difference == 2.0
    assert found.statistic == pytest.approx(2 * math.sqrt(3))
    assert found.p == pytest.approx(0.0742, abs=1e-4)  # two-sided, 2 degrees of freedom
    assert (found.n, found.skipped) == (3, 0)


def test_both_tests_agree_with_scipy():
    expected = stats.ttest_rel(A, B)
    assert paired_t_test(A, B).statistic == pytest.approx(expected.statistic)
    assert paired_t_test(A, B).p == pytest.approx(expected.pvalue)
    assert wilcoxon(A, B).p == pytest.approx(stats.wilcoxon(A, B).pvalue)


def test_wilcoxon_by_hand():
    assert wilcoxon([1, 2, 3, 4, 5], [0, 0, 0, 0, 0]).p == pytest.approx(2 / 2**5)
    assert wilcoxon([1, 2, 3, 4, 5], [0, 0, 0, 0, 0]).statistic == 0.0
    assert wilcoxon([1, 2, 3, 3, np.nan], [1, 1, 1, 1, 1]).n == 3  # the others have no rank


def test_wilcoxon_is_exact_beside_pairs_without_a_difference():
    """Of five differences of one sign p is never below 2 / 2^5, however many pairs do not differ."""
    found = wilcoxon([1, 2, 3, 4, 5] + [0] * 11, [0] * 16)
    assert (found.p, found.statistic, found.n) == (2 / 2**5, 0.0, 5)
    assert found.difference == 15 / 16
    assert wilcoxon([1] + [0] * 11, [0] * 12).p == 1.0


def test_wilcoxon_is_exact_with_ties():
    """Four ties have the rank 2.5: of 32 choices of signs 1 + 4 + 6 + 1 have a sum of at most 5."""
    found = wilcoxon([1, 1, 1, 1, -2], [0] * 5)
    assert (found.statistic, found.p) == (5.0, 2 * 12 / 32)
    # 16 ties of rank 8.5, 2 of them negative: 1 + 16 + 120 choices are as uneven
    assert wilcoxon([1] * 14 + [-1] * 2, [0] * 16).p == pytest.approx(2 * 137 / 2**16)


def test_wilcoxon_of_many_is_that_of_scipy():
    many = RNG.normal(0.2, 1.0, 60)
    assert wilcoxon(many, 0 * many).p == stats.wilcoxon(many).pvalue
    assert wilcoxon(many[:50], 0 * many[:50]).p == pytest.approx(stats.wilcoxon(many[:50]).pvalue)


def test_copies_of_slices_make_only_the_unclustered_test_more_certain():
    patients = [f"p{i}" for i in range(12)]
    once = clustered_test(A, B, patients)
    copied = clustered_test(np.repeat(A, 10), np.repeat(B, 10), np.repeat(patients, 10).tolist())
    assert copied.t.p == pytest.approx(once.t.p)
    assert copied.wilcoxon.p == pytest.approx(once.wilcoxon.p)
    assert copied.t.n == 12
    assert once.t.p == pytest.approx(paired_t_test(A, B).p)
    assert paired_t_test(np.repeat(A, 10), np.repeat(B, 10)).p < 0.1 * once.t.p


def test_each_patient_has_the_same_weight():
    found = clustered_test([1.0, 1.0, 1.0, 5.0], [0.0] * 4, ["a", "a", "a", "b"])
    assert found.t.difference == 3.0
    assert cluster_means([1.0, 3.0, np.nan, np.nan], ["b", "b", "a", "b"]).tolist()[0] == 2.0
    assert np.isnan(cluster_means([1.0, 3.0, np.nan, np.nan], ["b", "b", "a", "b"])[1])


def test_a_nan_is_counted_and_not_tested():
    found = paired_t_test([*A, np.nan, 1.0], [*B, 1.0, np.nan])
    assert found.p == pytest.approx(paired_t_test(A, B).p)
    assert (found.n, found.skipped) == (12, 2)
    clustered = clustered_test([*A, np.nan], [*B, 0.0], [*range(12), 3])
    assert (clustered.t.n, clustered.t.skipped) == (12, 1)


def test_no_difference_one_difference_and_too_few():
    assert paired_t_test(A, A).p == wilcoxon(A, A).p == 1.0
    assert paired_t_test([2.0, 2.0], [1.0, 1.0]).p == 0.0
    rounded = np.array([0.1, 0.2, 0.3, 0.7])
    assert paired_t_test(rounded + 0.1, rounded).p == 0.0  # the same number but for rounding
    assert math.isnan(paired_t_test([1.0], [2.0]).p)
    assert math.isnan(wilcoxon([], []).p)


def test_bootstrap_covers_the_mean_of_patients_as_often_as_it_says():
    rng = np.random.default_rng(2)
    hits = 0
    for seed in range(200):
        patient = np.repeat(np.arange(40), 4)
        values = rng.normal(0, 1, 40)[patient] + rng.normal(0, 0.2, 160)
        low, high = bootstrap_interval(values, patient, seed=seed, resamples=500)
        hits += low <= 0 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_bootstrap_of_ten_patients_is_not_too_narrow():
    """The plain percentiles hold the mean of ten normal values in 90 % of cases."""
    values = np.random.default_rng(5).normal(0, 1, (1000, 10))
    intervals = [bootstrap_interval(v, resamples=500) for v in values]
    assert 0.93 <= np.mean([low <= 0 <= high for low, high in intervals]) <= 0.975


def test_few_patients_have_students_interval():
    """Of 1, 2, 3: mean 2, standard error 1 / sqrt(3), t of 2 degrees of freedom 4.303."""
    reach = 4.30265 / math.sqrt(3)
    assert bootstrap_interval([1.0, 2.0, 3.0]) == pytest.approx((2 - reach, 2 + reach), abs=1e-5)
    of_patients = bootstrap_interval([0.0, 2.0, 2.0, 3.0, np.nan], ["a", "a", "b", "c", "d"])
    assert of_patients == pytest.approx((2 - reach, 2 + reach), abs=1e-5)
    two = bootstrap_interval([0.8, 0.9])  # standard error 0.05
    assert two == pytest.approx((0.85 - 12.7062 * 0.05, 0.85 + 12.7062 * 0.05), abs=1e-5)
    low, high = bootstrap_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert 1 <= low < high <= 5  # from five on of draws


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_interval_of_few_patients_is_not_too_narrow(n):
    values = np.random.default_rng(n).normal(0, 1, (1000, n))
    assert 0.93 <= np.mean([low <= 0 <= high for low, high in map(bootstrap_interval, values)]) <= 0.97


def test_the_pooled_interval_is_that_of_the_mean_over_all_values():
    """Three values 1 and one 5: mean 2, without either patient 5 or 1, standard error sqrt((9 + 1) / 2)."""
    values, patients = [1.0, 1.0, 1.0, 5.0], ["a", "a", "a", "b"]
    reach = 12.7062 * math.sqrt(5)
    assert bootstrap_interval(values, patients, pooled=True) == pytest.approx(
        (2 - reach, 2 + reach), abs=1e-3
    )
    assert sum(bootstrap_interval(values, patients)) / 2 == pytest.approx(3.0)
    assert bootstrap_interval(A, pooled=True) == bootstrap_interval(A)


def test_the_pooled_interval_of_unequal_patients_holds_the_pooled_mean():
    values = np.r_[np.full(30, 0.9), np.full(6, 0.5)]
    patients = ["a"] * 30 + list("bcdefg")
    low, high = bootstrap_interval(values, patients, pooled=True)
    assert low <= values.mean() <= high
    assert bootstrap_interval(values, patients)[1] < values.mean()  # that of the mean over patients does not


def test_bootstrap_repeats_and_knows_its_limits():
    assert bootstrap_interval(A, seed=3) == bootstrap_interval(A, seed=3)
    assert bootstrap_interval([2.0, 2.0, np.nan]) == (2.0, 2.0)
    assert np.isnan(bootstrap_interval([np.nan])).all()
    assert np.isnan(bootstrap_interval([2.0, 3.0], ["a", "a"])).all()  # one patient says nothing of others
    narrow, wide = (np.ptp(bootstrap_interval(A, level=level)) for level in (0.5, 0.95))
    assert narrow < wide
    copies = np.ptp(bootstrap_interval(np.repeat(A, 9), np.repeat(np.arange(12), 9)))
    assert copies == pytest.approx(wide)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    found = holm([0.01, np.nan, 0.02])
    assert found[0] == 0.02
    assert math.isnan(found[1])
    assert found[2] == 0.02
    assert holm([]) == []


def test_rounding_is_no_difference():
    a = np.array([90.1, 88.2, 91.3, 87.4]) / 3
    b = np.array([90.1 / 3 + 4e-15, 88.2 / 3 - 4e-15, 91.3 / 3, 87.4 / 3 - 4e-15])
    assert np.abs(a - b).max() > 0
    assert differences(a, b).tolist() == [0.0] * 4
    for test in (paired_t_test, wilcoxon):
        assert (test(a, b).p, test(a, b).difference) == (1.0, 0.0)
    assert differences([1.0, np.nan, 0.0], [1.0 + 1e-9, 1.0, 0.0])[[0, 2]].tolist() == [
        1.0 - (1.0 + 1e-9),
        0.0,
    ]
    for scale in (1e-9, 1e9):  # of the values, not of 1
        assert differences(a * scale, b * scale).tolist() == [0.0] * 4
        assert differences([3 * scale], [scale]) == pytest.approx([2 * scale])


def test_refusals():
    with pytest.raises(ValueError, match="2 and 1 values"):
        paired_t_test([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="3 and 3 x 1 values"):
        paired_t_test([1, 2, 3], [[1], [2], [3]])
    with pytest.raises(ValueError, match="2 values and 1 clusters"):
        cluster_means([1.0, 2.0], ["a"])
    with pytest.raises(ValueError, match="level 95"):
        bootstrap_interval([1.0], level=95)
