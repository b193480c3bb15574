"""Each adapter on pairs of exactly known displacement: component order, sign and units.

    python -m bench.peers.verify [TOOL ...]        (in Testing/benchmarks)

The grid has unequal sides and spacings, so that a swapped axis or a missing division shows.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from . import TOOLS
from .process import Peer

GRIDS = {2: ((96, 120), (1.5, 1.0)), 3: ((40, 48, 56), (1.5, 1.0, 1.25))}
ACCEPTED_VOX = 0.6  # a swapped or mirrored component is off by 3 voxels and more


def texture(points: np.ndarray) -> np.ndarray:
    """A smooth image in [0, 1] of Gaussian blobs at positions (ndim, *spatial) in voxels."""
    rng = np.random.default_rng(7)
    sizes = np.array(GRIDS[len(points)][0])
    total = np.zeros(points.shape[1:])
    for _ in range(60 if len(points) == 2 else 90):
        centre, width = rng.uniform(0.1, 0.9, len(points)) * sizes, rng.uniform(4, 9)
        squared = sum((p - c) ** 2 for p, c in zip(points, centre, strict=True))
        total += rng.uniform(-1, 1) * np.exp(-squared / (2 * width**2))
    return ((total + 2) / 4).clip(0, 1).astype(np.float32)


def fields(ndim: int) -> dict[str, np.ndarray]:
    """Known displacements in voxels, (ndim, *spatial): a translation and a smooth field."""
    shape = GRIDS[ndim][0]
    places = np.indices(shape) / np.array(shape).reshape(-1, *[1] * ndim)
    bump = np.prod(np.sin(np.pi * places) ** 2, axis=0)
    amounts = (2.5, -4.0, 3.0)[:ndim]
    return {
        "translation": np.stack([np.full(shape, a / 2) for a in amounts]),
        "smooth": np.stack([a * bump for a in amounts]),
    }


def error(peer: Peer, truth: np.ndarray) -> float:
    """Mean end-point error in voxels in the middle of the grid, where the image has structure."""
    ndim = len(truth)
    shape, spacing = GRIDS[ndim]
    points = np.indices(shape).astype(float)
    found, _ = peer.register(texture(points + truth), texture(points), spacing)
    middle = tuple(slice(n // 4, n - n // 4) for n in shape)
    return float(np.linalg.norm((found - truth)[:, *middle], axis=0).mean())


def main() -> int:
    """A table; the status is the number of errors beyond ACCEPTED_VOX."""
    wrong = 0
    print("| tool | field | mean length | end-point error, voxels |\n|---|---|---|---|")
    for name in sys.argv[1:] or TOOLS:
        with tempfile.TemporaryDirectory() as cache, Peer(name, Path(cache)) as peer:
            for ndim in (2, 3) if TOOLS[name].in_3d else (2,):
                for kind, truth in fields(ndim).items():
                    middle = tuple(slice(n // 4, n - n // 4) for n in truth.shape[1:])
                    length = np.linalg.norm(truth[:, *middle], axis=0).mean()
                    off = error(peer, truth)
                    wrong += not off < ACCEPTED_VOX
                    print(f"| {name} | {kind} {ndim}D | {length:.2f} | {off:.3f} |", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
