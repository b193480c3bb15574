"""Chance of the training: what differs between seeds is no difference of the methods."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from builders import TINY_REPRODUCTION
from hetreg.reproduce.book import Book
from hetreg.reproduce.comparisons import DISAGREE, FAILS, HOLDS, OPEN, verdict
from hetreg.reproduce.config import ReproduceConfig
from hetreg.reproduce.plan import sweep_jobs
from hetreg.reproduce.run import reproduce
from hetreg.reproduce.scores import Score


def run(variant: str, seed: int, values: np.ndarray) -> Score:
    """A run with one slice for each patient."""
    rows = [{"case": str(n), "patient": str(n), "dice_published_2": v} for n, v in enumerate(values)]
    cases = [{"case": str(n), "patient": str(n), "error": ""} for n in range(len(values))]
    return Score("voxelmorph", variant, seed, "phantom:mri2d", cases, rows)


def test_a_difference_that_changes_sign_between_seeds_is_no_verdict():
    """Ours is better by 4 points with seed 0 and worse by 1 with seed 1: p is small over the patients."""
    rng = np.random.default_rng(0)
    base = 0.7 + 0.1 * rng.random(12)
    noise = [0.001 * rng.random(12) for _ in range(4)]
    scores = [
        run("ours", 0, base + 0.04 + noise[0]),
        run("ours", 1, base - 0.01 + noise[1]),
        run("mse", 0, base + noise[2]),
        run("mse", 1, base + noise[3]),
    ]
    book = Book(ReproduceConfig(seeds=2), scores)
    (found,) = [
        c
        for c in book.comparisons()
        if (c.claim.first, c.claim.second, c.claim.measure, c.claim.table) == ("ours", "mse", "dice", "1")
    ]
    assert found.p_holm < 1e-6
    assert found.seeds == pytest.approx((4.0, -1.0), abs=0.1)
    assert found.verdict == DISAGREE
    assert np.mean(found.seeds) == pytest.approx(found.difference)
    assert found.p_seeds == pytest.approx(stats.ttest_1samp(found.seeds, 0.0).pvalue)
    assert found.p_seeds > 0.4


def test_a_value_that_one_run_lacks_is_no_difference_of_the_methods():
    """Two methods that are the same, and a bad seed, of which ours lacks the worst patients."""
    base = 0.7 + 0.1 * np.random.default_rng(0).random(10)
    values = [base, base + 0.01, base - 0.3]
    mse = [run("mse", s, v) for s, v in enumerate(values)]
    ours = [run("ours", s, v) for s, v in enumerate(values)]
    for row in ours[2].slices[:6]:
        row["dice_published_2"] = None
    (found,) = [
        c
        for c in Book(ReproduceConfig(), [*ours, *mse]).comparisons()
        if (c.claim.first, c.claim.second, c.claim.measure, c.claim.table) == ("ours", "mse", "dice", "1")
    ]
    assert (found.difference, found.seeds, found.verdict) == (0.0, (0.0, 0.0, 0.0), OPEN)


def test_seeds_of_which_one_failed_are_matched_by_number_and_a_baseline_meets_each():
    ours = [run("ours", s, np.array([0.8, 0.9]) + 0.01 * s) for s in (0, 2)]  # seed 1 failed
    mse = [run("mse", s, np.array([0.7, 0.8])) for s in (0, 1, 2)]
    still = Score("", "undeformed", 0, "phantom:mri2d", mse[0].rows, mse[0].slices)
    other = Score("", "elastix", 0, "phantom:mri2d", ours[0].rows, ours[0].slices)
    failed = Score("voxelmorph", "ours", 1, "phantom:mri2d", error="It is broken.")
    found = {
        (c.claim.first, c.claim.second): c
        for c in Book(ReproduceConfig(), [*ours, failed, *mse, still, other]).comparisons()
        if (c.claim.measure, c.claim.table) == ("dice", "1")
    }
    assert found["ours", "mse"].seeds == pytest.approx((10.0, 12.0))
    assert found["ours", "undeformed"].seeds == pytest.approx((10.0, 12.0))
    assert found["mse", "undeformed"].seeds == pytest.approx((0.0, 0.0, 0.0))
    baselines = found["undeformed", "elastix"]
    assert baselines.seeds == ()  # nothing random in either
    assert (baselines.difference, baselines.units) == (pytest.approx(-10.0), 2)


def test_slices_that_both_have_are_compared_and_patients_count_alike():
    ours, mse = (
        run("ours", 0, np.array([0.80, 0.84, 0.70, 0.74])),
        run("mse", 0, np.array([0.78, 0.80, 0.69])),
    )
    for row in (*ours.slices, *mse.slices):
        row["patient"] = "aabb"[int(row["case"])]
    (found,) = [
        c
        for c in Book(ReproduceConfig(), [ours, mse]).comparisons()
        if (c.claim.first, c.claim.second, c.claim.measure, c.claim.table) == ("ours", "mse", "dice", "1")
    ]
    assert (found.units, found.patients) == (3, 2)
    assert (found.difference, *found.seeds) == pytest.approx((2, 2))  # 2 and 4 points of a, 1 of b


@pytest.mark.parametrize(
    ("seeds", "word"),
    [((0.2, 0.4), HOLDS), ((0.2, -0.1), DISAGREE), ((0.5, 0.0), DISAGREE), ((), HOLDS), ((0.3,), HOLDS)],
)
def test_verdicts_look_at_the_seeds(seeds, word):
    assert verdict(0.5, 0.3, 0.01, higher=True, seeds=seeds) == word
    assert verdict(-0.5, 0.3, 0.01, higher=True, seeds=seeds) == (FAILS if word == HOLDS else word)


def test_only_seeds_that_both_have_are_compared():
    """The chance of the training is -4, 0 and 2 points, the same for both; ours, half a point better, has
    finished the first run alone."""
    rng = np.random.default_rng(0)
    base = 0.8 + 0.02 * rng.standard_normal(10)
    chance = (-0.04, 0.0, 0.02)
    mse = [run("mse", s, base + chance[s] + 0.001 * rng.standard_normal(10)) for s in range(3)]
    ours = run("ours", 0, base + chance[0] + 0.005)
    lost = [Score("voxelmorph", "ours", s, "phantom:mri2d", error="It diverged.") for s in (1, 2)]
    (found,) = [
        c
        for c in Book(ReproduceConfig(), [ours, *lost, *mse]).comparisons()
        if (c.claim.first, c.claim.second, c.claim.measure, c.claim.table) == ("ours", "mse", "dice", "1")
    ]
    assert found.difference == pytest.approx(0.5, abs=0.1)
    assert found.seeds == pytest.approx((found.difference,))


def test_further_seeds_are_made_alone_and_named_everywhere(tmp_path):
    """A second machine makes the seeds that the first one has not."""
    config = replace(TINY_REPRODUCTION, methods=("undeformed", "mse"), first_seed=3, seeds=2, budget=2)
    files = reproduce(config, tmp_path)
    made = {path.name.rpartition("-")[2] for path in (tmp_path / "runs").iterdir()}
    assert made == {"undeformed", "seed3", "seed4"}
    assert {path.stem for path in tmp_path.glob("split-*")} == {"split-seed3", "split-seed4"}
    text = files["README"].read_text(encoding="utf-8")
    assert "--first-seed 3" in text
    assert "Seeds 3 to 4." in text
    assert ", seeds 3 to 4: " in text.splitlines()[0]
    assert "seed 0" not in text
    assert text.count("seed 3") >= 3  # of the pictures
    swept = replace(config, sweep_lambda=True)
    assert {job.seed for job in sweep_jobs(swept, tmp_path)} == {3}


def test_a_first_seed_is_a_number_from_0():
    with pytest.raises(ValueError, match="first_seed is -1"):
        ReproduceConfig(first_seed=-1)
