"""A network that was trained on 3D phantoms is tested on phantoms of the same grid."""

from __future__ import annotations

from pathlib import Path

from builders import tiny_training
from hetreg.config import EvaluateConfig
from hetreg.evaluate import evaluate
from hetreg.evaluation.cases import list_cases
from hetreg.reproduce.config import ReproduceConfig
from hetreg.reproduce.plan import jobs
from hetreg.reproduce.scoring import evaluate_config
from hetreg.training.data import open_datasets
from hetreg.training.loop import train


def test_an_evaluation_of_the_model_makes_them_as_the_training_did(tmp_path):
    config = tiny_training(kind="echo3d", crop=16, steps=1, size="tiny", phantoms=3)
    train(config, tmp_path)
    settings = EvaluateConfig(
        kind="echo3d", phantoms=1, model=tmp_path / "best.pt", device="cpu", inverse=False
    )
    for size, made in ((0, 16), (20, 20)):
        asked = EvaluateConfig.from_dict(settings.to_dict() | {"phantom_size": size})
        found = evaluate(asked, pictures=False)
        assert found.summary["config"]["phantom_size"] == made
        assert found.summary["counts"]["failed"] == 0


def test_a_reproduction_makes_them_alike_for_training_and_test():
    config = ReproduceConfig(kind="echo3d", crop=32, seeds=1, methods=("mse",), test_phantoms=1)
    (training,) = [job.config for job in jobs(config, Path()) if job.config is not None]
    made = open_datasets(training)[0].scan().pairs[0].size
    sources, _ = list_cases(evaluate_config(config, Path(), config.sources[0]))
    assert sources[0].read()[0].fixed.array.shape == made == (32, 32, 32)
