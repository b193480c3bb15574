"""Manifests, names in plain folders, the cache, phantoms as a listing, and the project's real data."""

from __future__ import annotations

import time
from dataclasses import replace

import layouts
import numpy as np
import pytest

from builders import assert_sentence
from hetreg.config import GridConfig
from hetreg.datasets.cache import cached_samples
from hetreg.datasets.pairs import PairsDataset, scan_folder
from hetreg.datasets.reader import fitting_grid
from hetreg.datasets.simulated import PhantomDataset
from hetreg.image import write_image
from hetreg.progress import Progress


@pytest.fixture
def data(tmp_path):
    """data/: three pairs in a subfolder of the manifest's folder."""
    for n, case in enumerate(("a", "b", "c")):
        layouts.plain_pair(tmp_path / "data", case, n, labels="_label")
    return tmp_path


def row(case: str, **more: str) -> dict[str, str]:
    """One line of a manifest, paths relative to its folder."""
    return {"fixed": f"data/{case}_ES.nii.gz", "moving": f"data/{case}_ED.nii.gz"} | more


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_manifest_by_file_or_by_its_folder(data, delimiter):
    full = {"fixed_label": "data/a_ES_label.nii.gz", "moving_label": "data/a_ED_label.nii.gz"}
    absolute = str(data / "data/c_ES_label.nii.gz")
    rows = [
        row("a", **full, patient="p1", split="training"),
        row("b", fixed_label="", moving_label="", patient="p1", split="training"),
        row("c", fixed_label=absolute, moving_label="", patient="p2", split="test"),
    ]
    path = layouts.manifest(data, rows, delimiter=delimiter)
    for root in (path, data):
        pairs = PairsDataset(root).scan().pairs
        assert [p.labels for p in pairs] == ["both", "none", "fixed"]
        assert [p.patient for p in pairs] == ["p1", "p1", "p2"]
        assert [p.split for p in pairs] == ["training", "training", "test"]
    assert {s.patient for s in PairsDataset(path).samples(GridConfig())} == {"p1", "p2"}


def test_without_a_column_the_patient_is_that_of_a_folder_of_pairs(tmp_path):
    for n in range(3):
        layouts.plain_pair(tmp_path / f"patient {n}", "", n)
        layouts.plain_pair(tmp_path, f"p{n}_slice{n}", 3 + n)
        layouts.plain_pair(tmp_path, f"p{n}_slice7", 6 + n)
    found = sorted(tmp_path.rglob("*_ES.nii.gz"))
    rows = [{"fixed": str(p), "moving": str(p).replace("_ES", "_ED")} for p in found]
    listed = PairsDataset(layouts.manifest(tmp_path, rows, name="list.csv")).scan().pairs
    assert sorted({p.patient for p in listed}) == ["p0", "p1", "p2", "patient 0", "patient 1", "patient 2"]
    folder = {(p.case, p.patient, p.fixed) for p in PairsDataset(tmp_path).scan().pairs}
    assert {(p.case, p.patient, p.fixed) for p in listed} == folder
    named = layouts.manifest(
        tmp_path, [r | {"case": f"x_visit{n}"} for n, r in enumerate(rows)], name="list.csv"
    )
    assert {p.patient for p in PairsDataset(named).scan().pairs} == {"x"}


def test_bad_lines_of_a_manifest_are_refused_by_number(data):
    rows = [
        row("a", split=""),
        row("b", split="tset"),
        row("x", split=""),
        row("c", split="") | {"moving": ""},
    ]
    listing = PairsDataset(
        layouts.manifest(data, [*rows, row("a", split="") | {"moving": "data/c_ED.nii.gz"}])
    ).scan()
    assert [p.case for p in listing.pairs] == ["a", "a, line 6"]
    reasons = [r.reason for r in listing.rejected]
    for reason, words in zip(
        reasons,
        (
            ["Line 3", "'tset'"],
            ["x_ES.nii.gz is missing"],
            ["x_ED.nii.gz", "its pair"],
            ["Line 5", "no moving"],
        ),
        strict=True,
    ):
        assert_sentence(reason, *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["lacks fixed, moving", "none"]),
        ("fixed;movin\na;b\n", ["lacks moving"]),
        ("fixed,moving,pateint\na,b,c\n", ["unknown pateint"]),
    ],
)
def test_a_manifest_with_wrong_columns_is_a_sentence(tmp_path, text, words):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ValueError, match="columns") as caught:
        PairsDataset(tmp_path / "list.csv").scan()
    assert_sentence(caught.value, *words)


@pytest.mark.parametrize("cell", ['"p2', '"p"2', "x" * 200_000])
def test_a_cell_with_a_stray_quote_takes_no_other_line_along(tmp_path, cell):
    cells = ['"p0"', '"p1"', cell, '"p3"']
    rows = [f"c{n}_ES.nii.gz,c{n}_ED.nii.gz,{text}" for n, text in enumerate(cells)]
    (tmp_path / "list.csv").write_text("\n".join(["fixed,moving,patient", *rows]))
    with pytest.raises(ValueError, match="Line 4 of list") as caught:
        PairsDataset(tmp_path / "list.csv").scan()
    assert_sentence(caught.value, "cells")


@pytest.mark.parametrize(
    ("first", "delimiter"), [([], ","), ([], ";"), (["sep=;"], ";"), (['"SEP=|"'], "|"), (["sep=\t"], "\t")]
)
def test_a_blank_after_a_closing_quote_is_no_part_of_a_cell(tmp_path, first, delimiter):
    layouts.plain_pair(tmp_path, "a", 0)
    cells = ['"a_ES.nii.gz" ', '"a_ED.nii.gz"  ', '"a ""b"" c" ']
    lines = [*first, delimiter.join(["fixed", "moving", "case"]), delimiter.join(cells)]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    (pair,) = PairsDataset(tmp_path / "list.csv").scan().pairs
    assert pair.case == 'a "b" c'


def test_a_cell_with_a_line_break_has_a_sentence_of_its_own(tmp_path):
    (tmp_path / "list.csv").write_text('fixed,moving,case\na_ES.nii.gz,a_ED.nii.gz,"a\n1"\n')
    with pytest.raises(ValueError, match=r"Line 2 of list\.csv opens a quote") as caught:
        PairsDataset(tmp_path / "list.csv").scan()
    assert_sentence(caught.value, "cells of one line are accepted")


def test_a_file_that_is_no_manifest(tmp_path):
    (tmp_path / "list.txt").write_text("fixed,moving\n")
    with pytest.raises(ValueError, match="CSV manifest"):
        PairsDataset(tmp_path / "list.txt").scan()
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="UTF-8"):
        PairsDataset(tmp_path / "list.csv").scan()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["x_ED", "x_ES", "x_ED_gt", "x_ES_gt"], [("x", "x", "both")]),
        (["x_ed", "x_es", "x_seg_ed", "x_mask_es"], [("x", "x", "both")]),
        (["x_ED", "x_ES", "x_ED_seg.seg", "x_ES-segmentation.seg"], [("x", "x", "both")]),
        (["ED_x", "ES_x"], [("x", "x", "none")]),
        (["x_ED_0000", "x_ES_0000", "x_ED_label", "x_ES_label"], [("x", "x", "both")]),
        (["p1/ED", "p1/ES", "p2/ED", "p2/ES"], [("p1", "p1", "none"), ("p2", "p2", "none")]),
        (
            ["p1/cine_ED", "p1/cine_ES", "p2/cine_ED", "p2/cine_ES"],
            [("p1/cine", "p1", "none"), ("p2/cine", "p2", "none")],
        ),
        (
            ["x_scan1_ED", "x_scan1_ES", "x_scan2_ED", "x_scan2_ES"],
            [("x_scan1", "x", "none"), ("x_scan2", "x", "none")],
        ),
        (
            ["p1/2CH_ED", "p1/2CH_ES", "p1/4CH_ED", "p1/4CH_ES"],
            [("2CH", "p1", "none"), ("4CH", "p1", "none")],
        ),
        (["2CH/x_ED", "2CH/x_ES", "4CH/x_ED", "4CH/x_ES"], [("2CH/x", "x", "none"), ("4CH/x", "x", "none")]),
        (
            ["2CH/train/x_ED", "2CH/train/x_ES", "4CH/train/x_ED", "4CH/train/x_ES"],
            [("2CH/train/x", "x", "none"), ("4CH/train/x", "x", "none")],
        ),
        (
            ["p1/2CH/ED", "p1/2CH/ES", "p1/4CH/ED", "p1/4CH/ES"],
            [("2CH", "p1", "none"), ("4CH", "p1", "none")],
        ),
        (["imagesTr/x_ED", "imagesTr/x_ES", "labelsTr/x_ED", "labelsTr/x_ES"], [("x", "x", "both")]),
        (["FREDERIC_ED", "FREDERIC_ES"], [("FREDERIC", "FREDERIC", "none")]),
    ],
)
def test_cases_and_patients_by_name(tmp_path, names, expected):
    image = layouts.phantom("mri2d", 1).fixed
    for n, name in enumerate(names):
        path = tmp_path / f"{name}.nrrd"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(image.like(image.array + n, name), path)
    listing = scan_folder(tmp_path)
    assert listing.rejected == []
    assert [(p.case, p.patient, p.labels) for p in listing.pairs] == expected


def test_folders_named_by_part_decide_the_split(tmp_path):
    for n, case in enumerate(("train/a", "val/b", "test/c", "other/d")):
        layouts.plain_pair(tmp_path / case[:-2], case[-1], n)
    parts = {p.case: p.split for p in PairsDataset(tmp_path).scan().pairs}
    assert parts == {"a": "training", "b": "validation", "c": "test", "d": ""}


def test_the_grid_resamples_images_and_labels_and_keeps_the_spacing(data):
    native = PairsDataset(data).samples(GridConfig())[0]
    small = PairsDataset(data).samples(GridConfig(max_size=16))[0]
    assert small.fixed.shape == small.fixed_label.shape == (16, 16)
    assert small.spacing_mm == pytest.approx(tuple(2 * s for s in native.spacing_mm))
    assert set(np.unique(small.fixed_label)) <= set(np.unique(native.fixed_label))
    pairs = PairsDataset(data).scan().pairs
    assert fitting_grid(pairs, 16) == GridConfig()
    assert fitting_grid([replace(pairs[0], size=(600, 400))], 128).max_size == 160
    assert fitting_grid([], 128) == GridConfig()


def assert_same(first, second):
    """Equal samples, bit for bit."""
    for a, b in zip(first, second, strict=True):
        for name in vars(a):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_the_cache_gives_what_was_read_until_something_changes(data, tmp_path):
    cache, grid = tmp_path / "run" / "cache", GridConfig()
    made = cached_samples(PairsDataset(data), grid, cache)
    assert len(list(cache.iterdir())) == 1
    told: list[str] = []
    again = cached_samples(PairsDataset(data), grid, cache, Progress(lambda f, m: told.append(m)))
    assert "prepared samples found" in told[0]
    assert_same(made, again)
    cached_samples(PairsDataset(data), GridConfig(max_size=16), cache)
    (data / "data" / "c_ED.nii.gz").touch()
    cached_samples(PairsDataset(data), grid, cache)
    assert len(list(cache.iterdir())) == 3


def test_phantoms_are_cached_too(tmp_path):
    def made(**more):
        dataset = PhantomDataset("mri2d", 2, size=32, **more)
        return cached_samples(dataset, GridConfig(), tmp_path)

    assert_same(made(), made())
    assert len(list(tmp_path.iterdir())) == 1
    assert_same(made(truth=True), made(truth=True))
    assert made(truth=True)[0].true_variance is not None
    made(seed=1)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_damaged_or_unwritable_cache_is_done_without(data, tmp_path):
    cache, grid = tmp_path / "cache", GridConfig()
    made = cached_samples(PairsDataset(data), grid, cache)
    layouts.cut_off(next(cache.iterdir()))
    assert_same(made, cached_samples(PairsDataset(data), grid, cache))
    (tmp_path / "file").touch()
    told: list[str] = []
    read = cached_samples(
        PairsDataset(data), grid, tmp_path / "file" / "cache", Progress(lambda f, m: told.append(m))
    )
    assert_same(made, read)
    assert "could not be written" in told[-1]


def test_phantoms_have_a_listing_and_their_truth_if_asked():
    dataset = PhantomDataset("mri2d+echo2d", 4, seed=2, size=32, truth=True)
    listing = dataset.scan()
    assert [p.case for p in listing.pairs] == ["mri2d-2", "echo2d-3", "mri2d-4", "echo2d-5"]
    assert all(p.labels == "both" and p.size == (32, 32) and p.simulated for p in listing.pairs)
    samples = dataset.samples(GridConfig())
    assert [s.patient for s in samples] == [p.patient for p in listing.pairs]
    assert all(s.true_variance.shape == (32, 32) and len(s.spacing_mm) == 2 for s in samples)
    for sample, pair in zip(samples, listing.pairs, strict=True):
        assert sample.spacing_mm == pytest.approx(pair.spacing_mm)
    assert PhantomDataset("echo3d", 1).scan().pairs[0].size == (64, 64, 64)
    with pytest.raises(ValueError, match="'ct'"):
        PhantomDataset("ct", 2).scan()


def test_the_real_data_are_listed_fast_and_in_full(data_dir):
    started = time.monotonic()
    listing = PairsDataset(data_dir).scan()
    assert time.monotonic() - started < 20
    assert len(listing.pairs) == 34
    assert all(p.labels == "both" and p.note == "" for p in listing.pairs)
    reasons = {r.file.name: r.reason for r in listing.rejected}
    assert {"pig_gip17_4d.nii.gz", "phases.csv"} <= set(reasons)
    assert not any("SC-" in name for name in reasons)


def test_real_pairs_give_slices_with_their_labels(data_dir, tmp_path):
    for case in ("SC-HF-I-01", "SC-N-11"):
        for file in (data_dir / "sunnybrook").glob(f"{case}_*"):
            (tmp_path / file.name).symlink_to(file)
    dataset = PairsDataset(tmp_path)
    samples = dataset.samples(GridConfig())
    assert len(samples) == sum(p.size[2] for p in dataset.scan().pairs) == 17
    for sample in samples:
        assert sample.fixed.shape == (256, 256)
        assert sample.spacing_mm == pytest.approx((1.3672, 1.3672))
        assert set(np.unique(sample.fixed_label)) == {0, 3}
