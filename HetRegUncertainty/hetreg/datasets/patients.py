"""The patients' folders of the official layouts (ACDC, CAMUS): found, and each with a name of its own."""

from __future__ import annotations

import filecmp
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ..imagefile import ending, stem
from .headers import COMPANIONS, visible
from .listing import Listing
from .naming import longer

_PATIENT = re.compile(r"patient[_-]?\d+$", re.IGNORECASE)
_DEPTH = 4  # from above the unpacked ACDC: ACDC/database/training/patient001
_HELD_OUT = ("testing", "test")


def patient_folders(
    root: Path, listing: Listing, accepted: str, image: re.Pattern[str], own: re.Pattern[str]
) -> list[tuple[Path, str]]:
    """(folder, unique name) of the patients in or below the root, by name; what is no patient is refused.

    accepted: what the data set is. image: found in the stem of its images. own: found in the name of any of
    its files; a folder of images without one is of another data set, and no lost case. Of folders with one
    name those without an image of the data set are refused, and those that hold the images of another (a
    copy). The others are different people: one keeps the name, the rest have those of the folders above
    before it, as in testing_patient0001.
    """
    if _PATIENT.match(root.name):
        return [(root, root.name)]
    named: dict[str, list[Path]] = defaultdict(list)
    found = _found(root, listing)
    if not found:
        listing.reject(root, f"{root.name}, down to {_DEPTH - 1} folders below it, has none of {accepted}.")
    for folder in found:
        files = [path.name for path in visible(folder) if path.is_file()]
        if any(own.search(name) for name in files) or not any(ending(Path(name)) for name in files):
            named[folder.name].append(folder)
        else:
            where = folder.relative_to(root).as_posix()
            listing.reject(folder, f"{where} has no file of this data set: {accepted} are accepted.")
    used = set(named)
    patients = []
    for name, folders in sorted(named.items()):
        first, *others = _people(folders, root, listing, image)
        patients += [(first, name), *((folder, longer(folder, used)) for folder in others)]
    return patients


def held_out(folder: Path) -> str:
    """Part of a patient by the folder above its own: "test" for testing/, else ""."""
    return "test" if folder.parent.name.lower() in _HELD_OUT else ""


def _found(root: Path, listing: Listing) -> list[Path]:
    """Folders patientNNN below the root; image files beside them are refused."""
    found: list[Path] = []
    level = [root]
    for _ in range(_DEPTH):
        below: list[Path] = []
        for path in (p for folder in level for p in visible(folder)):
            if path.is_dir():
                (found if _PATIENT.match(path.name) else below).append(path)
            elif ending(path):
                listing.reject(path, f"{path.name} lies in no patient's folder: patientNNN is accepted.")
        level = below
    return found


def _people(folders: Sequence[Path], root: Path, listing: Listing, image: re.Pattern[str]) -> list[Path]:
    """The different patients of one name; first the one that keeps it: not held out, not deep, by name."""
    if len(folders) == 1:
        return list(folders)

    def order(folder: Path) -> tuple[bool, bool, int, tuple[str, ...]]:
        return not _images(folder, image), bool(held_out(folder)), len(folder.parts), folder.parts

    people: list[Path] = []
    for folder in sorted(folders, key=order):
        where = folder.relative_to(root).as_posix()
        same = next((other for other in people if _same(folder, other)), None)
        used = (same or people[0]).relative_to(root).as_posix() if people else ""
        if people and not _images(folder, image):
            listing.reject(folder, f"{where} has no image of the data set by its name: {used} is used.")
        elif same:
            listing.reject(folder, f"{where} has the same images as {used}, which is used.")
        else:
            people.append(folder)
    return people


def _images(folder: Path, image: re.Pattern[str]) -> list[Path]:
    return [p for p in visible(folder) if ending(p) and image.search(stem(p))]


def _same(folder: Path, other: Path) -> bool:
    """True if a file of voxels, of no labels, is the same in both folders."""
    for path in visible(folder):
        voxels = ending(path) not in ("", ".mhd") or path.suffix.lower() in COMPANIONS
        if not voxels or "_gt." in path.name.lower():
            continue
        twin = other / path.name
        if twin.is_file() and path.stat().st_size and filecmp.cmp(path, twin, shallow=False):
            return True
    return False
