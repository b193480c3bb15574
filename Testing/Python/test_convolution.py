"""3D convolution of a single volume: the numbers of PyTorch's, without its slow way."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from hetreg.config import TrainConfig, network_config
from hetreg.model import RegistrationModel
from hetreg.networks import convolution
from hetreg.networks.base import CONV


@pytest.mark.parametrize("size", [(12, 8, 10), (13, 9, 8), (2, 16, 17)])
def test_a_convolution_in_halves_is_the_convolution(size, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)  # else it is not worth it
    plain, conv = nn.Conv3d(3, 4, 3, padding=1), CONV[3](3, 4, 3, padding=1)
    conv.load_state_dict(plain.state_dict())
    volume = torch.randn(1, 3, *size)
    assert convolution.worth_halving(volume)
    given = volume.requires_grad_()
    found, expected = conv(given), plain(given)
    assert found.is_contiguous()
    torch.testing.assert_close(found, expected)
    both = ((found, conv), (expected, plain))
    gradients = [torch.autograd.grad(y.sin().sum(), [given, *layer.parameters()]) for y, layer in both]
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "options",
    [{"stride": 2, "padding": 1}, {"padding": 0}, {"padding": 2, "dilation": 2}, {"padding": 1, "groups": 2}],
)
def test_other_convolutions_are_plain_ones(options):
    plain, conv = nn.Conv3d(4, 4, 3, **options), CONV[3](4, 4, 3, **options)
    conv.load_state_dict(plain.state_dict())
    volume = torch.randn(1, 4, 12, 12, 12)
    torch.testing.assert_close(conv(volume), plain(volume))


WAYS = ("mkldnn_convolution", "slow_conv3d_forward")  # fast and slow


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch without oneDNN")
@pytest.mark.parametrize("architecture", ["voxelmorph", "pyramid"])
def test_no_large_convolution_of_a_single_volume_takes_the_slow_way(architecture):
    model = RegistrationModel(network_config(TrainConfig(size="tiny", network=architecture), 3))
    images = torch.rand(2, 1, 1, 32, 32, 32)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as seen:
        model.log_variance(images[0], model.move(*images).moved)
    shapes = {name: [e.input_shapes[0] for e in seen.events() if e.name == f"aten::{name}"] for name in WAYS}
    assert shapes["mkldnn_convolution"]
    assert [shape for shape in shapes["slow_conv3d_forward"] if math.prod(shape[2:]) >= 512] == []


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((2, 3, 12, 8, 10), torch.float32),
        ((1, 3, 1, 64, 64), torch.float32),
        ((1, 64, 32, 32, 8), torch.float32),
        ((1, 3, 4, 4, 4), torch.float32),
        ((1, 3, 12, 8, 10), torch.float64),
    ],
)
def test_what_is_fast_or_small_is_left_whole(shape, dtype):
    volume = torch.randn(*shape, dtype=dtype)
    plain, conv = nn.Conv3d(shape[1], 4, 3, padding=1).to(dtype), CONV[3](shape[1], 4, 3, padding=1).to(dtype)
    conv.load_state_dict(plain.state_dict())
    assert not convolution.worth_halving(volume)
    torch.testing.assert_close(conv(volume), plain(volume))


def test_in_16_bits_it_is_left_whole_and_an_unbatched_volume_is_taken():
    conv, volume = CONV[3](3, 4, 3, padding=1), torch.randn(1, 3, 12, 8, 10)
    with torch.autocast("cpu", torch.bfloat16):
        assert not convolution.worth_halving(volume)
        assert conv(volume).dtype == torch.bfloat16
    torch.testing.assert_close(conv(volume[0]), conv(volume)[0])
