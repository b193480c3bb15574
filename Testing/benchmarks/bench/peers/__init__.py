"""The peers: tools that people use, each with the settings that served it best.

A module of this package is the adapter of one tool. It has `PACKAGES`, whose versions the table names, and

    register(fixed, moving, spacing, **settings) -> disp

fixed, moving: (*spatial) float32 in [0, 1], 2D or 3D. spacing: mm per voxel, array order. disp: (ndim,
*spatial) voxels, array order, pull-back: fixed(x) is like moving(x + disp(x)). It runs in the environment of
the tool, which has no hetreg (`worker.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

THREADS = 2


@dataclass(frozen=True)
class Tool:
    """One row of the table: adapter module, its settings, its environment; whether 3D takes bearable time."""

    adapter: str
    settings: dict[str, Any] = field(default_factory=dict)
    environment: str = ".venv-peers"
    in_3d: bool = True


TOOLS = {
    "greedy SSD": Tool("greedy", {"metric": "SSD"}),
    "greedy NCC": Tool("greedy", {"metric": "NCC", "radius": 4}),
    "demons (SimpleITK)": Tool(
        "demons", {"kind": "DiffeomorphicDemons", "iterations": [80, 60, 40], "smoothing": 1.5}
    ),
    "FireANTs CC": Tool(
        "fireants_greedy", {"kernel": 5, "iterations": [200, 100, 50]}, ".venv-peers-fireants"
    ),
    "dipy SyN CC": Tool("dipy_syn", {"radius": 4, "iterations": [100, 100, 25]}),
    "ANTs SyN meansquares": Tool("ants_syn", {"metric": "meansquares", "iterations": [100, 70, 50]}),
    "ANTs SyN CC": Tool("ants_syn", {"metric": "CC", "iterations": [100, 70, 50]}, in_3d=False),
    "elastix B-spline": Tool(
        "elastix", {"metric": "AdvancedMeanSquares", "grid": 8.0, "bending": 0.1, "iterations": 200}
    ),
    "SimpleITK B-spline": Tool("bspline", {"grid_vox": 8, "iterations": 50}, in_3d=False),
}
