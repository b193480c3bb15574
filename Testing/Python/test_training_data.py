"""The pairs of a run and its batches: where they come from, what is refused."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from builders import TINY, assert_sentence, tiny_training, train_samples
from hetreg.config import GridConfig, NetworkConfig, TrainConfig
from hetreg.datasets.base import PairSample
from hetreg.datasets.parallel import can_fork
from hetreg.datasets.simulated import PhantomDataset
from hetreg.progress import Progress
from hetreg.training import data
from hetreg.training.data import batches, draw_batch, load_run, worker_count
from hetreg.training.loop import train


def test_a_batch_depends_on_seed_and_step_alone():
    samples, config = train_samples(), tiny_training()
    drawn = [draw_batch(samples, config, step) for step in (3, 4, 3)]
    assert torch.equal(drawn[0].fixed, drawn[2].fixed)
    assert torch.equal(drawn[0].moving, drawn[2].moving)
    assert not torch.equal(drawn[0].fixed, drawn[1].fixed)
    assert drawn[0].seeds == drawn[2].seeds
    assert not set(drawn[0].seeds) & set(drawn[1].seeds)
    assert drawn[0].fixed.shape == (2, 1, 16, 16)
    assert drawn[0].fixed.min() >= 0
    assert drawn[0].fixed.max() <= 1


@pytest.mark.parametrize("seed", [3_000_000_000, 10**30])
def test_any_seed_is_accepted(tmp_path, seed):
    config = tiny_training(seed=seed, method="ours_sigma_z", size="tiny", steps=1, phantoms=2)
    train(config, tmp_path)
    train(replace(config, steps=2), tmp_path)
    first, other = (draw_batch(train_samples(), replace(config, seed=n), 0) for n in (seed, seed + 1))
    assert not torch.equal(first.fixed, other.fixed)


def test_samples_come_from_phantom_and_folder(tmp_path):
    config = tiny_training(dataset="phantom", phantoms=2, kind="mri2d", crop=32)
    loaded = load_run(config, GridConfig(), Progress())
    made, grid = loaded.samples, loaded.grid
    assert grid == GridConfig()
    assert len(made) == 2
    assert made[0].fixed.shape == (128, 128)
    with pytest.raises(ValueError, match="'elsewhere'") as caught:
        load_run(tiny_training(dataset="elsewhere"), GridConfig(), Progress())
    assert_sentence(caught.value, "joined by +")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"phantoms": 0}, ("no pairs",)),
        ({"dataset": "pairs", "root": "EMPTY"}, ("has no pairs",)),
        ({"amp": True}, ("amp", "cpu")),
        ({"compile": True}, ("compile", "cpu")),
        ({"dataset": "pairs", "root": "EMPTY/absent"}, ("no data folder", "absent")),
        ({"kind": "ct2d", "phantoms": 1}, ("'ct2d'", "mri2d")),
        ({"device": "cuda"}, ("'cuda' is not available",)),
    ],
)
def test_unusable_data_is_one_sentence(tmp_path, monkeypatch, changes, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    changes = {k: str(tmp_path) + v[5:] if str(v).startswith("EMPTY") else v for k, v in changes.items()}
    with pytest.raises((ValueError, FileNotFoundError), match=r"no data folder|accepted") as caught:
        train(tiny_training(**changes), tmp_path / "run")
    assert_sentence(caught.value, *words)


def test_the_network_takes_its_dimension_from_the_data(tmp_path):
    config = tiny_training(steps=1, warmup=0, validate_every=1, batch=1)
    assert train(config, tmp_path, samples=train_samples(2, ndim=3)).ndim == 3


def test_pairs_of_another_or_of_two_dimensions_are_refused(tmp_path):
    flat, deep = train_samples(1), train_samples(1, ndim=3)
    for samples, words in ((deep, "3D"), ([*flat, *deep], "2D and 3D")):
        with pytest.raises(ValueError, match="one dimension") as caught:
            train(tiny_training(), tmp_path, network=NetworkConfig(**TINY), samples=samples)
        assert_sentence(caught.value, words)


def test_prepared_pairs_are_kept_in_the_run_folder_if_asked(tmp_path):
    config = tiny_training(dataset="phantom", phantoms=2, cache=True)
    first = load_run(config, None, Progress(), tmp_path).samples
    (kept,) = tmp_path.iterdir()
    said = []
    second = load_run(config, None, Progress(lambda f, m: said.append(m)), tmp_path).samples
    assert kept.name in said[-1]
    assert np.array_equal(first[0].fixed, second[0].fixed)


def test_a_batch_is_augmented_as_far_as_the_configuration_says():
    samples = PhantomDataset("mri2d", 3, size=32).samples(GridConfig())
    config = TrainConfig(batch=2, crop=32)
    plain, usual, wide, stretched = (
        draw_batch(samples, replace(config, **changes), 0).fixed
        for changes in ({"augment": False}, {}, {"wide_augment": True}, {"stretch": 0.5})
    )
    assert not torch.equal(usual, plain)
    assert not torch.equal(usual, wide)
    assert not torch.equal(usual, stretched)


def test_wide_augmentation_turns_a_volume_out_of_its_slices_where_voxels_are_cubic():
    image = np.random.default_rng(0).random((16, 16, 16), np.float32)

    def drawn(spacing_mm, **changes):
        config = TrainConfig(batch=4, crop=16, **changes)
        return draw_batch([PairSample(image, image, spacing_mm=spacing_mm)], config, 0).fixed

    slices = drawn((3.0, 1.0, 1.0), wide_augment=True)
    assert not torch.equal(drawn((1.2, 1.0, 1.0), wide_augment=True), slices)
    assert torch.equal(drawn((), wide_augment=True), slices)
    assert torch.equal(drawn((1.0, 1.0, 1.0)), drawn((3.0, 1.0, 1.0)))


@pytest.mark.skipif(not can_fork(), reason="processes are copied on Linux only")
def test_processes_draw_the_batches_that_a_thread_draws():
    samples = PhantomDataset("mri2d", 3, size=32).samples(GridConfig())
    config = TrainConfig(batch=2, crop=32, steps=5)
    thread = list(batches(samples, replace(config, workers=0), 1))
    processes = list(batches(samples, replace(config, workers=2), 1))
    assert len(thread) == len(processes) == 4
    for one, other in zip(thread, processes, strict=True):
        assert torch.equal(one.fixed, other.fixed)
        assert torch.equal(one.moving, other.moving)
        assert one.seeds == other.seeds


class Broken(PairSample):
    """Raises when it is looked at, as a file that is gone does; or ends its process."""

    error: Exception | None = None

    @property
    def ndim(self):
        if self.error is None:
            os.kill(os.getpid(), signal.SIGKILL)
        raise self.error


@pytest.mark.skipif(not can_fork(), reason="processes are copied on Linux only")
def test_what_goes_wrong_in_a_process_is_one_sentence():
    image = np.zeros((32, 32), np.float32)
    sample = Broken(image, image)
    config = TrainConfig(batch=2, crop=32, steps=5, workers=1)
    with pytest.raises(OSError, match="draw batches ended") as caught:
        list(batches([sample], config, 0))
    assert_sentence(caught.value, "One of 1 processes", "accepted")
    for kind in (ValueError, OSError, RuntimeError):
        object.__setattr__(sample, "error", kind("The file is gone."))
        with pytest.raises(kind, match=r"^The file is gone\.$"):
            list(batches([sample], config, 0))


def test_a_run_that_is_done_draws_nothing():
    assert (
        list(batches([], TrainConfig(steps=5), 5))
        == list(batches([], TrainConfig(steps=5, workers=2), 7))
        == []
    )


def test_processes_are_for_gpus_unless_they_are_asked_for(monkeypatch):
    monkeypatch.setattr(data, "processors", lambda: 16)
    monkeypatch.setattr(data, "can_fork", lambda: True)
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert [worker_count(TrainConfig(), d) for d in (cuda, cpu, None)] == [data.MOST_WORKERS, 0, 0]
    assert [worker_count(TrainConfig(workers=n), d) for n in (0, 3) for d in (cuda, cpu)] == [0, 0, 3, 3]
    assert worker_count(TrainConfig(), cpu, on_demand=True) == data.MOST_WORKERS
    assert worker_count(TrainConfig(workers=0), cpu, on_demand=True) == 0
    monkeypatch.setattr(data, "can_fork", lambda: False)
    assert [worker_count(TrainConfig(workers=n), cuda) for n in (-1, 3)] == [0, 0]
