"""What an evaluation computes is used, and not computed twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from squares import square_case, undeformed

from builders import TINY_REPRODUCTION, tiny_model
from hetreg import evaluate as evaluation
from hetreg.assemble import result_from_field
from hetreg.config import EvaluateConfig
from hetreg.evaluation import noise
from hetreg.metrics import sparsification
from hetreg.reproduce import book as books
from hetreg.reproduce.book import Book
from hetreg.reproduce.scores import Score

ONE = EvaluateConfig(phantoms=1, phantom_size=32)


@pytest.fixture
def count(monkeypatch):
    """Replaces a function of a module by itself, and gives the list of its calls."""

    def counted(module, name):
        calls, function = [], getattr(module, name)

        def noted(*arguments, **options):
            calls.append(arguments)
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, noted)
        return calls

    return counted


@pytest.mark.parametrize("inverse", [True, False])
def test_the_pair_the_other_way_round_has_no_inverse_transform(count, inverse):
    calls = count(evaluation, "register_pair")
    evaluation.evaluate(replace(ONE, inverse=inverse), model=tiny_model(), pictures=False)
    assert [config.inverse for _, _, _, config, _ in calls] == [inverse, False]


def test_voxels_are_sorted_once_for_each_residual_and_variance(count):
    reliability, curves = count(noise, "reliability"), count(sparsification, "sparsification")
    evaluation.evaluate(replace(ONE, both_ways=False), model=tiny_model(), pictures=False)
    assert len(reliability) == 3  # the residual; the true noise with both variances
    assert len(curves) == 4  # whole, inside; the true noise with both variances


def test_the_spread_of_the_log_jacobian_is_that_of_its_map():
    case = square_case()
    disp = np.zeros((3, *case.fixed.array.shape))
    disp[2] = 0.25 * np.arange(disp.shape[-1]) * (np.arange(disp.shape[-1]) < 16)
    result = result_from_field(case.fixed, case.moving, disp)
    found = evaluation.score(case, result).row["sd_log_jacobian"]
    assert found == pytest.approx(np.std(result.log_jacobian.array.astype(float)))
    assert found > 0.1
    assert evaluation.score(case, undeformed(case)).row["sd_log_jacobian"] == 0


def test_the_length_of_a_displacement_that_grows_by_a_tenth_of_a_voxel_of_2_mm():
    case = square_case()
    disp = np.zeros((3, *case.fixed.array.shape))
    disp[2] = -0.1 * np.arange(32)
    result = result_from_field(case.fixed, case.moving, disp)
    row = evaluation.score(case, result).row
    for numbers in (row, result.summary):
        assert numbers["displacement_mean_mm"] == pytest.approx(3.1)
        assert numbers["displacement_max_mm"] == pytest.approx(6.2)
    assert result.summary["displacement_p95_mm"] == pytest.approx(6.0)  # the last but one of 32 columns
    assert result.summary["log_jacobian_max"] == pytest.approx(np.log(0.9), abs=1e-5)
    assert result.summary["log_jacobian_min"] == pytest.approx(np.log(0.9), abs=1e-5)


def test_the_structure_of_a_source_is_looked_for_once(count):
    calls, source = count(books, "label_of"), TINY_REPRODUCTION.sources[0]
    row = {"case": "a", "patient": "a", "slice": 0, "dice_published_3": 0.5}
    book = Book(TINY_REPRODUCTION, [Score("voxelmorph", "mse", 0, source, [row], [row])])
    assert [book.label(source) for _ in range(3)] == [3, 3, 3]
    assert len(calls) == 1
