"""The machine and the versions that a table was made with."""

from __future__ import annotations

import hetreg  # isort: skip  before torch, whose threads then sleep while they wait

import os
import platform
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch


def processor() -> str:
    """Name of the processor as the system has it, with the number of cores."""
    info, name = Path("/proc/cpuinfo"), platform.processor() or platform.machine()
    if info.exists():
        found = [line for line in info.read_text(encoding="utf-8").splitlines() if "model name" in line]
        name = found[0].split(":", 1)[1].strip() if found else name
    return f"{name}, {os.cpu_count()} cores"


def versions() -> str:
    """One line: machine, Python and the packages of this process."""
    return (
        f"{processor()}, {platform.system()}; hetreg {hetreg.__version__}, "
        f"Python {platform.python_version()}, "
        f"torch {torch.__version__} ({torch.get_num_threads()} threads), numpy {np.__version__}, "
        f"SimpleITK {sitk.Version_VersionString()}"
    )


def load() -> str:
    """How busy the machine is: seconds of a busy machine are upper bounds."""
    if not hasattr(os, "getloadavg"):
        return ""
    return f"load of the machine {os.getloadavg()[0]:.1f}"
