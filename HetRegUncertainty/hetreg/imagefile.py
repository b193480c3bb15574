"""Image files: their endings, SimpleITK's reader of one, and whether all voxels are there."""

from __future__ import annotations

import gzip
import math
import os
import struct
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from .errors import doubtful_path, printable
from .files import in_utf8

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")
_META = (".mha", ".mhd")
_NRRD = (".nrrd", ".nhdr")
_ZIPPED = (".nii.gz", ".img.gz")
_GZIP = b"\x1f\x8b"
_PART = 2**22  # bytes that are looked at at once
_quiet_lock = threading.Lock()
_shown_before: list[bool] = []  # one for each thread that reads; whoever ends last takes the first one's


def ending(path: Path) -> str:
    """The image ending of a file name in lower case, "" if it is none."""
    return next((e for e in ENDINGS if path.name.lower().endswith(e)), "")


def stem(path: Path) -> str:
    """The file's name without its image ending."""
    return path.name[: len(path.name) - len(ending(path))]


@contextmanager
def no_warnings() -> Iterator[None]:
    """Without ITK's own warnings on standard error: for each file of ACDC, that its sform has no scales."""
    with _quiet_lock:
        _shown_before.append(sitk.ProcessObject.GetGlobalWarningDisplay())
        sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        with _quiet_lock:
            sitk.ProcessObject.SetGlobalWarningDisplay(_shown_before.pop())


def opened(path: Path, *, all_of_it: bool = False) -> sitk.ImageFileReader:
    """SimpleITK's reader of a file, with the header read. all_of_it: of a compressed file that is whole, the
    checksum is compared too, which takes as long as reading it.

    Raises ValueError, in one sentence, if it cannot be read or lacks voxels that its header promises.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(in_utf8(path))
    if ending(path) in _META:
        reader.SetImageIO("MetaImageIO")  # it does not know its own endings in upper case
    try:
        with no_warnings():
            reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unread(path, error) from error
    _check_complete(path, reader, all_of_it)
    return reader


def read_file(path: Path) -> sitk.Image:
    """The whole image. Raises ValueError, in one sentence, if it cannot be read, is damaged or cut off."""
    reader = opened(path, all_of_it=True)
    try:
        with no_warnings():
            return reader.Execute()
    except RuntimeError as error:
        raise _unread(path, error) from error


def _unread(path: Path, error: RuntimeError) -> ValueError:
    return ValueError(f"{path.name} could not be read as an image ({_why(path, error)}).")


def _why(path: Path, error: RuntimeError) -> str:
    """What is wrong with a file that ITK refuses, without ITK's own words."""
    if not os.access(path, os.R_OK):
        return "there is no permission to read it"
    if path.stat().st_size == 0:
        return "the file is empty"
    if "determine ImageIO" in str(error):
        return "its format is unknown: NRRD, NIfTI and MetaImage, among others, are accepted"
    if "orthonormal" in str(error):
        return "its axes are not at right angles"
    if "Unknown PixelType" in str(error):
        return "its voxels have several values, such as grey with alpha: one scalar per voxel is accepted"
    return f"damaged, cut off or not in the format that its ending names{doubtful_path(path)}"


def _check_complete(path: Path, reader: sitk.ImageFileReader, all_of_it: bool) -> None:
    """Raise ValueError if voxels are missing or wrong, of which ITK says nothing or less."""
    name = path.name.lower()
    if name.endswith((*_META, *_NRRD)):
        _check_voxels(path, _bytes(reader), all_of_it)
    elif name.endswith(".nii"):
        with path.open("rb") as stream:
            needed = _nifti_bytes(stream.read(352))
        if path.stat().st_size < needed:
            raise _cut_off(path)
    elif name.endswith(_ZIPPED):
        _check_compressed(path, all_of_it)


def _cut_off(path: Path) -> ValueError:
    return ValueError(f"{path.name} is cut off: it is shorter than its header says.")


def _nifti_bytes(head: bytes) -> int:
    """Length of the uncompressed NIfTI-1 file with that header; 0 if it is another version."""
    for order in "<>":
        if len(head) == 352 and struct.unpack(order + "i", head[:4])[0] == 348:
            dim = struct.unpack(order + "8h", head[40:56])
            bits = struct.unpack(order + "h", head[72:74])[0]
            offset = struct.unpack(order + "f", head[108:112])[0]
            voxels = int(np.prod([max(1, n) for n in dim[1 : 1 + min(max(dim[0], 0), 7)]], dtype=np.int64))
            return int(offset) + voxels * bits // 8 if math.isfinite(offset) else sys.maxsize
    return 0


def _check_compressed(path: Path, all_of_it: bool) -> None:
    """The length at the end of a gzip file against the header's; where they differ, all is read too."""
    try:
        with path.open("rb") as stream:
            plain = stream.read(2) != _GZIP
            stream.seek(-4, 2)
            written = struct.unpack("<I", stream.read(4))[0]
        if plain:
            raise ValueError(f"{path.name} is not compressed, although its name says so: .nii is accepted.")
        with gzip.open(path) as stream:
            head = stream.read(352)
            needed = _nifti_bytes(head) if ending(path) else 0  # the header of an .img.gz is another file
            if not all_of_it and needed and written == needed % 2**32:
                return
            length = len(head)
            while part := stream.read(_PART):
                length += len(part)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path.name} is damaged or cut off.") from error
    if length < needed:
        raise _cut_off(path)


def _bytes(reader: sitk.ImageFileReader) -> int:
    """Length of the voxels that a header promises, each with one value."""
    kind = reader.GetPixelID()
    size = 1 if kind == sitk.sitkUnknown else sitk.Image([1, 1], kind).GetSizeOfPixelComponent()
    return math.prod(reader.GetSize()) * size


def _check_voxels(path: Path, needed: int, all_of_it: bool) -> None:
    """The file of voxels that the header of a MetaImage or NRRD file names has to be there, with so many
    bytes, and compressed ones as their checksum says, which ITK does not look at."""
    data, start, form = _voxels(path)
    if data is None:
        return
    if not data.is_file() or data.stat().st_size == 0:
        raise ValueError(
            f"{path.name} names the voxel file {printable(data.name)}, which is missing or empty."
        )
    if form == "raw" and data.stat().st_size - start < needed:
        raise _cut_off(path)
    if form not in ("gzip", "gz") or not all_of_it:
        return
    length, unpack = 0, _unpacker()
    try:
        with data.open("rb") as stream:
            stream.seek(start)
            part = stream.read(_PART)
            while part and (not unpack.eof or _GZIP.startswith(part[:2])):  # of that there may be several
                unpack = _unpacker() if unpack.eof else unpack
                length += len(unpack.decompress(part, _PART))
                part = unpack.unconsumed_tail or unpack.unused_data or stream.read(_PART)
        if not unpack.eof:
            raise EOFError
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path.name} is damaged or cut off.") from error
    if length < needed:
        raise _cut_off(path)


def _unpacker() -> Any:
    return zlib.decompressobj(zlib.MAX_WBITS + 32)  # zlib's format or gzip's


def _voxels(path: Path) -> tuple[Path | None, int, str]:
    """Where a MetaImage or NRRD file has its voxels: the file, None for several, from which byte on, and
    whether they are "raw", "gzip" (or "gz") or something else."""
    meta, fields = path.name.lower().endswith(_META), dict[str, str]()
    with path.open("rb") as stream:
        for line in stream:
            text = line.decode("utf-8", "surrogateescape")
            key, _, value = (p.strip() for p in text.partition("=" if meta else ":"))
            if not meta and not (key or value):
                break  # the voxels follow
            fields[key.lower()] = value
            if meta and key == "ElementDataFile":
                break
        start = stream.tell()
    named = fields.get("elementdatafile") or fields.get("data file") or fields.get("datafile") or "LOCAL"
    form = fields.get("encoding", "").lower()
    if meta:
        binary, packed = (fields.get(key, "")[:1] in tuple("tT1") for key in ("binarydata", "compresseddata"))
        plain_start = fields.get("headersize", "0") == "0"  # of the voxel file
        form = "" if not plain_start else "gzip" if packed else "raw" if binary else ""
    if named.upper().split()[0] in ("LIST", "SKIPLIST") or "%" in named or "line skip" in fields:
        return None, 0, form
    return (path, start, form) if named.upper() == "LOCAL" else (path.parent / named, 0, form)
