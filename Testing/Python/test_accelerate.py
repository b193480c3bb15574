"""What makes training faster changes neither the weights' names nor, but for rounding, the result."""

from __future__ import annotations

import copy
import os
import platform
import re
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import hetreg
from builders import TINY, assert_sentence, tiny_model, tiny_training, train_samples
from hetreg.config import NetworkConfig, TrainConfig, network_config
from hetreg.model import RegistrationModel
from hetreg.networks import pyramid
from hetreg.spatial import integrate
from hetreg.training import accelerate as accelerating
from hetreg.training.accelerate import accelerate, check, computes_in_bfloat16, in_bfloat16
from hetreg.training.loop import train

CPU = torch.device("cpu")


def small_pyramid() -> RegistrationModel:
    """A 3D pyramid of two levels."""
    return RegistrationModel(network_config(TrainConfig(size="tiny", network="pyramid"), 3))


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_layout_changes_nothing_but_the_speed(ndim):
    images = torch.rand(2, 1, 1, *[16] * ndim)
    plain = tiny_model(ndim, rough=0.3)
    fast = accelerate(tiny_model(ndim, rough=0.3), TrainConfig())
    torch.testing.assert_close(fast.move(*images).disp, plain.move(*images).disp)
    assert fast.state_dict().keys() == plain.state_dict().keys()
    weight = fast.displacement_net.head.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) if ndim == 2 else weight.is_contiguous()


def test_bfloat16_stays_inside_the_network():
    images = torch.rand(2, 1, 1, 16, 16)
    plain, half = tiny_model(rough=0.3), tiny_model(rough=0.3)
    in_bfloat16(half.displacement_net)
    in_bfloat16(half.variance_net.unet)
    assert half.state_dict().keys() == plain.state_dict().keys()
    expected, found = plain.move(*images), half.move(*images)
    assert found.disp.dtype == found.moved.dtype == torch.float32
    assert not torch.equal(found.disp, expected.disp)
    torch.testing.assert_close(found.disp, expected.disp, atol=0.03, rtol=0.03)
    found.moved.sum().backward()
    assert half.displacement_net.head.weight.grad.dtype == torch.float32
    assert half.log_variance(*images).dtype == torch.float32


def test_a_copy_of_a_network_in_bfloat16_computes_with_its_own_weights():
    net = tiny_model(rough=0.3).displacement_net
    in_bfloat16(net)
    images, other = torch.rand(2, 1, 1, 16, 16), copy.deepcopy(net)
    assert torch.equal(other(*images), net(*images))
    for weight in other.parameters():
        torch.nn.init.zeros_(weight)
    assert other(*images).abs().max() == 0 < net(*images).abs().max()


def test_the_model_of_a_training_in_bfloat16_computes_as_the_one_from_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    config, images = tiny_training(amp=True, steps=3), torch.rand(2, 1, 1, 16, 16)
    model = train(config, tmp_path, network=NetworkConfig(**TINY), samples=train_samples())
    same = RegistrationModel.load(tmp_path / "last.ckpt")
    torch.testing.assert_close(model.velocity(*images)[0], same.velocity(*images)[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model.log_variance(*images), same.log_variance(*images), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "ndim"), [("voxelmorph", 2), ("transmorph", 2), ("pyramid", 2)])
def test_the_networks_can_be_traced_for_compilation(network, ndim):
    """By the tracer of torch.compile, without the compiler behind it, which a GPU has."""
    torch.manual_seed(0)
    size = 64 if network == "transmorph" else 16
    config = network_config(TrainConfig(size="tiny", network=network, method="ours_sigma_z"), ndim)
    model = RegistrationModel(config).eval()
    images = torch.rand(2, 1, 1, *[size] * ndim)
    expected = model.move(*images).disp, model.log_variance(*images)
    for net in (model.displacement_net, model.variance_net.unet):
        net.compile(backend="aot_eager")
    disp, log_variance = model.move(*images).disp, model.log_variance(*images)
    torch.testing.assert_close((disp, log_variance), expected)
    (disp.square().mean() + log_variance.mean()).backward()
    gradients = [p.grad for net in (model.displacement_net, model.variance_net) for p in net.parameters()]
    assert sum(g is not None and bool(g.abs().sum() > 0) for g in gradients) > 0.5 * len(gradients)


def test_the_positions_in_the_pyramid_stay_exact_in_bfloat16(monkeypatch):
    model, kinds = small_pyramid(), []
    monkeypatch.setattr(pyramid, "integrate", lambda v, steps: kinds.append(v.dtype) or integrate(v, steps))
    in_bfloat16(model.displacement_net)
    images = torch.rand(2, 1, 1, 16, 16, 16)
    model.move(*images).moved.sum().backward()
    assert len(kinds) > 1
    assert set(kinds) == {torch.float32}


@pytest.mark.parametrize("name", ["amp", "compile"])
def test_what_the_device_has_not_is_refused_in_one_sentence(name, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True}, raising=False)
    check(TrainConfig(), CPU)
    with pytest.raises(ValueError, match=name) as caught:
        check(replace(TrainConfig(), **{name: True}), CPU)
    assert_sentence(caught.value, "NVIDIA", "cpu", "cuda")


@pytest.mark.parametrize("found", [True, False])
def test_compiling_needs_triton_which_windows_mostly_lacks(found, monkeypatch):
    monkeypatch.setattr(accelerating, "find_spec", lambda name: found or None)
    with nullcontext() if found else pytest.raises(ValueError, match="triton") as caught:
        check(TrainConfig(compile=True), torch.device("cuda"))
    if not found:
        assert_sentence(caught.value, "compile needs", "triton-windows")


@pytest.mark.parametrize("found", [True, False])
def test_older_pytorch_is_asked_in_its_way(found, monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: found, raising=False)
    assert computes_in_bfloat16(CPU) == found
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name)  # older still
    assert not computes_in_bfloat16(CPU)


@pytest.mark.parametrize("unit", ["amx_bf16", "avx512_bf16"])
def test_a_processor_with_bfloat16_may_use_it(unit, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {unit: True}, raising=False)
    config = replace(TrainConfig(), amp=True)
    check(config, CPU)
    images = torch.rand(2, 1, 1, 16, 16)
    plain, fast = tiny_model(rough=0.3), accelerate(tiny_model(rough=0.3), config)
    expected, found = plain.move(*images).disp, fast.move(*images).disp
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0.03)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of GNU OpenMP")
@pytest.mark.parametrize(
    ("first", "given", "spins"),
    [
        ("hetreg", {}, 1000),
        ("torch", {}, None),
        ("hetreg", {"OMP_WAIT_POLICY": "ACTIVE"}, None),
        ("hetreg", {"OMP_WAIT_POLICY": "PASSIVE"}, 0),
        ("hetreg", {"GOMP_SPINCOUNT": "7"}, 7),
    ],
)
def test_threads_that_wait_leave_the_processor_to_others(first, given, spins):
    """Where hetreg is imported first, and nobody has said otherwise."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    environment = (
        kept | given | {"OMP_DISPLAY_ENV": "VERBOSE", "PYTHONPATH": str(Path(hetreg.__file__).parents[1])}
    )
    command = [sys.executable, "-c", f"import {first}, torch, hetreg"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    (count,) = re.findall(r"GOMP_SPINCOUNT = '(\w+)'", done.stderr)
    assert int(count) == spins if spins is not None else int(count) > 10_000


def test_scripts_of_the_project_import_hetreg_before_torch(root):
    """So that they train, and are timed, with the threads that users have."""
    texts = {p.stem: p.read_text(encoding="utf-8") for p in (root / "Testing").rglob("*.py")}
    first = re.compile(r"^(?:import|from) (torch|hetreg)\b", re.MULTILINE)
    scripts = {n: first.findall(t) for n, t in texts.items() if n == "machine" or t.startswith("#!")}
    assert {"ship_models", "calibrate_models", "time_stack", "machine"} <= scripts.keys()
    assert not {name for name, found in scripts.items() if "torch" in found and found[0] != "hetreg"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("option", ["amp", "compile"])
def test_options_of_the_gpu_give_nearly_the_same(option):
    images = torch.rand(2, 1, 1, 16, 16, device="cuda")
    plain = tiny_model(rough=0.3).cuda()
    fast = accelerate(tiny_model(rough=0.3).cuda(), replace(TrainConfig(), **{option: True}))
    torch.testing.assert_close(fast.move(*images).disp, plain.move(*images).disp, atol=0.03, rtol=0.03)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_memory_is_kept_where_glibc_is():
    code = "import torch; from hetreg.training.accelerate import keep_memory; "
    code += "print(keep_memory(), torch.ones(9).sum())"
    environment = os.environ | {"PYTHONPATH": str(Path(hetreg.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.stdout == "True tensor(9.)\n", done.stderr
