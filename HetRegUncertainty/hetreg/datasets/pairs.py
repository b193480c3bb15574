"""Any folder of pairs: <case>_ED and <case>_ES images, directly or some folders deep, labels as <case>_ED_seg
(gt, label, mask) or in labels/ beside images/ (MITEA); or a CSV manifest."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from .headers import COMPANIONS, ENDINGS, ending, is_hidden, read_header, stem
from .listing import Listing
from .manifest import find_manifest, read_manifest
from .pairing import Found, add_pair, place
from .reader import FolderDataset, stray_reason

_EDGE, _END = r"(?:^|[_\-. ])", r"(?=$|[_\-. ])"
_PHASE = re.compile(_EDGE + "(ED|ES)" + _END, re.IGNORECASE)
_LABEL = re.compile(_EDGE + "(?:seg|segmentation|gt|labels?|mask)" + _END, re.IGNORECASE)
_CHANNEL = re.compile(r"_0000$")
_REPEAT = re.compile(
    _EDGE + r"(?:(?:scan|visit|view|slice|ses|run|acq)[-_]?\d+|a?[234]ch)" + _END, re.IGNORECASE
)
_IMAGE_FOLDER = re.compile(r"(images?|img)(_?t[rs])?$", re.IGNORECASE)
_LABEL_FOLDER = re.compile(r"(labels?|seg|segmentations?|masks?|gt)(_?t[rs])?$", re.IGNORECASE)
_SPLITS = {"train": "training", "training": "training", "val": "validation", "validation": "validation"}
_SPLITS |= {"test": "test", "testing": "test"}
_DEPTH = 2


class PairsDataset(FolderDataset):
    """Pairs of a folder or of a CSV manifest; stacks give one sample per slice, resolved volumes one."""

    accepted = "files named <case>_ED and <case>_ES, or a CSV manifest"

    def _scan(self) -> Listing:
        manifest = find_manifest(self.root)
        return read_manifest(manifest) if manifest else scan_folder(self.root)


def find_pairs(root: str | Path) -> list[dict[str, Path]]:
    """Pairs in a folder: {"case", "fixed" (ES), "moving" (ED), and "fixed_seg", "moving_seg" if both exist}.

    Raises ValueError if the folder has none.
    """
    found = []
    for pair in PairsDataset(root).scan().pairs:
        files = {"moving": pair.moving, "fixed": pair.fixed}
        if pair.labels == "both":
            files |= {"moving_seg": pair.moving_label, "fixed_seg": pair.fixed_label}
        found.append({"case": Path(pair.case)} | {n: p for n, p in files.items() if p is not None})
    if not found:
        raise ValueError(f"{root} has no pairs: {PairsDataset.accepted} are accepted.")
    return found


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """Files in the folder and below, by name; the endings first that come first in ENDINGS."""
    children = sorted(p for p in folder.iterdir() if not is_hidden(p))
    order = [*ENDINGS, ""]
    yield from sorted((p for p in children if p.is_file()), key=lambda p: (order.index(ending(p)), p.name))
    for child in children:
        if child.is_dir() and depth:
            yield from _files(child, depth - 1)


def _role(path: Path) -> tuple[Path, str, str] | None:
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


def scan_folder(root: Path) -> Listing:
    """The pairs of a folder by the names of its files, checked by their headers."""
    listing = Listing()
    cases: dict[tuple[Path, str], Found] = defaultdict(Found)
    for path in _files(root, _DEPTH):
        if path.suffix.lower() in COMPANIONS:
            continue
        parts = _role(path) if ending(path) else None
        if parts is None:
            listing.reject(path, _stray(path))
            continue
        folder, case, role = parts
        place(cases[folder, case], role, path, case or folder.name, listing)
    names = _names(list(cases))
    for key, found in sorted(cases.items()):
        case, patient = names[key]
        add_pair(listing, found, case, patient, split=_SPLITS.get(key[0].name.lower(), ""))
    return listing


def _stray(path: Path) -> str:
    """Why a file is refused that is no image of a phase by its name."""
    try:
        if ending(path):
            read_header(path)  # a sequence or a damaged file is told as such
    except ValueError as error:
        return str(error)
    return stray_reason(path, "<case>_ED and <case>_ES")


def _names(keys: list[tuple[Path, str]]) -> dict[tuple[Path, str], tuple[str, str]]:
    """(unique case, patient) of each (folder, case).

    The patient is the case without what tells repeated scans and views apart. Where a case's name is empty,
    only such a mark, or found in several folders, the folder is the patient (unless it is a view or a split).
    """
    folders: dict[str, set[Path]] = defaultdict(set)
    for folder, case in keys:
        folders[case].add(folder)
    names = {}
    for folder, case in keys:
        bare = _REPEAT.sub("", case).strip("_-. ")
        shared = len(folders[case]) > 1
        unique = f"{folder.name}/{case}" if case and shared else case or folder.name
        grouping = folder.name.lower() in _SPLITS or _REPEAT.fullmatch(folder.name)
        names[folder, case] = unique, folder.name if not bare or (shared and not grouping) else bare
    return names
