"""Whether this computer has an NVIDIA GPU, or a processor with bfloat16, without importing torch."""

import functools
import os
import re
import shutil
from contextlib import suppress

from slicer.i18n import tr as _

DRIVERS = ("/proc/driver/nvidia/version", "/usr/lib/wsl/lib/libcuda.so.1", r"C:\Windows\System32\nvcuda.dll")

PROCESSOR, UNITS = "/proc/cpuinfo", ("amx_bf16", "avx512_bf16")  # Linux; elsewhere only PyTorch could tell


@functools.cache
def hasNvidia():
    """True if the driver of an NVIDIA GPU is installed."""
    return shutil.which("nvidia-smi") is not None or any(map(os.path.exists, DRIVERS))


def reasonWithout(device):
    """Why a computation on this device ("auto", "cpu", ...) runs on no NVIDIA GPU, "" if it runs on one."""
    if device == "cuda" or (device == "auto" and hasNvidia()):
        return ""
    if device == "auto":
        return _("This needs an NVIDIA GPU, and none was found on this computer.")
    return _("This needs an NVIDIA GPU: choose it under Compute on.")


@functools.cache
def hasBfloat16():
    """True if the processor is known to compute in bfloat16."""
    with suppress(OSError), open(PROCESSOR, encoding="utf-8", errors="replace") as file:
        return bool(re.search(rf"^flags\b.*\b({'|'.join(UNITS)})\b", file.read(), re.MULTILINE))
    return False


def reasonWithoutBfloat16(device):
    """Why a computation on this device is not faster in bfloat16, "" if it is."""
    without = reasonWithout(device)
    if not without or (device in ("auto", "cpu") and hasBfloat16()):
        return ""
    return without + " " + _("Some recent processors can do it too; this one is not known to.")
