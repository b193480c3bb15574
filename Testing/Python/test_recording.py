"""Which steps may be recorded, and that what is drawn before a step is what the step would draw.

The recording itself is tested on a GPU (test_gpu_training.py)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from builders import assert_sentence, tiny_model
from hetreg.config import TrainConfig
from hetreg.training.blind import draw_spots
from hetreg.training.distributed import Ranks
from hetreg.training.objective import Batch
from hetreg.training.recording import check
from hetreg.training.steps import sample_of, variance_loss
from hetreg.training.trainer import Trainer

CUDA, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.mark.parametrize(
    ("options", "device", "grouped", "found"),
    [
        ({}, CPU, False, "the device is cpu"),
        ({}, CUDA, True, "one of a group"),
        ({"method": "ncc"}, CUDA, False, "method is ncc"),
        ({"method": "mi"}, CUDA, False, "method is mi"),
        ({"method": "shuffled_weight"}, CUDA, False, "method is shuffled_weight"),
        ({"network": "transmorph"}, CUDA, False, "network is transmorph"),
        ({"collaborative_grad": True}, CUDA, False, "collaborative_grad is set"),
    ],
)
def test_what_cannot_be_recorded_is_refused_in_one_sentence(options, device, grouped, found):
    config = TrainConfig(graphs=True, **options)
    check(TrainConfig(**options), device, grouped=grouped)
    with pytest.raises(ValueError, match=found) as caught:
        check(config, device, grouped=grouped)
    assert_sentence(caught.value, "NVIDIA", "accepted")


def test_a_gpu_alone_may_record():
    check(TrainConfig(graphs=True), CUDA, grouped=False)


def test_numbers_drawn_before_the_step_are_those_of_the_step():
    images = torch.rand(2, 2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    batch = Batch(*images, seeds=(4, 9))
    model = tiny_model(sigma_z=True, rough=0.3).train()
    drawn = replace(batch, sample=sample_of(model, batch))
    assert torch.equal(sample_of(model, drawn), sample_of(model, batch))
    other = replace(batch, sample=torch.zeros_like(drawn.sample))
    assert sample_of(model, other).eq(0).all()
    spots, near = draw_spots(batch, 0.2)
    known = replace(batch, spots=spots, near=near)
    options = {"beta": 0.5, "collaborative_grad": False, "blind": 0.2}
    assert torch.equal(variance_loss(model, known, **options)[0], variance_loss(model, batch, **options)[0])


class Meta(Trainer):
    """A trainer whose optimisers are elsewhere than on the CPU, as on a GPU."""

    def __init__(self, config, recorder):
        self.config, self.ranks, self.recorder = config, Ranks(torch.device("meta")), recorder
        self.model = tiny_model()
        parameter = torch.nn.Parameter(torch.ones(2, device="meta"))
        self.optimisers = {"displacement": torch.optim.Adam([parameter], config.learning_rate)}


@pytest.mark.parametrize("recorder", [None, object()], ids=["one by one", "recorded"])
@pytest.mark.parametrize("rate", [1e-3, torch.tensor(1e-3)], ids=["from one by one", "from recorded"])
def test_the_optimiser_of_a_run_that_goes_on_lies_where_its_steps_need_it(recorder, rate, monkeypatch):
    """A checkpoint is read onto the CPU; a recorded step has learning rate and count on the GPU."""
    trainer = Meta(TrainConfig(), recorder)
    (adam,) = trainer.optimisers.values()
    held = {"step": torch.tensor(3.0), "exp_avg": torch.ones(2), "exp_avg_sq": torch.ones(2)}

    def load(path, model, optimisers):
        adam.state[adam.param_groups[0]["params"][0]] = held
        adam.param_groups[0] |= {"lr": rate, "capturable": isinstance(rate, torch.Tensor)}
        return {"step": 3, "best": 0.5}

    monkeypatch.setattr("hetreg.training.trainer.load_checkpoint", load)
    trainer.load(Path("last.ckpt"))
    trainer._set_rate(5e-4)
    (group,) = adam.param_groups
    where = "cpu" if recorder is None else "meta"
    assert held["step"].device.type == where
    assert group["capturable"] == (recorder is not None)
    assert group["lr"] == 5e-4 if recorder is None else group["lr"].device.type == where


def test_a_copy_shares_no_memory():
    batch = Batch(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4), seeds=(1,))
    copy = batch.copied()
    copy.fixed.zero_()
    assert batch.fixed.eq(1).all()
    assert copy.seeds == batch.seeds
