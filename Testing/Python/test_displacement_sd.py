"""Uncertainty of the displacement: from the network's variance of z to a map in mm."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
import torch

from builders import OBLIQUE, assert_sentence, pair_2d, points_of, sampled, scene, spread_model, tiny_model
from hetreg.assemble import displacement_sd_mm
from hetreg.config import GridConfig, NetworkConfig, RegisterConfig
from hetreg.model import LOG_VARIANCE_Z_RANGE, RegistrationModel
from hetreg.register import register_pair
from hetreg.registry import NETWORKS
from hetreg.spatial import compose, disp_to_lps_mm, edge_window, warp

SIZE = {2: (16, 24), 3: (8, 12, 16)}
FIXED = {
    "volume": sampled((22, 20, 18), (2, 2, 2)),
    "oblique volume": sampled((22, 20, 18), (2, 2, 2.5), OBLIQUE, centre=(1, 2, -1)),
    "slices along j": sampled((24, 4, 22), (1.5, 6, 1.2)),
    "oblique stack": sampled((24, 22, 4), (1.5, 1.5, 6), OBLIQUE),
    "one slice": sampled((24, 22, 1), (1.5, 1.5, 6)),
}


def normal(model: RegistrationModel, moving: torch.Tensor, generator=None) -> torch.Tensor:
    """Standard normal numbers of the velocity's shape."""
    shape = (len(moving), model.ndim, *model.velocity_size(moving.shape[2:]))
    return torch.randn(shape, generator=generator)


def images(ndim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Seeded noise: (moving, fixed)."""
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.rand((2, 1, *SIZE[ndim]), generator=generator) for _ in range(2))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("ndim", [2, 3])
def test_with_sigma_z_the_network_gives_a_mean_and_a_small_variance(name, ndim):
    model = RegistrationModel(NetworkConfig(architecture=name, ndim=ndim, size="tiny", sigma_z=True))
    pair = torch.rand((2, 1, 1, *[16] * ndim), generator=torch.Generator().manual_seed(0))
    motion = model.move(*pair)
    assert motion.drawn is None
    assert motion.velocity.shape == motion.log_variance_z.shape == (1, ndim, *[8] * ndim)
    at_output = motion.log_variance_z + 2 * math.log(2)  # resized to half, the same length is half the voxels
    torch.testing.assert_close(at_output, torch.full_like(at_output, -10.0), atol=0.05, rtol=0)
    assert motion.velocity.abs().max() < 1e-3


def test_without_sigma_z_there_is_no_variance_and_no_sample():
    moving, fixed = images(2)
    model = tiny_model()
    motion = model.move(moving, fixed)
    assert motion.log_variance_z is None
    assert model.displacement_sd(motion) is None
    for velocity in (None, motion.velocity):
        with pytest.raises(ValueError, match="sigma_z") as caught:
            model.move(moving, fixed, velocity=velocity, sample=normal(model, moving))
        assert_sentence(caught.value)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_sample_is_reparametrised_with_gradients_to_mean_and_variance(ndim):
    moving, fixed = images(ndim)
    model = spread_model(ndim, log_variance=-2.0, shift=(0.5,) * ndim, integration_steps=0, velocity_stride=1)
    noise = normal(model, moving, torch.Generator().manual_seed(1))
    assert noise.shape == (2, ndim, *SIZE[ndim])
    motion = model.move(moving, fixed, sample=noise)
    torch.testing.assert_close(motion.disp, 0.5 + math.exp(-1.0) * noise)
    torch.testing.assert_close(motion.velocity, torch.full_like(motion.velocity, 0.5))
    assert torch.equal(motion.drawn, motion.disp)
    motion.disp.sum().backward()
    gradient = model.displacement_net.head.bias.grad
    assert gradient[:ndim].sum() == pytest.approx(noise.numel(), rel=1e-4)
    expected = 0.5 * math.exp(-1.0) * noise.sum(dim=(0, *range(2, ndim + 2)))
    slope = 1 - ((-2.0 + 8.0) / 12.0) ** 2  # of the soft clamp
    torch.testing.assert_close(gradient[ndim:], slope * expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("bias", [-1e6, 1e6])
def test_log_variance_z_stays_in_its_range(bias):
    model = spread_model(velocity_stride=1)
    torch.nn.init.constant_(model.displacement_net.head.bias[2:], bias)
    log_variance = model.move(*images(2)).log_variance_z
    assert log_variance.min() >= LOG_VARIANCE_Z_RANGE[0] - 1e-3
    assert log_variance.max() <= LOG_VARIANCE_Z_RANGE[1] + 1e-3


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("sampled", [False, True])
def test_the_inverse_brings_the_points_back(ndim, sampled):
    moving, fixed = images(ndim)
    model = spread_model(ndim, log_variance=-8.0, shift=(0.25,) * ndim, velocity_stride=1)
    window = edge_window(SIZE[ndim], 4)
    sample = normal(model, moving, torch.Generator().manual_seed(0)) if sampled else None
    motion = model.move(moving, fixed, window=window, sample=sample)
    back = model.inverse(motion, fixed)
    assert compose(motion.disp, back.disp).abs().mean() < 0.01 < motion.disp.abs().mean()
    assert torch.equal(back.moved, warp(fixed, back.disp))
    assert torch.equal(back.velocity, -motion.velocity)
    z = motion.drawn if sampled else motion.velocity
    assert torch.equal(back.disp, model.displacement(-z, SIZE[ndim]))


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_sd_of_a_displacement_that_is_z_is_sigma_z(ndim):
    model = spread_model(ndim, log_variance=-3.0, integration_steps=0, velocity_stride=1)
    sd = model.displacement_sd(model.move(*images(ndim)))
    torch.testing.assert_close(sd, torch.full_like(sd, math.exp(-1.5)))


@pytest.mark.parametrize(("steps", "stride"), [(0, 2), (7, 1), (7, 2)])
def test_the_sd_of_an_integrated_displacement_is_that_of_many_draws(steps, stride):
    model = spread_model(log_variance=-8.0, integration_steps=steps, velocity_stride=stride)
    moving, fixed = images(2)
    motion = model.move(moving, fixed)
    generator = torch.Generator().manual_seed(5)
    draws = [model.move(moving, fixed, sample=normal(model, moving, generator)).disp for _ in range(400)]
    expected = torch.stack(draws).std(dim=0).square().mean().sqrt()
    sd = model.displacement_sd(motion)
    assert sd.shape == motion.disp.shape
    assert sd.square().mean().sqrt().item() == pytest.approx(expected.item(), rel=0.03)
    assert torch.equal(sd, model.displacement_sd(motion))
    assert torch.equal(sd[0], sd[1])  # both pairs got the same noise


def test_the_sd_vanishes_with_the_window():
    model = spread_model(log_variance=0.0, velocity_stride=1)
    sd = model.displacement_sd(model.move(*images(2), window=edge_window(SIZE[2], 4)))
    for axis in (2, 3):
        assert sd.index_select(axis, torch.tensor([0, sd.shape[axis] - 1])).max() < 1e-3
    assert sd.max() > 0.2


@pytest.mark.parametrize("name", FIXED)
def test_the_sd_of_the_displacement_is_in_mm_on_the_fixed_grid(name):
    fixed = FIXED[name]
    flat = min(fixed.array.shape) < 5
    ndim = 2 if flat else 3
    still = GridConfig(taper_vox=1, max_size=512)
    model = spread_model(ndim, log_variance=-4.0, integration_steps=0, velocity_stride=1, grid=still)
    moving = fixed.like(scene(points_of(fixed) + 1).astype(np.float32), "moving")
    result = register_pair(fixed, moving, model)
    sd = result.displacement_sd_mm
    np.testing.assert_array_equal(sd.ijk_to_lps, fixed.ijk_to_lps)
    assert sd.array.shape == fixed.array.shape
    assert sd.array.dtype == np.float32
    axes = [a for a in range(3) if not flat or a != int(np.argmin(fixed.array.shape))]
    expected = np.exp(-2.0) * np.sqrt(np.sum(fixed.spacing_mm[::-1][axes] ** 2))
    middle = tuple(slice(n // 3, n - n // 3) if n > 5 else slice(None) for n in fixed.array.shape)
    np.testing.assert_allclose(sd.array[middle], expected, rtol=1e-3)
    for axis in axes:  # where the field is held at zero
        assert np.take(sd.array, [0, -1], axis=axis).max() < 1e-4 * expected
    assert result.summary["displacement_sd_median_mm"] == pytest.approx(expected, rel=0.01)


def test_the_sd_in_mm_knows_the_spacing_of_a_resampled_grid():
    fixed, moving = (sampled((40, 40, 1), (1, 1, 1), function=f) for f in (scene, lambda p: scene(p + 1)))
    coarse = GridConfig(taper_vox=1, min_spacing_mm=2.0)
    model = spread_model(log_variance=-4.0, integration_steps=0, velocity_stride=1, grid=coarse)
    sd = register_pair(fixed, moving, model).displacement_sd_mm.array
    np.testing.assert_allclose(sd[0, 15:25, 15:25], np.exp(-2.0) * np.sqrt(2) * 2.0, rtol=1e-3)
    assert not np.any([sd[0, [0, -1]], sd[0, :, [0, -1]]])  # where the field is held at zero


@pytest.mark.parametrize("refine", [0, 2])
def test_an_integrated_sd_is_the_same_twice_and_does_not_move_the_image(refine):
    config = RegisterConfig(refine=refine)
    first, second = (register_pair(*pair_2d(), spread_model(log_variance=-3.0), config) for _ in range(2))
    assert np.array_equal(first.displacement_sd_mm.array, second.displacement_sd_mm.array)
    assert 0.1 < first.summary["displacement_sd_median_mm"] < 1.0
    sure = register_pair(*pair_2d(), spread_model(log_variance=-15.0), config)
    assert np.array_equal(first.disp_vox, sure.disp_vox)
    assert sure.summary["displacement_sd_median_mm"] < 0.01


def test_without_sigma_z_no_sd_is_given():
    result = register_pair(*pair_2d(), tiny_model())
    assert result.displacement_sd_mm is None
    assert "displacement_sd_median_mm" not in result.summary


@pytest.mark.parametrize("in_mm", [lambda d, f: disp_to_lps_mm(d, f.ijk_to_lps), displacement_sd_mm])
def test_a_field_in_mm_takes_no_double_copy_of_the_whole_field_on_its_way(in_mm):
    """These two had the most memory of a registration."""
    fixed = sampled((32, 32, 32), (1, 2, 3), OBLIQUE)
    field = np.ones((3, *fixed.array.shape), np.float32)
    tracemalloc.start()
    try:
        found = in_mm(field, fixed)
        assert tracemalloc.get_traced_memory()[1] < found.nbytes + 4 / 3 * field.nbytes
    finally:
        tracemalloc.stop()
