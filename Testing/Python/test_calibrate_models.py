"""Calibration of the displacement's SD: the interval holds what it promises, also where errors differ."""

from __future__ import annotations

import math

import fit_spread
import numpy as np
import pytest
import torch
from scipy.stats import chi2

import calibrate_models
from hetreg.config import NetworkConfig
from hetreg.datasets.phantom import make_pair
from hetreg.datasets.simulated import to_sample
from hetreg.model import RegistrationModel
from hetreg.symmetry import views
from hetreg.training.data import single


def pyramid(ndim: int = 2) -> RegistrationModel:
    """A small pyramid that gives the variance of its displacement."""
    torch.manual_seed(0)
    sizes = {"encoder": (4, 8), "decoder": (8, 4), "tail": (4,)}
    network = NetworkConfig(
        architecture="pyramid", ndim=ndim, output_stride=2, sigma_z=True, spread="displacement", **sizes
    )
    return RegistrationModel(network)


def no_change(model: RegistrationModel) -> torch.Tensor:
    """Of the weights that are fitted."""
    return torch.zeros(model.displacement_net.head.weight[0].numel() + 1)


def held(model: RegistrationModel, case: fit_spread.Case) -> float:
    """Share of the errors inside the 95 % interval."""
    with torch.no_grad():
        variance = fit_spread.log_variance(model, case, no_change(model)).exp()
    return float((case.error**2 <= variance * chi2.ppf(0.95, model.ndim)).float().mean())


def test_the_pinball_loss_is_least_where_the_interval_holds_its_share():
    error = torch.randn((20_000, 2), generator=torch.Generator().manual_seed(0)).square().sum(1).sqrt()
    changes = torch.linspace(-1, 1, 41)
    losses = [
        float(fit_spread.pinball(fit_spread.beyond(error, torch.full_like(error, float(c)), 2)))
        for c in changes
    ]
    assert changes[int(np.argmin(losses))] == pytest.approx(0.0, abs=0.051)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_fit_finds_where_errors_are_large(ndim):
    """Twice as large an error where the first feature is 1: both groups end with 95 %."""
    model, generator, found = pyramid(ndim), torch.Generator().manual_seed(1), []
    size, before = (16,) * ndim, model.displacement_net.head.weight[:ndim].clone()
    for n in range(32):
        high = float(n % 2)
        features = torch.randn((1, 4, *size), generator=generator)
        features[:, 0] = high
        error = (1 + high) * torch.randn((400, ndim), generator=generator).square().sum(1).sqrt()
        places = torch.rand((400, ndim), generator=generator) - 0.5
        found.append(fit_spread.Case(features, error, places))
    losses = fit_spread.fit(model, found, rounds=60, rate=0.05)
    assert losses[-1] < losses[0]
    for group in (found[::2], found[1::2]):
        assert np.mean([held(model, case) for case in group]) == pytest.approx(0.95, abs=0.02)
    torch.testing.assert_close(model.displacement_net.head.weight[:ndim], before)  # the displacement


def test_a_case_has_the_error_of_the_mean_answer_and_the_place_of_each():
    model = pyramid()
    model.card = {"views": 2}
    made = list(fit_spread.cases(model, ["mri2d"], 5, 2, 64))
    plain = made[0]
    assert plain.features.shape == (1, 4, 32, 32)
    assert len(plain.error) == len(plain.places) > 50
    # an untrained network moves nothing: the errors are the true displacements
    batch, labels, _ = single(to_sample(make_pair("mri2d", 5), model.grid), 64)
    wall = torch.as_tensor(labels) == fit_spread.MYOCARDIUM
    length = batch.true_disp.square().sum(1, keepdim=True).sqrt()
    torch.testing.assert_close(plain.error, length[wall], atol=1e-2, rtol=0)
    image = torch.nn.functional.grid_sample(length, plain.places.view(1, 1, -1, 2), align_corners=False)
    torch.testing.assert_close(image.flatten(), plain.error, atol=1e-2, rtol=0)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_case_has_the_variance_that_the_model_gives_there(ndim):
    """In each view; in 3D the second is a half turn."""
    model, kind, size = pyramid(ndim), {2: "mri2d", 3: "echo3d"}[ndim], {2: 64, 3: 32}[ndim]
    model.card = {"views": 2}
    with torch.no_grad():
        model.displacement_net.head.weight[ndim:].normal_(0.0, 5.0)
    for n, case in enumerate(fit_spread.cases(model, [kind], 5, 2, size)):
        batch, labels, _ = single(to_sample(make_pair(kind, 5 + n, with_truth=False), model.grid), size)
        view = views(ndim)[n]
        motion = model.move(view.apply(batch.moving), view.apply(batch.fixed))
        wall = view.apply(torch.as_tensor(labels) == fit_spread.MYOCARDIUM)
        expected = model.disp_log_variance(motion).exp().mean(1, keepdim=True)[wall]
        assert expected.std() > 0.01 * expected.mean()
        found = fit_spread.log_variance(model, case, no_change(model)).exp()
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=0)


def test_the_fit_evens_out_what_the_kinds_of_phantom_hold():
    """A faint feature tells two kinds apart, so that its weight is dear: without the pull 98 and 92 %."""
    model, generator, found = pyramid(), torch.Generator().manual_seed(2), []
    for n in range(32):
        kind = n % 2
        features = torch.randn((1, 4, 16, 16), generator=generator)
        features[:, 0] = 0.2 * kind
        error = (1 + kind) * torch.randn((400, 2), generator=generator).square().sum(1).sqrt()
        places = torch.rand((400, 2), generator=generator) - 0.5
        found.append(fit_spread.Case(features, error, places, kind="ab"[kind]))
    fit_spread.fit(model, found, rounds=60, rate=0.05)
    easy, hard = (np.mean([held(model, c) for c in found if c.kind == kind]) for kind in "ab")
    assert easy == pytest.approx(hard, abs=0.04)


def test_the_ratio_counts_each_pair_alike_and_has_the_kinds_around_the_level():
    """Of a pair of ten errors and of one of a thousand: half of the weight each."""
    small, large, ratio = np.full(10, 4.0), np.ones(1000), calibrate_models.interval_ratio
    assert ratio([[small, np.array([]), large]]) == 2.0
    assert ratio([[small, large]], level=0.4) == 1.0
    spread = np.linspace(0, 1, 1001) ** 2  # a kind whose errors are twice as large: 2/3 and 1/3 hold 1/2
    assert ratio([[spread], [4 * spread]], level=0.5) == pytest.approx(2 / 3, rel=5e-3)


def test_calibrated_errors_are_in_units_of_the_interval(monkeypatch):
    monkeypatch.setitem(calibrate_models.MEASURED, 2, 3)
    model, ratios = pyramid(), []
    for _ in range(6):  # the limits of the log-variance bend it a little: a step does not go all the way
        ratios.append(calibrate_models.interval_ratio([calibrate_models.scaled_errors(model, "mri2d", 0)]))
        with torch.no_grad():
            model.displacement_net.head.bias[2:] += 2 * math.log(ratios[-1])
    assert abs(ratios[0] - 1) > 0.2
    assert ratios[-1] == pytest.approx(1.0, abs=0.02)


def test_a_former_factor_of_refined_pairs_is_not_put_on_top_of_the_new_one(monkeypatch):
    for table in (calibrate_models.MEASURED, calibrate_models.FITTED):
        monkeypatch.setitem(table, 2, 1)
    monkeypatch.setattr(calibrate_models, "REFINE", 2)
    found = []
    for former in ({}, {"refined_sd": 3.0}):
        model = pyramid()
        model.card = {"stages": {"phantom": {"kind": "mri2d"}}, **former}
        calibrate_models.calibrate(model)
        found.append(model.card["refined_sd"])
    assert found[0] == found[1]
