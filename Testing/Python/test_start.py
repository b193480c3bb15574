"""A run that starts from other weights."""

from __future__ import annotations

import torch

from builders import TINY, tiny_model, tiny_training, train_samples
from hetreg.config import NetworkConfig
from hetreg.training.loop import train


def test_a_variance_network_that_is_started_from_keeps_its_level(tmp_path):
    """Another begins at the mean squared residual."""
    given = tiny_model()
    given.variance_net.start_at(0.5)
    given.save(tmp_path / "given.pt")
    settings = {"steps": 1, "warmup": 0, "learning_rate": 1e-9}
    heads = []
    for start in ("", str(tmp_path / "given.pt")):
        folder = tmp_path / f"run{bool(start)}"
        config = tiny_training(start=start, **settings)
        model = train(config, folder, network=NetworkConfig(**TINY), samples=train_samples())
        heads.append(model.variance_net.unet.head.bias)
    new, kept = (torch.allclose(head, given.variance_net.unet.head.bias, atol=1e-3) for head in heads)
    assert (new, kept) == (False, True)
