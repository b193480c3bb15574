"""Prepared samples on disk, one file per data set and grid; a changed or damaged file is made anew."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..config import GridConfig
from ..files import whole_file
from ..progress import Progress
from .base import ARRAYS, PairSample
from .reader import FolderDataset
from .simulated import PhantomDataset

_VERSION = 3  # and when the phantoms change
_FACTS = ("patient", "spacing_mm", "case", "split", "simulated")


def cached_samples(
    dataset: FolderDataset | PhantomDataset, grid: GridConfig, folder: Path, progress: Progress | None = None
) -> list[PairSample]:
    """The data set's samples from the cache in `folder`; read, and put there, if it has not got them.

    A cache that cannot be written is reported and done without; phantoms that do not fit into the memory are
    not kept.
    """
    progress = progress or Progress()
    if isinstance(dataset, PhantomDataset) and not dataset.fits:
        return dataset.samples(grid, progress)  # made one by one: all together are too many
    path = folder / f"samples-{_key(dataset, grid)}.npz"
    kept = _load(path)
    if kept is not None:
        progress.step(1.0, f"{len(kept)} prepared samples found in {path.name}")
        return kept
    samples = dataset.samples(grid, progress)
    if not getattr(dataset, "failed", []):
        try:
            _save(path, samples)
        except OSError as error:
            reason = error.strerror or "is the disk full?"
            progress.report(1.0, f"The cache {path.name} could not be written ({reason}).")
    return samples


def _key(dataset: FolderDataset | PhantomDataset, grid: GridConfig) -> str:
    """Changes with the files (name, length, time of change), the pairs made of them, and the grid."""
    parts: list[object] = [_VERSION, grid.to_dict(), isinstance(dataset, PhantomDataset) and dataset.truth]
    for pair in dataset.scan().pairs:
        parts.append([pair.case, pair.patient, pair.split, pair.label_map, pair.size])
        for path in (pair.fixed, pair.moving, pair.fixed_label, pair.moving_label):
            if path is not None:
                status = path.stat()
                parts.append([str(path), status.st_size, status.st_mtime_ns])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _save(path: Path, samples: Sequence[PairSample]) -> None:
    """Write beside the target and rename. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        f"{n}.{name}": getattr(s, name)
        for n, s in enumerate(samples)
        for name in ARRAYS
        if getattr(s, name) is not None
    }
    facts = [{name: getattr(s, name) for name in _FACTS} for s in samples]
    with whole_file(path) as partial:
        np.savez(partial, facts=np.array(json.dumps(facts)), **content)


def _load(path: Path) -> list[PairSample] | None:
    """The samples in the file, None if there is none or it is damaged."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as content:
            facts = json.loads(str(content["facts"]))
            return [_sample(content, n, fact) for n, fact in enumerate(facts)]
    except (OSError, TypeError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _sample(content: np.lib.npyio.NpzFile, number: int, facts: dict[str, Any]) -> PairSample:
    values = facts | {"spacing_mm": tuple(facts["spacing_mm"])}
    values |= {name: content[f"{number}.{name}"] for name in ARRAYS if f"{number}.{name}" in content}
    return PairSample(**values)
