"""Training, validation and test parts: by patient, as the data set says, by a seed, or by a JSON file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from .listing import composed

PARTS = ("training", "validation", "test")
SHARE = 0.15  # of the patients, for the validation and for the test each


class Item(Protocol):
    """What can be split: a PairSample or a PairFiles."""

    @property
    def patient(self) -> str:
        """All items of a patient are in one part."""

    @property
    def split(self) -> str:
        """The part that the data set says, or ""."""

    @property
    def simulated(self) -> bool:
        """A phantom."""


class SplitConfig(Protocol):
    """The fields of a TrainConfig that decide a split."""

    @property
    def seed(self) -> int:
        """What the draw of the patients starts from."""

    @property
    def split(self) -> str:
        """A JSON file, or ""."""


def split(
    items: Sequence[Item], config: SplitConfig, *, validation: float = SHARE, test: float = SHARE
) -> dict[str, list[int]]:
    """{"training", "validation", "test": indices of the items}; all items of a patient are in one part.

    validation, test: fractions of the patients that are drawn, for a part that the data set does not fix.
    Raises ValueError if the file does not fit the patients, or if nothing is left to train on.
    """
    part_of = _by_file(items, Path(config.split)) if config.split else {}
    if not config.split:
        part_of = parts_by_seed(items, config.seed, validation=validation, test=test)
    parts: dict[str, list[int]] = {name: [] for name in PARTS}
    for n, item in enumerate(items):
        parts[part_of.get(item.patient, "training")].append(n)
    if items and not parts["training"]:
        raise ValueError(
            f"The split leaves no pair for training ({len(items)} pairs in all): at least one is accepted."
        )
    return parts


def patients(items: Sequence[Item], parts: dict[str, list[int]]) -> dict[str, list[str]]:
    """The patients of each part, as a split file has them."""
    return {name: sorted({items[i].patient for i in parts[name]}) for name in PARTS}


def parts_by_seed(
    items: Sequence[Item], seed: int, *, validation: float = SHARE, test: float = SHARE
) -> dict[str, str]:
    """{patient: part}, patients for training may lack. Parts that the data set fixes stay; of the other
    patients a fraction is drawn for each missing part.

    A patient's place in the draw depends on the seed and the name alone, so that one patient more or less
    changes little. Raises ValueError if the data set has a patient in two parts.
    """
    fractions = {"validation": validation, "test": test}
    fixed: dict[str, str] = {}
    for item in items:
        if item.split and fixed.setdefault(item.patient, item.split) != item.split:
            raise ValueError(
                f"Patient {item.patient} is in {fixed[item.patient]} and in {item.split}: one is accepted."
            )
    free = sorted({i.patient for i in items} - fixed.keys(), key=lambda name: _draw(seed, name))
    part_of, total, taken = dict(fixed), len(free), 0
    has_training = "training" in fixed.values()
    for name, fraction in fractions.items():
        if name in fixed.values() or fraction <= 0:
            continue
        room = max(0, total - taken - (0 if has_training else 1))
        count = min(room, max(1, round(fraction * total))) if total else 0
        part_of |= dict.fromkeys(free[taken : taken + count], name)
        taken += count
    return part_of


def _draw(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def _by_file(items: Sequence[Item], path: Path) -> dict[str, str]:
    """The parts in a JSON file; phantoms that it does not name are for training."""
    part_of = _part_of(path, read_split(path))
    known = {i.patient for i in items}
    if unknown := sorted(part_of.keys() - known):
        raise ValueError(
            f"{path.name} names {len(unknown)} patients that the data do not have ({_some(unknown)}): "
            f"the data have {_some(sorted(known))}."
        )
    if missing := sorted({i.patient for i in items if not i.simulated} - part_of.keys()):
        raise ValueError(
            f"{path.name} does not name {len(missing)} patients of the data ({_some(missing)}): each one has "
            "to be in a part."
        )
    return part_of


def read_split(path: Path) -> dict[str, list[str]]:
    """{part: patients} of a split file, their names composed. Raises ValueError, FileNotFoundError."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no split file {path}.")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not a JSON file ({error}).") from error
    lists = isinstance(content, dict) and all(
        isinstance(v, list) and all(isinstance(p, str) for p in v) for v in content.values()
    )
    if not lists or "training" not in content or content.keys() - set(PARTS):
        raise ValueError(
            f"{path.name} is no split: a JSON object with lists of patients under {', '.join(PARTS)} is "
            "accepted."
        )
    content = {part: [composed(name) for name in members] for part, members in content.items()}
    _part_of(path, content)
    return content


def _part_of(path: Path, content: dict[str, list[str]]) -> dict[str, str]:
    """{patient: part} of a split file. Raises ValueError if a patient is in two."""
    part_of: dict[str, str] = {}
    for name, members in content.items():
        for patient in members:
            if part_of.setdefault(patient, name) != name:
                raise ValueError(
                    f"{path.name} has patient {patient} in {part_of[patient]} and in {name}: one is accepted."
                )
    return part_of


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
