"""The lists of CAMUS's official split, and text files that begin with a mark of their encoding."""

from __future__ import annotations

import pytest
from layouts import acdc_patient, camus_patient, refused

from hetreg.datasets.acdc import ACDCDataset
from hetreg.datasets.camus import CAMUSDataset


@pytest.fixture
def root(tmp_path):
    """Three patients in database_nifti/, with an empty folder for the lists beside it."""
    for n in (1, 2, 3):
        camus_patient(tmp_path / "camus" / "database_nifti", n)
    (tmp_path / "camus" / "database_split").mkdir()
    return tmp_path / "camus"


def test_the_official_split_of_camus_is_used_where_its_lists_are(root):
    lists = root / "database_split"
    for part, patient in (("training", 1), ("validation", 2), ("testing", 3)):
        (lists / f"subgroup_{part}.txt").write_text(f"patient{patient:04d}\n")
    for name in ("database_nifti", "testing"):  # whatever their folder is called
        folder = (root / "database_nifti").rename(root / name)
        for start in (root, folder, root.parent):  # in the patients' folder and beside it
            parts = {p.patient[-1]: p.split for p in CAMUSDataset(start).scan().pairs}
            assert parts == {"1": "training", "2": "validation", "3": "test"}


def test_lists_and_folders_of_camus_that_do_not_meet_are_told(root):
    lists = root / "database_split"
    (lists / "subgroup_testing.txt").write_text("patient0003\npatient0004\n", encoding="utf-8-sig")
    (lists / "subgroup_training.txt").write_bytes(b"patient0001 \xe4")
    listing = CAMUSDataset(root).scan()
    told = {p.patient[-1]: (p.split, p.note) for p in listing.pairs}
    assert told == {
        "1": ("training", ""),
        "2": ("", "in no list of database_split"),
        "3": ("test", ""),
    }
    reasons = refused(listing)
    assert "names 1 patients that have no folder (patient0004)" in reasons["subgroup_testing.txt"]
    assert "subgroup_training.txt" in reasons
    assert CAMUSDataset(root / "database_nifti" / "patient0003").scan().rejected == []


def test_the_frames_of_acdc_are_read_from_a_file_with_a_mark_of_its_encoding(tmp_path):
    file = acdc_patient(tmp_path, 1) / "Info.cfg"
    file.write_text(file.read_text(), encoding="utf-8-sig")
    assert len(ACDCDataset(file.parent).scan().pairs) == 1
