"""From named files to a checked pair, by headers alone; what does not fit is listed with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..checks import MIN_SIZE
from ..placement import misplaced
from .headers import Header, overlap, read_header
from .listing import Listing, PairFiles


@dataclass
class Found:
    """The files of one case as their names say; any may be missing."""

    fixed: Path | None = None
    moving: Path | None = None
    fixed_label: Path | None = None
    moving_label: Path | None = None


ROLES = {
    "fixed": "end-systole (ES)",
    "moving": "end-diastole (ED)",
    "fixed_label": "labels of end-systole (ES)",
    "moving_label": "labels of end-diastole (ED)",
}


def place(found: Found, role: str, path: Path, case: str, listing: Listing) -> None:
    """Give the file its role in the case; a second file for the same role is refused."""
    if (first := getattr(found, role)) is not None:
        listing.reject(
            path, f"{path.name} is a second file for {ROLES[role]} of {case}: {first.name} is used."
        )
    else:
        setattr(found, role, path)


def add_pair(listing: Listing, found: Found, case: str, patient: str, *, note: str = "", **more: Any) -> None:
    """Check the headers of a case's files; append the pair to the listing, or refuse its files."""
    of = (case, patient, more.get("split", ""))
    headers = _headers(listing, found, of)
    if headers is None:
        return
    fixed, moving = headers
    notes = [note] if note else []
    if fixed.size_ijk != moving.size_ijk:
        notes.append(f"ED has size {_size(moving)}, it is resampled to that of ES")
    labels: dict[str, Path | None] = {}
    beside: list[str] = []
    for role, image in (("fixed_label", fixed), ("moving_label", moving)):
        header = _checked_label(listing, getattr(found, role), image, of)
        labels[role] = header.path if header else None
        beside += [misplaced(header, image, header.path.name, image.path.name)] if header else []
    if found.fixed_label or found.moving_label:
        notes += [f"no usable {ROLES[r]}" for r, path in labels.items() if path is None]
    pair = PairFiles(
        case,
        patient,
        fixed.path,
        moving.path,
        labels["fixed_label"],
        labels["moving_label"],
        size=fixed.size,
        spacing_mm=fixed.spacing_mm,
        note="; ".join(n for n in (*notes, *beside) if n),
        misplaced=next(filter(None, beside), ""),
        **more,
    )
    listing.pairs.append(pair)


def _headers(listing: Listing, found: Found, of: tuple[str, ...]) -> tuple[Header, Header] | None:
    """Those of the fixed and the moving image; None if the pair was refused."""
    if found.fixed is None or found.moving is None:
        role = ROLES["fixed" if found.fixed is None else "moving"]
        _refuse(listing, found, f"{of[0]} has no image of {role}: both phases are needed.", of)
        return None
    headers = []
    for path, other in ((found.fixed, found.moving), (found.moving, found.fixed)):
        try:
            headers.append(read_header(path))
        except ValueError as error:
            listing.reject(path, str(error), *of)
            listing.reject(other, f"{other.name} is not used because {path.name}, its pair, cannot be.", *of)
            return None
    fixed, moving = headers
    if problem := _mismatch(fixed, moving):
        listing.reject(moving.path, problem, *of)
        return None
    return fixed, moving


def _refuse(listing: Listing, found: Found, reason: str, of: tuple[str, ...]) -> None:
    """Refuse all images of a case, or its labels if they are all there is."""
    images = [p for p in (found.fixed, found.moving) if p]
    for path in images:
        listing.reject(path, reason, *of)
    for path in (found.fixed_label, found.moving_label):
        if path and not images:
            listing.reject(path, f"{path.name} has labels of {of[0]}, which has no images by its name.", *of)


def _mismatch(fixed: Header, moving: Header) -> str:
    """Why two readable images are no pair, "" if they are."""
    if not _alike(fixed, moving):
        return (
            f"{moving.path.name} has {len(moving.size)} dimensions, {fixed.path.name} has "
            f"{len(fixed.size)}: the same number is accepted."
        )
    if not overlap(fixed, moving):
        return (
            f"{moving.path.name} does not overlap {fixed.path.name} in space: images of the same region are "
            "accepted."
        )
    short = [h for h in (fixed, moving) if sorted(h.size)[-2] < MIN_SIZE]
    if short:
        name, least = short[0].path.name, f"{MIN_SIZE} x {MIN_SIZE}"
        return f"{name} has size {_size(short[0])}: at least {least} voxels are accepted."
    return ""


def _checked_label(listing: Listing, path: Path | None, image: Header, of: tuple[str, ...]) -> Header | None:
    """The label's header if it can belong to the image; otherwise it is refused and the pair goes without."""
    if path is None:
        return None
    try:
        header = read_header(path)
        if not _alike(header, image) or not overlap(image, header):
            raise ValueError(
                f"{path.name} does not lie on {image.path.name} (size {_size(header)}, image "
                f"{_size(image)}): labels of that image are accepted."
            )
    except ValueError as error:
        listing.reject(path, str(error), *of)
        return None
    return header


def _alike(one: Header, other: Header) -> bool:
    """True if both have two dimensions or both three; a third of length 1 counts as either."""
    return len(one.size) == len(other.size) or one.size_ijk[2] == other.size_ijk[2] == 1


def _size(header: Header) -> str:
    return " x ".join(map(str, header.size))
