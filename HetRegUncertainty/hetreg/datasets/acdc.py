"""ACDC in its official layout: patientNNN/Info.cfg, patientNNN_frameFF.nii.gz, patientNNN_frameFF_gt.nii.gz,
patientNNN_4d.nii.gz; patients directly in the folder or in training/ and testing/."""

from __future__ import annotations

import re
from pathlib import Path

from ..imagefile import ending, stem
from .headers import visible
from .listing import Listing
from .pairing import Found, add_pair, place
from .patients import held_out, patient_folders
from .reader import FolderDataset, stray_reason

_FRAME = re.compile(r"frame0*(\d+)(_gt)?$", re.IGNORECASE)
_OWN = re.compile(r"^info\.cfg$|_4d\.|frame\d", re.IGNORECASE)
_KEYS = {"fixed": "ES", "moving": "ED"}


def read_info(path: Path) -> dict[str, str]:
    """The "key: value" lines of an Info.cfg, keys in upper case."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    parts = [re.split(r"[:=]", line, maxsplit=1) for line in lines]
    return {p[0].strip().upper(): p[1].strip() for p in parts if len(p) == 2}


def phases(info: Path) -> dict[str, int]:
    """{"fixed": ES frame, "moving": ED frame} of an Info.cfg, from 1. Raises ValueError in one sentence."""
    if not info.is_file():
        raise ValueError(f"{info.parent.name} has no Info.cfg: it names the ED and the ES frame.")
    values = read_info(info)
    frames = {}
    for role, key in _KEYS.items():
        text = values.get(key, "")
        if not text.isdecimal():
            raise ValueError(
                f"Info.cfg of {info.parent.name} has {key} = '{text}': a frame number is accepted."
            )
        frames[role] = int(text)
    count = values.get("NBFRAME", "")
    for role, number in frames.items():
        if number < 1 or (count.isdecimal() and number > int(count)):
            raise ValueError(
                f"Info.cfg of {info.parent.name} names {_KEYS[role]} frame {number}: "
                f"1 to {count or 'the last'} is accepted."
            )
    if frames["fixed"] == frames["moving"]:
        raise ValueError(
            f"Info.cfg of {info.parent.name} names frame {frames['fixed']} for both ED and ES: two different "
            "frames are accepted."
        )
    return frames


class ACDCDataset(FolderDataset):
    """Short-axis cine MRI, one sample per slice; labels 1 RV, 2 myocardium, 3 LV; testing/ is held out."""

    accepted = "folders patientNNN with Info.cfg and patientNNN_frameFF.nii.gz"

    def _scan(self) -> Listing:
        listing = Listing()
        for folder, name in patient_folders(self.root, listing, self.accepted, _FRAME, _OWN):
            _scan_patient(folder, name, listing)
        return listing


def _scan_patient(folder: Path, name: str, listing: Listing) -> None:
    frames: dict[tuple[int, bool], list[Path]] = {}
    for path in visible(folder):
        if path.name.lower() in ("info.cfg", "mandatory_citation.md"):
            continue
        match = _FRAME.search(stem(path)) if path.is_file() and ending(path) else None
        if match:
            frames.setdefault((int(match[1]), bool(match[2])), []).append(path)
        elif not (ending(path) and stem(path).lower().endswith("_4d")):
            listing.reject(path, stray_reason(path, "Info.cfg, ..._frameFF and ..._frameFF_gt images"))
    of = (name, name, held_out(folder))
    info = next((p for p in visible(folder) if p.name.lower() == "info.cfg"), folder / "Info.cfg")
    try:
        numbers = phases(info)
    except ValueError as error:
        listing.reject(info if info.is_file() else folder, str(error), *of)
        return
    found = Found()
    for (number, is_label), paths in sorted(frames.items()):
        role = next((r for r, n in numbers.items() if n == number), "")
        for path in paths:
            if role:
                place(found, f"{role}_label" if is_label else role, path, name, listing)
            else:
                named = f"{numbers['moving']} (ED) and {numbers['fixed']} (ES)"
                listing.reject(path, f"{path.name} is not a frame that Info.cfg names: these are {named}.")
    for role, number in numbers.items():
        if getattr(found, role) is None:
            listing.reject(
                folder,
                f"{folder.name} has no image of frame {number}, which Info.cfg names as {_KEYS[role]}.",
                *of,
            )
            return
    add_pair(listing, found, *of[:2], split=of[2])
