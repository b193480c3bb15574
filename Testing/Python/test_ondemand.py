"""More phantoms than the memory holds are made while they are used."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from builders import TINY, tiny_training
from hetreg.config import GridConfig, NetworkConfig
from hetreg.datasets import simulated
from hetreg.datasets.cache import cached_samples
from hetreg.datasets.ondemand import Kept
from hetreg.datasets.simulated import PhantomDataset
from hetreg.training.data import draw_batch
from hetreg.training.loop import train

PAIR_GB = 32 * 32 * 26 / 2**30


@pytest.fixture
def small_memory(monkeypatch):
    """Half of it takes three pairs of 32 x 32."""
    monkeypatch.setattr(simulated, "physical_memory_gb", lambda: 2 * 3.5 * PAIR_GB)


@pytest.fixture
def made(monkeypatch) -> list[int]:
    """The seeds of the phantoms that were made, in order."""
    seeds, make = [], simulated.make_pair
    monkeypatch.setattr(simulated, "make_pair", lambda k, seed, **a: seeds.append(seed) or make(k, seed, **a))
    return seeds


def test_pairs_that_do_not_fit_are_made_when_looked_at_and_are_the_same(small_memory, made):
    few, many = PhantomDataset("mri2d", 3, size=32), PhantomDataset("mri2d", 5, size=32)
    assert few.fits
    assert not many.fits
    ready, waiting = few.samples(GridConfig()), many.samples(GridConfig())
    assert made == [0, 1, 2]
    assert [s.patient for s in waiting] == [f"mri2d-{n}" for n in range(5)]
    assert all(s.simulated and s.ndim == 2 and s.split == "" for s in waiting)
    assert made == [0, 1, 2]
    for one, other in zip(ready, waiting, strict=False):
        for name in ("fixed", "moving", "fixed_label", "moving_label", "true_disp"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        assert one.spacing_mm == other.spacing_mm
        assert one.case == other.case
    assert made == [0, 1, 2, 0, 1, 2]


def test_processes_share_the_memory_and_an_unknown_one_is_taken_to_be_small(small_memory, monkeypatch):
    assert PhantomDataset("mri2d", 3, size=32).fits
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert not PhantomDataset("mri2d", 3, size=32).fits
    monkeypatch.setattr(simulated, "physical_memory_gb", lambda: 0.0)
    assert PhantomDataset("mri2d", 3, size=32).fits
    assert not PhantomDataset("mri2d", 1_000_000).fits


def test_the_last_ones_are_kept(small_memory, made):
    samples = PhantomDataset("mri2d", 5, size=32).samples(GridConfig())
    for n in (0, 1, 0, 2, 0, 3, 0, 1):  # 1 is the oldest when 3 comes
        assert samples[n].fixed.shape == (32, 32)
    assert made == [0, 1, 2, 3, 1]


@pytest.mark.parametrize("method", ["ours", "supervised"])
def test_a_batch_larger_than_the_memory_is_made_once(monkeypatch, made, method):
    monkeypatch.setattr(simulated, "physical_memory_gb", lambda: 1e-6)
    samples = PhantomDataset("mri2d", 99, size=32, truth=method == "supervised").samples(GridConfig())
    draw_batch(samples, tiny_training(method=method, batch=4, crop=32), 0)
    assert len(made) == len(set(made)) == 4


def test_solid_phantoms_know_their_dimension_and_a_cache_is_done_without(monkeypatch, tmp_path, made):
    monkeypatch.setattr(simulated, "physical_memory_gb", lambda: 1e-6)
    dataset = PhantomDataset("echo3d", 2, size=16)
    assert [s.ndim for s in cached_samples(dataset, GridConfig(), tmp_path)] == [3, 3]
    assert not made
    assert not list(tmp_path.iterdir())


def test_making_one_pair_does_not_hold_up_the_others():
    kept = Kept(lambda n: n or kept.get(1), 4)  # 0 is made while 1 is asked for
    asking = threading.Thread(target=kept.get, args=(0,), daemon=True)
    asking.start()
    asking.join(timeout=10)
    assert not asking.is_alive()
    assert kept.get(0) == 1


def test_a_run_on_phantoms_made_meanwhile_equals_one_on_phantoms_made_before(tmp_path, monkeypatch):
    config = tiny_training(dataset="phantom", phantoms=8, steps=4, crop=32)
    before = train(config, tmp_path / "before", network=NetworkConfig(**TINY)).state_dict()
    monkeypatch.setattr(simulated, "physical_memory_gb", lambda: 1e-6)
    after = train(config, tmp_path / "meanwhile", network=NetworkConfig(**TINY)).state_dict()
    assert all(torch.equal(before[n], after[n]) for n in before)
