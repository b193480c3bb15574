"""Choice of the device."""

from __future__ import annotations

import pytest
import torch

from builders import assert_sentence
from hetreg.device import available_devices, describe_device, resolve_device


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
    assert available_devices() == expected
    assert resolve_device("auto").type == expected[0]


@pytest.mark.parametrize("name", ["cuda", "mps", "tpu", ""])
def test_an_absent_or_unknown_device_is_refused_with_the_list(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match="not available") as caught:
        resolve_device(name)
    assert_sentence(caught.value, f"'{name}'", "auto, cpu")


def test_a_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    assert describe_device(torch.device("cuda")) == "cuda (NVIDIA H100)"


@pytest.mark.gpu
def test_auto_is_not_the_cpu_where_there_is_an_accelerator():
    assert resolve_device("auto").type != "cpu"
