"""What a look at a folder gives before anything is read: the pairs, and every file that is refused."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import printable


def composed(name: str) -> str:
    """The name with each accent in its letter (NFC), as it is typed; macOS and archives may part them. Fit to
    be written: `printable`."""
    return unicodedata.normalize("NFC", printable(name))


@dataclass(frozen=True)
class PairFiles:
    """The files of one pair, as their headers describe them.

    case: name of the pair, unique in its listing. patient: pairs of one patient stay in one split. Both are
        composed.
    fixed, moving: end-systole and end-diastole; None where the pair is made on the fly (phantom).
    size, spacing_mm: of the fixed image along i, j (, k), as the file has them; () where not known yet.
    split: "training", "validation", "test" if the data set says so, else "".
    label_map: (value in the file, value here) where the labels mean something else than 1 RV cavity, 2 LV
        myocardium, 3 LV cavity, 4 left atrium.
    simulated: made on the fly, with both labels. note: what the user should know; "" if nothing. misplaced:
        of the note, what says that labels lie elsewhere than their image (`placement.misplaced`).
    """

    case: str
    patient: str
    fixed: Path | None
    moving: Path | None
    fixed_label: Path | None = None
    moving_label: Path | None = None
    size: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    split: str = ""
    label_map: tuple[tuple[int, int], ...] = ()
    simulated: bool = False
    note: str = ""
    misplaced: str = ""

    @property
    def labels(self) -> str:
        """Which images have labels: "both", "fixed", "moving" or "none"."""
        fixed = self.simulated or self.fixed_label is not None
        moving = self.simulated or self.moving_label is not None
        return {(True, True): "both", (True, False): "fixed", (False, True): "moving"}.get(
            (fixed, moving), "none"
        )

    def row(self, split: str = "") -> dict[str, Any]:
        """The pair as a dry run lists it."""
        return {
            "case": self.case,
            "patient": self.patient,
            "split": split or self.split,
            "size": list(self.size),
            "spacing_mm": [round(s, 4) for s in self.spacing_mm],
            "labels": self.labels,
            "note": self.note,
        }


@dataclass(frozen=True)
class Rejected:
    """A file (or a folder) that is not used, and why, in one sentence.

    case, patient, split: of the pair that is lost by it, or lacks labels by it; "" for a file of no pair.
    """

    file: Path
    reason: str
    case: str = ""
    patient: str = ""
    split: str = ""

    def row(self) -> dict[str, str]:
        """The file as a dry run lists it."""
        return {"file": str(self.file), "reason": self.reason}


def misplaced_note(sentences: Sequence[str]) -> list[str]:
    """One note for all `PairFiles.misplaced`, none if there are none."""
    found = [text for text in sentences if text]
    several = f"{len(found)} pairs have labels that lie elsewhere than their image. The first: "
    return [f"{several if len(found) > 1 else ''}{found[0]}."] if found else []


@dataclass
class Listing:
    """All pairs of a data set and all files that were refused."""

    pairs: list[PairFiles] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def reject(self, file: Path, reason: str, *of: str) -> None:
        """Add a refused file. of: case, patient and split of the pair that suffers by it."""
        self.rejected.append(Rejected(file, printable(reason), *of))

    def __add__(self, other: Listing) -> Listing:
        """Of two data sets below one root; a folder that one of them uses is not refused by the other."""
        pairs = self.pairs + other.pairs
        used = {pair.fixed.parent for pair in pairs if pair.fixed}
        rejected = [r for r in self.rejected + other.rejected if r.case or r.file not in used]
        return Listing(pairs, rejected)
