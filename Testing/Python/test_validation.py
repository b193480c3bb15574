"""What a validation computes, and how often."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from builders import tiny_model, train_samples
from hetreg.datasets.base import PairSample
from hetreg.image import read_image
from hetreg.model import RegistrationModel
from hetreg.training.data import single
from hetreg.training.objective import Objective
from hetreg.training.steps import displacement_loss
from hetreg.training.validation import validate, write_preview


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


def labelled(fixed: dict[int, slice], moving: dict[int, slice], **known) -> PairSample:
    """A pair of noise; {label: its rows} of both images."""
    images, labels = np.random.default_rng(0).random((2, 16, 16)), np.zeros((2, 16, 16), np.uint8)
    for array, given in zip(labels, (fixed, moving), strict=True):
        for value, rows in given.items():
            array[rows] = value
    return PairSample(*images.astype(np.float32), *labels, **known)


def unmoved(*samples: PairSample) -> dict[str, float]:
    """The validation of a model that moves nothing."""
    model = tiny_model(shift=(0.0, 0.0))
    return validate(model, samples, 16, torch.device("cpu"), Objective({"mse": 1.0}))


def test_the_dice_is_that_of_cavity_and_myocardium_where_both_frames_have_them():
    """By hand: half of the myocardium stays, all of the cavity, nothing of the right ventricle (1)."""
    both = labelled(
        {1: slice(0, 2), 2: slice(4, 8), 3: slice(12, 15)},
        {1: slice(2, 4), 2: slice(6, 10), 3: slice(12, 15)},
    )
    one = labelled({2: slice(0, 4), 3: slice(4, 8)}, {2: slice(3, 7)})
    none = labelled({2: slice(0, 4)}, {3: slice(0, 4)})
    assert unmoved(both)["dice"] == pytest.approx((0.5 + 1) / 2)
    assert unmoved(one)["dice"] == pytest.approx(0.25)
    assert "dice" not in unmoved(none)
    assert unmoved(none, both, one)["dice"] == pytest.approx((0.75 + 0.25) / 2)
    other = labelled({1: slice(0, 4), 4: slice(4, 8)}, {1: slice(0, 4), 4: slice(6, 10)})
    assert unmoved(other)["dice"] == pytest.approx((1 + 0.5) / 2)


def test_the_error_is_that_of_the_labelled_voxels():
    true = np.full((2, 16, 16), 100.0, np.float32)
    true[:, :4], true[:, 4:8] = 0.0, np.array([3.0, 4.0]).reshape(2, 1, 1)
    rows = {1: slice(0, 4), 3: slice(4, 8)}
    assert unmoved(labelled(rows, rows, true_disp=true))["epe"] == pytest.approx(2.5)


@pytest.mark.parametrize(("known", "spacing_mm"), [((1.5, 0.8), (0.8, 1.5, 1.0)), ((), (1.0, 1.0, 1.0))])
def test_a_preview_has_the_noise_s_sd_and_the_pixels_size(tmp_path, known, spacing_mm):
    model, sample = tiny_model(), labelled({}, {}, spacing_mm=known)
    write_preview(model, sample, 16, Objective({"mse": 1.0}, weight=""), tmp_path)
    found = {name: read_image(tmp_path / f"{name}.nrrd") for name in ("fixed", "moved", "noise_sd", "weight")}
    for image in found.values():
        np.testing.assert_allclose(image.spacing_mm, spacing_mm)
    fixed, moved = (torch.from_numpy(found[name].array)[None] for name in ("fixed", "moved"))
    np.testing.assert_array_equal(fixed[0, 0], sample.fixed)
    with torch.no_grad():
        sd = model.log_variance(moved, fixed).exp().sqrt()
    np.testing.assert_allclose(found["noise_sd"].array, sd[0], rtol=1e-5)


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
