"""The script that trains the shipped models: which stages a fold of the cross-validation has."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from layouts import plain_pair

from builders import tiny_model
from hetreg.files import sha256
from hetreg.model import RegistrationModel
from hetreg.training import loop

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "HetRegUncertainty" / "hetreg"
SCORES = "- Scores on the last stage's validation split, by which its best step was chosen: dice 0.5."


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


def shipped_card(script, folder, stages):
    """A tiny model and its card, as `pack` writes them, in a folder of the test."""
    model = tiny_model()
    model.card = {"name": "cine-mri-2d", "steps": 5, "anchor": 3.0, "stages": {stage: {} for stage in stages}}
    (entry,) = (e for e in json.loads((CORE / "models.json").read_text()) if e["name"] == "cine-mri-2d")
    entry |= {
        "steps": 5,
        "options": {"network": "pyramid", "method": "ours"},
        "trained_on": ["P1"],
        "sha256": model.save(folder / entry["file"]),
    }
    (folder / "models.json").write_text(json.dumps([entry]))
    lines = ["# cine-mri-2d", "", "- Stage phantom: 5 of 5 steps.", "- Refinement: none."]
    lines += ["- Command: `x`, at commit abc (phantom) (later code may split or draw otherwise).", SCORES]
    (folder / "cine-mri-2d.md").write_text("\n".join([*lines, f"- SHA-256: `{entry['sha256']}`"]) + "\n")
    return model, entry


def test_a_further_stage_changes_the_variance_network_alone_and_says_so(ship, tmp_path, monkeypatch):
    script, _ = ship
    sys.modules.pop("train_further", None)
    import train_further

    monkeypatch.setattr(train_further.zoo, "WEIGHTS", tmp_path)
    monkeypatch.setattr(train_further.zoo, "_HERE", tmp_path)
    monkeypatch.setattr(sys.modules["calibrate_models"], "CORE", tmp_path)
    before, old = shipped_card(script, tmp_path, ["phantom"])
    run, trained = tmp_path / "noise-again", tiny_model()
    for value in trained.parameters():
        torch.nn.init.constant_(value, 0.25)
    trained.card = {"steps": 7, "scores": {"dice": 0.875}}
    run.mkdir()
    trained.save(run / "best.pt")
    (run / "split.json").write_text('{"training": ["P2", "mri2d-1"], "validation": [], "test": []}')
    stage, config = script.RECIPES["cine-mri-2d"].stages[-1]
    train_further.write("cine-mri-2d", stage, config, run, "def")
    model = RegistrationModel.load(tmp_path / "cine-mri-2d.pt")
    for name, value in model.displacement_net.state_dict().items():
        assert torch.equal(value, before.displacement_net.state_dict()[name].half().float())
    assert all(bool((value == 0.25).all()) for value in model.variance_net.parameters())
    card = json.loads((tmp_path / "models.json").read_text())[0]
    assert (card["steps"], card["scores"], card["trained_on"]) == (12, {"dice": 0.875}, ["P1", "P2"])
    assert card["options"]["network"] == "pyramid"
    assert (card["options"]["method"], card["options"]["blind_spots"]) == ("supervised", 0.2)
    assert card["sha256"] == sha256(tmp_path / "cine-mri-2d.pt") != old["sha256"]
    assert model.card["anchor"] == 3.0
    assert list(model.card["stages"]) == ["phantom", "noise-again"]
    text = (tmp_path / "cine-mri-2d.md").read_text().splitlines()
    assert text[3].startswith("- Stage noise-again: 7 of 8000 steps")
    assert "`--blind-spots 0.2`, from" in text[3]
    assert "abc (phantom), def (noise-again) (later code" in text[5]
    assert text[6].endswith("chosen: dice 0.875.")
    assert card["sha256"] in text[7]
