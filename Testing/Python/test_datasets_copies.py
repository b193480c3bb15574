"""People of one name in folders of pairs, and pairs that share images."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from layouts import manifest, plain_pair, refused

from builders import assert_sentence
from hetreg.config import EvaluateConfig, TrainConfig
from hetreg.datasets.naming import names_of
from hetreg.datasets.pairs import PairsDataset
from hetreg.evaluation.cases import list_cases
from hetreg.training.data import dry_run


def named(*paths: str) -> list[tuple[str, str]]:
    """(case, patient) of each "folder:case"."""
    keys = [(Path("/data") / folder, case) for folder, _, case in (path.partition(":") for path in paths)]
    return [names_of(keys)[key] for key in keys]


@pytest.mark.parametrize(
    ("paths", "patients"),
    [
        (("a/training:p0", "b/training:p0", "b/training:p1"), ("p0", "training_p0", "p1")),
        (("training:p0", "testing:p0"), ("p0", "testing_p0")),
        (("testing:p0_scan1", "training:p0_scan2"), ("testing_p0", "p0")),
        (("a/p0:", "b/p0:"), ("p0", "b_p0")),
        (("a/p0:2CH", "b/p0:2CH", "b/p0:4CH"), ("p0", "b_p0", "b_p0")),
        (("a/2CH:p0", "b/2CH:p0", "b/4CH:p0"), ("p0", "b_p0", "b_p0")),
        (("a/x:p0", "b/x:p0"), ("x", "b_x")),
        (("a:p0_scan1", "b:p0_scan2"), ("p0", "p0")),  # nothing says that they are two
        (("train:p0_scan1", "other:p0_scan2"), ("p0", "p0")),
    ],
)
def test_people_of_one_name_in_different_folders(paths, patients):
    assert tuple(patient for _, patient in named(*paths)) == patients
    assert len({case for case, _ in named(*paths)}) == len(paths)


def test_a_case_is_named_by_as_many_folders_as_it_takes():
    cases = [case for case, _ in named("a/test:p", "b/test:p", "a/train:p", "c/other:p", "a:q")]
    assert cases == ["a/test/p", "b/test/p", "train/p", "other/p", "q"]


def test_sites_with_parts_keep_their_people_and_their_faults_apart(tmp_path):
    for n, folder in enumerate(("a/training", "a/testing", "b/training", "b/testing")):
        plain_pair(tmp_path / folder, "p0", n)
    (tmp_path / "b/training/p0_ES_seg.nii.gz").write_bytes(b"broken")
    sources, _ = list_cases(EvaluateConfig(dataset="pairs", root=str(tmp_path), split="all"))
    assert len({source.patient for source in sources}) == len(sources) == 4
    for source in sources:
        if source.name == "b/training/p0":
            with pytest.raises(ValueError, match=r"p0_ES_seg\.nii\.gz"):
                source.read()
        else:
            assert source.read()[0].fixed_label is not None


def test_a_line_without_an_image_does_not_harm_another_of_its_name(tmp_path):
    plain_pair(tmp_path, "a", 1)
    good = {"fixed": "a_ES.nii.gz", "moving": "a_ED.nii.gz", "case": "x"}
    manifest(tmp_path, [good, good | {"moving": ""}])
    first, second = list_cases(EvaluateConfig(dataset="pairs", root=str(tmp_path), split="all"))[0]
    assert first.read()[0].name == "x"
    assert second.name == "x, line 3"


def test_a_copy_of_a_pair_is_refused_and_changes_no_name(tmp_path):
    for n in range(3):
        plain_pair(tmp_path, f"p{n}", n)
    before = PairsDataset(tmp_path).scan().pairs
    (tmp_path / "testing").mkdir()
    for phase in ("ED", "ES"):
        shutil.copy(tmp_path / f"p0_{phase}.nii.gz", tmp_path / "testing" / f"p0_{phase}.nii.gz")
        shutil.copy(tmp_path / f"p1_{phase}.nii.gz", tmp_path / f"same_{phase}.nii.gz")
        (tmp_path / f"linked_{phase}.nii.gz").symlink_to(tmp_path / f"p2_{phase}.nii.gz")
    listing = PairsDataset(tmp_path).scan()
    again = {(pair.fixed.name, pair.patient) for pair in listing.pairs}
    assert again == {(f"{name}_ES.nii.gz", name) for name in ("p0", "p1", "p2")}  # that with labels
    reasons = refused(listing)
    assert_sentence(reasons["p0_ES.nii.gz"], "testing/p0_ES.nii.gz", "same images as p0_ES.nii.gz")
    assert set(reasons) == {"p0_ES.nii.gz", "same_ES.nii.gz", "linked_ES.nii.gz"}
    assert len(before) == 3


def frames(folder) -> list[dict[str, str]]:
    """Three frames, each onto the same first one, and a pair of somebody else."""
    for n, case in enumerate(("f1", "f2", "f3", "other")):
        plain_pair(folder, case, n, labels="")
    rows = [{"fixed": f"{case}_ES.nii.gz", "moving": "f1_ED.nii.gz"} for case in ("f1", "f2", "f3")]
    rows += [{"fixed": "other_ES.nii.gz", "moving": "other_ED.nii.gz"}]
    return rows


def test_lines_that_share_an_image_are_one_patient(tmp_path):
    rows = frames(tmp_path)
    rows[2]["moving"] = shutil.copy(tmp_path / "f1_ED.nii.gz", tmp_path / "copy.nii.gz").name
    manifest(tmp_path, rows)
    pairs = PairsDataset(tmp_path).scan().pairs
    assert [p.patient for p in pairs] == ["f1", "f1", "f1", "other"]
    assert ["of patient f1" in p.note for p in pairs] == [False, True, True, False]
    for seed in range(4):
        listed = dry_run(TrainConfig(dataset="pairs", root=str(tmp_path), seed=seed))["pairs"]
        assert len({row["split"] for row in listed[:3]}) == 1


def test_of_two_copies_the_labelled_one_is_used_and_none_for_a_line_that_is_refused(tmp_path):
    plain_pair(tmp_path, "p", 0, labels="_gt")
    plain = {"fixed": "p_ES.nii.gz", "moving": "p_ED.nii.gz", "fixed_label": "", "split": ""}
    labelled = plain | {"fixed_label": "p_ES_gt.nii.gz"}
    assert (tmp_path / labelled["fixed_label"]).is_file()
    for first in (plain, labelled | {"split": "trian"}):
        manifest(tmp_path, [first, labelled])
        listing = PairsDataset(tmp_path).scan()
        assert [pair.labels for pair in listing.pairs] == ["fixed"]
        assert len(listing.rejected) == 1


def test_patients_that_a_list_names_stay_apart_though_they_share_an_atlas(tmp_path):
    rows = frames(tmp_path)[:2]
    assert rows[0]["moving"] == rows[1]["moving"]
    manifest(tmp_path, [row | {"patient": name} for row, name in zip(rows, ("anna", "bert"), strict=True)])
    assert [p.patient for p in PairsDataset(tmp_path).scan().pairs] == ["anna", "bert"]


def test_a_chain_of_frames_is_one_patient(tmp_path):
    rows = frames(tmp_path)
    for row, moving in zip(rows, ("f1_ED", "f2_ED", "f1_ES", "f2_ES"), strict=True):
        row["moving"] = f"{moving}.nii.gz"
    manifest(tmp_path, rows)
    assert [p.patient for p in PairsDataset(tmp_path).scan().pairs] == ["f1", "f2", "f1", "f2"]
    rows[1]["moving"] = "f1_ES.nii.gz"
    manifest(tmp_path, rows)
    assert {p.patient for p in PairsDataset(tmp_path).scan().pairs} == {"f1"}


def test_one_patient_by_an_image_is_in_one_part(tmp_path):
    rows = frames(tmp_path)
    for row, part in zip(rows, ("test", "training", "", "test"), strict=True):
        row["split"] = part
    manifest(tmp_path, rows)
    listing = PairsDataset(tmp_path).scan()
    assert [(p.case, p.patient) for p in listing.pairs] == [("f2", "f2"), ("f3", "f2"), ("other", "other")]
    assert_sentence(refused(listing)["f1_ES.nii.gz"], "f1, of test", "patient f2", "in training")
    parts = {
        r["case"]: r["split"] for r in dry_run(TrainConfig(dataset="pairs", root=str(tmp_path)))["pairs"]
    }
    assert parts == {"f2": "training", "f3": "training", "other": "test"}


def test_images_are_the_same_by_their_voxels_not_by_the_header_beside(tmp_path):
    plain_pair(tmp_path, "a", 1, ending=".mhd", labels="")
    plain_pair(tmp_path, "b", 1, ending=".mhd", labels="")
    plain_pair(tmp_path, "c", 2, ending=".mhd", labels="")
    assert [p.case for p in PairsDataset(tmp_path).scan().pairs] == ["a", "c"]
