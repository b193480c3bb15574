"""What the names of files say: frame, label or image, case, and patient."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path

from ..imagefile import stem
from .listing import composed

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
    """(folder, case, role) by the file's name and folder, both composed; None if the name has no phase."""
    path = Path(composed(str(path)))
    name, folder = _CHANNEL.sub("", stem(path)), path.parent
    phases = list(_PHASE.finditer(name))
    if not phases:
        return None
    last = phases[-1]
    role = "fixed" if last[1].upper() == "ES" else "moving"
    rest = name[: last.start()] + name[last.end() :]
    in_labels = bool(_LABEL_FOLDER.match(folder.name))
    if in_labels or _LABEL.search(rest):
        role, rest = f"{role}_label", _LABEL.sub("", rest)
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
    Patients of one name in different folders are different people if they share a case's name or are in
    different parts.
    """
    folders: dict[str, set[Path]] = defaultdict(set)
    for folder, case in keys:
        folders[case].add(folder)
    lengths: dict[tuple[Path, str], int] = {}
    people: dict[tuple[Path, str], Path] = {}
    for folder, case in keys:
        bare = patient_of(case)
        shared = len(folders[case]) > 1
        grouping = folder.name.lower() in FOLDERS or _REPEAT.fullmatch(folder.name)
        own = not bare or (shared and not grouping)
        lengths[folder, case] = 2 if case and shared else 1
        people[folder, case] = _without_views(folder if own else folder / bare)
    cases, patients = _unique(lengths), _patients(people)
    return {key: (cases[key], patients[people[key]]) for key in keys}


def longer(path: Path, used: set[str]) -> str:
    """The last name of a path behind those of as many folders above as make it new; it is used then."""
    name = path.name
    for above in path.parents:
        if name not in used:
            break
        name = f"{composed(above.name)}_{name}"
    used.add(name)
    return name


def _without_views(path: Path) -> Path:
    rest = Path(*(part for part in path.parts if not _REPEAT.fullmatch(part)))
    return rest if rest.name else path


def _unique(lengths: dict[tuple[Path, str], int]) -> dict[tuple[Path, str], str]:
    """A name for each (folder, case): the last names of its path, so many, or more where two are the same."""
    while True:
        paths = {(folder, case): (folder / case).parts for folder, case in lengths}
        names = {key: "/".join(paths[key][-length:]) for key, length in lengths.items()}
        count = Counter(name for _, name in {(paths[key], name) for key, name in names.items()})
        same = [k for k, n in names.items() if count[n] > 1 and lengths[k] < len(paths[k])]
        if not same:
            return names
        lengths = lengths | {key: lengths[key] + 1 for key in same}


def _patients(people: dict[tuple[Path, str], Path]) -> dict[Path, str]:
    """A name for each person, whose path is the value: the last of the path, with folders above it where
    people have to be told apart. One keeps the name: not of the test part, not deep, by name."""
    named: dict[str, dict[Path, set[str]]] = defaultdict(lambda: defaultdict(set))
    for (_, case), person in people.items():
        named[person.name][person].add(case)
    used, names = set(named), dict[Path, str]()
    for name, found in named.items():
        first, *others = sorted(
            found, key=lambda path: (part_of(path.parent) == "test", len(path.parts), path.parts)
        )
        parts = {part_of(path.parent) for path in found} - {""}
        cases = [case for there in found.values() for case in there]
        same = len(set(cases)) == len(cases) and len(parts) < 2
        names |= {first: name} | {path: name if same else longer(path, used) for path in others}
    return names


def part_of(folder: Path) -> str:
    """The part of the split that a folder is named after, "" if it is not."""
    return FOLDERS.get(folder.name.lower(), "")
