"""What is documented of the shipped models holds, with room for chance, on a few phantoms of each kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from hetreg.config import EvaluateConfig
from hetreg.evaluate import evaluate

PAIRS = 6
KINDS = {"mri2d": "cine-mri-2d", "echo2d": "echo-2d", "echo2d_sax": "echo-2d"}


@dataclass(frozen=True)
class Means:
    """Over the pairs. error: in parts of that of no displacement."""

    error: float
    dice: float
    displacement95: float
    noise95: float
    folding: float


def means(kind: str) -> Means:
    """Of the model for that kind, without refinement, on seeds that no training and no benchmark has."""
    config = EvaluateConfig(kind=kind, phantoms=PAIRS, first_seed=90_000, model=KINDS[kind], inverse=False)
    rows = evaluate(config, pictures=False).rows
    assert [row["error"] for row in rows] == [""] * PAIRS

    def mean(name: str) -> float:
        return float(np.mean([row[name] for row in rows]))

    error = mean("epe_vox_myocardium") / mean("epe_vox_myocardium_before")
    numbers = ("dice_2", "displacement_coverage95", "coverage95_truth", "folding_percent")
    return Means(error, *(mean(name) for name in numbers))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_shipped_model_is_as_good_and_as_honest_as_documented(kind):
    found = means(kind)
    assert found.error < 0.25
    assert found.dice > 0.92
    assert 85 < found.displacement95 <= 100
    assert 90 < found.noise95 < 99
    assert found.folding < 0.01
