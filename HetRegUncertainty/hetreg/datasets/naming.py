"""What the names of files say: frame, label or image, case, and patient."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from ..imagefile import stem

_EDGE, _END = r"(?:^|[_\-. ])", r"(?=$|[_\-. ])"
_PHASE = re.compile(_EDGE + "(ED|ES)" + _END, re.IGNORECASE)
_LABEL = re.compile(_EDGE + "(?:seg|segmentation|gt|labels?|mask)" + _END, re.IGNORECASE)
_CHANNEL = re.compile(r"_0000$")
_REPEAT = re.compile(
    _EDGE + r"(?:(?:scan|visit|view|slice|ses|run|acq)[-_]?\d+|a?[234]ch)" + _END, re.IGNORECASE
)
_IMAGE_FOLDER = re.compile(r"(images?|img)(_?t[rs])?$", re.IGNORECASE)
_LABEL_FOLDER = re.compile(r"(labels?|seg|segmentations?|masks?|gt)(_?t[rs])?$", re.IGNORECASE)
FOLDERS = {"train": "training", "training": "training", "val": "validation", "validation": "validation"}
FOLDERS |= {"test": "test", "testing": "test"}


def role_of(path: Path) -> tuple[Path, str, str] | None:
    """(folder, case, role) by the file's name and folder, None if the name has no phase."""
    name, folder = _CHANNEL.sub("", stem(path)), path.parent
    phases = list(_PHASE.finditer(name))
    if not phases:
        return None
    last = phases[-1]
    role = "fixed" if last[1].upper() == "ES" else "moving"
    rest = name[: last.start()] + name[last.end() :]
    in_labels = bool(_LABEL_FOLDER.match(folder.name))
    if in_labels or _LABEL.search(rest):
        role, rest = f"{role}_label", _LABEL.sub("", rest, count=1)
    if in_labels or _IMAGE_FOLDER.match(folder.name):
        folder = folder.parent
    return folder, rest.strip("_-. "), role


def patient_of(case: str) -> str:
    """The case without what tells repeated scans, slices and views apart; "" if it is no more than that."""
    return _REPEAT.sub("", case).strip("_-. ")


def names_of(keys: list[tuple[Path, str]]) -> dict[tuple[Path, str], tuple[str, str]]:
    """(unique case, patient) of each (folder, case).

    The patient is the case without what tells repeated scans and views apart. Where a case's name is empty,
    only such a mark, or found in several folders, the folder is the patient (unless it is a view or a split).
    """
    folders: dict[str, set[Path]] = defaultdict(set)
    for folder, case in keys:
        folders[case].add(folder)
    names = {}
    for folder, case in keys:
        bare = patient_of(case)
        shared = len(folders[case]) > 1
        unique = f"{folder.name}/{case}" if case and shared else case or folder.name
        grouping = folder.name.lower() in FOLDERS or _REPEAT.fullmatch(folder.name)
        names[folder, case] = unique, folder.name if not bare or (shared and not grouping) else bare
    return names
