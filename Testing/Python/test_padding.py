"""Images smaller than the crop: what pads them counts in no loss, no weight and no score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from builders import PLAIN, TINY, assert_sentence, tiny_model, tiny_training, train_samples
from hetreg.config import GridConfig, NetworkConfig, TrainConfig
from hetreg.datasets.base import PairSample
from hetreg.losses.base import LossInputs, masked_mean
from hetreg.losses.weights import WeightInputs
from hetreg.registry import LOSSES, METHODS, WEIGHTS, resolve
from hetreg.spatial import jacobian_determinant
from hetreg.training.data import draw_batch, single
from hetreg.training.distributed import Ranks
from hetreg.training.loop import train
from hetreg.training.objective import Batch, Objective
from hetreg.training.recording import Recorder
from hetreg.training.steps import displacement_loss, variance_loss, weight_map
from hetreg.training.trainer import Trainer
from hetreg.training.validation import validate

CPU = torch.device("cpu")
SIDE, BORDER = 12, 6
WHOLE = ("voxelmorph_kl",)  # see its docstring


def noise(seed: int, channels: int = 1) -> torch.Tensor:
    """(2, channels, SIDE, SIDE) of smooth noise from 0 to 1."""
    coarse = torch.rand((2, channels, 4, 4), generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, (SIDE, SIDE), mode="bilinear")


def padded(tensor: torch.Tensor, value: float = 0.0) -> torch.Tensor:
    """The tensor in the middle of one twice as large."""
    return F.pad(tensor, (BORDER,) * 4, value=value)


def given() -> dict[str, torch.Tensor]:
    """Everything that a loss may ask for."""
    fields = {n: noise(k, 2) for k, n in enumerate(("disp", "velocity", "log_variance_z", "true_disp"), 10)}
    maps = {n: noise(k) for k, n in enumerate(("fixed", "moved", "log_variance", "weight"))}
    labels = {n: (noise(k) > 0.5).float() for k, n in enumerate(("fixed_label", "moving_label"), 20)}
    return {**maps, **fields, **labels, "disp_log_variance": noise(30, 2)}


@pytest.mark.parametrize("name", [n for n in LOSSES if n not in WHOLE])
def test_a_loss_is_what_it_is_without_the_padding(name):
    loss, plain = resolve(LOSSES, name)(), given()
    far = {n: 3.0 for n in plain if n not in ("fixed", "moved", "fixed_label", "moving_label", "disp")}
    more = {n: padded(v, far.get(n, 0.0)) for n, v in plain.items()}
    inside = padded(torch.ones(2, 1, SIDE, SIDE))
    value = loss(LossInputs(**more, mask=inside))
    torch.testing.assert_close(value, loss(LossInputs(**plain)))
    if name not in ("displacement_error", "label_overlap"):
        assert not torch.isclose(value, loss(LossInputs(**more)))


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_weight_is_what_it_is_without_the_padding(name):
    weight = resolve(WEIGHTS, name)
    fixed, moved, log_variance, truth = noise(0), noise(1), noise(2), noise(3)
    plain = WeightInputs(fixed, moved, log_variance, true_variance=truth, seeds=(3, 4))
    more = {n: padded(getattr(plain, n)) for n in ("fixed", "moved", "log_variance", "true_variance")}
    inside = padded(torch.ones_like(fixed))
    found = weight(WeightInputs(**more, mask=inside, seeds=(3, 4)))
    cut = found[..., BORDER:-BORDER, BORDER:-BORDER]
    torch.testing.assert_close(cut, weight(plain))
    if name != "adaframe":
        torch.testing.assert_close(masked_mean(found, inside), torch.tensor(1.0))


def test_the_score_of_a_model_does_not_depend_on_the_crop():
    samples = train_samples(3)
    still = tiny_model()
    truth = np.mean([np.square(s.fixed - s.moving).mean() for s in samples])
    objective = Objective.from_config(TrainConfig(method="mse"))
    for crop in (20, 32, 64):
        found = validate(still, samples, crop, CPU, objective) if crop > 20 else {"mse": truth}
        assert found["mse"] == pytest.approx(truth, rel=1e-5)
        assert found.get("loss", truth) == pytest.approx(truth, rel=1e-5)


def test_folding_in_the_padding_is_none():
    model, sample = tiny_model(rough=20.0, integration_steps=0), train_samples(1)[0]
    batch = single(sample, 48)[0]
    folded = (jacobian_determinant(model.move(batch.moving, batch.fixed).disp) <= 0).float().detach()
    inside = float((folded * batch.mask).sum() / batch.mask.sum())
    assert inside > 1.2 * float(folded.mean())
    assert validate(model, [sample], 48, CPU, PLAIN)["folding"] == pytest.approx(100 * inside)


@pytest.mark.parametrize("method", ["ours", "nll"])
def test_the_mean_variance_is_that_of_the_image(method):
    model, batch = tiny_model(), single(train_samples(1)[0], 48)[0]
    torch.nn.init.normal_(model.variance_net.unet.head.weight)
    with torch.no_grad():
        variance = model.log_variance(batch.moving, batch.fixed).exp()  # the model moves nothing
    if method == "nll":
        row = displacement_loss(model, batch, Objective.from_config(TrainConfig(method="nll")))[1]
    else:
        row = variance_loss(model, batch, beta=0.5, collaborative_grad=False)[1]
    torch.testing.assert_close(row["mean_variance"], masked_mean(variance, batch.mask))
    assert not torch.isclose(row["mean_variance"], variance.mean(), rtol=1e-2)


def test_the_way_back_has_no_padding_either():
    sample, objective = train_samples(1, size=16)[0], Objective({"mse": 1.0}, weight="", bidirectional=True)
    whole, padded = (displacement_loss(tiny_model(), single(sample, n)[0], objective)[0] for n in (16, 32))
    torch.testing.assert_close(padded, whole)


def test_the_variance_starts_at_the_residual_of_the_image(monkeypatch):
    sample, started = train_samples(1, size=16)[0], []
    network = NetworkConfig(**TINY)
    trainer = Trainer(tiny_training(), network, GridConfig(), Ranks(CPU))
    trainer.model = tiny_model()
    monkeypatch.setattr(trainer.model.variance_net, "start_at", started.append)
    trainer._start_variance(single(sample, 32)[0])
    assert started == [pytest.approx(np.square(sample.fixed - sample.moving).mean())]


def test_only_padded_images_have_a_mask():
    samples, config = train_samples(), tiny_training()
    assert draw_batch(samples, config, 0).mask is None
    assert draw_batch(samples, replace(config, crop=20), 0).mask is None
    assert single(samples[0], 16)[0].mask is None
    mixed = [*samples, *train_samples(2, size=48)]
    config = replace(config, crop=32, batch=8, augment=False)
    masks = draw_batch(mixed, config, 0).mask.flatten(1).sum(1).tolist()
    assert set(masks) == {20.0**2, 32.0**2}


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_mask_turns_with_the_images(ndim):
    image = np.full((14,) * ndim, 0.5, np.float32)
    batch = draw_batch([PairSample(image, image)], tiny_training(crop=32, batch=6), 0)
    assert batch.mask.shape == batch.fixed.shape
    assert not torch.equal(batch.mask[0], batch.mask[1])
    there = batch.fixed > 0.5 * batch.fixed.flatten(1).amax(1).view(-1, *[1] * (ndim + 1))
    assert ((batch.mask > 0) == there).float().mean() > 0.97


def known(sample: PairSample) -> PairSample:
    """The pair with a known displacement, larger in larger images."""
    side = len(sample.fixed)
    return replace(sample, true_disp=np.full((2, side, side), side / 10, np.float32))


@pytest.mark.parametrize("method", ["ours", "adaframe", "nll", "supervised"])
def test_the_parts_of_a_padded_batch_give_the_mean_of_the_whole(method):
    samples = [known(s) for size in (20, 28) for s in train_samples(2, size=size)]
    config = replace(tiny_training(batch=4, crop=32).for_method(method), bidirectional=False)
    batch = draw_batch(samples, config, 1)
    assert (batch.true_disp is not None) == (method == "supervised")
    assert len(set(batch.mask.flatten(1).sum(1).tolist())) > 1
    more = {"sigma_z": True, "spread": "displacement"} if METHODS[method].sigma_z else {}
    model, objective = tiny_model(rough=0.2, **more).train(), Objective.from_config(config)
    for loss in (
        lambda b: displacement_loss(model, b, objective)[0],
        lambda b: variance_loss(model, b, beta=0.5, collaborative_grad=False)[0],
    ):
        whole = loss(batch)
        parts = torch.stack([loss(batch.part(n, 2)) for n in range(2)])
        torch.testing.assert_close(whole, parts.mean())


def test_the_weight_of_a_training_step_has_mean_1_over_the_image():
    batch = draw_batch(train_samples(), tiny_training(crop=32), 0)
    model, objective = tiny_model(rough=0.2), Objective.from_config(TrainConfig())
    weight, _ = weight_map(model, batch, batch.moving, objective)
    torch.testing.assert_close(masked_mean(weight, batch.mask), torch.tensor(1.0))


def test_a_step_with_a_mask_is_not_recorded():
    recorder = Recorder.__new__(Recorder)
    recorder._plain = lambda step, batch: step(batch)
    batch = Batch(torch.ones(1), torch.ones(1), torch.ones(1))
    for _ in range(5):
        assert recorder("both", lambda b: {"loss": b.mask}, batch)["loss"] == 1


@pytest.mark.parametrize(("ndim", "crop", "said"), [(3, 32, 16), (2, 48, 28), (2, 28, 0)])
def test_a_crop_that_no_image_fills_is_told(tmp_path, ndim, crop, said):
    side = 12 if ndim == 3 else 28
    config = tiny_training(steps=1, warmup=1, batch=1, crop=crop, method="mse")
    events = []
    samples = train_samples(2, size=side, ndim=ndim)
    network = NetworkConfig(ndim=ndim, **TINY)
    train(config, tmp_path, samples=samples, network=network, emit=lambda kind, **f: events.append((kind, f)))
    texts = [f["text"] for kind, f in events if kind == "note" and "crop" in f["text"]]
    assert len(texts) == bool(said)
    for text in texts:
        assert_sentence(text, f"longer than {side} voxels", f"a crop of {said} is enough")
