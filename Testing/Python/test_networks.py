"""Both networks: size, shape, start, refusals."""

from __future__ import annotations

import math
import sys

import pytest
import torch
from monai.networks.nets.swin_unetr import SwinTransformerBlock, compute_mask, window_partition

from builders import TINY, assert_sentence, points_of, sampled, scene
from hetreg.config import NetworkConfig, TrainConfig, network_config
from hetreg.model import RegistrationModel
from hetreg.networks.base import CONV, PairNetwork
from hetreg.networks.transmorph import WINDOWS, Stage, attention_mask
from hetreg.networks.unet import UNet, joined_conv
from hetreg.networks.variance import LOG_VARIANCE_RANGE, SURROUNDINGS, VarianceNet, local_residual, soft_clamp
from hetreg.register import register_pair
from hetreg.registry import NETWORKS, resolve


@pytest.mark.parametrize(("ndim", "displacement", "variance"), [(2, 109_170, 109_025), (3, 327_331, 326_465)])
def test_parameters_of_the_paper_configuration(ndim, displacement, variance):
    model = RegistrationModel(NetworkConfig(ndim=ndim))
    assert sum(p.numel() for p in model.displacement_net.parameters()) == displacement
    assert sum(p.numel() for p in model.variance_net.parameters()) == variance


@pytest.mark.parametrize(
    ("ndim", "size", "count"),
    [
        (2, "paper", 31_013_570),  # Zhang et al., MICCAI 2024: about 31.0 M
        (3, "paper", 46_771_251),  # Zhang et al., MICCAI 2024: about 46.8 M
        (2, "small", 7_776_650),
        (3, "small", 11_757_195),
        (2, "tiny", 30_002),
        (3, "tiny", 58_035),
    ],
)
def test_parameters_of_transmorph(ndim, size, count):
    model = RegistrationModel(NetworkConfig(architecture="transmorph", ndim=ndim, size=size))
    assert sum(p.numel() for p in model.displacement_net.parameters()) == count
    assert model.multiple == (16 if size == "tiny" else 32)  # 16 of the paper's variance network


def made(name: str, size: str, ndim: int, **network) -> PairNetwork:
    """A seeded network of that architecture and size; a U-Net's channels follow `network_config`."""
    shape = network_config(TrainConfig(network=name, size=size), ndim).to_dict()
    torch.manual_seed(0)
    return resolve(NETWORKS, name).build(NetworkConfig.from_dict(shape | network), ndim)


def noise(ndim: int, *size: int) -> torch.Tensor:
    """Two images of seeded noise: (2, 1, 1, *size); one number stands for all axes."""
    shape = size if len(size) == ndim else size * ndim
    return torch.rand((2, 1, 1, *shape), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_shape_at_several_sizes_and_strides(name, ndim, stride):
    network = made(name, "tiny", ndim, output_stride=stride, velocity_stride=2)
    assert isinstance(network, PairNetwork)
    for factor in (1, 3):
        size = [network.multiple * factor] * (ndim - 1) + [network.multiple * 2]
        assert network(*noise(ndim, *size)).shape == (1, ndim, *(n // stride for n in size))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("size", ["tiny", "small"])
def test_the_first_output_is_nearly_zero_and_trainable(name, ndim, size):
    network = made(name, size, ndim)
    out = network(*noise(ndim, network.multiple * (1 + (size == "tiny"))))
    assert 0 < out.abs().max() < 1e-3
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("ndim", [2, 3])
def test_each_size_is_smaller_than_the_next(name, ndim):
    tiny, small = (sum(p.numel() for p in made(name, s, ndim).parameters()) for s in ("tiny", "small"))
    paper = sum(p.numel() for p in made(name, "paper", ndim).parameters())
    assert 4 * tiny < small < paper / 3


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("ndim", [2, 3])
def test_saved_and_loaded_weights_give_the_same_output(name, ndim, tmp_path):
    config = network_config(TrainConfig(network=name, size="tiny"), ndim)
    model = RegistrationModel(config).eval()
    torch.nn.init.normal_(model.displacement_net.head.weight, 0.0, 0.3)
    model.save(tmp_path / "m.pt")
    loaded = RegistrationModel.load(tmp_path / "m.pt")
    assert loaded.network == config
    images = noise(ndim, model.multiple)
    assert torch.equal(model.move(*images).disp, loaded.move(*images).disp)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", ["tiny", "small"])
@pytest.mark.parametrize("shape", [(37, 50, 1), (21, 18, 19)], ids=["2d", "3d"])
def test_images_of_any_size_are_registered(name, size, shape):
    ndim = 2 if 1 in shape else 3
    fixed = sampled(shape, (2.0, 2.0, 2.0))
    moving = fixed.like(scene(points_of(fixed) + 1).astype("float32"), "moving")
    model = RegistrationModel(network_config(TrainConfig(network=name, size=size), ndim))
    torch.nn.init.normal_(model.displacement_net.head.weight, 0.0, 0.3)
    result = register_pair(fixed, moving, model)
    assert result.moved.array.shape == fixed.array.shape
    assert 0 < result.summary["displacement_max_mm"] < math.inf


@pytest.mark.parametrize(("ndim", "side"), [(2, 128), (3, 32)])
def test_transmorph_of_the_paper_runs_and_starts_near_the_identity(ndim, side):
    network = made("transmorph", "paper", ndim).eval()
    with torch.no_grad():
        out = network(*noise(ndim, side))
    assert out.shape == (1, ndim, *[side] * ndim)
    assert 0 < out.abs().max() < 1e-3


@pytest.mark.parametrize("ndim", [2, 3])
def test_transmorph_does_not_see_the_padding_of_its_windows(ndim):
    window = WINDOWS[ndim]
    grid = tuple(w + 2 for w in window)
    for shift in ((0,) * ndim, tuple(w // 2 for w in window)):
        mask = attention_mask(grid, window, shift, torch.device("cpu"))
        padded = tuple(2 * w for w in window)
        places = torch.stack(torch.meshgrid(*(torch.arange(n) for n in padded), indexing="ij"), dim=-1)
        before = torch.stack([(places[..., d] + s) % padded[d] for d, s in enumerate(shift)], dim=-1)
        windows = window_partition(before[None].float(), window).long()  # (windows, tokens, ndim)
        real = (windows < torch.tensor(grid)).all(dim=-1)
        near = (windows[:, :, None] - windows[:, None]).abs() < torch.tensor(window)
        allowed = near.all(dim=-1) & real[:, :, None] & real[:, None]
        assert torch.equal(mask[real] == 0, allowed[real])


@pytest.mark.parametrize("ndim", [2, 3])
def test_where_windows_fit_a_stage_is_that_of_monai(ndim):
    torch.manual_seed(0)
    window = WINDOWS[ndim]
    shift = tuple(w // 2 for w in window)
    stage = Stage(ndim, 8, 2, [0.0, 0.0]).eval()
    theirs = [SwinTransformerBlock(8, 2, window, s, qkv_bias=False).eval() for s in ((0,) * ndim, shift)]
    for ours, block in zip(stage.blocks, theirs, strict=True):
        block.load_state_dict({k.replace("attention", "attn"): v for k, v in ours.state_dict().items()})
    x = torch.rand(2, *(2 * w for w in window), 8)
    mask = compute_mask([2 * w for w in window], window, shift, torch.device("cpu"))
    torch.testing.assert_close(stage(x), theirs[1](theirs[0](x, mask), mask), atol=1e-5, rtol=1e-5)


def test_no_mask_where_whole_windows_fit():
    assert attention_mask((16, 8), (8, 8), (0, 0), torch.device("cpu")) is None


def test_drop_path_acts_only_in_training():
    network, images = made("transmorph", "small", 2), noise(2, 32).expand(2, 32, 1, 32, 32)
    torch.nn.init.normal_(network.head.weight)
    alike = [bool((o - o[:1]).abs().max() < 1e-3) for o in (network(*images), network.eval()(*images))]
    assert alike == [False, True]


def test_a_missing_monai_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)
    with pytest.raises(ImportError, match="pip install monai") as caught:
        made("transmorph", "tiny", 2)
    assert_sentence(caught.value, "MONAI", "VoxelMorph")


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


@pytest.mark.parametrize("size", [(3, 5), (1, 4), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_joined_convolution_is_upsampling_joining_and_convolving(size, dtype):
    torch.manual_seed(0)
    conv = CONV[len(size)](5, 4, 3, padding=1).to(dtype)
    x = torch.randn(2, 3, *size, dtype=dtype, requires_grad=True)
    skip = torch.randn(2, 2, *(2 * n for n in size), dtype=dtype, requires_grad=True)
    given = [x, skip, *conv.parameters()]
    plain = conv(torch.cat((torch.nn.functional.interpolate(x, scale_factor=2.0), skip), 1))
    joined = joined_conv(conv, x, skip)
    precision = {"rtol": 0, "atol": 1e-12 if dtype is torch.float64 else 2e-4}
    torch.testing.assert_close(joined, plain, **precision)
    for a, b in zip(*(torch.autograd.grad(y.sin().sum(), given) for y in (joined, plain)), strict=True):
        torch.testing.assert_close(a, b, **precision)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_local_residual_is_the_mean_of_squares_in_a_window(ndim):
    """A residual of 0.1 everywhere; one of 1 in a single voxel spreads over each window, not beyond it."""
    fixed = torch.full((1, 1, *[20] * ndim), 0.1)
    even = local_residual(torch.zeros_like(fixed), fixed)
    torch.testing.assert_close(even, torch.full_like(even, (math.log(0.01 + 1e-6) + 7) / 3))
    spike = torch.zeros_like(fixed)
    spike[(0, 0, *[10] * ndim)] = 1.0
    found = local_residual(torch.zeros_like(spike), spike)
    for channel, size in enumerate(SURROUNDINGS[ndim]):
        middle = found[(0, channel, *[10] * ndim)]
        assert float(middle) == pytest.approx((math.log(size**-ndim + 1e-6) + 7) / 3, abs=1e-4)
        assert float(found[(0, channel, 10 + size // 2 + 1, *[10] * (ndim - 1))]) < -2


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_variance_network_may_see_the_local_residual(ndim):
    torch.manual_seed(0)
    plain, seeing = (VarianceNet(ndim=ndim, residual=r, **TINY) for r in (False, True))
    count = [sum(p.numel() for p in net.parameters()) for net in (plain, seeing)]
    assert count[1] - count[0] == 2 * TINY["encoder"][0] * 3**ndim
    torch.nn.init.normal_(seeing.unet.head.weight)
    fixed, moved = torch.rand((2, 1, 1, *[16] * ndim))
    assert seeing(moved, fixed).shape == fixed.shape
    with pytest.raises(ValueError, match="differ in size"):
        seeing(moved[:, :, :8], fixed)
    model = RegistrationModel(NetworkConfig(ndim=ndim, variance_residual=True, **TINY))
    assert model.variance_net.residual
