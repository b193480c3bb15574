"""CAMUS in its official layout: patientNNNN/patientNNNN_{2CH,4CH}_{ED,ES}.nii.gz, ..._gt.nii.gz and
Info_{2CH,4CH}.cfg; older copies are .mhd with .raw. The official split is used where database_split/ lies
beside the patients; without it those in testing/ are the test part."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ..imagefile import ending, stem
from .acdc import read_info
from .headers import COMPANIONS, visible
from .listing import Listing
from .pairing import Found, add_pair, place
from .patients import held_out, patient_folders
from .reader import FolderDataset, stray_reason

_IMAGE = re.compile(r"_([24]CH)_(ED|ES)(_gt)?$", re.IGNORECASE)
_OWN = re.compile(r"_[24]CH[_.]", re.IGNORECASE)
_SEQUENCE = re.compile(r"_[24]CH(_half)?_sequence(_gt)?$", re.IGNORECASE)
_LABELS = ((1, 3), (3, 4))  # LV cavity, left atrium; 2 is the myocardium in both
_SPLITS = {"training": "training", "validation": "validation", "testing": "test"}


class CAMUSDataset(FolderDataset):
    """Apical echocardiograms, two- and four-chamber view; labels become 2 myocardium, 3 LV, 4 atrium."""

    accepted = "folders patientNNNN with patientNNNN_2CH_ED.nii.gz, ..._2CH_ES.nii.gz, ..._4CH_..."

    def _scan(self) -> Listing:
        listing = Listing()
        found = patient_folders(self.root, listing, self.accepted, _IMAGE, _OWN)
        lists = {above: official_lists(self.root, above) for above in {f.parent for f, _ in found}}
        for folder, name in found:
            own = lists[folder.parent].values()
            parts = {patient: part for part, patients in own for patient in patients}
            split = parts.get(folder.name, "") if parts else held_out(folder)
            note = "in no list of database_split" if parts and not split else ""
            _scan_patient(folder, name, listing, split, note)
        there = {folder.name for folder, _ in found}
        if there != {self.root.name}:  # more than one patient's folder is looked at
            _tell_absent(listing, there, lists.values())
        return listing


def official_lists(root: Path, above: Path) -> dict[Path, tuple[str, list[str]]]:
    """{list: (part, patients)} of the lists database_split/subgroup_*.txt in or beside the folder `above` the
    patients, or in or beside the root; {} where there are none."""
    lists: dict[Path, tuple[str, list[str]]] = {}
    for name, part in _SPLITS.items():
        for folder in (above, above.parent, root, root.parent):
            path = folder / "database_split" / f"subgroup_{name}.txt"
            if path.is_file():
                lists[path] = part, path.read_text(encoding="utf-8-sig", errors="replace").split()
                break
    return lists


def _tell_absent(
    listing: Listing, there: set[str], lists: Iterable[dict[Path, tuple[str, list[str]]]]
) -> None:
    """One line for each list that names patients without a folder."""
    for path, (_, names) in sorted({path: of for each in lists for path, of in each.items()}.items()):
        if absent := [name for name in names if name not in there]:
            which = f"{absent[0]}, ..." if len(absent) > 1 else absent[0]
            listing.reject(path, f"{path.name} names {len(absent)} patients that have no folder ({which}).")


def _scan_patient(folder: Path, patient: str, listing: Listing, split: str, note: str) -> None:
    views: dict[str, Found] = {}
    for path in visible(folder):
        name = stem(path)
        known = path.name.lower().startswith("info_") or path.suffix.lower() in COMPANIONS
        if known or (ending(path) and _SEQUENCE.search(name)):
            continue
        match = _IMAGE.search(name) if path.is_file() and ending(path) else None
        if match is None:
            listing.reject(path, stray_reason(path, "..._{2CH,4CH}_{ED,ES} and ..._gt images"))
            continue
        view, role = match[1].upper(), {"ES": "fixed", "ED": "moving"}[match[2].upper()]
        found = views.setdefault(view, Found())
        place(found, f"{role}_label" if match[3] else role, path, f"{patient}_{view}", listing)
    if not views:
        reason = f"{folder.name} has no images named ..._2CH_ED or ..._4CH_ED."
        listing.reject(folder, reason, patient, patient, split)
    for view, found in sorted(views.items()):
        notes = "; ".join(n for n in (note, _frame_note(folder / f"Info_{view}.cfg")) if n)
        add_pair(listing, found, f"{patient}_{view}", patient, split=split, label_map=_LABELS, note=notes)


def _frame_note(info: Path) -> str:
    """What is wrong with the frame numbers of a view; the pair does not need them."""
    values = read_info(info) if info.is_file() else {}
    count = values.get("NBFRAME", "")
    for key in ("ED", "ES"):
        number = values.get(key, "")
        if number.isdecimal() and count.isdecimal() and not 1 <= int(number) <= int(count):
            return f"{info.name} names {key} frame {number} of {count}"
    return ""
