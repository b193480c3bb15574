"""What makes training faster: channels-last, bfloat16 where there is hardware for it, and torch.compile."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from importlib.util import find_spec
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from ..config import TrainConfig
from ..model import RegistrationModel


def check(config: TrainConfig, device: torch.device) -> None:
    """Raises ValueError if the run asks for what the device does not have."""
    if config.compile and device.type != "cuda":
        raise ValueError(f"compile needs an NVIDIA GPU and the device is {device.type}: cuda is accepted.")
    if config.compile and find_spec("triton") is None:  # PyTorch brings it on Linux alone
        raise ValueError(
            "compile needs the Python package 'triton' (on Windows triton-windows), which is not installed: "
            "that package, or no compile, is accepted."
        )
    if config.amp and not computes_in_bfloat16(device):
        raise ValueError(
            f"amp needs a device that computes in bfloat16, which PyTorch {torch.__version__} does not see "
            f"on this {device.type}: an NVIDIA GPU (cuda), or a CPU with AMX or AVX512-BF16, is accepted."
        )


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16 itself; by conversions it would be slower than in 32 bits."""
    if device.type != "cpu":
        return device.type == "cuda"
    if hasattr(torch.cpu, "get_capabilities"):
        able: Mapping[str, Any] = torch.cpu.get_capabilities()
        return bool(able.get("amx_bf16") or able.get("avx512_bf16"))
    older = (
        getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return any(ask is not None and ask() for ask in older)


def keep_memory() -> bool:
    """Let this process keep the memory that tensors give back, where glibc manages it (Linux).

    A step on the CPU allocates the same activations again and again; by default they go back to the system
    each time, and every page of them is then mapped and zeroed anew. Returns whether it could be set. It
    holds for the whole process: it is for one that only trains.
    """
    trim, threshold, largest = -1, -3, 32 * 2**20  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD and its upper limit
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another system, or another C library
        return False
    return bool(mallopt(threshold, largest)) and bool(mallopt(trim, 2**31 - 1))


def accelerate(model: RegistrationModel, config: TrainConfig) -> RegistrationModel:
    """The model laid out and wrapped for its device; names and values of the weights stay as they are.

    2D weights are channels-last, which is faster on a CPU; in 3D hardly (`Testing/benchmarks/layout.py`).
    Only the networks run in bfloat16: integration and warping need positions to a small fraction of a voxel.
    """
    if model.ndim == 2:
        # torch's stubs do not have this form of `to`
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for net in (model.displacement_net, model.variance_net.unet):
        if config.compile:
            net.compile()
        if config.amp:
            in_bfloat16(net)
    return model


def in_float32(model: RegistrationModel) -> RegistrationModel:
    """The model, computing in 32 bits again, as one that is loaded from its file does."""
    for net in (model.displacement_net, model.variance_net.unet):
        net.__dict__.pop("forward", None)
    return model


def in_bfloat16(net: nn.Module) -> None:
    """Let a network compute in bfloat16 on its device; weights and results stay 32-bit floats."""
    net.forward = MethodType(_in_bfloat16, net)  # type: ignore[method-assign]  # a copy gets one of its own


def _in_bfloat16(net: nn.Module, *images: Tensor, **options: Any) -> Tensor:
    with torch.autocast(images[0].device.type, torch.bfloat16):
        out: Tensor = type(net).forward(net, *images, **options)
    return out.float()
