"""The slice of a case that is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders import stack, tiny_model
from hetreg.config import RegisterConfig
from hetreg.evaluation.case import Case
from hetreg.evaluation.cut import cut
from hetreg.register import register_pair


@pytest.mark.parametrize("axis", [0, 2])
def test_the_slice_with_most_of_the_label_is_cut(axis):
    case = stack(axis)
    result = register_pair(case.fixed, case.moving, tiny_model(rough=0.05), RegisterConfig(inverse=False))
    shown = cut(case, result, 3)
    assert shown.place == "slice 3 of 4"
    for found, array in (
        (shown.fixed, case.fixed.array),
        (shown.fixed_label, case.fixed_label.array),
        (shown.moving_label, case.moving_label.array),
        (shown.moved_label, result.apply(case.moving_label, labels=True).array),
        (shown.noise_sd, result.noise_sd.array),
        (shown.disp[0], result.disp_vox[1 if axis == 0 else 0]),
    ):
        assert np.array_equal(found, np.moveaxis(array, axis, 0)[2])
    assert shown.spacing_mm == (1.5, 1.5)
    assert cut(case, result, 1).place == cut(case, result).place == "slice 4 of 4"
    assert cut(replace(case, fixed_label=None), result, 3).place == "slice 3 of 4"  # the middle


def test_a_volume_is_cut_along_its_first_axis_and_a_map_with_gaps_is_not_shown(monkeypatch):
    case = stack(0)
    result = register_pair(case.fixed, case.moving, tiny_model(rough=0.05), RegisterConfig(inverse=False))
    monkeypatch.setattr(Case, "slice_axis", None)
    result.noise_sd.array[0, 0, 0] = np.nan
    shown = cut(case, result, 3)
    assert np.array_equal(shown.fixed, case.fixed.array[2])
    assert shown.noise_sd is None
