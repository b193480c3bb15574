"""Choice of the device."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

import hetreg
from builders import assert_sentence, tiny_model
from hetreg import device
from hetreg.config import RegisterConfig
from hetreg.datasets.phantom import make_pair
from hetreg.device import (
    available_devices,
    describe_device,
    fitting_threads,
    peak_memory_mb,
    reset_peak_memory,
    resolve_device,
)
from hetreg.progress import Progress
from hetreg.register import register_pair


def test_the_cpu_is_always_there_and_last():
    assert available_devices()[-1] == "cpu"
    assert resolve_device("cpu") == torch.device("cpu")
    assert describe_device(torch.device("cpu")) == "cpu"


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(False, False, ["cpu"]), (True, False, ["cuda", "cpu"]), (False, True, ["mps", "cpu"])],
)
def test_auto_takes_the_best(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(device, "_suffices", lambda kind: True)
    assert available_devices() == expected
    assert resolve_device("auto").type == expected[0]


@pytest.mark.parametrize("lacking", ["grid_sample", "interpolate"])
def test_a_device_that_cannot_sample_or_resize_is_not_taken(monkeypatch, lacking):
    def refuse(*args, **options):
        raise NotImplementedError("not on this device")

    with torch.inference_mode():
        assert device._suffices.__wrapped__("cpu")
    monkeypatch.setattr(torch.nn.functional, lacking, refuse)
    assert not device._suffices.__wrapped__("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(device, "_suffices", device._suffices.__wrapped__)
    assert available_devices() == ["cpu"]


def test_a_device_that_cannot_learn_is_not_taken(monkeypatch):
    def refuse(*args, **options):
        raise NotImplementedError("no gradient on this device")

    monkeypatch.setattr(torch.autograd, "grad", refuse)
    assert not device._suffices.__wrapped__("cpu")


def test_a_device_is_tried_in_32_bits(monkeypatch):
    types, sample = set(), torch.nn.functional.grid_sample
    monkeypatch.setattr(
        torch.nn.functional, "grid_sample", lambda *a, **k: types.add(a[0].dtype) or sample(*a, **k)
    )
    torch.set_default_dtype(torch.float64)
    try:
        assert device._suffices.__wrapped__("cpu")
    finally:
        torch.set_default_dtype(torch.float32)
    assert types == {torch.float32}


@pytest.mark.parametrize("wrong", ["conv2d", "conv3d", "grid_sample", "interpolate"])
def test_a_device_that_gives_wrong_numbers_is_not_taken(monkeypatch, wrong):
    """As some versions of macOS have it with Apple's GPUs."""
    right, calls = getattr(torch.nn.functional, wrong), []

    def drifting(*args, **options):
        calls.append(1)
        return right(*args, **options) * (1 + 0.1 * len(calls))

    monkeypatch.setattr(torch.nn.functional, wrong, drifting)
    assert not device._suffices.__wrapped__("cpu")


IN_SLICER = "import os, sys, types; sys.modules['slicer'] = types.ModuleType('slicer'); import hetreg; "


@pytest.mark.parametrize(
    "code",
    [
        "import os, sys, hetreg; ",
        f"{IN_SLICER}from hetreg import RegisterConfig; ",
        f"{IN_SLICER}from hetreg.cli import main; sys.stdout = sys.stderr; main(['models']); "
        "sys.stdout = sys.__stdout__; ",
    ],
    ids=["imported", "used in Slicer", "a command"],
)
def test_what_an_apple_gpu_lacks_is_left_to_the_cpu(code):
    """PyTorch reads it as it is loaded."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTORCH_ENABLE_MPS_FALLBACK"}
    environment = kept | {"PYTHONPATH": str(Path(hetreg.__file__).parents[1])}
    code += "print(os.environ.get('PYTORCH_ENABLE_MPS_FALLBACK'), 'torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["1", "False"]


@pytest.fixture
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("voxels", "threads"), [(1, 1), (4 * 128 * 128, 1), (64**3, 4), (10**7, 4)])
def test_a_device_is_given_no_more_threads_than_the_voxels_keep_busy(four_threads, voxels, threads):
    found = []
    with suppress(KeyError), fitting_threads(voxels):
        found.append(torch.get_num_threads())
        raise KeyError
    assert [*found, torch.get_num_threads()] == [threads, 4]


@pytest.mark.parametrize(("slices", "threads"), [(1, 1), (3, 3)])
def test_a_registration_takes_the_threads_that_suit_its_size(four_threads, monkeypatch, slices, threads):
    monkeypatch.setattr(device, "_THREAD_VOXELS", 32 * 32)
    used = []
    progress = Progress(lambda fraction, message: used.append((message, torch.get_num_threads())))
    pair = make_pair("mri2d", 1, size=32, slices=slices, with_truth=False)
    register_pair(pair.fixed, pair.moving, tiny_model(), RegisterConfig(device="cpu"), progress)
    assert used[0][1] == used[-1][1] == 4
    assert {count for message, count in used if message.startswith("Estimating")} == {threads}


@pytest.mark.parametrize("name", ["cuda", "mps", "tpu", ""])
def test_an_absent_or_unknown_device_is_refused_with_the_list(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match="not available") as caught:
        resolve_device(name)
    assert_sentence(caught.value, f"'{name}'", "auto, cpu")


@pytest.fixture
def two_gpus(monkeypatch):
    """As if there were two."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_one_of_several_gpus(two_gpus):
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    for absent in ("cuda:2", "cuda:", "cuda:-1", "mps:0"):
        with pytest.raises(ValueError, match=f"'{absent}' is not available"):
            resolve_device(absent)


def test_the_memory_is_that_of_the_gpu_that_was_used(two_gpus, monkeypatch):
    reset, used = [], False

    def reset_one(n):
        if not used:
            raise RuntimeError(f"Invalid device argument {n}: did you call init?")
        reset.append(n)

    monkeypatch.setattr(torch._C, "_cuda_resetPeakMemoryStats", reset_one, raising=False)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: used)
    reset_peak_memory()  # nothing was computed on a GPU yet
    assert peak_memory_mb() != 7
    used = True
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda n: [0, 7_000_000][n])
    reset_peak_memory()
    assert reset == [0, 1]
    assert peak_memory_mb() == 7


def test_a_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    assert describe_device(torch.device("cuda")) == "cuda (NVIDIA H100)"
    assert describe_device(torch.device("cuda", 1)) == "cuda:1 (NVIDIA H100)"


@pytest.mark.gpu
def test_auto_is_not_the_cpu_where_there_is_an_accelerator():
    assert resolve_device("auto").type != "cpu"
