"""Names with accents in both of their forms, and lists of pairs as Excel and other systems write them."""

from __future__ import annotations

import json
import locale
from pathlib import Path
from unicodedata import normalize

import layouts
import numpy as np
import pytest

from builders import assert_sentence
from hetreg.config import EvaluateConfig, TrainConfig
from hetreg.datasets.base import PairSample
from hetreg.datasets.naming import longer
from hetreg.datasets.pairs import PairsDataset
from hetreg.datasets.split import read_split, split
from hetreg.evaluation.cases import list_cases

NAME = "Müller"
APART = normalize("NFD", NAME)  # as macOS and archives may have it


@pytest.fixture
def folder(tmp_path):
    """Two patients; the accents of the one lie apart from their letters."""
    layouts.plain_pair(tmp_path, APART, 1, labels="")
    layouts.plain_pair(tmp_path, "Ana", 2, labels="")
    return tmp_path


def test_two_forms_of_a_name_are_one_case(folder):
    (folder / f"{APART}_ES.nii.gz").rename(folder / f"{NAME}_ES.nii.gz")
    listing = PairsDataset(folder).scan()
    assert listing.rejected == []
    assert [(p.case, p.patient) for p in listing.pairs] == [("Ana", "Ana"), (NAME, NAME)]
    assert listing.pairs[1].moving.name == f"{APART}_ED.nii.gz"  # as the disk has it


def test_a_folder_gives_its_patient_a_composed_name(tmp_path):
    for visit in ("visit1", "visit2"):
        layouts.plain_pair(tmp_path / APART / visit, "", len(visit) + int(visit[-1]), labels="")
    pairs = PairsDataset(tmp_path).scan().pairs
    assert {p.patient for p in pairs} == {NAME}
    assert longer(Path(APART) / "patient001", {"patient001"}) == f"{NAME}_patient001"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_split_file_may_have_the_other_form(folder, form, encoding):
    parts = {"training": ["Ana"], "validation": [], "test": [normalize(form, NAME)]}
    file = folder / "split.json"
    file.write_text(json.dumps(parts, ensure_ascii=False), encoding=encoding)
    assert read_split(file)["test"] == [NAME]
    pairs = PairsDataset(folder).scan().pairs
    assert split(pairs, TrainConfig(split=str(file))) == {"training": [0], "validation": [], "test": [1]}
    tested = EvaluateConfig(dataset="pairs", root=str(folder), split="test", split_file=str(file))
    assert [source.patient for source in list_cases(tested)[0]] == [NAME]


def test_samples_of_a_program_are_found_in_their_split_file(tmp_path):
    blank = np.zeros((2, 2), np.float32)
    samples = [PairSample(blank, blank, patient=name) for name in (APART, "Ana")]
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"training": ["Ana"], "validation": [], "test": [APART]}))
    assert split(samples, TrainConfig(split=str(file)))["test"] == [0]


def test_a_list_names_files_and_patients_in_the_other_form(folder):
    rows = [
        {"fixed": f"{name}_ES.nii.gz", "moving": f"{name}_ED.nii.gz", "case": case, "patient": patient}
        for name, case, patient in ((NAME, APART, ""), ("Ana", "a", APART))
    ]
    listing = PairsDataset(layouts.manifest(folder, rows)).scan()
    assert listing.rejected == []
    assert [(p.case, p.patient) for p in listing.pairs] == [(NAME, NAME), ("a", NAME)]
    assert listing.pairs[0].fixed.is_file()


def test_a_list_without_phases_in_its_names_gives_composed_cases(folder):
    names = [normalize("NFD", name) for name in ("jörg.nii.gz", "jürg.nii.gz")]
    for phase, name in zip(("ES", "ED"), names, strict=True):
        (folder / f"Ana_{phase}.nii.gz").rename(folder / name)
    listing = PairsDataset(layouts.manifest(folder, [{"fixed": names[0], "moving": names[1]}])).scan()
    assert [p.case for p in listing.pairs] == ["jörg"]


def test_a_list_made_on_windows_may_have_backslashes(tmp_path):
    layouts.plain_pair(tmp_path / "sub" / APART, "a", 1, labels="")
    rows = [{"fixed": f"sub\\{NAME}\\a_ES.nii.gz", "moving": f"sub\\{NAME}\\a_ED.nii.gz"}]
    listing = PairsDataset(layouts.manifest(tmp_path, rows)).scan()
    assert len(listing.pairs) == 1, layouts.refused(listing)


def test_a_backslash_and_a_letter_of_neither_form(tmp_path):
    layouts.plain_pair(tmp_path, "\u212bx", 1, labels="")  # the sign of the unit, which both forms replace
    rows = [{"fixed": ".\\\u212bx_ES.nii.gz", "moving": ".\\\u212bx_ED.nii.gz"}]
    listing = PairsDataset(layouts.manifest(tmp_path, rows)).scan()
    assert len(listing.pairs) == 1, layouts.refused(listing)


def test_no_patient_stays_no_patient():
    blank = np.zeros((8, 8), np.float32)
    assert [PairSample(blank, blank, patient=name).patient for name in ("", None, 7)] == ["", "", "7"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_list_tells_its_encoding_by_its_mark(folder, encoding):
    text = f"case\tfixed\tmoving\r\n{NAME}\t{NAME}_ES.nii.gz\t{NAME}_ED.nii.gz\r\n"
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    (folder / "pairs.csv").write_bytes((mark + text).encode(encoding))
    assert [p.case for p in PairsDataset(folder).scan().pairs] == [NAME]


def test_a_list_in_the_code_page_of_the_system_is_read(folder, monkeypatch):
    text = f"case;fixed;moving\n{NAME};{NAME}_ES.nii.gz;{NAME}_ED.nii.gz"
    (folder / "pairs.csv").write_bytes(text.encode("cp1252"))
    monkeypatch.setattr(locale, "getencoding", lambda: "cp1252")
    assert [p.case for p in PairsDataset(folder).scan().pairs] == [NAME]


@pytest.mark.parametrize("content", [f"fixed;moving;case\na;b;{NAME}".encode("cp1252"), b"\xff\xfef\0i"])
def test_a_list_in_a_foreign_code_page_is_refused_with_the_way_to_save_it(folder, content, monkeypatch):
    (folder / "pairs.csv").write_bytes(content)
    monkeypatch.setattr(locale, "getencoding", lambda: "utf-8")
    with pytest.raises(ValueError, match=r"pairs\.csv") as caught:
        PairsDataset(folder).scan()
    assert_sentence(caught.value, "UTF-8", "spreadsheet", "CSV UTF-8")
