"""A network that was trained on 3D phantoms is tested on phantoms of the same grid."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import tiny_model, tiny_training
from hetreg.config import EvaluateConfig
from hetreg.evaluate import evaluate
from hetreg.evaluation import cases
from hetreg.evaluation.cases import list_cases
from hetreg.reproduce.config import ReproduceConfig
from hetreg.reproduce.plan import jobs
from hetreg.reproduce.scoring import evaluate_config
from hetreg.training.data import open_datasets
from hetreg.training.loop import train


@pytest.fixture
def asked(monkeypatch):
    """{kind: voxels per side} of the phantoms that are to be made; none is."""
    found = {}

    def unmade(kind, seed, *, size):
        found[kind] = size
        raise ValueError("Not made.")

    monkeypatch.setattr(cases, "make_pair", unmade)
    return found


def test_an_evaluation_of_the_model_makes_them_as_the_training_did(tmp_path, monkeypatch):
    config = tiny_training(kind="echo3d", crop=16, steps=1, size="tiny", phantoms=3)
    train(config, tmp_path)
    settings = EvaluateConfig(
        kind="echo3d", phantoms=1, model=tmp_path / "best.pt", device="cpu", inverse=False
    )
    make, sides = cases.make_pair, []

    def made(*given, size):
        sides.append(size)
        return make(*given, size=size)

    monkeypatch.setattr(cases, "make_pair", made)
    for size in (0, 20):
        found = evaluate(
            EvaluateConfig.from_dict(settings.to_dict() | {"phantom_size": size}), pictures=False
        )
        assert found.summary["counts"]["failed"] == 0
    assert sides == [16, 20]


@pytest.mark.parametrize(
    ("card", "solid"),
    [
        ({"config": {"dataset": "pairs+phantom", "kind": "echo3d", "crop": 24}}, 24),
        ({"config": {"dataset": "pairs", "kind": "echo3d", "crop": 24}}, None),
        ({}, None),
    ],
)
def test_the_size_of_the_training_is_that_of_3d_phantoms_alone(asked, card, solid):
    model = tiny_model(ndim=3)
    model.card = card
    evaluate(EvaluateConfig(kind="echo3d+mri2d", phantoms=2), model=model, pictures=False)
    assert asked == {"echo3d": solid, "mri2d": None}


def test_a_2d_model_says_nothing_of_3d_phantoms(asked):
    model = tiny_model()
    model.card = {"config": {"dataset": "phantom", "kind": "mri2d", "crop": 32}}
    evaluate(EvaluateConfig(kind="echo3d+mri2d", phantoms=2), model=model, pictures=False)
    assert asked == {"echo3d": None, "mri2d": None}


def test_a_reproduction_makes_them_alike_for_training_and_test():
    config = ReproduceConfig(kind="echo3d", crop=32, seeds=1, methods=("mse",), test_phantoms=1)
    (training,) = [job.config for job in jobs(config, Path()) if job.config is not None]
    made = open_datasets(training)[0].scan().pairs[0].size
    sources, _ = list_cases(evaluate_config(config, Path(), config.sources[0]))
    assert sources[0].read()[0].fixed.array.shape == made == (32, 32, 32)
