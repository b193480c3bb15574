"""Checkpoints: everything comes back, and a damaged one is refused."""

from __future__ import annotations

import math
import os

import pytest
import torch

from builders import assert_sentence, tiny_model
from hetreg.model import RegistrationModel
from hetreg.registry import NETWORKS
from hetreg.training.checkpoint import load_checkpoint, save_checkpoint


def trained(seed: int):
    """A model and its two optimisers after a step with random gradients."""
    model = tiny_model()
    optimisers = {
        "displacement": torch.optim.Adam(model.displacement_net.parameters(), 1e-2),
        "variance": torch.optim.Adam(model.variance_net.parameters(), 1e-2),
    }
    torch.manual_seed(seed)
    for p in model.parameters():
        p.grad = torch.randn_like(p)
    for optimiser in optimisers.values():
        optimiser.step()
    return model, optimisers


def equal(a, b) -> bool:
    """True if two nested states agree bit for bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


@pytest.mark.parametrize("gradients", [True, False])
def test_weights_moments_and_gradients_that_are_wanted_come_back(tmp_path, gradients):
    model, optimisers = trained(1)
    state = {"step": 7, "best": 0.5}
    save_checkpoint(tmp_path / "last.ckpt", model, optimisers, state, gradients=gradients)
    other, others = trained(2)
    for p in other.parameters():
        p.grad = None
    assert load_checkpoint(tmp_path / "last.ckpt", other, others) == {"step": 7, "best": 0.5}
    assert equal(model.state_dict(), other.state_dict())
    for name, optimiser in optimisers.items():
        assert equal(optimiser.state_dict(), others[name].state_dict())
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad) if gradients else b.grad is None


def test_a_first_score_of_minus_infinity_comes_back(tmp_path):
    model, optimisers = trained(1)
    save_checkpoint(tmp_path / "last.ckpt", model, optimisers, {"step": 0, "best": -math.inf})
    assert load_checkpoint(tmp_path / "last.ckpt", model, optimisers)["best"] == -math.inf


def test_a_checkpoint_is_a_model_of_the_last_weights(tmp_path):
    """Its card does not keep the scores, which are those of the best ones."""
    model = tiny_model(rough=0.3)
    model.card |= {"steps": 4, "scores": {"dice": 0.9}, "views": 2}
    save_checkpoint(tmp_path / "last.ckpt", model, {}, {"step": 7, "best": 0.5})
    loaded = RegistrationModel.load(tmp_path / "last.ckpt")
    assert loaded.card == {"name": "tiny", "steps": 7, "views": 2}
    assert equal(loaded.state_dict(), model.state_dict())


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02}.", None])
def test_a_damaged_checkpoint_is_refused(tmp_path, content):
    model, optimisers = trained(1)
    save_checkpoint(tmp_path / "last.ckpt", model, optimisers, {"step": 7, "best": 0.5})
    whole = (tmp_path / "last.ckpt").read_bytes()
    (tmp_path / "last.ckpt").write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(ValueError, match=r"last\.ckpt") as caught:
        load_checkpoint(tmp_path / "last.ckpt", model, optimisers)
    assert_sentence(caught.value)


def test_a_checkpoint_with_a_changed_byte_is_refused(tmp_path):
    model, optimisers = trained(1)
    save_checkpoint(tmp_path / "last.ckpt", model, optimisers, {"step": 7, "best": 0.5})
    content = bytearray((tmp_path / "last.ckpt").read_bytes())
    content[content.index(next(model.parameters()).detach().numpy().tobytes())] ^= 255
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match="damaged") as caught:
        load_checkpoint(tmp_path / "last.ckpt", model, optimisers)
    assert_sentence(caught.value)


def test_another_network_is_refused(tmp_path):
    model, optimisers = trained(1)
    save_checkpoint(tmp_path / "last.ckpt", model, optimisers, {"step": 7, "best": 0.5})
    with pytest.raises(ValueError, match="another run") as caught:
        load_checkpoint(tmp_path / "last.ckpt", tiny_model(encoder=(4, 4)), {})
    assert_sentence(caught.value)


@pytest.mark.parametrize(
    ("architecture", "ndim", "now"), [("voxelmorph", 2, 3), *((name, 3, 2) for name in NETWORKS)]
)
def test_a_network_of_another_dimension_is_named(tmp_path, architecture, ndim, now):
    if architecture == "transmorph":
        pytest.importorskip("monai")
    model, other = (tiny_model(architecture=architecture, ndim=n) for n in (ndim, now))
    save_checkpoint(tmp_path / "last.ckpt", model, {}, {"step": 7, "best": 0.5})
    with pytest.raises(ValueError, match=f"of a run on {ndim}D pairs") as caught:
        load_checkpoint(tmp_path / "last.ckpt", other, {})
    assert_sentence(caught.value, f"taken as {now}D now", "empty folder")


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    model, optimisers = trained(1)
    save_checkpoint(tmp_path / "last.ckpt", model, optimisers, {"step": 7, "best": 0.5})

    def full(content, path):
        path.write_bytes(b"half")
        raise RuntimeError("no space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="disk full") as caught:
        save_checkpoint(tmp_path / "last.ckpt", model, optimisers, {"step": 8, "best": 0.5})
    assert_sentence(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]
    assert load_checkpoint(tmp_path / "last.ckpt", model, optimisers)["step"] == 7


def test_what_the_disk_does_not_take_does_not_replace_the_last_checkpoint(tmp_path, monkeypatch):
    """Some disks say only then that they are full; others would lose both in a power cut."""
    model, optimisers = trained(1)
    path, synced = tmp_path / "last.ckpt", []

    def full(_descriptor):
        synced.append(path.exists())
        if path.exists():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    save_checkpoint(path, model, optimisers, {"step": 7, "best": 0.5})
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(path, model, optimisers, {"step": 8, "best": 0.5})
    assert synced == [False, True]
    assert load_checkpoint(path, model, optimisers)["step"] == 7
