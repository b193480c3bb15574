"""Work in several processes comes back whole and in order; an error of one ends it."""

from __future__ import annotations

import multiprocessing
import os
import signal

import numpy as np
import pytest
import torch

from builders import assert_sentence
from hetreg.config import GridConfig, TrainConfig
from hetreg.datasets import parallel
from hetreg.datasets.simulated import PhantomDataset
from hetreg.training.data import worker_count


@pytest.mark.parametrize("count", [3, 50])
def test_results_come_in_order_whoever_makes_them(monkeypatch, count):
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    found = list(parallel.each(lambda n: (n * n, os.getpid()), range(count)))
    assert [value for value, _ in found] == [n * n for n in range(count)]
    makers = {process for _, process in found}
    alone = count == 3 or not parallel.can_fork()
    assert makers == {os.getpid()} if alone else os.getpid() not in makers


@pytest.mark.skipif(not parallel.can_fork(), reason="processes are copied on Linux only")
def test_a_process_of_a_pool_does_the_work_itself():
    with multiprocessing.get_context("fork").Pool(1) as pool:
        child, makers, workers = pool.apply(in_a_pool)
    assert makers == {child}
    assert workers == 0


def in_a_pool():
    """This process, those that did work in it for two, and how many would draw batches."""
    parallel.processors = lambda: 2
    makers = set(parallel.each(lambda _: os.getpid(), range(40)))
    return os.getpid(), makers, worker_count(TrainConfig(workers=3), torch.device("cpu"))


def test_an_error_ends_the_work_and_is_the_same(monkeypatch):
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        list(parallel.each(lambda n: 1 // (n - 20), range(40)))


@pytest.mark.skipif(not parallel.can_fork(), reason="processes are copied on Linux only")
def test_a_process_that_is_ended_ends_the_work_in_one_sentence(monkeypatch):
    monkeypatch.setattr(parallel, "processors", lambda: 2)

    def make(n):
        if n == 20:
            os.kill(os.getpid(), signal.SIGKILL)
        return n

    with pytest.raises(OSError, match="was killed") as caught:
        list(parallel.each(make, range(40)))
    assert_sentence(caught.value, "of 2 processes", "40 pairs")


def test_processors_are_shared_by_the_processes_of_a_group(monkeypatch):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    alone = parallel.processors()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert parallel.processors() == max(1, alone // 2)


def test_phantoms_do_not_depend_on_the_processes_that_made_them(monkeypatch):
    monkeypatch.setattr(parallel, "processors", lambda: 1)
    alone = PhantomDataset("mri2d", 40, size=16).samples(GridConfig())
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    together = PhantomDataset("mri2d", 40, size=16).samples(GridConfig())
    assert [s.case for s in alone] == [s.case for s in together]
    assert all(np.array_equal(a.fixed, b.fixed) for a, b in zip(alone, together, strict=True))
