"""elastix with a B-spline transform: the core's own worker file, which imports nothing of hetreg."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = ("itk-elastix",)
WORKER = Path(__file__).resolve().parents[4] / "HetRegUncertainty/hetreg/reproduce/elastix_worker.py"


def register(fixed: np.ndarray, moving: np.ndarray, spacing: Sequence[float], **settings: Any) -> np.ndarray:
    """settings: as the worker has them. It works in voxels."""
    specification = spec_from_file_location("elastix_worker", WORKER)
    if specification is None or specification.loader is None:
        raise ImportError(f"{WORKER} could not be loaded")
    worker = module_from_spec(specification)
    specification.loader.exec_module(worker)
    return worker.register(fixed, moving, settings)
