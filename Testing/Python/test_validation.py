"""What a validation computes, and how often."""

from __future__ import annotations

import torch

from builders import tiny_model, train_samples
from hetreg.model import RegistrationModel
from hetreg.training.data import single
from hetreg.training.objective import Objective
from hetreg.training.steps import displacement_loss
from hetreg.training.validation import validate


def test_a_pair_is_registered_once_and_its_loss_is_that_of_a_step(monkeypatch):
    model, samples, objective = (
        tiny_model().eval(),
        train_samples(3),
        Objective({"mse": 1.0, "smoothness": 0.1}),
    )
    losses = [displacement_loss(model, single(s, 16)[0], objective)[0].item() for s in samples]
    moved, move = [], RegistrationModel.move
    monkeypatch.setattr(RegistrationModel, "move", lambda *a, **b: moved.append(a) or move(*a, **b))
    found = validate(model, samples, 16, torch.device("cpu"), objective)
    assert len(moved) == 3
    assert found["loss"] == sum(losses) / 3
