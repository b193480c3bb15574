"""Optimisation of one pair: it lowers the loss and touches nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from scipy.ndimage import gaussian_filter

from builders import assert_sentence, pair_2d, pair_3d, spread_model, tiny_model
from hetreg import refine
from hetreg.config import GridConfig
from hetreg.losses.smoothness import mean_squared_gradient
from hetreg.losses.snr_weighted import REFERENCE_SD, data_weight
from hetreg.model import Motion, RegistrationModel
from hetreg.preprocess import to_network_grid
from hetreg.progress import Cancelled, Progress
from hetreg.refine import NOISE_SIGMA_VOX, AdamStep, RefineOptions, _weight, gaussian_smooth, optimise
from hetreg.spatial import edge_window


def tensors(ndim: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """(moving, fixed) of the shifted pair, in [0, 1]."""
    pair = to_network_grid(*(pair_2d() if ndim == 2 else pair_3d()), GridConfig(), ndim=ndim, multiple=4)
    return pair.moving, pair.fixed


def refined(model: RegistrationModel, moving, fixed, iterations: int, **options) -> tuple[Motion, Motion]:
    """(motion at the start, motion after the iterations)."""
    with torch.no_grad():
        start = model.move(moving, fixed)
    return start, optimise(model, moving, fixed, start, RefineOptions(iterations), **options)


def loss(model: RegistrationModel, motion: Motion, fixed: torch.Tensor, weight: torch.Tensor) -> float:
    """The objective with a given weight."""
    data = (weight * (fixed - motion.moved).square()).mean()
    return float(data + RefineOptions(1).smoothness * mean_squared_gradient(motion.disp))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("mode", ["robust", "paper", "precision"])
def test_the_loss_and_the_difference_fall(ndim, mode):
    model, (moving, fixed) = tiny_model(ndim), tensors(ndim)
    with torch.no_grad():
        start = model.move(moving, fixed)
        weight = data_weight(fixed, model.log_variance(start.moved, fixed), mode=mode)
        end = optimise(model, moving, fixed, start, RefineOptions(20, mode))
    assert loss(model, end, fixed, weight) < 0.6 * loss(model, start, fixed, weight)
    assert (fixed - end.moved).square().mean() < 0.5 * (fixed - start.moved).square().mean()


def test_longer_steps_go_further():
    moving, fixed = tensors()
    model = tiny_model()
    with torch.no_grad():
        start = model.move(moving, fixed)
        ends = [optimise(model, moving, fixed, start, RefineOptions(2, rate=rate)) for rate in (0.1, 0.4)]
    steps = [(end.velocity - start.velocity).abs().max() for end in ends]
    assert steps[1] > 3 * steps[0]


def test_more_smoothness_leaves_a_smoother_field():
    moving, fixed = tensors()
    model, rough = tiny_model(), []
    with torch.no_grad():
        start = model.move(moving, fixed)
        for smoothness in (0.0, 1.0):
            end = optimise(model, moving, fixed, start, RefineOptions(10, smoothness=smoothness))
            rough.append(mean_squared_gradient(end.disp))
    assert rough[1] < 0.5 * rough[0]


def test_the_iterations_are_shared_out_from_coarse_to_fine():
    assert RefineOptions(30).shares() == [30]
    assert RefineOptions(31, kernels_vox=(6, 3, 1.5)).shares() == [10, 10, 11]
    assert RefineOptions(2, kernels_vox=(6, 3, 1.5)).shares() == [0, 0, 2]
    seen, (moving, fixed), model = [], tensors(), tiny_model()
    with torch.no_grad():
        start = model.move(moving, fixed)
    progress = Progress(lambda fraction, message: seen.append((round(7 * fraction), message)))
    optimise(model, moving, fixed, start, RefineOptions(7, kernels_vox=(3.0, 1.5)), progress=progress)
    assert seen == [(n, f"Refining: iteration {n + 1} of 7") for n in range(7)]


def test_coarse_kernels_first_leave_less_of_a_large_shift():
    fixed, moving = torch.zeros(2, 1, 1, 48, 48)
    fixed[..., 14:34, 20:40], moving[..., 14:34, 14:34] = 0.8, 0.8  # 6 voxels to the left
    model, left = tiny_model(), {}
    with torch.no_grad():
        start = model.move(moving, fixed)
    for kernels in ((1.5,), (6.0, 1.5)):
        end = optimise(model, moving, fixed, start, RefineOptions(30, rate=0.5, kernels_vox=kernels))
        left[len(kernels)] = (fixed - end.moved).square().mean()
    assert left[2] < 0.2 * left[1]
    assert end.disp[0, 1, 16:32, 24:36].mean().item() == pytest.approx(-6, abs=0.5)


def test_all_kernels_have_the_network_s_displacement_as_their_prior():
    moving, fixed = tensors()
    torch.manual_seed(0)
    model = RegistrationModel(replace(tiny_model().network, sigma_z=True, spread="displacement")).eval()
    torch.nn.init.constant_(model.displacement_net.head.bias[2:], -16.0)
    with torch.no_grad():
        start = model.move(moving, fixed)
        end = optimise(model, moving, fixed, start, RefineOptions(80, kernels_vox=(1.5,) * 8))
    assert (end.disp - start.disp).abs().max() < 0.15  # four times that with each one's own end as its prior


def test_the_prior_is_scaled_by_the_size_of_the_data_term_around_each_voxel():
    """With gamma 1 the precision makes that the square of the reference everywhere, whatever the noise."""
    model, (moving, fixed) = tiny_model(), tensors()
    with torch.no_grad():
        motion = model.move(moving, fixed)
        variance = model.log_variance(motion.moved, fixed).exp()
    mask = torch.ones_like(fixed)
    mask[..., 20:] = 0.0
    for inside in (None, mask):
        _, size = _weight(model, motion, fixed, RefineOptions(1, "precision", gamma=1.0), inside)
        torch.testing.assert_close(size[..., :20], torch.full_like(size[..., :20], REFERENCE_SD**2))
    _, size = _weight(model, motion, fixed, RefineOptions(1, "robust"), None)
    torch.testing.assert_close(size, gaussian_smooth(variance, NOISE_SIGMA_VOX))


def test_the_known_shift_is_found():
    moving, fixed = tensors()
    _, end = refined(tiny_model(), moving, fixed, 60)
    middle = end.disp[0, :, 12:20, 12:20].mean(dim=(1, 2))
    assert middle[1].item() == pytest.approx(-1.5, abs=0.4)
    assert middle[0].abs() < 0.3


def test_a_network_that_is_sure_of_its_displacement_is_left_less():
    moving, fixed = tensors()
    torch.manual_seed(0)
    model = RegistrationModel(replace(tiny_model().network, sigma_z=True, spread="displacement")).eval()
    moved = {}
    for log_variance in (-16.0, 4.0):  # SD 0.0003 and 7 voxels
        torch.nn.init.constant_(model.displacement_net.head.bias[2:], log_variance)
        start, end = refined(model, moving, fixed, 10)
        moved[log_variance] = (end.disp - start.disp).abs().max().item()
    assert moved[-16.0] < 0.1 * moved[4.0]


def test_the_prior_counts_by_the_anchor_over_the_variance(monkeypatch):
    moving, fixed = tensors()
    model, given = spread_model(log_variance=-2.0, spread="displacement"), []
    plain = refine._Descent
    monkeypatch.setattr(refine, "_Descent", lambda *a: given.append(a[4]) or plain(*a))
    with torch.no_grad():
        start = model.move(moving, fixed)
        optimise(model, moving, fixed, start, RefineOptions(0, anchor=3.0))
        expected = 3.0 / model.displacement_sd(start).square()
    torch.testing.assert_close(given[0], expected)


def test_no_iterations_give_the_start():
    moving, fixed = tensors()
    start, end = refined(tiny_model(rough=1.0), moving, fixed, 0)
    assert torch.equal(start.disp, end.disp)
    assert torch.equal(start.moved, end.moved)


def test_the_model_and_the_start_are_only_read():
    model, (moving, fixed) = tiny_model(rough=1.0), tensors()
    motion = model.move(moving, fixed)
    velocity = motion.velocity.detach()
    before, start = {k: v.clone() for k, v in model.state_dict().items()}, velocity.clone()
    end = optimise(model, moving, fixed, motion, RefineOptions(5))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(velocity, start)
    assert not any(t.requires_grad for t in (end.moved, end.disp, end.velocity))
    assert not torch.equal(end.velocity, velocity)


def test_it_works_inside_no_grad_and_is_deterministic():
    moving, fixed = tensors()
    with torch.no_grad():
        _, first = refined(tiny_model(rough=1.0), moving, fixed, 8)
    _, second = refined(tiny_model(rough=1.0), moving, fixed, 8)
    assert torch.equal(first.disp, second.disp)


def test_each_pair_of_a_batch_is_optimised_on_its_own():
    moving, fixed = tensors()
    noise = 0.1 * torch.rand(fixed.shape, generator=torch.Generator().manual_seed(0))
    both = torch.cat((moving, moving + noise)), torch.cat((fixed, fixed.flip(2)))
    model = tiny_model()
    _, together = refined(model, *both, 12)
    for n in range(2):
        _, alone = refined(model, both[0][n : n + 1], both[1][n : n + 1], 12)
        torch.testing.assert_close(together.disp[n : n + 1], alone.disp, atol=1e-3, rtol=0)


def test_the_window_holds_the_border_still():
    moving, fixed = tensors()
    window = edge_window(fixed.shape[2:], 6)
    model = tiny_model(velocity_stride=1)
    _, end = refined(model, moving, fixed, 15, window=window)
    for axis in (2, 3):
        assert end.disp.index_select(axis, torch.tensor([0, 31])).abs().max() < 1e-6
    assert end.disp.abs().max() > 0.3


def test_the_variance_is_estimated_again_on_the_way(monkeypatch):
    model, (moving, fixed) = tiny_model(), tensors()
    seen = []
    plain = model.log_variance
    monkeypatch.setattr(model, "log_variance", lambda moved, f: seen.append(moved.clone()) or plain(moved, f))
    refined(model, moving, fixed, 21)
    assert len(seen) == 3
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("iterations", [1, 3])
def test_a_loss_that_is_no_number_is_a_sentence(monkeypatch, iterations):
    """At such positions PyTorch's own backward pass would end the process."""
    monkeypatch.setattr(refine, "data_weight", lambda fixed, *_, **__: torch.full_like(fixed, torch.inf))
    with pytest.raises(ValueError, match="not finite") as caught:
        refined(tiny_model(), *tensors(), iterations)
    assert_sentence(caught.value, "gamma 0.5", "a smaller gamma")


def test_cancelling_stops_between_iterations():
    seen = []
    progress = Progress(lambda f, m: seen.append(m), lambda: len(seen) == 4)
    with pytest.raises(Cancelled, match="iteration 4 of 9"):
        refined(tiny_model(), *tensors(), 9, progress=progress)


@pytest.mark.parametrize("ndim", [2, 3])
def test_gaussian_smoothing_equals_scipy(ndim):
    field = torch.rand((1, 2, *[12] * ndim), dtype=torch.float64)
    ours = gaussian_smooth(field, 1.5)
    theirs = gaussian_filter(field.numpy(), [0, 0, *[1.5] * ndim], mode="nearest", radius=[0, 0, *[4] * ndim])
    torch.testing.assert_close(ours, torch.from_numpy(theirs))
    torch.testing.assert_close(gaussian_smooth(torch.ones_like(field), 2.0), torch.ones_like(field))


def test_adam_step_equals_torch():
    parameter = torch.zeros(1, 2, 4, 4, requires_grad=True)
    mine, step = torch.zeros(1, 2, 4, 4), AdamStep(torch.zeros(1, 2, 4, 4), rate=0.1)
    optimiser = torch.optim.Adam([parameter], lr=0.1)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        parameter.grad = torch.randn(1, 2, 4, 4, generator=generator)
        mine -= step(parameter.grad)
        optimiser.step()
    torch.testing.assert_close(mine, parameter.detach())


def test_the_steps_shrink_to_nothing(monkeypatch):
    shares = [refine._decay(n / 10) for n in range(11)]
    assert shares[0] == 1.0
    assert shares[5] == pytest.approx(0.5)
    assert shares[-1] == pytest.approx(0.0)
    assert shares == sorted(shares, reverse=True)
    gradient = torch.ones(2)
    torch.testing.assert_close(
        AdamStep(gradient, 0.1)(gradient, 0.5), 0.5 * AdamStep(gradient, 0.1)(gradient)
    )
    moving, fixed = tensors()
    monkeypatch.setattr(refine, "_decay", lambda done: 0.0)
    start, end = refined(tiny_model(), moving, fixed, 3)
    torch.testing.assert_close(end.disp, start.disp)
