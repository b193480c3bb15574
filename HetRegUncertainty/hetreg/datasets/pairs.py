"""Any folder of pairs: <case>_ED and <case>_ES images, directly or some folders deep, labels as <case>_ED_seg
(gt, label, mask) or in labels/ beside images/ (MITEA); or a CSV manifest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ..imagefile import ENDINGS, ending
from .copies import copies, first_of_each, join
from .headers import COMPANIONS, read_header, visible
from .listing import Listing
from .manifest import find_manifest, read_manifest
from .naming import names_of, part_of, role_of
from .pairing import Found, add_pair, place
from .reader import FolderDataset, stray_reason

_DEPTH = 2


class PairsDataset(FolderDataset):
    """Pairs of a folder or of a CSV manifest; stacks give one sample per slice, resolved volumes one."""

    accepted = "files named <case>_ED and <case>_ES, or a CSV manifest"

    def _scan(self) -> Listing:
        manifest = find_manifest(self.root)
        return read_manifest(manifest) if manifest else scan_folder(self.root)


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """Files in the folder and below, and links that lead nowhere, by name; the endings first that come first
    in ENDINGS."""
    children = visible(folder)
    order = [*ENDINGS, ""]
    yield from sorted((p for p in children if not p.is_dir()), key=lambda p: (order.index(ending(p)), p.name))
    for child in children:
        if child.is_dir() and depth:
            yield from _files(child, depth - 1)


def scan_folder(root: Path) -> Listing:
    """The pairs of a folder by the names of its files, checked by their headers."""
    listing = Listing()
    cases = _cases(root, listing)
    same = first_of_each(path for found in cases.values() for path in (found.fixed, found.moving))
    for key, used in copies(cases, same).items():
        copy, other = (cases[k].fixed or k[0] for k in (key, used))
        where, first = (path.relative_to(root).as_posix() for path in (copy, other))
        listing.reject(copy, f"{where} and its pair are the same images as {first} and its, which are used.")
        del cases[key]
    names = names_of(list(cases))
    for key in sorted(cases, key=_by_name):
        case, patient = names[key]
        add_pair(listing, cases[key], case, patient, split=part_of(key[0]))
    join(listing, same)
    return listing


def _cases(root: Path, listing: Listing) -> dict[tuple[Path, str], Found]:
    """The files of each (folder, case) by their names: the test part last, then by depth and name."""
    cases: dict[tuple[Path, str], Found] = defaultdict(Found)
    for path in _files(root, _DEPTH):
        if path.suffix.lower() in COMPANIONS:
            continue
        parts = role_of(path) if path.is_file() and ending(path) else None
        if parts is None:
            listing.reject(path, _stray(path))
            continue
        folder, case, role = parts
        place(cases[folder, case], role, path, case or folder.name, listing)
    ranked = sorted(cases, key=lambda key: (part_of(key[0]) == "test", len(key[0].parts), _by_name(key)))
    return {key: cases[key] for key in ranked}


def _by_name(key: tuple[Path, str]) -> tuple[tuple[str, ...], str]:
    return key[0].parts, key[1]


def _stray(path: Path) -> str:
    """Why a file is refused that is no image of a phase by its name."""
    try:
        if ending(path):
            read_header(path)  # a sequence or a damaged file is told as such
    except ValueError as error:
        return str(error)
    return stray_reason(path, "<case>_ED and <case>_ES")
