"""The slice of a case that is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from builders import stack, tiny_model
from hetreg.config import RegisterConfig
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
        (shown.noise_sd, result.noise_sd.array),
        (shown.disp[0], result.disp_vox[1 if axis == 0 else 0]),
    ):
        assert np.array_equal(found, np.moveaxis(array, axis, 0)[2])
    assert shown.spacing_mm == (1.5, 1.5)
    assert cut(case, result, 1).place == "slice 4 of 4"
