"""Shipped models: listed, complete, checked; a name or a file is found or refused."""

from __future__ import annotations

import json
import shutil

import pytest

from builders import assert_sentence
from hetreg import zoo
from hetreg.config import TrainConfig, network_config
from hetreg.files import sha256
from hetreg.model import RegistrationModel
from hetreg.training.start import options_of

CARDS = zoo.list_models()


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_shipped_model_is_what_its_card_says(card):
    path = zoo.locate(card.name)
    assert path == card.path
    assert path.stat().st_size == card.bytes
    assert sha256(path) == card.sha256
    assert card.licence
    assert card.data
    assert card.command
    assert card.steps > 0
    assert card.scores
    assert path.with_suffix(".md").is_file()
    model = RegistrationModel.load(path)
    assert model.ndim == card.ndim
    assert model.card["name"] == card.name
    assert model.checksum == card.sha256


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_run_with_the_options_of_its_card_may_start_from_a_model(card):
    run = network_config(TrainConfig(start=card.name, **zoo.options_from(card.name)), card.ndim)
    assert options_of(run) == options_of(RegistrationModel.load(card.path).network)
    assert zoo.options_from(str(card.path)) == {}


def test_the_models_together_are_small():
    assert CARDS
    assert sum(card.bytes for card in CARDS) < 10e6
    assert len({card.name for card in CARDS}) == len(CARDS)


def test_no_weight_file_is_without_a_card():
    assert {p.name for p in zoo.WEIGHTS.glob("*.pt")} == {card.file for card in CARDS}


def test_the_default_is_the_first_of_its_dimension_and_modality():
    assert zoo.default_model(2).name == next(c.name for c in CARDS if c.ndim == 2)
    assert zoo.default_model(2, "mri").name == "cine-mri-2d"
    assert zoo.default_model(2, "echo").name == "echo-2d"
    assert zoo.default_model(3, "mri").name == zoo.default_model(3, "echo").name == "echo-3d"
    with pytest.raises(ValueError, match="4D") as caught:
        zoo.default_model(4)
    assert_sentence(caught.value, "weight file")


def test_an_unknown_name_is_refused_with_the_known():
    with pytest.raises(ValueError, match="'cine-mri-9d'") as caught:
        zoo.locate("cine-mri-9d")
    with pytest.raises(ValueError, match="model is a NoneType: the name of a model or a weight file"):
        zoo.locate(None)
    assert_sentence(caught.value, *(card.name for card in CARDS))


def test_a_file_is_taken_as_it_is_and_a_missing_one_is_named(tmp_path):
    file = tmp_path / "mine.pt"
    file.write_bytes(b"anything")
    assert zoo.locate(file) == file
    with pytest.raises(FileNotFoundError, match=r"absent\.pt") as caught:
        zoo.locate(tmp_path / "absent.pt")
    assert_sentence(caught.value)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The weights folder as a copy that a test may damage."""
    shutil.copytree(zoo.WEIGHTS, tmp_path / "weights")
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path / "weights")
    return tmp_path / "weights"


def test_a_damaged_model_is_refused(copied):
    file = copied / CARDS[0].file
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match="damaged") as caught:
        zoo.locate(CARDS[0].name)
    assert_sentence(caught.value, CARDS[0].name, "checksum")


def test_a_missing_model_is_named(copied):
    (copied / CARDS[0].file).unlink()
    with pytest.raises(FileNotFoundError, match="missing") as caught:
        zoo.locate(CARDS[0].name)
    assert_sentence(caught.value, CARDS[0].file)


def test_the_list_is_plain_json():
    text = (zoo.WEIGHTS.parent / "models.json").read_text(encoding="utf-8")
    assert [entry["name"] for entry in json.loads(text)] == [card.name for card in CARDS]


def test_no_shipped_model_names_a_place_of_the_machine_that_trained_it():
    for card in zoo.list_models():
        config = RegistrationModel.load(card.path).card
        for stage in config.get("stages", {"": config.get("config", {})}).values():
            assert [stage.get(name, "") for name in ("root", "split", "start")] == ["", "", ""]
        assert "config" not in config or not config["config"].get("start")
