"""What is known of a pair: losses on hand numbers, and what the steps make of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from hetreg.config import GridConfig, NetworkConfig, TrainConfig, network_config
from hetreg.datasets.base import PairSample
from hetreg.datasets.simulated import PhantomDataset
from hetreg.losses.base import LossInputs
from hetreg.losses.supervised import (
    DisplacementError,
    DisplacementNLL,
    LabelOverlap,
    compared,
    displacement_error,
    displacement_nll,
    image_term_needed,
    label_overlap,
)
from hetreg.model import RegistrationModel
from hetreg.spatial import warp
from hetreg.training import steps
from hetreg.training.data import draw_batch, single
from hetreg.training.distributed import Ranks
from hetreg.training.objective import Batch, Objective
from hetreg.training.steps import displacement_loss, loss_inputs, noise_squared, variance_loss
from hetreg.training.trainer import Trainer

NAN = math.nan
CONFIG = TrainConfig(method="supervised", size="tiny", crop=32, batch=4, warmup=0)


def field(*rows: tuple[float, float]) -> torch.Tensor:
    """(1, 2, 1, n) field of these (j, i) displacements."""
    return torch.tensor(rows, dtype=torch.float32).T.reshape(1, 2, 1, -1)


def test_the_displacement_error_is_the_mean_length_where_it_is_known():
    true = field((3.0, 4.0), (NAN, 0.0), (0.0, 1.0))
    disp = torch.zeros_like(true).requires_grad_()
    loss = displacement_error(disp, true)
    assert loss.item() == pytest.approx(3.0, abs=1e-3)  # (5 + 1) / 2
    loss.backward()
    assert disp.grad[0, :, 0, 1].abs().max() == 0
    weight = torch.tensor([3.0, 7.0, 1.0]).view(1, 1, 1, 3)
    assert displacement_error(disp, true, weight).item() == pytest.approx((3 * 5 + 1) / 4, abs=1e-3)
    assert displacement_error(disp, torch.full_like(true, NAN)).item() == 0


def test_labels_above_four_are_learnt_from_too():
    generator = torch.Generator().manual_seed(0)
    usual = torch.tensor([[0.0, 1.0, 2.0, 4.0]]).view(1, 1, 1, 4)
    assert torch.equal(compared(usual, usual.flip(3), generator)["moving_label"], usual.flip(3))
    assert compared(usual, None, generator) == {}
    fixed = torch.tensor([[0.0, 205.0, 420.0, 7.0]]).view(1, 1, 1, 4)  # 7: not in the other
    found = compared(fixed, fixed.roll(1, 3).where(fixed.roll(1, 3) != 7, 0.0), generator)
    assert found["fixed_label"].flatten().tolist() in ([0, 1, 2, 5], [0, 2, 1, 5])
    labels = np.repeat(np.repeat(np.arange(1, 37).reshape(6, 6), 4, 0), 4, 1) + 10  # six times six squares
    image = np.zeros((24, 24), np.float32)
    sample = PairSample(image, image, labels, np.roll(labels, 1, 0), "p")
    seen = set()
    for step in range(40):
        batch = draw_batch([sample], replace(CONFIG, crop=24, batch=1, augment=False), step)
        assert set(batch.fixed_label.unique().tolist()) <= {0, 1, 2, 3, 4, 5}
        seen |= set(labels[batch.fixed_label[0, 0].numpy() == 1].tolist())
        assert label_overlap(batch.fixed_label, batch.moving_label, torch.zeros(1, 2, 24, 24)) > 0.1
    assert len(seen) > 15
    batch, _fixed, truth = single(sample, 24)
    assert label_overlap(batch.fixed_label, batch.moving_label, torch.zeros(1, 2, 24, 24)) > 0.1
    assert truth.max() == 46


def test_each_pair_counts_alike_whatever_is_known_of_it():
    pairs = [[(3.0, 4.0), (3.0, 4.0)], [(0.0, 1.0), (NAN, 0.0)], [(NAN, NAN), (NAN, 0.0)]]
    known = torch.cat([field(*pair) for pair in pairs])
    assert displacement_error(torch.zeros_like(known), known).item() == pytest.approx(3.0, abs=1e-3)
    nll = displacement_nll(torch.zeros_like(known), known, torch.zeros_like(known))
    assert nll.item() == pytest.approx((25 / 2 + 1 / 2) / 2)
    fixed = torch.tensor([[2.0, 2.0, 3.0, 4.0], [2.0, 0.0, 0.0, 0.0]]).view(2, 1, 1, 4).repeat(1, 1, 4, 1)
    moving = torch.tensor([[2.0, 2.0, 3.0, 4.0], [2.0, 2.0, 0.0, 0.0]]).view(2, 1, 1, 4).repeat(1, 1, 4, 1)
    overlap = label_overlap(fixed, moving, torch.zeros(2, 2, 4, 4))
    assert overlap.item() == pytest.approx((0 + 1 / 3) / 2)


def test_the_heart_counts_four_times():
    true = field((0.0, 2.0), (0.0, 4.0))
    label = torch.tensor([0.0, 2.0]).view(1, 1, 1, 2)
    image = torch.zeros(1, 1, 1, 2)
    x = LossInputs(image, image, torch.zeros_like(true), true_disp=true, fixed_label=label)
    assert DisplacementError()(x).item() == pytest.approx((2 + 4 * 4) / 5, abs=1e-3)
    for shown, expected in (((1.0, 0.0), 2), ((0.0, 1.0), 4)):  # the padding does not count
        masked = replace(x, mask=torch.tensor(shown).view(1, 1, 1, 2))
        assert DisplacementError()(masked).item() == pytest.approx(expected, abs=1e-3)
        assert DisplacementError()(replace(masked, fixed_label=None)).item() == pytest.approx(
            expected, abs=1e-3
        )


def test_label_overlap_is_one_minus_dice_of_the_labels_both_have():
    fixed = torch.tensor([2.0, 2.0, 0.0, 3.0, 0.0, 0.0]).view(1, 1, 1, 6).repeat(1, 1, 4, 1)
    moving = torch.tensor([2.0, 0.0, 0.0, 3.0, 4.0, 0.0]).view(1, 1, 1, 6).repeat(1, 1, 4, 1)
    still = torch.zeros(1, 2, 4, 6)
    assert label_overlap(fixed, moving, still).item() == pytest.approx((1 - 2 / 3) / 2)  # labels 2 and 3
    assert label_overlap(fixed, torch.zeros_like(fixed), still).item() == 0
    moved = still.clone()
    moved[:, 1, :, 1] = -1.0
    assert label_overlap(fixed, moving, moved).item() == pytest.approx(0.0, abs=1e-6)


def test_the_displacement_likelihood_trains_the_variance_alone():
    disp, true = field((1.0, 0.0), (0.0, 0.0)).requires_grad_(), field((0.0, 1.0), (NAN, NAN))
    log_variance = torch.full((1, 2, 1, 2), math.log(4.0)).requires_grad_()
    loss = displacement_nll(disp, true, log_variance)
    assert loss.item() == pytest.approx((1 / 4 + 1 / 4) / 2 + math.log(4.0))
    loss.backward()
    assert disp.grad is None
    assert log_variance.grad[0, :, 0, 0].abs().min() > 0
    assert log_variance.grad[0, :, 0, 1].abs().max() == 0


@pytest.mark.parametrize("loss", [DisplacementError, LabelOverlap, DisplacementNLL])
def test_without_anything_known_the_losses_are_zero_and_differentiable(loss):
    disp = torch.ones(1, 2, 4, 4, requires_grad=True)
    log_variance = torch.zeros(1, 2, 4, 4, requires_grad=True)
    image = torch.zeros(1, 1, 4, 4)
    value = loss()(LossInputs(image, image, disp, disp_log_variance=log_variance))
    assert value.item() == 0
    value.backward()


def test_pairs_with_a_known_displacement_need_no_image_term():
    true = torch.zeros(3, 2, 4, 4)
    true[1] = NAN
    true[2, :, 0, 0] = NAN  # known elsewhere
    assert image_term_needed(true).flatten().tolist() == [0.0, 1.0, 0.0]


@pytest.fixture
def samples() -> list[PairSample]:
    """Two phantoms with their truth, and two of which nothing is known."""
    made = PhantomDataset("mri2d", 2, size=32, truth=True).samples(GridConfig())
    return made + [PairSample(s.fixed, s.moving, patient=f"real{n}") for n, s in enumerate(made)]


@pytest.fixture
def model() -> RegistrationModel:
    """A small model that moves something."""
    torch.manual_seed(0)
    model = RegistrationModel(network_config(CONFIG, 2))
    torch.nn.init.normal_(model.displacement_net.head.weight, 0.0, 0.2)
    return model.train()


@pytest.mark.parametrize("warmup", [False, True])
def test_the_steps_spare_the_image_term_where_the_displacement_is_known(samples, model, warmup):
    config = TrainConfig.from_dict(CONFIG.to_dict() | {"augment": False})
    batch = draw_batch(samples, config, 0)
    given = batch.true_disp.flatten(1).isfinite().all(1)
    assert 0 < given.sum() < 4
    x = loss_inputs(
        model, batch, model.move(batch.moving, batch.fixed), Objective.from_config(config), warmup=warmup
    )
    assert (x.weight[given] == 0).all()
    assert (x.weight[~given] > 0).all()
    total, row = displacement_loss(model, batch, Objective.from_config(config), warmup=warmup)
    assert total.isfinite()
    assert row["displacement_error"] > 0
    assert row["displacement_nll"] != 0
    assert x.moved.requires_grad  # the real pairs learn from their images


def test_no_gradient_goes_through_the_warp_where_no_image_term_is_needed(samples, model):
    objective = Objective.from_config(CONFIG)
    batch = draw_batch(samples[:2], TrainConfig.from_dict(CONFIG.to_dict() | {"augment": False}), 0)
    x = loss_inputs(model, batch, model.move(batch.moving, batch.fixed), objective)
    assert not x.moved.requires_grad
    found, plain = gradients(model, batch, objective), None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "spared", lambda true, w, moved: (w * image_term_needed(true), moved))
        plain = gradients(model, batch, objective)
    torch.testing.assert_close(found, plain)


def gradients(model: RegistrationModel, batch: Batch, objective: Objective) -> list[torch.Tensor]:
    """Of the displacement network's loss."""
    total, _ = displacement_loss(model, batch, objective)
    return list(torch.autograd.grad(total, list(model.displacement_net.parameters())))


def test_a_term_of_coefficient_zero_is_not_computed():
    none = TrainConfig.from_dict(CONFIG.to_dict() | {"label_overlap": 0.0})
    assert "label_overlap" in Objective.from_config(CONFIG).terms
    assert "label_overlap" not in Objective.from_config(none).terms
    assert "label_overlap" not in Objective.from_config(none).losses()


def test_the_variance_is_to_explain_the_noise_and_no_misregistration():
    moving = torch.arange(8.0).view(1, 1, 1, 8).repeat(4, 1, 4, 1) / 8
    shift = torch.zeros(4, 2, 4, 8)
    shift[:, 1] = 1.0
    fixed, moved = warp(moving, shift) + 0.1, moving
    true_disp, variance = shift.clone(), torch.full((4, 1, 4, 8), 0.25)
    true_disp[0], variance[:2] = NAN, NAN
    found = noise_squared(Batch(fixed, moving, true_disp=true_disp, true_variance=variance), moved)
    torch.testing.assert_close(found[0], (fixed - moved).square()[0])
    torch.testing.assert_close(found[1], torch.full((1, 4, 8), 0.01))
    torch.testing.assert_close(found[2:], variance[2:])


def test_the_variance_loss_is_least_at_the_true_variance():
    model = RegistrationModel(NetworkConfig())
    batch = Batch(
        torch.rand(1, 1, 16, 16),
        torch.rand(1, 1, 16, 16),
        true_disp=torch.zeros(1, 2, 16, 16),
        true_variance=torch.full((1, 1, 16, 16), 0.03),
    )
    torch.nn.init.zeros_(model.variance_net.unet.head.weight)
    values = []
    for variance in (0.01, 0.03, 0.09):
        model.variance_net.start_at(variance)
        values.append(variance_loss(model, batch, beta=0.0, collaborative_grad=False)[0].item())
    assert values[1] == min(values)
    assert values[1] == pytest.approx(1 + math.log(0.03), abs=1e-4)


def test_the_displacement_variance_is_read_off_and_resized(model):
    images = torch.rand(2, 2, 1, 32, 32)
    motion = model.eval().move(*images)
    sd = model.displacement_sd(motion)
    assert sd.shape == motion.disp.shape
    torch.testing.assert_close(sd, (0.5 * model.disp_log_variance(motion)).exp())
    flat = RegistrationModel(network_config(CONFIG, 2)).eval()
    torch.nn.init.zeros_(flat.displacement_net.head.weight)
    sd = flat.displacement_sd(flat.move(*images))
    torch.testing.assert_close(sd, torch.full_like(sd, 1.0), atol=0.02, rtol=0)  # a voxel of the head's grid


def test_real_pairs_get_their_share_of_the_batches(samples):
    config = TrainConfig.from_dict(CONFIG.to_dict() | {"batch": 8, "real_share": 0.75, "augment": False})
    drawn = [draw_batch(samples, config, step) for step in range(60)]
    seen = []  # of each pair drawn: its image, and whether its displacement is not known
    for batch in drawn:
        disp = torch.full((8, 1), torch.nan) if batch.true_disp is None else batch.true_disp
        real = disp.flatten(1).isnan().any(1)
        seen += zip(batch.fixed.sum((1, 2, 3)).tolist(), real.tolist(), strict=True)
    assert 0.68 < sum(real for _, real in seen) / 480 < 0.82
    assert len(set(seen)) == len(samples)  # each has its turn
    again = draw_batch(samples, config, 7)
    assert torch.equal(again.fixed, drawn[7].fixed)


def test_a_run_starts_from_given_weights_of_the_same_network(tmp_path, model):
    model.save(tmp_path / "start.pt")
    ranks = Ranks(torch.device("cpu"))
    config = TrainConfig.from_dict(CONFIG.to_dict() | {"start": str(tmp_path / "start.pt")})
    trainer = Trainer(config, model.network, GridConfig(), ranks)
    trainer.begin()
    for name, value in trainer.model.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name])
    with pytest.raises(ValueError, match=r"start\.pt holds another network than this run's"):
        Trainer(config, NetworkConfig(), GridConfig(), ranks).begin()


def test_phantom_samples_carry_their_displacement():
    sample = PhantomDataset("mri2d", 1, size=32, truth=True).samples(GridConfig())[0]
    assert sample.true_disp.shape == (2, 32, 32)
    moved = warp(torch.from_numpy(sample.moving)[None, None], torch.from_numpy(sample.true_disp)[None])[0, 0]
    heart = sample.fixed_label > 0
    before = np.abs(sample.fixed - sample.moving)[heart].mean()
    assert np.abs(sample.fixed - moved.numpy())[heart].mean() < 0.7 * before
