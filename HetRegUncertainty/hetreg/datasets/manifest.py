"""A CSV manifest of pairs: columns fixed, moving; if wanted fixed_label, moving_label, patient, split, case.

Relative paths start at the manifest's folder.
"""

from __future__ import annotations

import csv
from pathlib import Path

from .headers import stem
from .listing import Listing
from .pairing import Found, add_pair

NEEDED = ("fixed", "moving")
OPTIONAL = ("fixed_label", "moving_label", "patient", "split", "case")
SPLITS = ("training", "validation", "test")
_NAMES = ("pairs.csv", "manifest.csv")


def find_manifest(root: Path) -> Path | None:
    """The root itself if it is a file, or pairs.csv or manifest.csv in it. Raises ValueError."""
    if root.is_file():
        if root.suffix.lower() != ".csv":
            raise ValueError(f"{root.name} is a file: a folder of pairs or a CSV manifest is accepted.")
        return root
    return next((root / n for n in _NAMES if (root / n).is_file()), None)


def read_manifest(path: Path) -> Listing:
    """The pairs of a manifest. Raises ValueError if its columns are not the accepted ones."""
    listing = Listing()
    used: set[str] = set()
    for line, row in _rows(path):
        where = f"Line {line} of {path.name}"
        if not (row["fixed"] and row["moving"]):
            reason = f"{where} names no fixed or no moving image: both are needed."
            listing.reject(path, reason, row.get("case") or f"line {line}", row.get("patient", ""))
            continue
        if row.get("split", "") not in ("", *SPLITS):
            listing.reject(
                path, f"{where} has split '{row['split']}': accepted are {', '.join(SPLITS)} or nothing."
            )
            continue
        files = {k: path.parent / row[k] if row.get(k) else None for k in (*NEEDED, *OPTIONAL[:2])}
        name = row.get("case") or stem(Path(row["fixed"]))
        case = name if name not in used else f"{name}, line {line}"
        used.add(case)
        patient = row.get("patient") or name
        add_pair(listing, Found(**files), case, patient, split=row.get("split", ""))
    return listing


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """(line, {column: text}) of each line with content."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not a text file in UTF-8: a CSV manifest is accepted.") from error
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    columns = [c.strip().lower() for c in next(reader, [])]
    missing = [c for c in NEEDED if c not in columns]
    unknown = [c for c in columns if c and c not in (*NEEDED, *OPTIONAL)]
    if missing or unknown:
        fault = f"lacks {', '.join(missing)}" if missing else f"has the unknown {', '.join(unknown)}"
        raise ValueError(
            f"{path.name} {fault} among its columns ({', '.join(columns) or 'none'}): accepted are "
            f"{', '.join(NEEDED)} and, where wanted, {', '.join(OPTIONAL)}."
        )
    rows = []
    for cells in reader:
        if any(c.strip() for c in cells):
            padded = [c.strip() for c in cells] + [""] * len(columns)
            rows.append((reader.line_num, dict(zip(columns, padded, strict=False))))
    return rows
