"""The benchmark that asks which map follows the displacement's error."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import trust

from hetreg.datasets.phantom import make_pair


def test_a_map_that_is_the_error_follows_it_and_one_that_is_its_opposite_does_not() -> None:
    pair = make_pair("mri2d", 1, size=48, with_truth=False)
    error = np.random.default_rng(0).random(pair.fixed.array.shape)
    disp = pair.disp_vox.copy()
    disp[1] += error
    weight = pair.fixed.like(error, "weight")  # 1 - weight falls where the error grows
    result = SimpleNamespace(
        disp_vox=disp,
        noise_sd=pair.fixed,
        snr_weight=weight,
        displacement_sd_mm=pair.fixed.like(2 * error, "sd"),
    )
    found = trust.measure(pair, result)
    assert found.shape == (len(trust.REGIONS), len(trust.MAPS), 2)
    assert found[:, 1, 0] == pytest.approx(-1, abs=1e-6)
    assert found[:, 2, 0] == pytest.approx(1, abs=1e-6)
    assert (np.abs(found[:, 0, 0]) < 0.3).all()


def test_times_the_error_is_the_mean_of_the_highest_fifth_over_that_of_the_rest() -> None:
    values, error = np.arange(10.0), np.array([1.0] * 8 + [3.0, 5.0])
    assert trust.ratio(values, error) == pytest.approx(4.0)
    assert trust.ratio(-values, error) == pytest.approx(1 / 1.75)


def test_a_row_tells_mean_range_and_times() -> None:
    assert trust.told(np.array([[[0.0, 1.0]], [[0.5, 2.0]]])) == ["0.25 (0.00 to 0.50); 1.5"]
