"""Patients' folders of one name: other people, copies, and folders that hold nothing of the data set."""

from __future__ import annotations

import shutil

import pytest
from layouts import acdc_patient, camus_patient, refused

from builders import assert_sentence
from hetreg.config import EvaluateConfig, TrainConfig
from hetreg.datasets.acdc import ACDCDataset
from hetreg.datasets.camus import CAMUSDataset
from hetreg.evaluation.cases import list_cases
from hetreg.training.data import dry_run


def renumbered(folder, number: str):
    """The patient's folder and files with another number."""
    old = folder.name
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace(old, number))
        if path.suffix == ".mhd":
            header = folder / path.name.replace(old, number)
            header.write_text(header.read_text().replace(old, number))
    return folder.rename(folder.with_name(number))


def test_people_of_one_name_in_training_and_testing_of_the_old_camus_are_different(tmp_path):
    camus_patient(tmp_path / "training", 1, ending=".mhd")
    camus_patient(tmp_path / "training", 2, ending=".mhd")
    other = renumbered(camus_patient(tmp_path / "testing", 3, ending=".mhd"), "patient0001")
    for path in other.glob("*_gt.*"):
        path.unlink()
    listing = CAMUSDataset(tmp_path).scan()
    assert refused(listing) == {}
    found = {p.case: (p.patient, p.fixed.parent.parent.name, p.split, p.labels) for p in listing.pairs}
    assert found == {
        f"{name}_{view}": (name, folder, *(("test", "none") if folder == "testing" else ("", "both")))
        for name, folder in (
            ("patient0001", "training"),
            ("patient0002", "training"),
            ("testing_patient0001", "testing"),
        )
        for view in ("2CH", "4CH")
    }


@pytest.mark.parametrize("part", ["training", "testing"])
def test_a_copy_of_a_patient_is_told_and_used_once(tmp_path, part):
    first = acdc_patient(tmp_path / "a" / "training", 1)
    copy = shutil.copytree(first, tmp_path / "b" / part / first.name)
    (copy / "patient001_frame01.nii.gz").unlink()
    (copy / "patient001_frame09_gt.nii.gz").unlink()  # one equal image is enough
    listing = ACDCDataset(tmp_path).scan()
    assert [(p.patient, p.fixed.parent) for p in listing.pairs] == [("patient001", first)]
    assert [r.file for r in listing.rejected] == [copy]
    assert_sentence(refused(listing)["patient001"], f"b/{part}/patient001", "a/training/patient001")
    (source,) = list_cases(EvaluateConfig(dataset="acdc", root=str(tmp_path), split="all"))[0]
    assert len(source.read()) == 1


def test_people_of_one_name_with_the_same_labels_are_different(tmp_path):
    """Such as labels that hold nothing."""
    one = acdc_patient(tmp_path / "training", 1)
    other = renumbered(acdc_patient(tmp_path / "test", 2), "patient001")
    for path in one.glob("*_gt.nii.gz"):
        shutil.copy(path, other / path.name)
    listing = ACDCDataset(tmp_path).scan()
    assert {p.patient: p.split for p in listing.pairs} == {"patient001": "", "test_patient001": "test"}


def test_the_last_frame_of_a_sequence_is_one_of_it(tmp_path):
    acdc_patient(tmp_path, 1, es=12, frames=12)
    assert len(ACDCDataset(tmp_path).scan().pairs) == 1


def test_names_are_told_apart_by_as_many_folders_as_it_takes(tmp_path):
    for n, above in enumerate(("a", "b", "c/b")):
        renumbered(acdc_patient(tmp_path / above, n + 1), "patient007")
    listing = ACDCDataset(tmp_path).scan()
    assert [p.case for p in listing.pairs] == ["patient007", "b_patient007", "c_b_patient007"]


def test_a_folder_with_nothing_of_the_data_set_does_not_harm_the_patient_of_its_name(tmp_path):
    folder = acdc_patient(tmp_path / "training", 1)
    for junk in ("results", "__MACOSX/training"):
        other = tmp_path / junk / folder.name
        other.mkdir(parents=True)
        (other / "._patient001_frame01.nii.gz").write_bytes(b"x")
        (other / "moved.nii.gz").write_bytes(b"x")
    sources, rejected = list_cases(EvaluateConfig(dataset="acdc", root=str(tmp_path), split="all"))
    (case,) = sources[0].read()
    assert (len(sources), case.name) == (1, "patient001")
    assert [r.file for r in rejected] == [tmp_path / "results" / "patient001"]
    assert_sentence(rejected[0].reason, "results/patient001", "no file of this data set", "patientNNN")


def test_a_broken_patient_of_the_same_name_is_a_case_of_its_own(tmp_path):
    acdc_patient(tmp_path / "training", 1)
    broken = renumbered(acdc_patient(tmp_path / "testing", 2), "patient001")
    (broken / "Info.cfg").unlink()
    sources, _ = list_cases(EvaluateConfig(dataset="acdc", root=str(tmp_path), split="all"))
    good, bad = sources
    assert good.read()[0].name == "patient001"
    assert (bad.name, bad.split) == ("testing_patient001", "test")
    with pytest.raises(ValueError, match=r"no Info\.cfg"):
        bad.read()


@pytest.mark.parametrize("folder", ["ACDC/database/training", "database"])
def test_patients_are_found_from_a_few_folders_above(tmp_path, folder):
    acdc_patient(tmp_path / folder, 1)
    assert [p.patient for p in ACDCDataset(tmp_path).scan().pairs] == ["patient001"]


def test_patients_of_another_data_set_below_the_root_are_no_lost_cases(tmp_path):
    """Both downloads unpacked side by side: a line for each folder, none for its files."""
    acdc_patient(tmp_path / "ACDC" / "training", 1)
    camus_patient(tmp_path / "CAMUS", 2)
    for dataset, patient, other in (
        (ACDCDataset, "patient001", "patient0002"),
        (CAMUSDataset, "patient0002", "patient001"),
    ):
        listing = dataset(tmp_path).scan()
        assert {pair.patient for pair in listing.pairs} == {patient}
        (item,) = listing.rejected
        assert (item.file.name, item.case) == (other, "")
        assert_sentence(item.reason, other, "no file of this data set", "patientNNN")
    listed = dry_run(TrainConfig(dataset="acdc+camus", root=str(tmp_path)))
    assert len(listed["pairs"]) == 3
    refused = list_cases(EvaluateConfig(dataset="acdc+camus", root=str(tmp_path), split="all"))[1]
    assert listed["rejected"] == refused == []  # one of both uses each


def test_a_root_too_far_above_the_patients_says_so(tmp_path):
    acdc_patient(tmp_path / "a" / "b" / "c" / "d", 1)
    (item,) = ACDCDataset(tmp_path).scan().rejected
    assert_sentence(item.reason, tmp_path.name, "down to 3 folders below", "patientNNN")


@pytest.mark.parametrize(("write", "dataset"), [(acdc_patient, ACDCDataset), (camus_patient, CAMUSDataset)])
def test_a_patient_in_a_folder_of_its_own_name_is_told_what_to_do(tmp_path, write, dataset):
    name = write(tmp_path / "once", 1).name
    (tmp_path / "once").rename(tmp_path / name)
    for root in (tmp_path, tmp_path / name):
        assert_sentence(dataset(root).scan().rejected[0].reason, name, "its own name", "one folder up")
