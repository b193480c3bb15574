"""A CSV manifest of pairs: columns fixed, moving; if wanted fixed_label, moving_label, patient, split, case.

Relative paths start at the manifest's folder. Case and patient follow from the name of the fixed image, as in
a folder of pairs, where the columns lack. The names of files may have backslashes and their accents as on
another system.
"""

from __future__ import annotations

import codecs
import csv
import locale
import re
import unicodedata
from contextlib import suppress
from pathlib import Path

from ..imagefile import stem
from .copies import copies, first_of_each, join
from .listing import Listing, composed
from .naming import names_of, patient_of, role_of
from .pairing import Found, add_pair
from .split import PARTS

NEEDED = ("fixed", "moving")
OPTIONAL = ("fixed_label", "moving_label", "patient", "split", "case")
_NAMES = ("pairs.csv", "manifest.csv")
_SEPARATOR = re.compile(r'"?sep=([^"\w ])"?', re.IGNORECASE)  # a first line that is for Excel


def find_manifest(root: Path) -> Path | None:
    """The root itself if it is a file, or pairs.csv or manifest.csv in it. Raises ValueError."""
    if root.is_file():
        if root.suffix.lower() != ".csv":
            raise ValueError(f"{root.name} is a file: a folder of pairs or a CSV manifest is accepted.")
        return root
    return next((root / n for n in _NAMES if (root / n).is_file()), None)


def read_manifest(path: Path) -> Listing:
    """The pairs of a manifest. Raises ValueError if its columns are not the accepted ones, or if a line is
    none of a CSV file."""
    listing = Listing()
    used: set[str] = set()
    rows = _rows(path)
    found = {line: _files(path.parent, row) for line, row in rows}
    whole = [(line, row) for line, row in rows if _usable(found[line], row)]
    ordered = {line: found[line] for line, row in sorted(whole, key=lambda r: r[1].get("split") == "test")}
    same = first_of_each(file for pair in found.values() for file in (pair.fixed, pair.moving))
    again = copies(ordered, same)
    keys = {n: _key(pair.fixed) for n, pair in found.items() if pair.fixed and n not in again}
    names = names_of(sorted(set(keys.values())))
    for line, row in rows:
        where = f"Line {line} of {path.name}"
        if line in again:
            listing.reject(path, f"{where} names the same images as line {again[line]}, which is used.")
            continue
        named, patient = names[keys[line]] if line in keys else (f"line {line}", "")
        if row.get("case"):
            named = row["case"]
            patient = patient_of(named) or named
        of = named if named not in used else f"{named}, line {line}", row.get("patient") or patient
        used.add(of[0])
        if not (row["fixed"] and row["moving"]):
            listing.reject(path, f"{where} names no fixed or no moving image: both are needed.", *of)
        elif row.get("split", "") not in ("", *PARTS):
            reason = f"{where} has split '{row['split']}': accepted are {', '.join(PARTS)} or nothing."
            listing.reject(path, reason, *of)
        else:
            add_pair(listing, found[line], *of, split=row.get("split", ""))
    join(listing, same, {row["patient"] for _, row in rows if row.get("patient")})
    return listing


def _files(folder: Path, row: dict[str, str]) -> Found:
    return Found(**{k: _file(folder, row[k]) if row.get(k) else None for k in (*NEEDED, *OPTIONAL[:2])})


def _file(folder: Path, name: str) -> Path:
    """The file of that name; if there is none, one with other slashes or accents."""
    ways = [name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))]
    paths = [folder / way for way in (name, *(way.replace("\\", "/") for way in ways))]
    return next((path for path in paths if path.is_file()), paths[0])


def _usable(pair: Found, row: dict[str, str]) -> bool:
    """True if nothing in the line itself is wrong."""
    there = [path is not None and path.is_file() for path in (pair.fixed, pair.moving)]
    return all(there) and row.get("split", "") in ("", *PARTS)


def _key(fixed: Path) -> tuple[Path, str]:
    """(folder, case) by the name of the fixed image, composed, as in a folder of pairs."""
    known, fixed = role_of(fixed), Path(composed(str(fixed)))
    return known[:2] if known else (fixed.parent, stem(fixed))


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """(line, {column: text}) of each line with content; patient and case composed, "" if missing."""
    texts = _text(path).splitlines()
    named = _SEPARATOR.fullmatch("".join(texts[:1]))
    delimiter = named[1] if named else max(",;\t", key="".join(texts[:1]).count)
    first = 2 if named else 1
    numbered = enumerate(texts[first - 1 :], first)
    lines = [_cells(line, delimiter, f"Line {n} of {path.name}") for n, line in numbered]
    columns = [c.lower() for c in lines[0]] if lines else []
    missing = [c for c in NEEDED if c not in columns]
    unknown = [c for c in columns if c and c not in (*NEEDED, *OPTIONAL)]
    if missing or unknown:
        fault = f"lacks {', '.join(missing)}" if missing else f"has the unknown {', '.join(unknown)}"
        raise ValueError(
            f"{path.name} {fault} among its columns ({', '.join(columns) or 'none'}): accepted are "
            f"{', '.join(NEEDED)} and, where wanted, {', '.join(OPTIONAL)}."
        )
    rows = []
    for n, cells in enumerate(lines[1:], first + 1):
        if any(cells):
            padded = cells + [""] * len(columns)
            row = dict(zip(columns, padded, strict=False))
            rows.append((n, row | {c: composed(row.get(c, "")) for c in ("patient", "case")}))
    return rows


def _text(path: Path) -> str:
    """Text in UTF-8, in UTF-16 with its mark, or in the code page of this system, as spreadsheets write it on
    Windows. Raises ValueError."""
    content = path.read_bytes()
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", locale.getencoding()):
        with suppress(UnicodeDecodeError):
            return content.decode(encoding)
    raise ValueError(
        f"{path.name} is not UTF-8 text: a list that a spreadsheet saved as 'CSV UTF-8' is accepted."
    )


def _cells(line: str, delimiter: str, where: str) -> list[str]:
    """The texts of a line, which ends where its last one does: a stray quote must not take others along."""
    end = rf"(?={re.escape(delimiter)}|$)"
    closed = re.sub(f'" +{end}', '"', line)  # a blank after a closing quote is none of the cell
    try:
        return [c.strip() for c in next(csv.reader([closed], delimiter=delimiter, strict=True), [])]
    except csv.Error as error:
        if line.count('"') % 2:
            raise ValueError(
                f"{where} opens a quote that it does not close: cells of one line are accepted."
            ) from error
        raise ValueError(
            f"{where} cannot be read ({error}): cells without quotes, or between two of them, are accepted."
        ) from error
