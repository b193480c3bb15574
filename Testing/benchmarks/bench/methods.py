"""What can be compared: no registration, the true field, HetReg's models, the peers.

Each is a function from a case to a `RegisterResult`, as `evaluate(register=...)` takes it, so that one code
scores them all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from hetreg.assemble import result_from_field
from hetreg.config import GridConfig, RegisterConfig
from hetreg.evaluation.case import Case
from hetreg.model import RegistrationModel
from hetreg.preprocess import choose_dimension, intensity_range
from hetreg.register import register_pair
from hetreg.resample import resample_like
from hetreg.result import RegisterResult
from hetreg.zoo import locate

from .peers.process import Peer

Method = Callable[[Case], RegisterResult]


def undeformed(case: Case) -> RegisterResult:
    """The field 0."""
    return from_field(case, np.zeros((3, *case.fixed.array.shape), np.float32), "undeformed")


def true_field(case: Case) -> RegisterResult:
    """The ceiling. Raises ValueError if the case is no phantom."""
    if case.truth is None:
        raise ValueError(f"The true displacement of {case.name} is not known.")
    return from_field(case, case.truth.disp_vox, "true field")


def from_field(case: Case, disp: np.ndarray, name: str, seconds: float = float("nan")) -> RegisterResult:
    """The result of a field (3, K, J, I) on the case's grid."""
    return result_from_field(case.fixed, case.moving, disp, name=name, seconds=seconds)


def peer(tool: Peer, *, percentiles: bool = False) -> Method:
    """A peer on a volume, or on every slice, whose seconds add up. percentiles: as for `samples`."""

    def register(case: Case) -> RegisterResult:
        disp = np.zeros((3, *case.fixed.array.shape), np.float32)
        total = 0.0
        for where, components, fixed, moving, spacing in samples(case, percentiles=percentiles):
            found, seconds = tool.register(fixed, moving, spacing)
            disp[(components, *where)] = found
            total += seconds
        return from_field(case, disp, tool.name, total)

    register.versions = tool.versions  # type: ignore[attr-defined]
    return register


Sample = tuple[tuple[slice | int, ...], list[int] | slice, np.ndarray, np.ndarray, tuple[float, ...]]


def samples(case: Case, *, percentiles: bool = False) -> Iterator[Sample]:
    """(place in the array, components of the field there, fixed, moving, spacing) as a tool takes them.

    fixed, moving: (*spatial), array order, together scaled to [0, 1], each slice for itself; percentiles: the
    whole stack as the networks see it, clipped at its percentiles. spacing likewise in mm.
    """
    fixed, moving = case.fixed.array, resample_like(case.moving, case.fixed)
    scale = scaled
    if percentiles:
        low, high = intensity_range(fixed.astype(np.float32), moving.astype(np.float32), GridConfig())
        fixed, moving = (np.clip((a.astype(np.float32) - low) / (high - low), 0, 1) for a in (fixed, moving))
        scale = _as_they_are
    spacing = [float(s) for s in case.fixed.spacing_mm[::-1]]
    axis = choose_dimension(case.fixed)[1]
    if axis is None:
        yield (slice(None),) * 3, slice(None), *scale(fixed, moving), tuple(spacing)
        return
    inside = [d for d in range(3) if d != axis]
    for k in range(fixed.shape[axis]):
        where = tuple(k if d == axis else slice(None) for d in range(3))
        yield where, inside, *scale(fixed[where], moving[where]), tuple(spacing[d] for d in inside)


def _as_they_are(fixed: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return fixed, moving


def scaled(fixed: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with the lowest value of the two at 0 and the highest at 1, float32."""
    low = min(float(fixed.min()), float(moving.min()))
    span = max(float(fixed.max()), float(moving.max())) - low or 1.0
    first, second = (((a - low) / span).astype(np.float32) for a in (fixed, moving))
    return first, second


class HetReg:
    """A model through `register_pair`; of a cross-validation, the one that held the case's patient out.

    names: a model's name or file, or run folders (split.json: test, or validation where there is no test).
    The first call of all is made twice, so that what is loaded once is not timed.
    """

    def __init__(self, names: Sequence[str], refine: int) -> None:
        self.config = RegisterConfig(refine=refine)
        self.models: list[tuple[set[str] | None, RegistrationModel]] = []
        for name in names:
            folder = Path(name)
            file = folder / "best.pt" if folder.is_dir() else locate(name)
            self.models.append((held_out(folder), RegistrationModel.load(file)))
        self.ndim = self.models[0][1].ndim
        self._ready = False

    def __call__(self, case: Case) -> RegisterResult:
        chosen = [model for held, model in self.models if held is None or case.patient in held]
        if not chosen:
            raise ValueError(f"None of the runs held out patient {case.patient}.")
        if not self._ready:
            register_pair(case.fixed, case.moving, chosen[0], self.config)
            self._ready = True
        began = time.perf_counter()
        result = register_pair(case.fixed, case.moving, chosen[0], self.config)
        result.summary["seconds"] = time.perf_counter() - began
        return result


def held_out(folder: Path) -> set[str] | None:
    """The patients that a run folder did not train on; None for a file."""
    if not folder.is_dir():
        return None
    parts = json.loads((folder / "split.json").read_text(encoding="utf-8"))
    return set(parts.get("test") or parts["validation"])
