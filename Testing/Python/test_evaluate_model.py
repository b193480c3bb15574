"""The model of an evaluation: given in any way, on the patients that it was not trained on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from squares import PHANTOM, folder_config, write_squares

from builders import assert_sentence, tiny_model, tiny_training, train_samples
from hetreg.config import RegisterConfig, TrainConfig
from hetreg.evaluate import evaluate
from hetreg.model import RegistrationModel
from hetreg.reproduce.run import reproduce
from hetreg.training.loop import train

PARTS = {"training": ["a", "b"], "validation": ["c"], "test": ["d"]}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_squares(tmp_path_factory.mktemp("data") / "pairs", *"abcd")


@pytest.fixture
def best(tmp_path):
    """A weight file in the folder of a run on real pairs."""
    model = tiny_model()
    model.card["config"] = {"dataset": "pairs", "crop": 16}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "split.json").write_text(json.dumps(PARTS))
    model.save(tmp_path / "run" / "best.pt")
    return tmp_path / "run" / "best.pt"


def measured(data, given, **changes) -> tuple[list[str], list[str]]:
    """Patients that were measured, and the notes on the training."""
    config = folder_config(data, split="test", both_ways=False, inverse=False, **changes)
    found = evaluate(config, model=given, pictures=False)
    patients = [row["patient"] for row in found.rows]
    return patients, [note for note in found.summary["notes"] if "training" in note]


def test_the_test_patients_of_its_run_are_taken_however_the_model_is_given(data, best):
    for seed in (0, 1, 2):  # of which none would draw that part each time
        assert measured(data, None, model=str(best), seed=seed) == (["d"], [])
        for model in (best, str(best), RegistrationModel.load(best)):
            assert measured(data, model, seed=seed) == (["d"], [])


def test_a_model_that_was_just_trained_knows_its_run(tmp_path):
    model = train(tiny_training(steps=1, warmup=0), tmp_path / "run", samples=train_samples())
    assert model.run == tmp_path / "run"
    assert (model.run / "split.json").is_file()


def test_it_is_said_where_nobody_knows_whom_the_model_was_trained_on(data, best, tmp_path):
    away = shutil.copy(best, tmp_path / "moved.pt")
    (note,) = measured(data, away)[1]
    assert_sentence(note, "moved.pt has no split.json")
    (best.parent / "other.json").write_text(json.dumps(PARTS))
    assert measured(data, away, split_file=str(best.parent / "other.json")) == (["d"], [])
    assert measured(data, tiny_model())[1] == []  # never trained
    assert not [n for n in evaluate(PHANTOM, model=away, pictures=False).summary["notes"] if "split" in n]


def test_a_changed_model_has_still_seen_the_patients_of_its_training(tmp_path):
    folder = write_squares(tmp_path / "data", "SC-HF-I-02", "SC-HF-I-01")
    model = RegistrationModel.load("cine-mri-2d")
    with torch.no_grad():
        next(model.parameters()).mul_(1.01)
    found = evaluate(folder_config(folder), model=model, pictures=False)
    assert found.summary["models"] == {"changed from cine-mri-2d": ""}
    assert [n for n in found.summary["notes"] if "1 of the 2 patients (SC-HF-I-02)" in n]


def test_models_that_are_chosen_by_the_images_are_loaded_once_each(monkeypatch):
    loaded, load = [], RegistrationModel.load
    monkeypatch.setattr(RegistrationModel, "load", lambda name: loaded.append(name) or load(name))
    found = evaluate(replace(PHANTOM, kind="mri2d+echo2d", phantoms=4))
    assert loaded == [row["model"] for row in found.rows[:2]] == ["cine-mri-2d", "echo-2d"]
    assert {row["model"] for row in found.rows[2:]} <= {*loaded}
    chosen = [note for note in found.summary["notes"] if "chosen automatically" in note]
    assert [name in note for name, note in zip(loaded, chosen, strict=True)] == [True, True]


def test_what_is_no_model_or_no_configuration_is_a_sentence(tmp_path):
    for call, words in (
        (lambda: evaluate(PHANTOM, model="nosuch"), ("There is no model 'nosuch'",)),
        (lambda: evaluate(PHANTOM, model=3), ("The model is a int", "weight file")),
        (lambda: evaluate({}), ("config is a dict: a EvaluateConfig is accepted",)),
        (lambda: evaluate(RegisterConfig()), ("config is a RegisterConfig: a EvaluateConfig",)),
        (lambda: RegisterConfig.checked(PHANTOM), ("config is a EvaluateConfig: a RegisterConfig",)),
        (lambda: train(None, tmp_path), ("config is a NoneType: a TrainConfig is accepted",)),
        (lambda: reproduce(TrainConfig(), tmp_path), ("config is a TrainConfig: a ReproduceConfig",)),
    ):
        with pytest.raises(ValueError, match="is") as caught:
            call()
        assert_sentence(caught.value, *words)
