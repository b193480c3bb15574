"""Which steps may be recorded, and that what is drawn before a step is what the step would draw.

The recording itself is tested on a GPU (test_gpu_training.py)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from builders import assert_sentence, tiny_model
from hetreg.config import TrainConfig
from hetreg.training.blind import draw_spots
from hetreg.training.objective import Batch
from hetreg.training.recording import check
from hetreg.training.steps import sample_of, variance_loss

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


def test_a_copy_shares_no_memory():
    batch = Batch(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4), seeds=(1,))
    copy = batch.copied()
    copy.fixed.zero_()
    assert batch.fixed.eq(1).all()
    assert copy.seeds == batch.seeds
