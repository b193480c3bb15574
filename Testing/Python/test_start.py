"""A run that starts from other weights."""

from __future__ import annotations

import pytest
import torch

from builders import TINY, assert_sentence, tiny_model, tiny_training, train_samples
from hetreg.commands.console import Line
from hetreg.config import NetworkConfig
from hetreg.files import json_lines
from hetreg.training import loop
from hetreg.training.checks import behind
from hetreg.training.folder import RunFolder
from hetreg.training.loop import train


def test_a_variance_network_that_is_started_from_keeps_its_level(tmp_path):
    """Another begins at the mean squared residual."""
    given = tiny_model()
    given.variance_net.start_at(0.5)
    given.save(tmp_path / "given.pt")
    settings = {"steps": 1, "warmup": 0, "learning_rate": 1e-9}
    heads = []
    for start in ("", str(tmp_path / "given.pt")):
        folder = tmp_path / f"run{bool(start)}"
        config = tiny_training(start=start, **settings)
        model = train(config, folder, network=NetworkConfig(**TINY), samples=train_samples())
        heads.append(model.variance_net.unet.head.bias)
    new, kept = (torch.allclose(head, given.variance_net.unet.head.bias, atol=1e-3) for head in heads)
    assert (new, kept) == (False, True)


def validations(folder) -> list[dict]:
    """The rows of a run's validations."""
    return [row for row in json_lines(folder / "log.jsonl") if row["event"] == "validation"]


def test_what_a_run_starts_from_is_validated_before_the_first_step(tmp_path):
    settings = {"network": NetworkConfig(**TINY), "samples": train_samples()}
    tiny_model().save(tmp_path / "given.pt")
    config = tiny_training(start=str(tmp_path / "given.pt"), steps=2)
    for _ in range(2):  # the second goes on with nothing but a log
        told = []
        train(config, tmp_path / "run", emit=lambda kind, told=told, **f: told.append((kind, f)), **settings)
        assert [row["step"] for row in validations(tmp_path / "run")] == [0, 2]
        assert [f["step"] for kind, f in told if kind == "validation"] == [0, 2]
        for name in ("last.ckpt", "best.pt"):
            (tmp_path / "run" / name).unlink()
    other = tiny_training(steps=2)
    train(other, tmp_path / "other", **settings)
    assert [row["step"] for row in validations(tmp_path / "other")] == [2]


def test_a_model_whose_validation_is_no_number_is_not_started_from(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "validate", lambda *_: {"loss": float("nan")})
    tiny_model().save(tmp_path / "given.pt")
    config = tiny_training(start=str(tmp_path / "given.pt"))
    with pytest.raises(ValueError, match="Step 0: validation loss is not a finite number") as caught:
        train(config, tmp_path / "run", network=NetworkConfig(**TINY), samples=train_samples())
    assert_sentence(caught.value)
    assert validations(tmp_path / "run") == []


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("was", [0.9, 0.1], ids=["better", "worse"])
def test_a_run_that_does_not_reach_what_it_started_from_says_so_at_its_end(
    tmp_path, monkeypatch, capsys, was, resumed
):
    dice = iter((was, 0.7, 0.5))
    monkeypatch.setattr(loop, "validate", lambda *_: {"dice": next(dice), "loss": 0.1, "folding": 0.0})
    tiny_model().save(tmp_path / "given.pt")
    settings = {"network": NetworkConfig(**TINY), "samples": train_samples()}
    told = []
    for steps in (2, 4)[not resumed :]:
        config = tiny_training(start=str(tmp_path / "given.pt"), steps=steps, warmup=0, validate_every=2)
        told.clear()
        train(config, tmp_path / "run", emit=lambda kind, **f: told.append((kind, f)), **settings)
    assert [row["dice"] for row in validations(tmp_path / "run")] == [was, 0.7, 0.5]
    kind, fields = told[-1]
    assert (kind, "note" in fields) == ("done", was == 0.9)
    Line().event(kind, **fields)
    first, *notes = capsys.readouterr().out.splitlines()[-1 - ("note" in fields) :]
    assert first == f"done: model {fields['model']}"
    if was == 0.9:
        assert notes == [f"note: {fields['note']}"]
        said = f"best.pt is not as good as {tmp_path.name}/given.pt"
        assert_sentence(fields["note"], said, "dice 0.9, folding 0 % at step 0")


def test_without_labels_the_loss_is_compared():
    was = {"loss": 0.25, "folding": 0.0, "mse": 0.1, "step": 0}
    assert behind("x/given.pt", was, -0.2) == behind("x/given.pt", {}, -1.0) == ""
    assert_sentence(behind("x/given.pt", was, -0.3), "given.pt", "loss 0.25")
    assert "not as good as former/best.pt, which" in behind("runs/former/best.pt", was, -0.3)
    assert "not as good as cine-mri-2d, which" in behind("cine-mri-2d", was, -0.3)


@pytest.mark.parametrize("row", ['"loss": null, "folding": 0.0', '"dice": 0.9, "loss": 0.1', '"loss": "x"'])
def test_a_damaged_row_of_the_start_costs_no_run_its_end(tmp_path, row):
    (tmp_path / "log.jsonl").write_text(f'{{"event": "validation", "step": 0, {row}}}\n')
    was = RunFolder(tmp_path, tiny_training()).validation_of_start()
    assert was == {}
    assert behind("given.pt", was, -9.0) == ""
