"""Inside another program: what its settings of PyTorch and NumPy do to a training and an evaluation, and
what these leave behind."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import torch

from builders import TINY, assert_sentence, pair_2d, tiny_model, tiny_training, train_samples
from hetreg.config import EvaluateConfig, NetworkConfig
from hetreg.datasets.phantom import make_pair
from hetreg.device import plain_torch
from hetreg.evaluate import evaluate
from hetreg.model import RegistrationModel
from hetreg.progress import Progress
from hetreg.register import register_pair
from hetreg.training.accelerate import in_bfloat16
from hetreg.training.loop import train

SURROUNDINGS = {
    "autocast": partial(torch.autocast, "cpu", torch.bfloat16),
    "no_grad": torch.no_grad,
    "inference mode": torch.inference_mode,
}


@contextmanager
def default_type(dtype: torch.dtype):
    """Torch's default type is that one."""
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def short_run(folder) -> RegistrationModel:
    """Train two steps of each network."""
    config = tiny_training(steps=2, warmup=1, validate_every=2)
    return train(config, folder, network=NetworkConfig(**TINY), samples=train_samples())


@pytest.mark.parametrize("way", SURROUNDINGS)
def test_a_training_is_the_same_inside_any_mode_of_torch(tmp_path, way):
    alone = short_run(tmp_path / "alone")
    with SURROUNDINGS[way]():
        inside = short_run(tmp_path / "inside")
    assert all(torch.equal(a, b) for a, b in zip(alone.parameters(), inside.parameters(), strict=True))


def test_a_network_in_bfloat16_sees_its_weights_change_inside_the_guard():
    net, image = torch.nn.Conv2d(1, 1, 1), torch.ones((1, 1, 4, 4))
    in_bfloat16(net)
    with plain_torch():
        first = net(image)
        with torch.no_grad():
            net.weight.add_(1.0)
        assert not torch.allclose(first, net(image))


def test_a_training_leaves_the_random_numbers_of_the_program_around_it(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    short_run(tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_a_training_under_another_default_type_is_refused_before_it_writes(tmp_path):
    with default_type(torch.float64), pytest.raises(ValueError, match="default type") as caught:
        short_run(tmp_path / "run")
    assert_sentence(caught.value, "torch.float64", "torch.float32")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_model_made_or_loaded_under_another_default_type_has_32_bits(tmp_path, dtype):
    plain, path = tiny_model(rough=1.0), tmp_path / "model.pt"
    plain.save(path)
    with default_type(dtype):
        loaded = RegistrationModel.load(path)
        assert {p.dtype for model in (tiny_model(), loaded) for p in model.parameters()} == {torch.float32}
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), loaded.parameters(), strict=True))


@pytest.mark.parametrize("part", ["whole", "variance_net"])
def test_a_model_in_16_bits_is_refused(part):
    model = tiny_model()
    (model if part == "whole" else model.variance_net).half()
    with pytest.raises(ValueError, match="weights") as caught:
        register_pair(*pair_2d(), model)
    assert_sentence(caught.value, "torch.float16", "model.float()")


@pytest.mark.parametrize("call", [1, 3])
def test_an_error_of_the_callback_ends_an_evaluation(call):
    """From within a case as between two of them."""
    calls = []

    class Own(Exception):
        """The calling program's."""

    def cancelled() -> bool:
        calls.append(1)
        if len(calls) == call:
            raise Own
        return False

    config = EvaluateConfig(dataset="phantom", phantoms=1, phantom_size=32, device="cpu")
    with pytest.raises(Own):
        evaluate(config, Progress(cancelled=cancelled), model=tiny_model(), pictures=False)
    assert len(calls) == call


@pytest.mark.parametrize("kind", ["mri2d", "echo2d"])
def test_phantoms_are_made_where_numpy_raises(kind):
    with np.errstate(all="raise"):
        pair = make_pair(kind, seed=0, size=32)
    assert np.array_equal(pair.fixed.array, make_pair(kind, seed=0, size=32).fixed.array)
