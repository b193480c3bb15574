"""Registration of cardiac images with predicted noise variance: the core, free of Slicer, Qt and VTK.

Importing this package imports neither torch nor SimpleITK; the public names load on first use.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def prepare_torch() -> None:
    """Set what PyTorch reads from the environment as it is loaded, unless somebody has set it."""
    # For its threads (OpenMP): let those that wait for others sleep, GNU's (on Linux) after a moment of
    # spinning. By default they spin on, and where anything else wants the processor they keep it from the
    # very thread that they wait for: beside two busy programs that took up to 27 times as long
    # (`Testing/benchmarks/busy.py`).
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # On Apple's GPUs: what it cannot compute there (the gradient of a field that is made coarser) is done on
    # the CPU.
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


# Slicer imports its modules, and they this package, whenever it starts: there the environment, which others
# share, stays as it is until somebody registers.
if "slicer" not in sys.modules:
    prepare_torch()

_PUBLIC = {
    "Image": "image",
    "read_image": "image",
    "write_image": "image",
    "RegisterConfig": "config",
    "TrainConfig": "config",
    "EvaluateConfig": "config",
    "NetworkConfig": "config",
    "GridConfig": "config",
    "Progress": "progress",
    "Cancelled": "progress",
    "Control": "progress",
    "RegistrationModel": "model",
    "register_pair": "register",
    "register_sequence": "sequence",
    "read_frames": "sequence",
    "RegisterResult": "result",
    "PairSample": "datasets.base",
    "train": "training.loop",
    "evaluate_data": "evaluate:evaluate",
    "Evaluation": "evaluation.results",
    "reproduce_paper": "reproduce.run:reproduce",
    "ReproduceConfig": "reproduce.config",
    "evaluate": "",  # that module
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        prepare_torch()
        module, _, own = _PUBLIC[name].partition(":")
        if not module:
            return import_module(f".{name}", __name__)
        return getattr(import_module(f".{module}", __name__), own or name)
    raise AttributeError(f"module 'hetreg' has no attribute '{name}'")


def __dir__() -> list[str]:
    return list(__all__)
