"""Both networks: size, shape, start, refusals."""

from __future__ import annotations

import math

import pytest
import torch

from builders import TINY
from hetreg.config import NetworkConfig
from hetreg.model import RegistrationModel
from hetreg.networks.base import PairNetwork
from hetreg.networks.unet import UNet
from hetreg.networks.variance import LOG_VARIANCE_RANGE, VarianceNet, soft_clamp
from hetreg.registry import NETWORKS, resolve


@pytest.mark.parametrize(("ndim", "displacement", "variance"), [(2, 109_170, 109_025), (3, 327_331, 326_465)])
def test_parameters_of_the_paper_configuration(ndim, displacement, variance):
    model = RegistrationModel(NetworkConfig(ndim=ndim))
    assert sum(p.numel() for p in model.displacement_net.parameters()) == displacement
    assert sum(p.numel() for p in model.variance_net.parameters()) == variance


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_shape_at_several_sizes_and_strides(name, ndim, stride):
    network = resolve(NETWORKS, name)(ndim=ndim, out_channels=ndim, output_stride=stride, **TINY)
    assert isinstance(network, PairNetwork)
    for factor in (1, 3):
        size = [network.multiple * factor] * (ndim - 1) + [network.multiple * 2]
        out = network(torch.rand(2, 1, *size), torch.rand(2, 1, *size))
        assert out.shape == (2, ndim, *(n // stride for n in size))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("ndim", [2, 3])
def test_the_first_output_is_nearly_zero_and_trainable(name, ndim):
    torch.manual_seed(0)
    network = resolve(NETWORKS, name)(ndim=ndim, out_channels=ndim, **TINY)
    out = network(torch.rand(1, 1, *[16] * ndim), torch.rand(1, 1, *[16] * ndim))
    assert 0 < out.abs().max() < 1e-3
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_saved_and_loaded_weights_give_the_same_output(name):
    first, second = (resolve(NETWORKS, name)(ndim=2, out_channels=2, **TINY).eval() for _ in range(2))
    images = torch.rand(2, 1, 1, 16, 16)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(*images), second(*images))


def test_the_two_images_are_not_exchangeable():
    torch.manual_seed(0)
    network, images = UNet(ndim=2, out_channels=2, **TINY), torch.rand(2, 1, 1, 16, 16)
    assert not torch.equal(network(images[0], images[1]), network(images[1], images[0]))


def test_a_size_that_does_not_divide_or_differs_is_refused():
    network = UNet(ndim=2, out_channels=2, **TINY)
    with pytest.raises(ValueError, match=r"\(16, 18\).*multiple of 4"):
        network(torch.zeros(1, 1, 16, 18), torch.zeros(1, 1, 16, 18))
    with pytest.raises(ValueError, match="differ in size"):
        network(torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 20))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_variance_has_one_channel_at_full_size(ndim, stride):
    network = VarianceNet(ndim=ndim, output_stride=stride, **TINY)
    images = torch.rand(2, 3, 1, *[16] * ndim)
    assert network(*images).shape == (3, 1, *[16] * ndim)


@pytest.mark.parametrize("variance", [1e-4, 1e-2, 0.5])
def test_variance_starts_where_it_is_told(variance):
    torch.manual_seed(0)
    network = VarianceNet(ndim=2, **TINY)
    network.start_at(variance)
    log_variance = network(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16))
    assert log_variance.mean().item() == pytest.approx(math.log(variance), abs=0.1)


@pytest.mark.parametrize("variance", [0.0, 1e-300, 1e9])
def test_an_extreme_start_stays_finite(variance):
    network = VarianceNet(ndim=2, **TINY)
    network.start_at(variance)
    assert all(p.isfinite().all() for p in network.parameters())


def test_log_variance_stays_in_its_range_whatever_the_weights():
    network = VarianceNet(ndim=2, **TINY)
    low, high = LOG_VARIANCE_RANGE
    assert (low, high) == (-12.0, 4.0)
    for bias in (-1e6, 1e6):
        torch.nn.init.constant_(network.unet.head.bias, bias)
        out = network(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16))
        assert out.min() >= low
        assert out.max() <= high


def test_soft_clamp_is_the_identity_in_the_middle_and_never_flat_inside():
    x = torch.linspace(-6, -2, 9, requires_grad=True)
    y = soft_clamp(x, -12.0, 4.0)
    torch.testing.assert_close(y[4], x[4])
    assert (y - x).abs().max() < 0.1
    y.sum().backward()
    assert (x.grad > 0.9).all()
