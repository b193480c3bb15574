"""What a validation computes, and how often."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

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


def test_the_error_is_that_of_the_voxels_whose_displacement_is_known():
    """NaN elsewhere; a model that moves nothing is off by the length of what is known, 3 and 4 voxels: 5."""
    (sample,) = train_samples(1, size=16)
    true = np.full((2, 16, 16), np.nan, np.float32)
    heart = np.argwhere(np.asarray(sample.fixed_label).reshape(16, 16) > 0)
    for j, i in heart[: len(heart) // 2]:
        true[:, j, i] = 3, 4
    found = validate(
        tiny_model(shift=(0.0, 0.0)),
        [replace(sample, true_disp=true)],
        16,
        torch.device("cpu"),
        Objective({"mse": 1.0}),
    )
    assert found["epe"] == pytest.approx(5)


class OnAppleGpu(torch.Tensor):
    """A tensor as if there."""

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def test_labels_are_carried_on_the_cpu(monkeypatch):
    """Apple's GPUs have no nearest neighbour in 3D."""
    samples, move, sample = train_samples(1, size=16, ndim=3), RegistrationModel.move, F.grid_sample

    def moved_there(*args, **options):
        motion = move(*args, **options)
        return replace(motion, disp=motion.disp.as_subclass(OnAppleGpu))

    def sampled_there(image, grid, *, mode="bilinear", **options):
        if mode == "nearest" and OnAppleGpu in (type(image), type(grid)):
            raise RuntimeError("grid_sampler_3d: Unsupported Nearest interpolation")
        return sample(image, grid, mode=mode, **options)

    arguments = tiny_model(ndim=3), samples, 16, torch.device("cpu"), Objective({"mse": 1.0})
    expected = validate(*arguments)
    monkeypatch.setattr(RegistrationModel, "move", moved_there)
    monkeypatch.setattr(F, "grid_sample", sampled_there)
    assert validate(*arguments) == expected
    assert expected["dice"] > 0
