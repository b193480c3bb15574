"""The script that trains the shipped models: which stages a fold of the cross-validation has."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from layouts import plain_pair

from builders import tiny_model
from hetreg.model import RegistrationModel
from hetreg.training import loop

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ship(monkeypatch, tmp_path):
    """The script, whose runs lie in a folder of the test, and the stages that it trains."""
    monkeypatch.syspath_prepend(str(ROOT / "Testing"))
    trained = []
    monkeypatch.setattr(loop, "train", lambda config, run, *_, **__: trained.append((run.name, config)))
    sys.modules.pop("ship_models", None)
    import ship_models

    monkeypatch.setattr(ship_models, "ROOT", tmp_path)
    yield ship_models, trained
    sys.modules.pop("ship_models", None)


def test_a_fold_has_every_stage_of_the_displacement_each_from_the_one_before(ship, tmp_path):
    script, trained = ship
    pairs = tmp_path / "pairs"
    for n in range(9):
        plain_pair(pairs, f"P{n}", n)
    script.train_stages("cine-mri-2d", script.RECIPES["cine-mri-2d"], pairs, fold=1)
    assert [name for name, _ in trained] == ["phantom", "real-fold1", "scanners-fold1"]
    starts = [Path(config.start).parent.name for _, config in trained[1:]]
    assert starts == ["phantom", "real-fold1"]
    for name, config in trained[1:]:
        split = json.loads(Path(config.split).read_text())
        assert split["test"] == ["P1", "P4", "P7"], name
        assert not set(split["test"]) & {*split["training"], *split["validation"]}


def test_the_model_of_a_fold_is_used_as_the_shipped_one_is(ship, tmp_path):
    script, _ = ship
    tiny_model().save(tmp_path / "best.pt")
    script.finish_fold(script.RECIPES["cine-mri-2d"], tmp_path)
    card = RegistrationModel.load(tmp_path / "best.pt").card
    assert (card["anchor"], card["views"]) == (3.0, 1)


def test_a_card_says_what_it_is_not_for_and_whom_to_cite(ship, tmp_path):
    script, _ = ship
    model, recipe = tiny_model(), script.RECIPES["cine-mri-2d"]
    model.card = {"steps": 5}
    model.save(tmp_path / "best.pt")
    (tmp_path / "split.json").write_text('{"training": ["P1"], "validation": ["P2"], "test": []}')
    shown = {name: "x" for name in ("name", "description", "data", "licence", "command", "sha256")}
    card = {**shown, "scores": {"dice": 0.9}, "trained_on": ["P1"]}
    recipe = replace(recipe, stages=recipe.stages[:1])
    text = script.card_text(card, recipe, [tmp_path], "abc")
    assert "not diagnosis" in text
    assert "Trained on 1 real patients" in text
    assert "Radau et al." in text
    del card["trained_on"]
    assert "Radau" not in script.card_text(card, recipe, [tmp_path], "abc")
