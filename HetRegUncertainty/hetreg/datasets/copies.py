"""Pairs that share images: copies of a pair, and pairs that are of one patient for that reason."""

from __future__ import annotations

import filecmp
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ..imagefile import ending
from .headers import COMPANIONS
from .listing import Listing, PairFiles
from .pairing import Found

Key = TypeVar("Key")
_GLANCE = 2**16  # bytes of a file that are looked at before all of them are


def first_of_each(paths: Iterable[Path | None]) -> dict[Path, Path]:
    """{image file: the first of those that have the same content}. One that cannot be read has its own."""
    alike: dict[tuple[int, bytes], list[Path]] = defaultdict(list)
    first: dict[Path, Path] = {}
    for path in paths:
        if path is None or path in first:
            continue
        first[path], file = path, _voxels(path)
        if file.is_file() and os.access(file, os.R_OK):
            others = alike[_glance(file)]
            first[path] = next((p for p in others if _same(file, _voxels(p))), path)
            if first[path] is path:
                others.append(path)
    return first


def copies(pairs: Mapping[Key, Found], same: Mapping[Path, Path]) -> dict[Key, Key]:
    """{pair: the one that has both its images and at least as many labels}. same: that of `first_of_each`."""
    used: dict[tuple[Path, Path], Key] = {}
    found: dict[Key, Key] = {}
    for key, pair in sorted(pairs.items(), key=lambda item: -_labels(item[1])):
        if pair.fixed and pair.moving:
            first = used.setdefault((same[pair.fixed], same[pair.moving]), key)
            if first != key:
                found[key] = first
    return found


def _labels(pair: Found) -> int:
    return (pair.fixed_label is not None) + (pair.moving_label is not None)


def join(listing: Listing, same: Mapping[Path, Path], stated: Collection[str] = ()) -> None:
    """Let pairs that share an image be of one patient, with a note: that of the first, those of the test part
    last. Where one is in several parts by that, the pairs of others than the first of them are refused.

    stated: patients that the user has named, who stay apart: the image may be an atlas."""
    pairs = sorted(
        (p for p in listing.pairs if p.patient not in stated), key=lambda pair: pair.split == "test"
    )
    owner: dict[Path, str] = {}  # of an image
    joined: dict[str, str] = {}  # a patient -> the one that it is, too
    for pair in pairs:
        for path in (pair.fixed, pair.moving):
            if path is not None:
                one = _person(joined, owner.setdefault(same[path], pair.patient))
                if (other := _person(joined, pair.patient)) != one:
                    joined[other] = one
    people = {patient: _person(joined, patient) for patient in joined}
    part_of: dict[str, str] = {}
    changed: dict[PairFiles, PairFiles | None] = {}  # None: refused
    for pair in pairs:
        patient = people.get(pair.patient, pair.patient)
        part = part_of[patient] = part_of.get(patient) or pair.split
        if patient in people.values() and pair.split not in ("", part):
            reason = (
                f"{pair.case}, of {pair.split}, is of patient {patient}, who is in {part}, by an image that "
                "both have: one part is accepted."
            )
            listing.reject(pair.fixed or Path(pair.case), reason)
            changed[pair] = None
        elif patient != pair.patient:
            notes = (pair.note, f"of patient {patient}, by an image that both have")
            changed[pair] = replace(pair, patient=patient, note="; ".join(n for n in notes if n))
    listing.pairs[:] = [kept for pair in listing.pairs if (kept := changed.get(pair, pair)) is not None]
    listing.rejected[:] = [replace(r, patient=people.get(r.patient, r.patient)) for r in listing.rejected]


def _person(joined: Mapping[str, str], patient: str) -> str:
    while patient in joined:
        patient = joined[patient]
    return patient


def _same(file: Path, other: Path) -> bool:
    return file.samefile(other) or filecmp.cmp(file, other, shallow=False)


def _voxels(path: Path) -> Path:
    """The file that has an image's voxels: beside an .mhd it is another."""
    beside = [path.with_suffix(e) for e in COMPANIONS] if ending(path) == ".mhd" else []
    return next((p for p in beside if p.is_file()), path)


def _glance(file: Path) -> tuple[int, bytes]:
    """Length and middle of a file: they tell almost all images apart."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        stream.seek(max(0, (size - _GLANCE) // 2))
        return size, stream.read(_GLANCE)
