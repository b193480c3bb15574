"""What can be compared: no registration, the true field, HetReg's models, the peers.

Each is a function of a case that yields a `Found` per slice, or one of a volume.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from hetreg.config import RegisterConfig
from hetreg.model import RegistrationModel
from hetreg.register import register_pair
from hetreg.zoo import locate

from .cases import Case
from .peers.process import Peer
from .scoring import Found

Method = Callable[[Case], Iterator[Found]]


def undeformed(case: Case) -> Iterator[Found]:
    """The field 0."""
    for _, fixed, _, _ in case.samples():
        yield Found(np.zeros((fixed.ndim, *fixed.shape), np.float32))


def true_field(case: Case) -> Iterator[Found]:
    """The ceiling, where the truth is known."""
    if case.true_disp is not None:
        yield from by_sample(case, case.true_disp)


def by_sample(case: Case, disp: np.ndarray, seconds: float = float("nan")) -> Iterator[Found]:
    """The parts of a field (3, K, J, I) on a case's grid; of a stack's seconds each slice has its share."""
    if case.ndim == 3:
        yield Found(disp, seconds)
        return
    for k in range(disp.shape[1]):
        yield Found(disp[1:, k], seconds / disp.shape[1])


def peer(tool: Peer) -> Method:
    """A peer on every slice or volume; a failure is a row with the tool's own words."""

    def run(case: Case) -> Iterator[Found]:
        for _, fixed, moving, spacing in case.samples():
            try:
                disp, seconds, _ = tool.register(fixed, moving, spacing)
                yield Found(disp, seconds)
            except RuntimeError as error:
                yield Found(None, error=" ".join(str(error).split())[:300])

    return run


class HetReg:
    """Models through `register_pair`, a whole stack at a time.

    names: a model's name or file, or run folders of a cross-validation, of which each patient is registered
    by the one that held it out (split.json: test, else validation).
    """

    def __init__(self, names: list[str], refine: int) -> None:
        self.config = RegisterConfig(refine=refine)
        self.models: list[tuple[set[str] | None, RegistrationModel]] = []
        for name in names:
            folder = Path(name)
            file = folder / "best.pt" if folder.is_dir() else locate(name)
            self.models.append((held_out(folder), RegistrationModel.load(file)))
        self._ready = False

    def __call__(self, case: Case) -> Iterator[Found]:
        model = next((m for held, m in self.models if held is None or case.patient in held), None)
        if model is None or model.ndim != case.ndim:
            return
        try:
            if not self._ready:  # what is loaded once is not to be timed
                register_pair(case.fixed, case.moving, model, self.config)
                self._ready = True
            began = time.perf_counter()
            disp = register_pair(case.fixed, case.moving, model, self.config).disp_vox
            yield from by_sample(case, disp, time.perf_counter() - began)
        except (ValueError, RuntimeError) as error:
            for _ in case.samples():
                yield Found(None, error=str(error))


def held_out(folder: Path) -> set[str] | None:
    """The patients that a run folder kept for its test (if none, for its validation); None for a file."""
    if not folder.is_dir():
        return None
    parts = json.loads((folder / "split.json").read_text(encoding="utf-8"))
    return set(parts.get("test") or parts["validation"])
