"""The two training steps: who gets a gradient, and from where."""

from __future__ import annotations

import pytest
import torch

from builders import tiny_model
from hetreg.config import TrainConfig
from hetreg.losses.nll import gaussian_nll
from hetreg.model import RegistrationModel
from hetreg.registry import WEIGHT_MODES
from hetreg.training.objective import Batch, Objective
from hetreg.training.steps import (
    Update,
    displacement_step,
    joint_step,
    sample_of,
    variance_step,
    weight_map,
)

WEIGHTED = Objective({"snr_weighted": 1.0, "smoothness": 0.01})


@pytest.fixture
def model() -> RegistrationModel:
    """A small model that moves something."""
    return tiny_model(rough=0.3).train()


@pytest.fixture
def batch() -> Batch:
    """Two pairs of smooth noise."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((2, 2, 1, 6, 6), generator=generator)
    fixed, moving = (torch.nn.functional.interpolate(c, (16, 16), mode="bilinear") for c in coarse)
    return Batch(fixed, moving)


def still(net: torch.nn.Module) -> torch.optim.Optimizer:
    """An optimiser that changes nothing, so that the gradients of a step can be read."""
    return torch.optim.SGD(net.parameters(), lr=0.0)


def gradients(net: torch.nn.Module) -> torch.Tensor | None:
    """All gradients of a network in one vector; None if it has none."""
    found = [p.grad.flatten() for p in net.parameters() if p.grad is not None]
    return torch.cat(found) if found else None


def states(net: torch.nn.Module) -> list[torch.Tensor]:
    """A copy of all weights."""
    return [p.detach().clone() for p in net.parameters()]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    """True if the weights agree bit for bit."""
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("mode", WEIGHT_MODES)
def test_the_displacement_step_gives_the_variance_network_no_gradient(model, batch, mode):
    objective = Objective(WEIGHTED.terms, weight_mode=mode)
    row = displacement_step(model, batch, still(model.displacement_net), objective)
    assert gradients(model.displacement_net).abs().max() > 0
    assert gradients(model.variance_net) is None
    assert row["loss"] == pytest.approx(row["snr_weighted"] + 0.01 * row["smoothness"])


def test_the_weight_is_a_constant_of_the_displacement_gradient(model, batch):
    displacement_step(model, batch, still(model.displacement_net), WEIGHTED)
    found = gradients(model.displacement_net)
    model.zero_grad()
    motion = model.move(batch.moving, batch.fixed)
    weight, log_variance = weight_map(model, batch, motion.moved, WEIGHTED)
    assert not weight.requires_grad
    assert not log_variance.requires_grad
    smooth = torch.stack([motion.disp.diff(dim=d).square().mean() for d in (2, 3)]).mean()
    ((weight * (batch.fixed - motion.moved).square()).mean() + 0.01 * smooth).backward()
    torch.testing.assert_close(found, gradients(model.displacement_net))


def test_the_variance_step_gives_the_displacement_network_no_gradient(model, batch):
    variance_step(model, batch, still(model.variance_net))
    assert gradients(model.variance_net).abs().max() > 0
    assert gradients(model.displacement_net) is None


def test_collaborative_grad_opens_the_leak_through_the_network_input_alone(model, batch):
    variance_step(model, batch, still(model.variance_net), beta=0.5, collaborative_grad=True)
    leak = gradients(model.displacement_net)
    assert leak.abs().max() > 0
    model.zero_grad()
    moved = model.move(batch.moving, batch.fixed).moved
    log_variance = model.log_variance(moved, batch.fixed)
    gaussian_nll(batch.fixed, moved.detach(), log_variance, beta=0.5).backward()
    torch.testing.assert_close(leak, gradients(model.displacement_net))
    model.zero_grad()
    moved = model.move(batch.moving, batch.fixed).moved
    gaussian_nll(batch.fixed, moved, model.log_variance(moved, batch.fixed), beta=0.5).backward()
    assert not torch.allclose(leak, gradients(model.displacement_net), rtol=0.01)


def test_the_leak_changes_nothing_for_the_variance_network(model, batch):
    found = []
    for leak in (False, True):
        model.zero_grad()
        variance_step(model, batch, still(model.variance_net), collaborative_grad=leak)
        found.append(gradients(model.variance_net))
    torch.testing.assert_close(*found)


def test_the_leak_too_becomes_the_mean_over_all_processes(model, batch):
    leaks = []
    for factor in (1, 3):
        update = Update(reduce=lambda parameters, f=factor: [p.grad.mul_(f) for p in parameters])
        model.zero_grad()
        variance_step(model, batch, still(model.variance_net), collaborative_grad=True, update=update)
        leaks.append(gradients(model.displacement_net))
    torch.testing.assert_close(leaks[1], 3 * leaks[0])


def test_gradients_are_zeroed_at_the_start_of_each_step(model, batch):
    for net, step in (
        (model.displacement_net, lambda o: displacement_step(model, batch, o, WEIGHTED)),
        (model.variance_net, lambda o: variance_step(model, batch, o)),
    ):
        step(still(net))
        clean = gradients(net)
        for p in net.parameters():
            p.grad = torch.full_like(p, 1e3)
        step(still(net))
        torch.testing.assert_close(gradients(net), clean)


def test_the_leak_is_stepped_with_the_next_displacement_update_and_then_dropped(model, batch):
    optimiser = torch.optim.SGD(model.displacement_net.parameters(), lr=1.0)
    displacement_step(model, batch, still(model.displacement_net), WEIGHTED)
    own = gradients(model.displacement_net)
    before = states(model.displacement_net)
    for p in model.displacement_net.parameters():
        p.grad = torch.ones_like(p)
    displacement_step(model, batch, optimiser, WEIGHTED, keep_grad=True)
    moved = torch.cat(
        [(a - b).flatten() for a, b in zip(before, states(model.displacement_net), strict=True)]
    )
    torch.testing.assert_close(moved, own + 1, atol=1e-5, rtol=1e-4)
    assert gradients(model.displacement_net) is None


def test_each_step_changes_its_own_network_only(model, batch):
    first, second = states(model.displacement_net), states(model.variance_net)
    displacement_step(model, batch, torch.optim.Adam(model.displacement_net.parameters(), 1e-3), WEIGHTED)
    assert not same(first, states(model.displacement_net))
    assert same(second, states(model.variance_net))
    first = states(model.displacement_net)
    variance_step(model, batch, torch.optim.Adam(model.variance_net.parameters(), 1e-3))
    assert same(first, states(model.displacement_net))
    assert not same(second, states(model.variance_net))


def test_steps_lower_the_losses(model, batch):
    first = torch.optim.Adam(model.displacement_net.parameters(), 3e-3)
    second = torch.optim.Adam(model.variance_net.parameters(), 3e-3)
    objective = Objective({"mse": 1.0, "smoothness": 0.0})
    rows = [
        displacement_step(model, batch, first, objective) | variance_step(model, batch, second)
        for _ in range(25)
    ]
    assert rows[-1]["loss"] < 0.9 * rows[0]["loss"]
    assert rows[-1]["variance_loss"] < rows[0]["variance_loss"]


def test_warm_up_is_the_plain_squared_difference(model, batch):
    row = displacement_step(model, batch, still(model.displacement_net), WEIGHTED, warmup=True)
    moved = model.move(batch.moving, batch.fixed).moved
    assert row["snr_weighted"] == pytest.approx((batch.fixed - moved).square().mean().item(), rel=1e-5)


def test_the_mask_keeps_what_lies_outside_out_of_both_losses(model, batch):
    mask = torch.zeros_like(batch.fixed)
    mask[..., 4:12, 4:12] = 1
    other = batch.fixed.clone()
    other[mask == 0] = 0.0
    values = []
    for fixed in (batch.fixed, other):  # the networks see the difference: let them give constants
        model.displacement_net.head.weight.data.zero_()
        torch.nn.init.zeros_(model.variance_net.unet.head.weight)
        masked = Batch(fixed, batch.moving, mask)
        row = displacement_step(model, masked, still(model.displacement_net), WEIGHTED)
        row |= variance_step(model, masked, still(model.variance_net))
        values.append((row["snr_weighted"].item(), row["variance_loss"].item()))
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_the_objective_of_a_configuration():
    objective = Objective.from_config(TrainConfig(smoothness=0.3, gamma=0.25))
    assert objective.terms == {"snr_weighted": 1.0, "smoothness": 0.3}
    assert objective.gamma == 0.25
    assert set(objective.losses()) == {"snr_weighted", "smoothness"}


def test_the_joint_step_moves_both_networks_and_stops_nothing(model, batch):
    objective = Objective({"nll": 1.0, "smoothness": 0.01}, weight="", joint=True)
    nets = (model.displacement_net, model.variance_net)
    row = joint_step(model, batch, [still(n) for n in nets], objective)
    found = [gradients(n) for n in nets]
    model.zero_grad()
    motion = model.move(batch.moving, batch.fixed)
    log_variance = model.log_variance(motion.moved, batch.fixed)
    smooth = torch.stack([motion.disp.diff(dim=d).square().mean() for d in (2, 3)]).mean()
    nll = ((batch.fixed - motion.moved).square() / log_variance.exp() + log_variance).mean()
    (nll + 0.01 * smooth).backward()
    for a, net in zip(found, nets, strict=True):
        torch.testing.assert_close(a, gradients(net))
    assert row["variance_loss"] == pytest.approx(nll.item(), rel=1e-5)
    assert row["loss"] == pytest.approx((nll + 0.01 * smooth).item(), rel=1e-5)


def test_the_joint_warm_up_is_the_plain_squared_difference(model, batch):
    objective = Objective({"beta_nll": 1.0, "smoothness": 0.0}, weight="", joint=True)
    row = displacement_step(model, batch, still(model.displacement_net), objective, warmup=True)
    moved = model.move(batch.moving, batch.fixed).moved
    assert row["loss"] == pytest.approx((batch.fixed - moved).square().mean().item(), rel=1e-5)
    assert gradients(model.variance_net) is None


@pytest.mark.parametrize("parts", [2, 4])
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(model, parts):
    generator = torch.Generator().manual_seed(0)
    fixed, moving = torch.rand((2, 4, 1, 16, 16), generator=generator)
    batch, net = Batch(fixed, moving), model.displacement_net
    found = []
    for n in (1, parts):
        row = displacement_step(model, batch, still(net), WEIGHTED, update=Update(parts=n))
        found.append((gradients(net), row["loss"].item()))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-8)
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-5)
    assert [batch.part(n, 4).fixed.shape[0] for n in range(4)] == [1] * 4


def test_clipping_limits_the_norm_and_keeps_the_direction(model, batch):
    net = model.displacement_net
    displacement_step(model, batch, still(net), WEIGHTED)
    free = gradients(net)
    limit = 0.1 * free.norm().item()
    displacement_step(model, batch, still(net), WEIGHTED, update=Update(clip=limit))
    clipped = gradients(net)
    assert clipped.norm().item() == pytest.approx(limit, rel=1e-3)
    torch.testing.assert_close(clipped / clipped.norm(), free / free.norm(), rtol=1e-4, atol=1e-7)


def test_bidirectional_is_the_mean_over_the_pair_and_its_inverse(model, batch):
    objective = Objective({"mse": 1.0, "smoothness": 0.0}, weight="", bidirectional=True)
    row = displacement_step(model, batch, still(model.displacement_net), objective)
    motion = model.move(batch.moving, batch.fixed)
    back = model.move(batch.fixed, batch.moving, velocity=-motion.velocity)
    there = (batch.fixed - motion.moved).square().mean()
    again = (batch.moving - back.moved).square().mean()
    assert row["mse"] == pytest.approx((there + again).item() / 2, rel=1e-5)
    weighted = Objective(WEIGHTED.terms, bidirectional=True)
    displacement_step(model, batch, still(model.displacement_net), weighted)
    assert gradients(model.variance_net) is None


def test_the_way_back_counts_what_the_mask_shows_of_the_fixed_image(batch):
    """Of a translation both ways compare the same voxels."""
    model, mask = tiny_model(shift=(0.0, 2.0)), torch.zeros_like(batch.fixed)
    mask[..., 2:14, 4:12] = 1
    disp = model.move(batch.moving, batch.fixed).disp
    assert (disp[:, 1] == disp[0, 1, 0, 0]).all()
    assert disp[0, 1, 0, 0] in (2.0, 4.0)
    losses = [
        displacement_step(
            model,
            Batch(batch.fixed, batch.moving, mask),
            still(model.displacement_net),
            Objective({"mse": 1.0, "smoothness": 0.0}, weight="", bidirectional=both),
        )["mse"]
        for both in (False, True)
    ]
    torch.testing.assert_close(*losses)


def test_the_sample_of_z_belongs_to_the_pair_and_trains_its_variance():
    torch.manual_seed(0)
    model = tiny_model(rough=0.3, sigma_z=True).train()
    fixed, moving = torch.rand((2, 2, 1, 16, 16))
    batch = Batch(fixed, moving, seeds=(5, 6))
    noise = sample_of(model, batch)
    assert noise.shape == (2, 2, 8, 8)
    assert torch.equal(sample_of(model, batch.part(1, 2)), noise[1:])
    assert sample_of(model.eval(), batch) is None
    assert sample_of(tiny_model().train(), batch) is None
    objective = Objective({"mse": 1.0, "velocity_smoothness": 0.01, "displacement_prior": 0.1}, weight="")
    displacement_step(model.train(), batch, still(model.displacement_net), objective)
    assert model.displacement_net.head.bias.grad[2:].abs().min() > 0
