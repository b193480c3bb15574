"""Losses on numbers made by hand; every registered loss scalar, finite and differentiable."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch

from builders import row, sigmoid
from hetreg.losses.adaframe import AdaFrameSmoothness, data_confidence
from hetreg.losses.adareg import AdaReg, regularisation_weight
from hetreg.losses.base import LossInputs, image_mean, masked_mean
from hetreg.losses.displacement_prior import diffeomorphic_kl, neighbours, variance_prior
from hetreg.losses.mse import mean_squared_error
from hetreg.losses.mutual_information import mutual_information
from hetreg.losses.ncc import local_ncc
from hetreg.losses.nll import BetaNLL, GaussianNLL, gaussian_nll
from hetreg.losses.smoothness import mean_squared_gradient
from hetreg.losses.snr_weighted import SNRWeightedMSE, data_weight
from hetreg.losses.weights import WeightInputs
from hetreg.registry import LOSSES, resolve
from hetreg.training.objective import Objective

NEEDS = {
    "snr_weighted": "weight",
    "nll": "log_variance",
    "beta_nll": "log_variance",
    "velocity_smoothness": "velocity",
    "displacement_prior": "log_variance_z",
    "voxelmorph_kl": "velocity",
    "displacement_nll": "disp_log_variance",
}


def inputs(ndim: int, *, constant: bool = False) -> LossInputs:
    """Inputs of two pairs; moved, disp and log_variance ask for a gradient."""
    generator = torch.Generator().manual_seed(0)
    shape = (2, 1, *[8] * ndim)
    fixed, moved = (
        torch.full(shape, v) if constant else torch.rand(shape, generator=generator) for v in (0.0, 0.5)
    )
    disp = (
        torch.zeros((2, ndim, *[8] * ndim))
        if constant
        else torch.randn((2, ndim, *[8] * ndim), generator=generator)
    )
    log_variance = torch.full(shape, -5.0)
    velocity, log_variance_z = disp.clone(), torch.full_like(disp, -2.0)
    disp_log_variance = torch.full_like(disp, -1.0)
    for tensor in (moved, disp, log_variance, velocity, log_variance_z, disp_log_variance):
        tensor.requires_grad_()
    return LossInputs(
        fixed,
        moved,
        disp,
        log_variance=log_variance,
        weight=data_weight(fixed, log_variance),
        mask=torch.ones(shape),
        velocity=velocity,
        log_variance_z=log_variance_z,
        true_disp=torch.full_like(disp, 0.5),
        disp_log_variance=disp_log_variance,
        fixed_label=(fixed > 0.5).float(),
        moving_label=(fixed > 0.4).float(),
    )


@pytest.mark.parametrize("kind", [LossInputs, WeightInputs, Objective])
def test_what_a_loss_may_lack_is_given_by_name(kind):
    with pytest.raises(TypeError, match="positional"):
        kind(*[None] * 4)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("constant", [False, True], ids=["noise", "constant"])
def test_every_loss_is_scalar_finite_and_differentiable(name, ndim, constant):
    x = inputs(ndim, constant=constant)
    value = resolve(LOSSES, name)()(x)
    assert value.shape == ()
    assert value.isfinite()
    value.backward()
    asked = (x.moved, x.disp, x.log_variance, x.velocity, x.log_variance_z, x.disp_log_variance)
    gradients = [t.grad for t in asked if t.grad is not None]
    assert gradients
    assert all(g.isfinite().all() for g in gradients)
    if not constant:
        assert any(g.abs().max() > 0 for g in gradients)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_takes_no_mask_and_says_what_it_lacks(name):
    x = inputs(2)
    bare = LossInputs(x.fixed, x.moved, x.disp)
    loss = resolve(LOSSES, name)()
    needs = NEEDS.get(name)
    if needs is None:
        assert loss(bare).isfinite()
        return
    with pytest.raises(ValueError, match=f"needs '{needs}'"):
        loss(bare)


def test_masked_mean_by_hand():
    values = row(1, 2, 3, 10)
    assert masked_mean(values, None) == 4
    assert masked_mean(values, row(1, 1, 0, 0)) == 1.5
    assert masked_mean(values, row(0, 0, 0, 0)) == 4
    two = torch.cat((values, values + 1), dim=1)
    assert masked_mean(two, row(1, 1, 0, 0)) == 2
    batch, mask = torch.cat((values, values)), torch.cat((row(1, 1, 1, 0), row(0, 0, 0, 1)))
    assert masked_mean(batch, mask) == (2 + 10) / 2  # each image counts alike


def test_mse_by_hand():
    assert mean_squared_error(row(1, 2), row(1, 4)) == 2
    assert mean_squared_error(row(1, 2), row(1, 4), row(1, 0)) == 0


@pytest.mark.parametrize("variance", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_nll_by_hand(variance, beta):
    log_variance = row(math.log(variance))
    value = gaussian_nll(row(1.0), row(3.0), log_variance, beta=beta)
    assert value.item() == pytest.approx(variance**beta * (4 / variance + math.log(variance)))


def test_beta_is_that_of_the_loss_and_a_half_unless_given():
    x = LossInputs(row(1.0), row(3.0), row(0.0), log_variance=row(math.log(4.0)))
    for loss, factor in ((GaussianNLL(), 1), (BetaNLL(), 2), (BetaNLL(1.0), 4)):
        assert loss(x).item() == pytest.approx(factor * (1 + math.log(4.0)))


def test_nll_is_least_at_the_mean_squared_residual():
    log_variance = row(math.log(0.3)).requires_grad_()
    residual = row(0.2, 0.5, 0.7)
    gaussian_nll(residual, residual * 0, log_variance.expand_as(residual)).backward()
    assert log_variance.grad.item() == pytest.approx(1 - residual.square().mean().item() / 0.3)


def test_the_beta_factor_is_detached():
    log_variance = row(math.log(0.3)).requires_grad_()
    gaussian_nll(row(1.0), row(0.0), log_variance, beta=1.0).backward()
    assert log_variance.grad.item() == pytest.approx(0.3 * (1 - 1 / 0.3))


def test_smoothness_by_hand():
    ramp = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 2, 5, 5)
    assert mean_squared_gradient(ramp) == 0.5
    assert mean_squared_gradient(3 * ramp) == 4.5
    assert mean_squared_gradient(ramp * 0 + 7) == 0
    assert mean_squared_gradient(torch.ones(1, 3, 1, 1, 1)) == 0
    volume = torch.arange(5.0).view(1, 1, 5, 1, 1).expand(1, 3, 5, 5, 5)
    assert mean_squared_gradient(volume).item() == pytest.approx(1 / 3)
    for field in (ramp, volume):  # of the paper's E ||grad z||^2, as the docstring says
        ndim = field.shape[1]
        paper = sum(field.diff(dim=d).square().sum(1).mean() for d in range(2, field.dim()))
        assert mean_squared_gradient(field).item() == pytest.approx(paper.item() / ndim**2)


def test_the_weighted_loss_by_hand_and_its_weight_is_detached():
    weight = row(2.0, 0.5).requires_grad_()
    moved = row(0.0, 3.0).requires_grad_()
    x = LossInputs(row(1.0, 1.0), moved, row(0.0), weight=weight)
    loss = SNRWeightedMSE()(x)
    assert loss.item() == pytest.approx((2 * 1 + 0.5 * 4) / 2)
    loss.backward()
    assert weight.grad is None
    torch.testing.assert_close(moved.grad, row(-2.0, 1.0))


def test_image_mean_by_hand():
    values = torch.cat((row(1, 2, 3, 10), row(2, 2, 2, 2)))
    assert image_mean(values).flatten().tolist() == [4, 2]
    mask = torch.cat((row(1, 1, 0, 0), row(0, 0, 0, 0)))
    assert image_mean(values, mask).flatten().tolist() == [1.5, 2]


def test_ncc_equals_a_window_by_window_evaluation():
    rng = np.random.default_rng(0)
    fixed, moved = rng.random((2, 14, 13))
    padded = [np.pad(a, 4) for a in (fixed, moved)]
    total = 0.0
    for j, i in np.ndindex(fixed.shape):
        a, b = (p[j : j + 9, i : i + 9] for p in padded)
        cross = ((a - a.mean()) * (b - b.mean())).sum()
        total += cross**2 / (((a - a.mean()) ** 2).sum() * ((b - b.mean()) ** 2).sum())
    images = [torch.from_numpy(a)[None, None] for a in (fixed, moved)]
    assert local_ncc(*images).item() == pytest.approx(-total / fixed.size, rel=1e-4)
    assert local_ncc(images[0], 0.5 * images[0]).item() == pytest.approx(-1, abs=1e-3)


def test_mutual_information_equals_a_histogram_of_parzen_windows():
    rng = np.random.default_rng(0)
    fixed, moved = rng.random((2, 12, 12))
    moved = 0.7 * fixed + 0.3 * moved
    centres = np.linspace(0, 1, 32)
    windows = [np.exp(-((a.reshape(-1, 1) - centres) ** 2) / (2 * (0.5 / 31) ** 2)) for a in (fixed, moved)]
    a, b = (w / w.sum(axis=1, keepdims=True) for w in windows)
    joint = a.T @ b / len(a)
    product = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    expected = -(joint * np.log((joint + 1e-7) / (product + 1e-7) + 1e-7)).sum()
    images = [torch.from_numpy(x)[None, None] for x in (fixed, moved)]
    assert mutual_information(*images).item() == pytest.approx(expected, rel=1e-4)
    assert mutual_information(images[0], images[0]) < mutual_information(*images)


def test_mutual_information_is_that_of_the_voxels_in_each_mask():
    fixed, moved = torch.rand(2, 2, 1, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask = torch.ones_like(fixed)
    mask[0, ..., 4:], mask[1] = 0, 0  # of an empty one all
    left = mutual_information(fixed[:1, ..., :4], moved[:1, ..., :4])
    whole = mutual_information(fixed[1:], moved[1:])
    torch.testing.assert_close(mutual_information(fixed, moved, mask), (left + whole) / 2)


def test_a_missing_monai_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai.losses.image_dissimilarity", None)
    monkeypatch.setitem(sys.modules, "monai", None)
    with pytest.raises(ValueError, match="'monai") as caught:
        local_ncc(row(1.0), row(1.0))
    assert "MONAI 1.4" in str(caught.value)


def test_adareg_by_hand():
    fixed, moved = row(1.25, 0.5, 0.25), row(0.25, 0.5, 0.75)
    weight = regularisation_weight(fixed, moved)
    expected = row(*[math.exp(-5 * d * 0.5) for d in (1.0, 0.0, 0.5)])
    torch.testing.assert_close(weight, expected)
    disp = torch.tensor([[0.0, 1.0, 4.0], [0.0, 0.0, 0.0]], dtype=torch.float64).view(1, 2, 1, 3)
    value = AdaReg()(LossInputs(fixed, moved, disp))
    w = expected.flatten().tolist()
    assert value.item() == pytest.approx(((w[0] + w[1]) / 2 * 1 + (w[1] + w[2]) / 2 * 9) / 4)


def test_a_weight_of_one_is_the_plain_smoothness():
    field = torch.randn(2, 3, 4, 5, 6)
    one = torch.ones(2, 1, 4, 5, 6)
    torch.testing.assert_close(mean_squared_gradient(field, weight=one), mean_squared_gradient(field))
    assert mean_squared_gradient(field[..., :1, :1, :1], weight=one[..., :1, :1, :1]) == 0


def test_adaframe_by_hand():
    fixed, moved = row(0.1, 0.7, 0.5), row(0.3, 0.3, 0.5)
    alpha = data_confidence(fixed, moved)
    torch.testing.assert_close(alpha, row(sigmoid(0.0), sigmoid(-2.0), sigmoid(2.0)))
    assert data_confidence(moved, moved).isfinite().all()
    disp = torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]], dtype=torch.float64).view(1, 2, 1, 3)
    between = 1 - (sigmoid(0.0) + sigmoid(-2.0)) / 2
    assert AdaFrameSmoothness()(LossInputs(fixed, moved, disp)).item() == pytest.approx(between / 4)


def test_weights_of_the_residual_carry_no_gradient():
    x = inputs(2)
    for name in ("adareg", "adaframe_smoothness"):
        resolve(LOSSES, name)()(x).backward()
    assert x.moved.grad is None


def test_variance_prior_by_hand_and_its_minimum():
    s = row(0.0, math.log(4.0)).requires_grad_()
    value = variance_prior(s)
    assert value.item() == pytest.approx((1 + 4 - math.log(4.0)) / 2)
    value.backward()
    torch.testing.assert_close(s.grad, row(0.0, 1.5))


@pytest.mark.parametrize("size", [(3, 4), (2, 3, 3)])
def test_the_kl_equals_dense_gaussians(size):
    """Against KL = 1/2 (tr(P S) - log|S| - log|P| + m^T P m - n) with P = lambda L + tiny I as a matrix."""
    n, ndim = int(np.prod(size)), len(size)
    places = list(np.ndindex(size))
    laplacian = np.zeros((n, n))
    for a, p in enumerate(places):
        for b, q in enumerate(places):
            if sum(abs(i - j) for i, j in zip(p, q, strict=True)) == 1:
                laplacian[a, b] -= 1
                laplacian[a, a] += 1
    degree = torch.from_numpy(np.diag(laplacian).copy().reshape(1, 1, *size))
    torch.testing.assert_close(neighbours(torch.zeros(1, ndim, *size, dtype=torch.float64)), degree)
    precision = 10.0 * laplacian + 1e-9 * np.eye(n)
    rng = np.random.default_rng(0)
    dense, ours = [], []
    for _ in range(2):  # the constant cancels in the difference of two distributions
        mean, s = rng.normal(size=(2, ndim, n))
        total = 0.0
        for m, v in zip(mean, np.exp(s), strict=True):
            covariance = np.diag(v)
            total += np.trace(precision @ covariance) - np.linalg.slogdet(covariance)[1] + m @ precision @ m
        dense.append(0.5 * total / n)
        fields = [torch.from_numpy(a.reshape(1, ndim, *size)) for a in (mean, s)]
        ours.append(diffeomorphic_kl(*fields).item())
    assert ours[1] - ours[0] == pytest.approx(dense[1] - dense[0], rel=1e-6)
