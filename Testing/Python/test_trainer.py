"""What a run keeps of itself: its card, the last good weights, and how the variance network begins."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path

import pytest
import torch

from builders import TINY, assert_sentence, tiny_training, train_samples
from hetreg.config import NetworkConfig, TrainConfig
from hetreg.model import RegistrationModel
from hetreg.modelconfig import UseConfig
from hetreg.networks.base import fill_bias
from hetreg.networks.variance import VarianceNet
from hetreg.progress import Cancelled, Control, Progress
from hetreg.training.loop import train
from hetreg.training.steps import displacement_step
from hetreg.training.trainer import Trainer


def run(folder: Path, config: TrainConfig, *, stop: int = 0, progress: Progress | None = None, **options):
    """Train on the discs; stop: after that step, by the control."""
    control, samples = Control(), options.pop("samples", train_samples())

    def emit(kind, **fields):
        if kind == "validation" and fields["step"] == stop:
            control.stop()

    return train(config, folder, progress, emit=emit, control=control, samples=samples, **options)


def card_in(file: Path) -> dict:
    """The card of a weight file."""
    return RegistrationModel.load(file).card


def step_in(folder: Path) -> int:
    """The step of a run's checkpoint."""
    return torch.load(folder / "last.ckpt", weights_only=True)["step"]


@pytest.mark.parametrize("stops", [(), (2,), (2, 4)], ids=["whole", "resumed", "resumed twice"])
def test_a_run_that_goes_on_keeps_the_card_of_its_model(tmp_path, stops):
    config = tiny_training(validate_every=2)
    for stop in stops:
        run(tmp_path, config, stop=stop)
        assert step_in(tmp_path) == stop
        assert card_in(tmp_path / "last.ckpt")["config"]["method"] == config.method
        assert UseConfig.from_card(card_in(tmp_path / "last.ckpt")).crop == config.crop
    for _ in range(2):  # the second time it is finished
        model = run(tmp_path, config)
        assert model.card == card_in(tmp_path / "last.ckpt")
        assert model.card == {"config": config.to_dict(), "steps": 6}
    best = card_in(tmp_path / "best.pt")
    assert best["config"] == config.to_dict()
    assert {"dice", "loss"} <= best["scores"].keys()


def dies_at(step: int, monkeypatch, value: float = math.nan) -> None:
    """The weights after that step are this value."""
    one_step = Trainer.one_step

    def deadly(trainer, batch):
        row = one_step(trainer, batch)
        if trainer.step == step:
            with torch.no_grad():
                trainer.model.displacement_net.head.bias.fill_(value)
        return row

    monkeypatch.setattr(Trainer, "one_step", deadly)


@pytest.mark.parametrize("value", [math.nan, 1e30])
def test_a_validation_that_finds_a_diverged_model_keeps_the_last_good_one(tmp_path, monkeypatch, value):
    """1e30: each weight is a number, the loss of such a displacement is none."""
    config, network = tiny_training(validate_every=2), NetworkConfig(**TINY)
    whole = run(tmp_path / "whole", config, network=network)
    dies_at(4, monkeypatch, value)
    with pytest.raises(ValueError, match=r"^Step 4: .*not a finite number") as caught:
        run(tmp_path / "cut", config, network=network)
    assert_sentence(caught.value, "checkpoint", "learning rate")
    assert step_in(tmp_path / "cut") == card_in(tmp_path / "cut" / "best.pt")["steps"] == 2
    rows = [json.loads(line) for line in (tmp_path / "cut" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["event"] == "validation"] == [2]
    monkeypatch.undo()
    again = run(tmp_path / "cut", config, network=network)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_a_diverged_first_step_leaves_no_checkpoint(tmp_path):
    config = tiny_training(learning_rate=1e30, validate_every=1)
    with pytest.raises(ValueError, match=r"^Step 1: "):
        run(tmp_path, config, network=NetworkConfig(**TINY))
    assert not [name for name in ("last.ckpt", "best.pt") if (tmp_path / name).exists()]


def test_cancelling_a_diverged_run_keeps_its_last_good_checkpoint(tmp_path, monkeypatch):
    dies_at(4, monkeypatch)
    seen = [""]
    progress = Progress(lambda f, m: seen.append(m), lambda: seen[-1].startswith("Step 4 of"))
    with pytest.raises(Cancelled):
        run(tmp_path, tiny_training(), network=NetworkConfig(**TINY), progress=progress)
    assert step_in(tmp_path) == 3


def test_a_second_ctrl_c_between_both_networks_steps_keeps_the_former_checkpoint(tmp_path, monkeypatch):
    config, network = tiny_training(steps=6, validate_every=2), NetworkConfig(**TINY)
    whole, variance = run(tmp_path / "whole", config, network=network), Trainer.variance

    def interrupted(trainer, batch, **options):
        if trainer.step == 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return variance(trainer, batch, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "variance", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "cut", config, network=network)
    assert step_in(tmp_path / "cut") == 2
    again = run(tmp_path / "cut", config, network=network)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("warmup", [0, 2])
def test_a_displacement_step_leaves_no_gradient_of_its_own_beside_the_leak(tmp_path, monkeypatch, warmup):
    left = []

    def noted(model, *given, **options):
        row = displacement_step(model, *given, **options)
        left.append([p for p in model.displacement_net.parameters() if p.grad is not None])
        return row

    monkeypatch.setattr("hetreg.training.trainer.displacement_step", noted)
    config = tiny_training(steps=4, warmup=warmup, collaborative_grad=True)
    run(tmp_path, config, network=NetworkConfig(**TINY))
    assert left == [[], [], [], []]


def test_a_transmorph_goes_on_at_the_end_of_its_warm_up_as_if_nothing_had_happened(tmp_path):
    """It leaves out branches by chance, but not where the variance network begins."""
    pytest.importorskip("monai")
    config = tiny_training(network="transmorph", size="small", crop=32, steps=3, validate_every=1)
    whole = run(tmp_path / "whole", config, samples=train_samples(size=32))
    run(tmp_path / "cut", config, stop=config.warmup, samples=train_samples(size=32))
    assert step_in(tmp_path / "cut") == config.warmup
    again = run(tmp_path / "cut", config, samples=train_samples(size=32))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize(("bias", "told"), [(-1e6, "6.1e-06"), (1e6, "5.5e+01"), (-4.0, "")])
def test_a_variance_network_that_has_collapsed_is_told_once(tmp_path, monkeypatch, bias, told):
    """Beyond its limits it has no gradient that could lead back."""
    monkeypatch.setattr(VarianceNet, "start_at", lambda self, _: fill_bias(self.unet.head, bias))
    said = []

    def emit(kind, **fields):
        if kind == "note":
            said.append(fields["text"])

    train(tiny_training(steps=4, validate_every=1), tmp_path, samples=train_samples(), emit=emit)
    found = [text for text in said if "collapsed" in text]
    assert len(found) == bool(told)
    assert all(f"variance is {told} everywhere" in text for text in found)
