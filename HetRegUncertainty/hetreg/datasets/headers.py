"""Image files by their headers alone: size, spacing, place in space, and whether the file is complete."""

from __future__ import annotations

import gzip
import itertools
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..image import Image, from_sitk, geometry, no_warnings, read_image

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")
COMPANIONS = (".raw", ".zraw")  # the voxels of an .mhd file
_META = (".mha", ".mhd")


def ending(path: Path) -> str:
    """The image ending of a file name in lower case, "" if it is none."""
    return next((e for e in ENDINGS if path.name.lower().endswith(e)), "")


def stem(path: Path) -> str:
    """The file's name without its image ending."""
    return path.name[: len(path.name) - len(ending(path))]


def is_hidden(path: Path) -> bool:
    """True for what the system keeps for itself (.DS_Store, ._name, __MACOSX)."""
    return path.name.startswith((".", "~")) or path.name in ("Thumbs.db", "desktop.ini", "__MACOSX")


@dataclass(frozen=True, eq=False)
class Header:
    """size, spacing_mm: along i, j (, k) as the file has them; ijk_to_lps: (4, 4)."""

    path: Path
    size: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    ijk_to_lps: np.ndarray

    @property
    def size_ijk(self) -> tuple[int, ...]:
        """Three numbers, 1 where the file has two dimensions."""
        return (*self.size, 1)[:3]


def read_header(path: Path) -> Header:
    """What the header says. Raises ValueError, in one sentence, if the file is no usable scalar image."""
    name = path.name
    if not path.is_file():
        raise ValueError(f"{name} is missing or is no file: an image file is accepted.")
    if not ending(path):
        raise ValueError(f"{name} is not an image file: accepted endings are {', '.join(ENDINGS)}.")
    if path.stat().st_size == 0:
        raise ValueError(f"{name} is empty.")
    reader = _reader(path)
    try:
        with no_warnings():
            reader.ReadImageInformation()
    except RuntimeError as error:
        skewed = "orthonormal" in str(error)
        reason = "damaged, cut off or not of the format of its ending"
        reason = "its axes are not at right angles" if skewed else reason
        raise ValueError(f"{name} could not be read as an image ({reason}).") from error
    size = tuple(int(n) for n in reader.GetSize())
    if len(size) == 4 and size[3] == 1:
        size = size[:3]
    if len(size) not in (2, 3):
        raise ValueError(
            f"{name} has {len(size)} dimensions, size {_times(size)} (a sequence): "
            "one frame, in two or three dimensions, is accepted."
        )
    if reader.GetNumberOfComponents() != 1:
        raise ValueError(f"{name} has {reader.GetNumberOfComponents()} channels per voxel: one is accepted.")
    _check_complete(path)
    return _header(path, size, reader)


def _reader(path: Path) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    if ending(path) in _META:
        reader.SetImageIO("MetaImageIO")  # it does not know its own endings in upper case
    return reader


def _header(path: Path, size: tuple[int, ...], reader: sitk.ImageFileReader) -> Header:
    count, total = len(size), reader.GetDimension()
    origin, spacing, direction = np.zeros(3), np.ones(3), np.eye(3)
    origin[:count], spacing[:count] = reader.GetOrigin()[:count], reader.GetSpacing()[:count]
    direction[:count, :count] = np.reshape(reader.GetDirection(), (total, total))[:count, :count]
    if count == 2:
        spacing[2] = float(np.sqrt(spacing[0] * spacing[1]))
    if not (spacing > 0).all() or not np.isfinite(spacing).all():
        raise ValueError(f"{path.name} has voxels of {_times(spacing)} mm: positive sizes are accepted.")
    matrix = geometry(origin, spacing, direction)
    return Header(path, size, tuple(float(s) for s in spacing[:count]), matrix)


def read_voxels(path: Path) -> Image:
    """The whole image. Raises ValueError, in one sentence, if it cannot be read."""
    if ending(path) not in _META:
        return read_image(path)
    try:
        with no_warnings():
            return from_sitk(_reader(path).Execute(), stem(path))
    except RuntimeError as error:
        raise ValueError(f"{path.name} could not be read as an image (damaged or cut off).") from error


def overlap(fixed: Header, moving: Header) -> bool:
    """False if the boxes of the two images have nothing in common."""
    ends = [(-0.5, n - 0.5) for n in fixed.size_ijk]
    corners = np.array([(*c, 1.0) for c in itertools.product(*ends)])
    index = (corners @ fixed.ijk_to_lps.T @ np.linalg.inv(moving.ijk_to_lps).T)[:, :3]
    high = np.array(moving.size_ijk) - 0.5
    return bool((index.max(axis=0) > -0.5).all() and (index.min(axis=0) < high).all())


def _times(numbers: tuple[int, ...] | np.ndarray) -> str:
    return " x ".join(f"{n:g}" for n in numbers)


def _check_complete(path: Path) -> None:
    """Raise ValueError if fewer voxels lie in the file than its header says; fast if the file is whole."""
    kind = ending(path)
    if kind == ".mhd":
        _check_companion(path)
    elif kind == ".nii":
        with path.open("rb") as stream:
            needed = _nifti_bytes(stream.read(352))
        if path.stat().st_size < needed:
            raise ValueError(f"{path.name} is cut off: it is shorter than its header says.")
    elif kind == ".nii.gz":
        _check_compressed(path)


def _nifti_bytes(head: bytes) -> int:
    """Length of the uncompressed NIfTI-1 file with that header; 0 if it is another version."""
    for order in "<>":
        if len(head) == 352 and struct.unpack(order + "i", head[:4])[0] == 348:
            dim = struct.unpack(order + "8h", head[40:56])
            bits, offset = struct.unpack(order + "h", head[72:74])[0], head[108:112]
            voxels = int(np.prod([max(1, n) for n in dim[1 : 1 + min(max(dim[0], 0), 7)]], dtype=np.int64))
            return int(struct.unpack(order + "f", offset)[0]) + voxels * bits // 8
    return 0


def _check_compressed(path: Path) -> None:
    """The length at the end of a gzip file against the header's; all is read only where they differ."""
    try:
        with path.open("rb") as stream:
            plain = stream.read(2) != b"\x1f\x8b"
            stream.seek(-4, 2)
            written = struct.unpack("<I", stream.read(4))[0]
        if plain:
            raise ValueError(f"{path.name} is not compressed, although it is named so: .nii is accepted.")
        with gzip.open(path) as stream:
            needed = _nifti_bytes(stream.read(352))
            if needed == 0 or written == needed % 2**32:
                return
            length = 352
            while part := stream.read(2**22):
                length += len(part)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path.name} is damaged or cut off.") from error
    if length < needed:
        raise ValueError(f"{path.name} is cut off: it is shorter than its header says.")


def _check_companion(path: Path) -> None:
    """The file of voxels that an .mhd header names has to be there."""
    for line in path.read_text(encoding="latin-1").splitlines():
        key, _, value = (part.strip() for part in line.partition("="))
        if key != "ElementDataFile" or value in ("LOCAL", "LIST") or "%" in value:
            continue
        data = path.parent / value
        if not data.is_file() or data.stat().st_size == 0:
            raise ValueError(f"{path.name} names the voxel file {data.name}, which is missing or empty.")
