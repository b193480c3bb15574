"""Folders in the official layouts of public data sets, written from small phantoms."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from builders import assert_sentence
from hetreg.datasets.listing import Listing
from hetreg.datasets.phantom import PhantomPair, make_pair
from hetreg.image import Image, write_image

SIDE = 32


def phantom(kind: str, seed: int, **options: int) -> PhantomPair:
    """A small phantom without its truth."""
    size = 16 if kind == "echo3d" else SIDE
    return make_pair(kind, seed, size=size, with_truth=False, **options)


def stack(seed: int, slices: int = 3) -> PhantomPair:
    """A short-axis stack of a few slices."""
    return phantom("mri2d", seed, slices=slices)


def write_sequence(image: Image, path: Path, frames: int) -> None:
    """A 4D file that repeats the image."""
    sitk.WriteImage(sitk.JoinSeries([image.to_sitk()] * frames), str(path))


def acdc_patient(root: Path, number: int, *, es: int = 9, labels: bool = True, frames: int = 12) -> Path:
    """patientNNN/ as ACDC has it: ED is frame 1."""
    name = f"patient{number:03d}"
    folder = root / name
    folder.mkdir(parents=True)
    pair = stack(number)
    info = f"ED: 1\nES: {es}\nGroup: DCM\nHeight: 180.0\nNbFrame: {frames}\nWeight: 80.0\n"
    (folder / "Info.cfg").write_text(info)
    write_sequence(pair.moving, folder / f"{name}_4d.nii.gz", 2)
    for frame, image, label in ((1, pair.moving, pair.moving_label), (es, pair.fixed, pair.fixed_label)):
        write_image(image, folder / f"{name}_frame{frame:02d}.nii.gz")
        if labels:
            write_image(label, folder / f"{name}_frame{frame:02d}_gt.nii.gz")
    return folder


def flat(image: Image, array: np.ndarray | None = None) -> sitk.Image:
    """The single slice as a file with two dimensions."""
    plane = sitk.GetImageFromArray((image.array if array is None else array)[0])
    plane.SetSpacing(image.spacing_mm[:2].tolist())
    return plane


_CAMUS_LABELS = np.array([0, 0, 2, 1, 3], np.uint8)  # ours to theirs


def camus_patient(root: Path, number: int, *, ending: str = ".nii.gz") -> Path:
    """patientNNNN/ as CAMUS has it, two views; ".mhd" gives the older copies with .raw beside."""
    name = f"patient{number:04d}"
    folder = root / name
    folder.mkdir(parents=True)
    for n, view in enumerate(("2CH", "4CH")):
        pair = phantom("echo2d", 2 * number + n)
        (folder / f"Info_{view}.cfg").write_text("ED: 1\nES: 19\nNbFrame: 19\nSex: F\nImageQuality: Good\n")
        for phase, image, label in (
            ("ED", pair.moving, pair.moving_label),
            ("ES", pair.fixed, pair.fixed_label),
        ):
            stem = f"{name}_{view}_{phase}"
            sitk.WriteImage(flat(image), str(folder / f"{stem}{ending}"))
            theirs = flat(label, _CAMUS_LABELS[label.array])
            sitk.WriteImage(theirs, str(folder / f"{stem}_gt{ending}"))
        half = sitk.JoinSeries([flat(pair.moving)] * 3)
        sitk.WriteImage(half, str(folder / f"{name}_{view}_half_sequence{ending}"))
    return folder


def mitea(root: Path, subjects: int, *, labels: bool = True) -> Path:
    """images/ and labels/ with the same names; each subject is scanned twice."""
    for n in range(subjects):
        for scan in (1, 2):
            pair = phantom("echo3d", 10 * n + scan)
            for phase, image, label in (
                ("ED", pair.moving, pair.moving_label),
                ("ES", pair.fixed, pair.fixed_label),
            ):
                for folder, what in (("images", image), ("labels", label)):
                    (root / folder).mkdir(parents=True, exist_ok=True)
                    if labels or folder == "images":
                        write_image(what, root / folder / f"MITEA_{n:03d}_scan{scan}_{phase}.nii.gz")
    return root


def plain_pair(folder: Path, case: str, seed: int, *, ending: str = ".nii.gz", labels: str = "_seg") -> None:
    """<case>_ED and <case>_ES with labels of that suffix ("" for none)."""
    folder.mkdir(parents=True, exist_ok=True)
    pair = stack(seed, 2)
    for phase, image, label in (("ED", pair.moving, pair.moving_label), ("ES", pair.fixed, pair.fixed_label)):
        sitk.WriteImage(image.to_sitk(), str(folder / f"{case}_{phase}{ending}"))
        if labels:
            sitk.WriteImage(label.to_sitk(), str(folder / f"{case}_{phase}{labels}{ending}"))


def manifest(
    root: Path, rows: list[dict[str, str]], *, delimiter: str = ",", name: str = "pairs.csv"
) -> Path:
    """A CSV file with the columns of the first row."""
    with (root / name).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return root / name


def cut_off(path: Path, keep: float = 0.6) -> None:
    """Only the first part of a file, as after a broken download."""
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])


def cropped(image: Image, rows: int) -> Image:
    """The image without its last rows."""
    return replace(image, array=image.array[:, :-rows])


def write_all(root: Path) -> Path:
    """One folder for each layout: acdc, camus, camus_mhd, mitea, plain."""
    for n in (1, 2):
        acdc_patient(root / "acdc" / "training", n)
    acdc_patient(root / "acdc" / "testing", 101)
    for n in (1, 2, 3):
        camus_patient(root / "camus" / "database_nifti", n)
    camus_patient(root / "camus_mhd", 4, ending=".mhd")
    camus_patient(root / "camus_mhd", 5, ending=".mhd")
    mitea(root / "mitea", 2)
    plain_pair(root / "plain", "a", 1)
    plain_pair(root / "plain" / "deeper", "b", 2, labels="")
    return root


def refused(listing: Listing) -> dict[str, str]:
    """{file name: reason}; every reason is a sentence."""
    for item in listing.rejected:
        assert_sentence(item.reason)
    return {r.file.name: r.reason for r in listing.rejected}
