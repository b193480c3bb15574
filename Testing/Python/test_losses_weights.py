"""The weights of the data term: on hand numbers, without gradient, whatever the batch."""

from __future__ import annotations

import math

import pytest
import torch

from builders import row, sigmoid
from hetreg.losses.snr_weighted import (
    EPSILON,
    data_weight,
    snr_weight,
    weight_paper,
    weight_precision,
    weight_released,
    weight_robust,
)
from hetreg.losses.weights import WeightInputs
from hetreg.registry import WEIGHT_MODES, WEIGHTS, resolve


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 1.0])
def test_paper_weight_by_hand(gamma):
    weight = weight_paper(row(0.5, 0.0, -0.2), row(*[math.log(0.04)] * 3), gamma)
    zero = sigmoid(1.0) if gamma == 0 else 0.5
    expected = row(sigmoid((0.5 / 0.2) ** (2 * gamma)), zero, zero)
    torch.testing.assert_close(weight, expected)


def test_released_weight_by_hand():
    fixed, log_variance = row(0.0, 0.25, 1.0), row(0.0, 0.0, 0.0)
    expected = row(sigmoid(0.0), sigmoid(0.5), sigmoid(1.0))
    torch.testing.assert_close(weight_released(fixed, log_variance, 0.5), expected)
    assert weight_released(row(0.5, 0.5), row(0.0, 0.0)).isnan().all()
    assert weight_released(fixed, log_variance, 0.0).isnan().all()
    assert weight_released(row(-1.0, 1.0), row(0.0, 0.0)).isnan().any()


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 1.0])
def test_robust_weight_by_hand(gamma):
    signal, noise = (0.0, 2.0, 2.0, 4.0, 4.0), (0.0, 1.0, 0.0, 1.0, 0.0)
    log_snr = [s - n for s, n in zip(signal, noise, strict=True)]  # 0 to 4: median 2, quartiles 1 and 3
    fixed = row(*[math.exp(s / 2) - EPSILON for s in signal])
    weight = weight_robust(fixed, row(*noise), gamma)
    expected = row(*[sigmoid(2 * gamma * (v - 2) / 2) for v in log_snr])
    torch.testing.assert_close(weight, expected)


def test_robust_weight_takes_median_and_spread_inside_the_mask():
    fixed = row(*[math.exp(v / 2) - EPSILON for v in (0, 1, 2, 3, 4, 50, 60, 70)])
    mask = row(1, 1, 1, 1, 1, 0, 0, 0)
    weight = weight_robust(fixed, fixed * 0, 0.5, mask)
    torch.testing.assert_close(weight[..., :5], weight_robust(fixed[..., :5], fixed[..., :5] * 0, 0.5))
    assert weight_robust(fixed, fixed * 0, 0.5, mask * 0).isfinite().all()


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 1.0])
def test_precision_weight_by_hand(gamma):
    log_variance = row(*[2 * math.log(sd) for sd in (0.04, 0.08, 0.32)])
    expected = row(2 ** (2 * gamma), 1.0, 4 ** (-2 * gamma))
    torch.testing.assert_close(weight_precision(log_variance, gamma), expected)
    fixed = row(0.0, 0.5, 1.0)  # the signal takes no part
    torch.testing.assert_close(data_weight(fixed, log_variance, mode="precision", gamma=gamma), expected)
    shown = snr_weight(fixed, log_variance, mode="precision", gamma=gamma)
    torch.testing.assert_close(shown, expected / (1 + expected))


@pytest.mark.parametrize("mode", WEIGHT_MODES)
@pytest.mark.parametrize("ndim", [2, 3])
def test_weights_lie_in_0_to_1_fall_with_noise_and_are_detached(mode, ndim):
    fixed = torch.rand((2, 1, *[8] * ndim), requires_grad=True)
    log_variance = torch.linspace(-8, -1, fixed.numel()).view_as(fixed).requires_grad_()
    weight = snr_weight(fixed, log_variance, mode=mode)
    assert weight.shape == fixed.shape
    assert weight.min() >= 0
    assert weight.max() <= 1
    assert not weight.requires_grad
    even = snr_weight(torch.full_like(fixed, 0.5), log_variance, mode=mode).flatten(1)
    assert (even[:, :-1] >= even[:, 1:]).all()


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("mode", ["robust", "paper", "precision"])
def test_a_constant_image_has_a_finite_constant_weight(value, mode):
    weight = snr_weight(torch.full((2, 1, 8, 8), value), torch.full((2, 1, 8, 8), -12.0), mode=mode)
    assert weight.isfinite().all()
    assert weight.max() == weight.min()


def test_robust_weight_ignores_the_rest_of_the_batch_and_released_does_not():
    generator = torch.Generator().manual_seed(0)
    fixed = torch.rand((3, 1, 8, 8), generator=generator)
    log_variance = torch.randn((3, 1, 8, 8), generator=generator)
    fixed[2] *= 10
    for mode in WEIGHT_MODES:
        together = snr_weight(fixed, log_variance, mode=mode)[:1]
        alone = snr_weight(fixed[:1], log_variance[:1], mode=mode)
        assert torch.equal(together, alone) == (mode != "released")
        assert torch.equal(snr_weight(fixed, log_variance, mode=mode, apart=True)[:1], alone)
        of_the_loss = data_weight(fixed, log_variance, mode=mode, apart=True)[:1]
        assert torch.equal(of_the_loss, data_weight(fixed[:1], log_variance[:1], mode=mode))


def test_robust_data_weight_has_mean_1_per_image_and_the_others_are_left():
    generator = torch.Generator().manual_seed(0)
    fixed, log_variance = torch.rand((3, 1, 8, 8), generator=generator), torch.zeros(3, 1, 8, 8)
    means = data_weight(fixed, log_variance).mean(dim=(1, 2, 3))
    torch.testing.assert_close(means, torch.ones(3))
    mask = torch.zeros(3, 1, 8, 8)
    mask[..., :4] = 1
    inside = data_weight(fixed, log_variance, mask=mask)[..., :4].mean(dim=(1, 2, 3))
    torch.testing.assert_close(inside, torch.ones(3))
    assert data_weight(fixed, log_variance, mask=mask * 0).isfinite().all()
    for mode in ("paper", "released"):
        assert torch.equal(
            data_weight(fixed, log_variance, mode=mode), snr_weight(fixed, log_variance, mode=mode)
        )
    torch.testing.assert_close(data_weight(fixed, log_variance, gamma=0.0), torch.ones_like(fixed))


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"'best'.*robust, precision, paper, released"):
        snr_weight(row(1.0), row(0.0), mode="best")


def weight_inputs(**changes) -> WeightInputs:
    """Two images with noise that differs from place to place."""
    generator = torch.Generator().manual_seed(0)
    fixed, moved = (torch.rand((2, 1, 8, 8), generator=generator) for _ in range(2))
    log_variance = torch.randn((2, 1, 8, 8), generator=generator).requires_grad_()
    given = {"true_variance": torch.rand((2, 1, 8, 8), generator=generator), "seeds": (3, 4)}
    return WeightInputs(fixed, moved, log_variance, **given | changes)


@pytest.mark.parametrize("name", WEIGHTS)
def test_every_weight_is_detached_finite_and_of_the_image_s_shape(name):
    x = weight_inputs()
    weight = resolve(WEIGHTS, name)(x)
    assert weight.shape == x.fixed.shape
    assert weight.isfinite().all()
    assert weight.min() >= 0
    assert not weight.requires_grad


def test_controls_keep_what_they_say():
    x = weight_inputs(mode="paper")
    snr, constant, shuffled, oracle = (
        resolve(WEIGHTS, n)(x) for n in ("snr", "constant", "shuffled", "oracle")
    )
    torch.testing.assert_close(constant, snr.mean(dim=(1, 2, 3), keepdim=True).expand_as(snr))
    torch.testing.assert_close(shuffled.flatten(1).sort()[0], snr.flatten(1).sort()[0])
    assert not torch.equal(shuffled, snr)
    assert torch.equal(shuffled, resolve(WEIGHTS, "shuffled")(x))
    torch.testing.assert_close(oracle, weight_paper(x.fixed, x.true_variance.log()))
    with pytest.raises(ValueError, match="phantom is accepted"):
        resolve(WEIGHTS, "oracle")(weight_inputs(true_variance=None))


@pytest.mark.parametrize("masked", [False, True])
def test_robust_weight_of_a_volume_does_not_depend_on_its_border_alone(masked):
    """A power of two of voxels in a row: an even step through them would see some columns only."""
    torch.manual_seed(0)
    log_variance = torch.randn(1, 1, 64, 64, 64)
    log_variance[..., ::32] += 20
    fixed = torch.ones_like(log_variance)
    mask = fixed if masked else None
    low, middle, high = torch.quantile(-log_variance.flatten(), torch.tensor([0.25, 0.5, 0.75]))
    expected = torch.sigmoid((-log_variance - middle) / (high - low))
    torch.testing.assert_close(weight_robust(fixed, log_variance, 0.5, mask), expected, atol=0.03, rtol=0)
