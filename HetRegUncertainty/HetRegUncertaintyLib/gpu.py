"""Whether this computer has an NVIDIA GPU, without importing torch."""

import functools
import os
import shutil

from slicer.i18n import tr as _

DRIVERS = ("/proc/driver/nvidia/version", "/usr/lib/wsl/lib/libcuda.so.1", r"C:\Windows\System32\nvcuda.dll")


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
    return _("This needs an NVIDIA GPU: choose it at Compute on.")
