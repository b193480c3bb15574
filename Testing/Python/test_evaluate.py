"""Evaluation: numbers of cases made by hand, failures as rows, files whole or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from hetreg.assemble import result_from_field
from hetreg.config import EvaluateConfig
from hetreg.evaluate import evaluate

PHANTOM = EvaluateConfig(phantoms=2, phantom_size=32)


def undeformed(case):
    return result_from_field(case.fixed, case.moving, np.zeros((3, *case.fixed.array.shape)))


def true_field(case):
    return result_from_field(case.fixed, case.moving, case.truth.disp_vox)


def test_the_true_field_has_no_error_and_no_displacement_has_the_error_before():
    best, none = (evaluate(PHANTOM, register=r).rows for r in (true_field, undeformed))
    for exact, still in zip(best, none, strict=True):
        assert exact["epe_vox_myocardium"] == pytest.approx(0.0, abs=1e-6)
        assert exact["epe_mm_body"] == pytest.approx(0.0, abs=1e-6)
        assert exact["dice_2"] > still["dice_2"]
        for name in ("dice_2", "hd95_mm_2", "epe_vox_myocardium", "epe_mm_body"):
            before = f"{name}_before"
            assert still[name] == pytest.approx(still[before])
            assert exact[before] == pytest.approx(still[before])
        assert "nll" not in still  # no variance was given
        assert still["mse_after"] == pytest.approx(still["mse_before"])
