"""Choice of the device to compute on."""

from __future__ import annotations

import torch


def available_devices() -> list[str]:
    """Names of the devices that this PyTorch can use, best first; "cpu" is always there."""
    names = ["cuda"] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def resolve_device(name: str = "auto") -> torch.device:
    """The torch device for "auto", "cpu", "cuda" or "mps".

    Raises ValueError if the device is unknown or not available here.
    """
    available = available_devices()
    if name == "auto":
        return torch.device(available[0])
    if name not in available:
        raise ValueError(f"Device '{name}' is not available here: accepted are auto, {', '.join(available)}.")
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Name for people, for example "cuda (NVIDIA H100)"."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type
