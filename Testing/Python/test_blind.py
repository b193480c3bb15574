"""Blind spots: what is hidden, from whom, and that a network that repeats the residual is found out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from builders import assert_sentence, tiny_model
from hetreg.config import TrainConfig
from hetreg.model import RegistrationModel
from hetreg.training.blind import draw_spots, replaced
from hetreg.training.objective import Batch
from hetreg.training.steps import variance_loss


def noise(sd: float, *shape: int) -> torch.Tensor:
    return sd * torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_hidden_voxel_has_the_value_of_one_nearby_the_same_in_both_images(ndim):
    size = 20
    places = torch.meshgrid(*[torch.arange(float(size))] * ndim, indexing="ij")
    flat = sum(size**d * p for d, p in enumerate(places)).expand(3, 1, *[size] * ndim)
    spots, near = draw_spots(Batch(flat, flat, seeds=(5, 6, 5)), 0.2)
    moved = replaced(flat, near)
    assert torch.equal(moved, -replaced(-flat, near))
    assert torch.equal(moved != flat, spots)  # never its own value
    assert spots.float().mean().item() == pytest.approx(0.2, abs=0.03)
    for d in range(ndim):
        step = (moved.long() // size**d % size - flat.long() // size**d % size).abs()
        assert torch.minimum(step, size - step).max() == 2  # near, where the tissue is the same
    assert torch.equal(spots[0], spots[2])  # the pair's seed decides
    assert not torch.equal(spots[0], spots[1])
    alone, _ = draw_spots(Batch(flat[:1], flat[:1], seeds=(6,)), 0.2)
    assert torch.equal(alone[0], spots[1])


class Repeating(RegistrationModel):
    """Its variance is the squared residual that it sees."""

    def log_variance(self, moved, fixed):
        return (fixed - moved).square().clamp(min=1e-8).log()


def test_a_network_that_repeats_the_residual_is_better_only_where_it_sees_it():
    """Gaussian noise of variance v, blind: E[log s + r^2 / s] of a constant s = v is log v + 1; of another
    voxel's squared noise it has no bound."""
    plain, batch = tiny_model(), Batch(0.5 + noise(0.1, 2, 1, 96, 96), torch.full((2, 1, 96, 96), 0.5))
    plain.variance_net.start_at(0.01)
    torch.nn.init.zeros_(plain.variance_net.unet.head.weight)
    repeating = Repeating(plain.network)
    repeating.displacement_net = plain.displacement_net
    losses = {}
    for name, model in (("constant", plain), ("repeating", repeating)):
        for blind in (0.0, 0.2):
            loss, _ = variance_loss(model, batch, beta=0.0, collaborative_grad=False, blind=blind)
            losses[name, blind] = loss.item()
    assert losses["repeating", 0.0] < losses["constant", 0.0] - 0.1
    assert losses["repeating", 0.2] > losses["constant", 0.2] + 1
    assert losses["constant", 0.2] == pytest.approx(losses["constant", 0.0], abs=0.1)


def test_the_loss_counts_hidden_voxels_inside_the_mask_alone():
    model, fixed = tiny_model(), 0.5 + noise(0.05, 1, 1, 16, 16)
    moving, mask = torch.full_like(fixed, 0.5), torch.zeros_like(fixed)
    mask[..., :8] = 1
    spots, _ = draw_spots(Batch(fixed, moving), 0.3)
    loud = torch.where(spots & (mask > 0), fixed, fixed + 100.0)  # also what is drawn is loud: no matter
    model.log_variance = lambda moved, fixed: torch.zeros_like(fixed)
    loss, _ = variance_loss(model, Batch(loud, moving, mask), beta=0.0, collaborative_grad=False, blind=0.3)
    counted = (fixed - moving)[spots & (mask > 0)].square().mean()
    assert loss.item() == pytest.approx(counted.item(), rel=1e-3)


def test_nothing_is_hidden_where_the_true_variance_is_known():
    """Of the first pair the right half is known: there every voxel counts, by its true variance."""
    model, fixed = tiny_model(), 0.5 + noise(0.05, 2, 1, 16, 16)
    moving, true = torch.full_like(fixed, 0.5), torch.full_like(fixed, torch.nan)
    true[0, ..., 8:] = 4.0
    spots, near = draw_spots(Batch(fixed, moving), 0.3)
    seen = []
    model.log_variance = lambda moved, fixed: seen.append(fixed) or torch.zeros_like(fixed)
    batch = Batch(fixed, moving, true_variance=true, true_disp=torch.zeros(2, 2, 16, 16))
    loss, _ = variance_loss(model, batch, beta=0.0, collaborative_grad=False, blind=0.3)
    known = true.isfinite()
    assert torch.equal(seen[0][known], fixed[known])
    assert torch.equal(seen[0][~known], replaced(fixed, near)[~known])
    squared = (fixed - moving).square().where(~known, true)
    means = [squared[n][(spots | known)[n]].mean() for n in range(2)]
    assert loss.item() == pytest.approx(torch.stack(means).mean().item(), rel=1e-4)
    blind, _ = variance_loss(
        model, replace(batch, true_disp=None), beta=0.0, collaborative_grad=False, blind=0.3
    )
    assert torch.equal(seen[1], replaced(fixed, near))  # a run that does not use what is known
    assert blind.item() < 0.1 * loss.item()


@pytest.mark.parametrize("value", [-0.1, 0.6, "x", True])
def test_what_the_share_may_be(value):
    with pytest.raises(ValueError, match="blind_spots is") as error:
        TrainConfig(blind_spots=value)
    assert_sentence(error.value, "accepted")


def test_a_method_of_one_joint_loss_has_none():
    with pytest.raises(ValueError, match="which method nll does not use"):
        TrainConfig(method="nll", blind_spots=0.2)
    assert TrainConfig(blind_spots=0.2).for_method("nll").blind_spots == 0
