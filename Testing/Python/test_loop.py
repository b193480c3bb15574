"""The training loop: it learns, stops, goes on, and writes what it did."""

from __future__ import annotations

import csv
import json
import signal
import sys
import types
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from builders import PLAIN, TINY, assert_sentence, tiny_model, tiny_training, train_samples
from hetreg.config import NetworkConfig, TrainConfig
from hetreg.model import RegistrationModel
from hetreg.progress import Cancelled, Progress
from hetreg.training import schedule
from hetreg.training.loop import train
from hetreg.training.trainer import Trainer
from hetreg.training.validation import score, validate

CPU = torch.device("cpu")


def run(folder, config: TrainConfig, *, ndim: int = 2, progress: Progress | None = None) -> RegistrationModel:
    """Train the small network on the discs."""
    samples = train_samples(ndim=ndim)
    return train(config, folder, progress, network=NetworkConfig(ndim=ndim, **TINY), samples=samples)


def rows(folder, event: str = "validation") -> list[dict]:
    """The lines of the log of one kind."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [row for row in lines if row["event"] == event]


def stop_at(step: int) -> Progress:
    """Progress that cancels when that step has been reported."""
    seen = []
    return Progress(lambda f, m: seen.append(m), lambda: seen[-1].startswith(f"Step {step} of"))


def same_weights(a: RegistrationModel, b: RegistrationModel) -> bool:
    """True if both models agree bit for bit."""
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_run_writes_its_files_and_the_best_model_loads(tmp_path, ndim):
    config = tiny_training()
    model = run(tmp_path, config, ndim=ndim)
    assert not model.training
    assert {p.name for p in tmp_path.iterdir()} == {
        "config.json",
        "split.json",
        "run.json",
        "log.jsonl",
        "log.csv",
        "best.pt",
        "last.ckpt",
        "model_card.md",
        "preview",
    }
    assert TrainConfig.load(tmp_path / "config.json") == config
    split = json.loads((tmp_path / "split.json").read_text())
    assert sorted(split["training"] + split["validation"] + split["test"]) == ["p0", "p1", "p2", "p3"]
    for event in ("step", "validation"):
        assert [r["step"] for r in rows(tmp_path, event)] == [3, 6]
    assert {"loss", "variance_loss", "snr_weighted", "epoch"} <= rows(tmp_path, "step")[-1].keys()
    assert {"loss", "mse", "dice", "folding"} <= rows(tmp_path)[-1].keys()
    table = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [(r["event"], r["step"]) for r in table[:2]] == [("step", "3"), ("validation", "3")]
    names = {"fixed.nrrd", "moved.nrrd", "noise_sd.nrrd", "weight.nrrd"}
    assert {p.name for p in (tmp_path / "preview").iterdir()} == names
    assert {"hetreg", "code", "torch", "device"} <= json.loads((tmp_path / "run.json").read_text()).keys()
    assert "SNR" in (tmp_path / "model_card.md").read_text()
    assert RegistrationModel.load(tmp_path / "best.pt").ndim == ndim


@pytest.mark.parametrize("leak", [False, True])
@pytest.mark.parametrize("killed_at", [4, 5])
def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(tmp_path, leak, killed_at):
    config = tiny_training(steps=8, validate_every=2, collaborative_grad=leak)
    whole = run(tmp_path / "whole", config)
    with pytest.raises(Cancelled):
        run(tmp_path / "cut", config, progress=stop_at(killed_at))
    resumed = run(tmp_path / "cut", config)
    assert same_weights(whole, resumed)
    for event in ("step", "validation"):
        found = [rows(tmp_path / name, event) for name in ("whole", "cut")]
        assert [r | {"seconds": 0} for r in found[0]] == [r | {"seconds": 0} for r in found[1]]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path):
    models = [run(tmp_path / str(n), tiny_training(seed=s)) for n, s in enumerate((0, 0, 1))]
    assert same_weights(models[0], models[1])
    assert not same_weights(models[0], models[2])


def test_cancelling_stops_between_steps_and_keeps_the_checkpoint(tmp_path):
    with pytest.raises(Cancelled, match="Step 4 of 6"):
        run(tmp_path, tiny_training(), progress=stop_at(4))
    assert [r["step"] for r in rows(tmp_path)] == [3]
    assert (tmp_path / "last.ckpt").is_file()


def test_ctrl_c_in_a_step_waits_for_its_end_and_keeps_the_checkpoint(tmp_path, monkeypatch):
    config, whole = tiny_training(), run(tmp_path / "whole", tiny_training())
    one_step = Trainer.one_step

    def interrupted(trainer, batch):
        if trainer.step == 3:
            signal.raise_signal(signal.SIGINT)
        return one_step(trainer, batch)

    monkeypatch.setattr(Trainer, "one_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", config)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.undo()
    assert torch.load(tmp_path / "cut" / "last.ckpt", weights_only=True)["step"] == 4
    assert same_weights(whole, run(tmp_path / "cut", config))


def test_a_second_ctrl_c_does_not_wait(tmp_path, monkeypatch):
    def interrupted(trainer, batch):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the step went on")

    monkeypatch.setattr(Trainer, "one_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, tiny_training())
    assert (tmp_path / "last.ckpt").is_file()


def test_a_run_makes_its_device_the_current_one(tmp_path, monkeypatch):
    told = []

    @contextmanager
    def current(device):
        told.append(device)
        yield
        told.append("left")

    monkeypatch.setattr("hetreg.training.loop.made_current", current)
    monkeypatch.setattr("hetreg.training.loop._work", lambda *_: told.append("trained"))
    run(tmp_path, tiny_training())
    assert told == [CPU, "trained", "left"]


def test_a_finished_run_is_not_trained_further(tmp_path):
    first = run(tmp_path, tiny_training())
    assert same_weights(first, run(tmp_path, tiny_training()))
    assert len(rows(tmp_path)) == 2


def test_a_run_that_is_longer_than_asked_stays_as_it_is(tmp_path):
    run(tmp_path, tiny_training(steps=6))
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    with pytest.raises(ValueError, match="accepted") as caught:
        run(tmp_path, tiny_training(steps=4))
    assert_sentence(caught.value, "step 6", "4 steps")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


def test_training_lowers_the_validation_error(tmp_path):
    run(
        tmp_path,
        tiny_training(steps=150, validate_every=30, method="mse", learning_rate=5e-3, augment=False),
    )
    found = rows(tmp_path)
    assert found[-1]["mse"] < 0.8 * found[0]["mse"]
    assert found[-1]["dice"] > found[0]["dice"]


def test_the_variance_network_waits_for_the_warm_up_and_starts_at_the_residual(tmp_path):
    run(tmp_path, tiny_training(steps=5, warmup=2, validate_every=1))
    found = rows(tmp_path, "step")
    assert [r["step"] for r in found if "variance_loss" in r] == [3, 4, 5]
    assert found[2]["mean_variance"] == pytest.approx(rows(tmp_path)[2]["mse"], rel=0.9)


@pytest.mark.parametrize("training", [False, True])
def test_validation_by_hand_and_the_train_mode_restored(training):
    model, samples = tiny_model().train(training), train_samples(2, size=16)
    scores = validate(model, samples, 16, CPU, PLAIN)
    assert model.training == training
    expected = np.mean([np.square(s.fixed - s.moving).mean() for s in samples])
    assert scores["mse"] == pytest.approx(expected, rel=1e-5)
    assert scores["folding"] == 0
    pairs = [(s.fixed_label > 0, s.moving_label > 0) for s in samples]
    expected = np.mean([2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in pairs])
    assert scores["dice"] == pytest.approx(expected)
    same = [replace(s, moving_label=s.fixed_label) for s in samples]  # labels go to the nearest voxel
    assert validate(tiny_model(shift=(0.0, 0.4)), same, 16, CPU, PLAIN)["dice"] == 1


def test_a_damaged_checkpoint_stops_the_run(tmp_path):
    (tmp_path / "last.ckpt").write_bytes(b"half a file")
    with pytest.raises(ValueError, match=r"last\.ckpt") as caught:
        run(tmp_path, tiny_training())
    assert_sentence(caught.value)


def test_phases_and_learning_rates():
    config = TrainConfig(warmup=2, variance_warmup=3, steps=200, learning_rate=1.0, decay="poly")
    phases = [schedule.phase(config, step) for step in range(6)]
    assert phases == ["displacement"] * 2 + ["variance"] * 3 + ["both"]
    rates = [schedule.learning_rate(config, step) for step in (0, 99, 100, 199)]
    assert rates == [1, 1, 0.5**0.9, 0.5**0.9]
    rates = [schedule.learning_rate(replace(config, steps=250), step) for step in (99, 100, 249)]
    assert rates == pytest.approx([1, (2 / 3) ** 0.9, (1 / 3) ** 0.9])  # the last epoch is a half one
    cosine = replace(config, decay="cosine")
    assert schedule.learning_rate(cosine, 100) == pytest.approx(0.5)
    assert schedule.learning_rate(cosine, 199) == 0.02
    assert schedule.learning_rate(replace(config, decay="none"), 150) == 1
    assert [schedule.epoch(config, done) for done in (1, 100, 101)] == [1, 1, 2]
    assert replace(config, epochs=3).total_steps == 300


def test_each_phase_trains_what_it_says(tmp_path):
    run(tmp_path, tiny_training(steps=6, warmup=2, variance_warmup=2, validate_every=1))
    found = rows(tmp_path, "step")
    assert [("loss" in r, "variance_loss" in r) for r in found] == [
        *[(True, False)] * 2,
        *[(False, True)] * 2,
        *[(True, True)] * 2,
    ]
    assert [r["phase"] for r in found] == ["displacement"] * 2 + ["variance"] * 2 + ["both"] * 2


def test_without_labels_the_best_model_is_the_one_with_the_least_loss():
    assert score({"loss": 0.2, "mse": 0.0, "folding": 0.0}) == -0.2
    assert score({"loss": 0.2, "dice": 0.9, "folding": 0.0}) == 0.9
    assert score({"loss": 0.2, "dice": 0.9, "folding": 1.0}) < score({"dice": 0.1, "loss": 5.0})


def test_a_full_disk_stops_the_run_and_the_last_good_checkpoint_stays(tmp_path, monkeypatch):
    config = tiny_training(steps=6, validate_every=2)
    save = torch.save

    def full(content, path):
        if content.get("step") == 4:
            path.write_bytes(b"half")
            raise RuntimeError("no space left on device")
        save(content, path)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="disk full") as caught:
        run(tmp_path, config)
    assert_sentence(caught.value, "last.ckpt")
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["step"] == 2
    monkeypatch.setattr(torch, "save", save)
    whole = run(tmp_path / "whole", config)
    assert same_weights(run(tmp_path, config), whole)


def test_a_loss_that_is_no_number_stops_the_run_in_one_sentence(tmp_path):
    config = tiny_training(warmup=0, weight_mode="released", gamma=0.0)
    with pytest.raises(ValueError, match="not a finite number") as caught:
        run(tmp_path, config)
    assert_sentence(caught.value, "Step 1", "weight_mode")


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path):
    with pytest.raises(ValueError, match="divisor of the batch") as caught:
        tiny_training(batch=4, accumulate=3)
    assert_sentence(caught.value, "accumulate is 3")


def test_tensorboard_gets_the_losses_where_it_is_installed(tmp_path, monkeypatch):
    written = []

    class Writer:
        def __init__(self, folder):
            written.append(folder)

        def add_scalar(self, name, value, step):
            written.append((name, step))

        def close(self):
            written.append("closed")

    fake = types.ModuleType("torch.utils.tensorboard")
    fake.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    run(tmp_path, tiny_training())
    assert written[0] == str(tmp_path / "tensorboard")
    assert {("step/loss", 6), ("validation/dice", 6)} <= set(written)
    assert written[-1] == "closed"
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    run(tmp_path / "without", tiny_training(steps=1))
