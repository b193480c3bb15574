"""Choice of the device to compute on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from .spatial import integrate, resize, resize_disp, warp

_THREAD_VOXELS = 2**16  # fewer cost a thread more in waiting for the others than it takes off them
_OFF = 0.01  # of the numbers: how far another device may be off the CPU in the mean, as rounding is not


@contextmanager
def plain_torch() -> Iterator[None]:
    """While it is entered, torch keeps gradients and computes in the type of the weights, whatever mode its
    caller is in: `inference_mode`, `no_grad`, `autocast`."""
    # torch warns of autocast on a GPU that is not there
    kinds = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))  # gradients are kept again with that
        for kind in kinds:
            # its cache would keep the weights of a first step for those within it
            stack.enter_context(torch.autocast(kind, enabled=False, cache_enabled=False))
        yield


def _small_registration(kind: str, ndim: int) -> list[Tensor]:
    """What networks and refinement make of two small pairs: displacement, moved images, their gradient."""
    random, size = torch.Generator().manual_seed(0), [16] * ndim
    single = torch.float32  # torch's default type may be another one
    images = torch.randn((4, 16, *size), generator=random, dtype=single).to(kind).requires_grad_()
    kernel = torch.randn((16, 16, *[3] * ndim), generator=random, dtype=single).to(kind)
    convolve = F.conv2d if ndim == 2 else F.conv3d
    if ndim == 2:
        kernel = kernel.to(memory_format=torch.channels_last)  # as 2D weights are
    moving, fixed = convolve(images, kernel, padding=1).chunk(2)
    velocity = resize(0.001 * convolve(fixed, kernel, padding=1)[:, :ndim], [8] * ndim)
    line = torch.ones_like(kernel[(slice(1),) * (ndim + 1)]).expand(ndim, *[-1] * (ndim + 1))
    smooth = convolve(velocity, line, padding=[0] * (ndim - 1) + [1], groups=ndim)
    disp = resize_disp(integrate(smooth, steps=2), size)
    moved = warp(moving, disp)
    return [disp, moved, *torch.autograd.grad(moved.square().mean(), images)]


def _alike(one: Tensor, other: Tensor) -> bool:
    return bool((one.cpu() - other.cpu()).abs().mean() < _OFF * one.cpu().abs().mean())


@cache
def _suffices(kind: str) -> bool:
    """Whether pairs are registered there, and learnt from, as on the CPU. On Apple's GPUs older PyTorch lacks
    what that takes, and some versions of PyTorch and macOS give wrong numbers without a word (issues 188335
    and 197114 of PyTorch)."""
    try:
        with plain_torch():
            found = [[_small_registration(k, ndim) for k in ("cpu", kind)] for ndim in (2, 3)]
        return all(_alike(*both) for here, there in found for both in zip(here, there, strict=True))
    except RuntimeError:
        return False


def available_devices() -> list[str]:
    """Names of the devices that this PyTorch can use, best first; "cpu" is always there."""
    names = ["cuda"] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available() and _suffices("mps"):
        names.append("mps")
    return [*names, "cpu"]


def resolve_device(name: str = "auto") -> torch.device:
    """The torch device for "auto", "cpu", "cuda", "mps", or "cuda:1" for the second GPU and so on.

    Raises ValueError if the device is unknown or not available here.
    """
    available = available_devices()
    if name == "auto":
        return torch.device(available[0])
    kind, _, number = name.partition(":")
    several = kind == "cuda" and kind in available and number.isdecimal()
    if several and int(number) < torch.cuda.device_count():
        return torch.device("cuda", int(number))
    if name not in available:
        raise ValueError(f"Device '{name}' is not available here: accepted are auto, {', '.join(available)}.")
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Name for people, for example "cuda (NVIDIA H100)" or "cuda:1 (NVIDIA H100)"."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def made_current(device: torch.device) -> AbstractContextManager[object]:
    """While it is entered, what names no GPU (streams, graphs) uses this one."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


@contextmanager
def fitting_threads(voxels: int) -> Iterator[None]:
    """While it is entered, torch computes on the CPU with no more threads than so many voxels keep busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, max(1, voxels // _THREAD_VOXELS)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seed(number: int, device: torch.device) -> None:
    """Seed torch's random numbers of the CPU and of this device, no other's."""
    torch.default_generator.manual_seed(number)
    if device.type != "cpu":
        getattr(torch, device.type).manual_seed(number)


def random_state_kept(device: torch.device) -> AbstractContextManager[None]:
    """After it torch's random numbers, of the CPU and of this GPU by NVIDIA, go on where they were."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def physical_memory_gb() -> float:
    """Memory of this machine; 0 where the system does not tell (Windows)."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (AttributeError, ValueError, OSError):
        return 0.0


def reset_peak_memory() -> None:
    """Start `peak_memory_mb` anew, where the system can do that (Linux, and the GPU)."""
    if torch.cuda.is_initialized():  # the counters of a GPU that nobody has used yet cannot be reset
        for n in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(n)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_mb() -> float:
    """The most memory of this process since `reset_peak_memory` in MB, or that of the GPU that was used.

    Elsewhere than on Linux since the process began; NaN where the system does not tell.
    """
    gpus = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    if most := max((torch.cuda.max_memory_allocated(n) for n in gpus), default=0):
        return most / 1e6
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
