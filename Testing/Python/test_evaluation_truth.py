"""What a phantom's truth says of a registration, by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from builders import sampled
from hetreg.evaluation.case import Case
from hetreg.evaluation.noise import Frame
from hetreg.evaluation.truth import truth_numbers


def test_the_errors_of_a_body_of_five_voxels_and_its_noise_of_which_four_count():
    """The first two are myocardium, 1 voxel of 3 mm off, the others 2 of 1 mm; the row above is outside. The
    squared noise is 1 to 4 with variances in another order; the fifth voxel is too bright for the scanner."""
    image = sampled((5, 1, 2), (1.0, 2.0, 3.0))

    def like(*row: float):
        return image.like(np.array([row, [0] * 5], np.float32).reshape(2, 1, 5), "x")

    scale, squares = 10.0, np.array([1.0, 4, 2, 3, 900])
    myocardium, body = like(2, 2, 3, 3, 3), like(1, 1, 1, 1, 1)
    moving = image.like(np.full_like(image.array, 10), "moving")
    true = np.zeros((3, 2, 1, 5))
    off = true.copy()
    off[0, 0, 0, :2], off[2, 0, 0, 2:], off[:, 1] = 1.0, 2.0, 9.0
    true[2, 0, 0, 1] = 0.5
    variances = {
        "residual_variance": like(100, 200, 300, 400, 1e-6),
        "noise_variance": like(9, 1, 3, 2, 9),
    }
    truth = SimpleNamespace(fixed=image, fixed_label=myocardium, body=body, disp_vox=true, **variances)
    fixed, predicted = like(*(1 + np.sqrt(squares))).array, like(90, 10, 30, 20, 1e4).array
    inside = body.array > 0
    numbers, _ = truth_numbers(
        Case("a", "p", image, moving, truth=truth),
        SimpleNamespace(disp_vox=true + off, displacement_sd_mm=None),
        Frame(scale, fixed, fixed, fixed, predicted, inside),
    )
    found = {name: v for name, v in numbers.items() if name.startswith(("epe", "ause", "spearman"))}
    assert found == pytest.approx(
        {
            "epe_vox_myocardium": 1.0,
            "epe_mm_myocardium": 3.0,
            "epe_vox_body": (2 * 1 + 3 * 2) / 5,
            "epe_mm_body": (2 * 3 + 3 * 2) / 5,
            "epe_vox_myocardium_before": 0.25,
            "epe_mm_myocardium_before": 0.25,
            "epe_vox_body_before": 0.1,
            "epe_mm_body_before": 0.1,
            "ause_mask_normalised_truth": (0 + 1 + 2 + 3) / 4 / 2.5,
            "ause_mask_normalised_true_variance": (0 + 1 / 3 + 1 + 0) / 4 / 2.5,
            "spearman_truth": 1 - 6 * (3**2 + 1**2 + 0 + 2**2) / (4 * 15),
            "spearman_noise": 1.0,
        }
    )
