"""The benchmarks of time and memory measure what they say, and their tables hold what was measured."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import busy
import cost
import numpy as np
import pytest
import time_stack
import torch
import train_throughput

from bench.peers import install
from builders import tiny_model, train_samples
from hetreg.config import TrainConfig, network_config
from hetreg.datasets.phantom import make_pair
from hetreg.evaluation.case import Case
from hetreg.model import RegistrationModel


def test_the_plain_networks_compute_what_ours_do():
    """Else the comparison of their times would be one of two different networks."""
    torch.manual_seed(0)
    net = RegistrationModel(network_config(TrainConfig(size="tiny"), 2)).displacement_net
    torch.nn.init.normal_(net.head.weight)
    first, second = torch.rand(2, 2, 1, 32, 32)
    torch.testing.assert_close(train_throughput.plain_unet(net, first, second), net(first, second))


def test_both_sides_of_the_throughput_train(monkeypatch):
    monkeypatch.setattr(
        train_throughput, "CONFIG", TrainConfig(size="tiny", batch=2, crop=32, warmup=0, device="cpu")
    )
    samples = train_samples()
    for side in (train_throughput.Plain, train_throughput.Ours):
        run = side(samples)
        model = run.model if side is train_throughput.Plain else run.trainer.model
        before = [p.detach().clone() for p in model.parameters()]
        assert train_throughput.seconds(run, 2) > 0
        changed = [not torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True)]
        assert np.mean(changed) > 0.9
    assert 0 <= train_throughput.waiting(run, 2) < 1


def test_the_ratio_of_throughputs_is_the_median_of_the_rounds():
    table = train_throughput.table(["plain", "ours"], [[0.4, 0.2], [0.9, 0.3], [0.6, 0.5]])
    assert table.rows[0][:3] == ("plain", 600.0, pytest.approx(1 / 0.6))
    assert table.rows[1] == ("ours", 300.0, pytest.approx(1 / 0.3), "2.00 (1.20 to 3.00)")


def test_the_ratio_of_a_stack_is_the_median_of_the_rounds():
    def tool(*seconds: float):
        return partial(next, iter((100.0, *seconds)))  # the first round does not count

    runs = {"HetReg": tool(1.0, 2.0, 3.0), "greedy": tool(2.0, 8.0, 5.0)}
    table = time_stack.measure(runs, 3, "greedy")
    assert table.rows[0] == ("HetReg", 2.0, 0.5, "0.25 to 0.60")
    assert table.rows[1][1:3] == (5.0, 1.0)


def test_a_stack_is_timed_whole_by_hetreg_and_slice_by_slice_by_a_peer():
    pair = make_pair("mri2d", 1, size=32, slices=3, with_truth=False)
    case, model = Case("stack", "stack", pair.fixed, pair.moving), tiny_model()
    assert time_stack.networks(case, model)() > 0
    assert time_stack.at_once(case, model, 1)() > 0
    peer = SimpleNamespace(compute=lambda given: (given["fixed"].shape, 0.5))
    assert time_stack.slice_by_slice(case, peer)() == 1.5


def test_tools_that_are_not_installed_are_one_sentence_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["time_stack.py"])
    with pytest.raises(SystemExit):
        time_stack.main()
    assert "error: There is no .venv-peers: make it with" in capsys.readouterr().err


def test_the_memory_per_voxel_is_the_slope_of_the_sizes(monkeypatch):
    def told(*arguments: str) -> list[float]:
        side, slices = map(int, arguments[-2:])
        return [100.0, 120.0 + 50.0 * side * side * slices / 1e6]

    monkeypatch.setattr(cost, "output", told)
    table = cost.memory()
    assert table.notes == ("Line: 20 MB + 50 bytes per voxel, largest deviation 0 MB.",)
    assert len(table.rows) == len(cost.SIZES)


def test_the_start_of_a_process_is_timed_in_steps():
    table = cost.start_up(1)
    assert [row[0] for row in table.rows] == list(cost.STEPS)
    assert all(row[1] > 0 for row in table.rows)


def test_a_single_pair_is_timed_without_and_with_iterations(monkeypatch):
    monkeypatch.setattr(cost, "register_pair", lambda *a: SimpleNamespace(summary={"seconds": next(times)}))
    times = iter((9.0, 1.0, 2.0, 3.0, 90.0, 10.0, 20.0, 30.0))
    table = cost.single(3, {"plane": ("mri2d", "cine-mri-2d")})
    assert table.rows == (("plane", 0, 2.0), ("plane", 30, 20.0))


def test_the_child_tells_its_memory():
    if not cost.Path("/proc/self/clear_refs").exists():
        pytest.skip("the memory is measured on Linux alone")
    # a process of its own, as in the benchmark: one that has computed takes the array from what it freed
    held = "cost.register_pair = lambda *_: cost.np.ones(10**7).sum(); cost.child(64, 2)"
    before, peak = cost.output("-c", f"import cost; {held}")
    assert peak - before > 50  # MB; 80 were held for a moment


def test_a_busy_machine_is_one_with_programs_that_compute():
    assert busy.seconds("hetreg", 1, 1) > 0
    with busy.busy(2) as running:
        assert [process.poll() for process in running] == [None, None]
    assert all(process.poll() is not None for process in running)


def test_the_factor_of_a_busy_machine_is_that_of_the_medians(monkeypatch):
    times = {"torch": iter((1.0, 8.0)), "hetreg": iter((1.0, 2.5))}
    monkeypatch.setattr(busy, "seconds", lambda first, *_: next(times[first]))
    table = busy.measure(3, 10, 1)
    assert [row[1:] for row in table.rows] == [(1.0, 8.0, 8.0), (1.0, 2.5, 2.5)]
