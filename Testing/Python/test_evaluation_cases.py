"""The cases of an evaluation: official layouts with their dirt, parts of a split."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from layouts import acdc_patient, camus_patient, cut_off, manifest, phantom, plain_pair

from builders import assert_sentence
from hetreg.config import EvaluateConfig, TrainConfig
from hetreg.datasets.split import patients, split
from hetreg.evaluation.case import labels_of, main_label
from hetreg.evaluation.cases import list_cases
from hetreg.evaluation.noise import content
from hetreg.training.data import open_datasets


def config(root, dataset="acdc", **changes) -> EvaluateConfig:
    return EvaluateConfig(dataset=dataset, root=str(root), **{"split": "all"} | changes)


def names(config: EvaluateConfig) -> list[str]:
    return sorted(source.name for source in list_cases(config)[0])


@pytest.fixture(scope="module")
def acdc(tmp_path_factory):
    root = tmp_path_factory.mktemp("acdc")
    for n in (1, 2, 3):
        acdc_patient(root / "training", n)
    acdc_patient(root / "testing", 101)
    return root


@pytest.fixture(scope="module")
def camus(tmp_path_factory):
    root = tmp_path_factory.mktemp("camus")
    for n in (1, 2):
        camus_patient(root, n)
    return root


def test_acdc_is_read_as_stacks_on_the_grids_of_the_files(acdc):
    sources, refused = list_cases(config(acdc, split="test"))
    assert refused == []
    ((case,),) = [source.read() for source in sources]
    assert (case.name, case.patient, case.split) == ("patient101", "patient101", "test")
    assert case.fixed.array.shape == case.moving_label.array.shape == (3, 32, 32)
    assert case.fixed.spacing_mm[2] == pytest.approx(8.0)
    assert labels_of(case) == [1, 2, 3]
    assert case.truth is None


def test_every_case_names_its_part(camus, tmp_path):
    """By the draw, and by a split file, which goes before the data set's own parts."""
    for part, name in (("train", "training"), ("val", "validation")):
        drawn, _ = list_cases(config(camus, "camus", split=part))
        assert {s.split for s in drawn} == {case.split for s in drawn for case in s.read()} == {name}
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"training": ["patient0002", "mri2d-7"], "validation": ["patient0001"]}))
    for part, expected in (("all", {"training", "validation"}), ("val", {"validation"})):
        settings = config(camus, "camus+phantom", split=part, split_file=str(file))
        sources, _ = list_cases(settings)
        assert {s.split for s in sources} == {c.split for s in sources for c in s.read()} == expected
    assert {s.split for s in list_cases(config(camus, "camus"))[0]} == {""}


def test_camus_is_read_view_by_view_and_its_labels_are_translated(camus):
    sources, _ = list_cases(config(camus, "camus"))
    assert [s.name for s in sources] == [f"patient000{n}_{v}" for n in (1, 2) for v in ("2CH", "4CH")]
    (case,) = sources[0].read()
    assert case.patient == "patient0001"
    ours = phantom("echo2d", 2).fixed_label.array
    assert {2, 3, 4} <= set(np.unique(ours))
    assert np.array_equal(
        case.fixed_label.array, np.where(ours == 1, 0, ours)
    )  # CAMUS has no right ventricle
    assert case.fixed.is_2d


def test_a_case_that_the_headers_show_to_be_lost_is_listed_with_its_reason(tmp_path):
    for n in (1, 2, 3, 4):
        acdc_patient(tmp_path, n)
    (tmp_path / "patient001" / "Info.cfg").unlink()
    (tmp_path / "patient002" / "patient002_frame09.nii.gz").unlink()
    cut_off(tmp_path / "patient003" / "patient003_frame01.nii.gz")
    (tmp_path / "patient004" / "patient004_frame09_gt.nii.gz").write_bytes(b"")
    (tmp_path / "patient004" / "notes.txt").write_text("stray")
    sources, refused = list_cases(config(tmp_path))
    assert sorted(s.name for s in sources) == [f"patient00{n}" for n in (1, 2, 3, 4)]
    reasons = {}
    for source in sources:
        with pytest.raises(ValueError, match="patient") as caught:
            source.read()
        assert_sentence(caught.value)
        reasons[source.name] = str(caught.value)
    assert "Info.cfg" in reasons["patient001"]
    assert "frame 9" in reasons["patient002"]
    assert "patient003_frame01" in reasons["patient003"]
    assert "the file is empty" in reasons["patient004"]
    assert "notes.txt" in [r.file.name for r in refused]


def test_a_lost_case_is_in_the_part_that_the_data_set_says(tmp_path):
    for n, part in ((1, "training"), (2, "testing"), (3, "testing")):
        acdc_patient(tmp_path / part, n)
    (tmp_path / "testing" / "patient003" / "Info.cfg").unlink()
    assert names(config(tmp_path, split="test")) == ["patient002", "patient003"]
    assert names(config(tmp_path, split="all")) == ["patient001", "patient002", "patient003"]


def test_a_lost_case_is_in_that_part_by_the_split_file_of_a_training_too(tmp_path):
    for n, part in ((1, "training"), (2, "testing"), (3, "testing")):
        acdc_patient(tmp_path / "data" / part, n)
    (tmp_path / "data" / "testing" / "patient003" / "Info.cfg").unlink()
    file = tmp_path / "split.json"
    for parts, tested in (
        ({"test": ["patient002"]}, ["patient002", "patient003"]),
        ({"test": ["patient002"], "validation": ["patient003"]}, ["patient002"]),
        ({"test": ["patient001"]}, ["patient001"]),  # another split than the data set's
    ):
        file.write_text(json.dumps({"training": []} | parts))
        chosen = config(tmp_path / "data", split="test", split_file=str(file))
        assert names(chosen) == tested


def test_a_manifest_names_the_lost_case(tmp_path):
    plain_pair(tmp_path, "a", 1)
    rows = [
        {"fixed": "a_ES.nii.gz", "moving": "a_ED.nii.gz", "case": "good", "patient": "p1"},
        {"fixed": "absent.nii.gz", "moving": "a_ED.nii.gz", "case": "bad", "patient": "p2"},
        {"fixed": "", "moving": "a_ED.nii.gz", "case": "half", "patient": "p3"},
    ]
    manifest(tmp_path, rows)
    sources, _ = list_cases(config(tmp_path, "pairs"))
    assert {(s.name, s.patient) for s in sources} == {("good", "p1"), ("bad", "p2"), ("half", "p3")}


def test_the_parts_are_those_of_a_training_with_that_seed(tmp_path):
    for n in range(12):
        plain_pair(tmp_path, f"case{n}", n)
    for seed in (0, 3):
        training = TrainConfig(dataset="pairs", root=str(tmp_path), seed=seed)
        pairs = open_datasets(training)[0].scan().pairs
        parts = patients(pairs, split(pairs, training))
        for name, part in (("train", "training"), ("val", "validation"), ("test", "test")):
            assert names(config(tmp_path, "pairs", split=name, seed=seed)) == parts[part]


def test_a_pair_that_cannot_be_read_does_not_change_the_draw(tmp_path):
    for n in range(12):
        plain_pair(tmp_path, f"case{n}", n)
    (tmp_path / "case3_ES.nii.gz").unlink()
    for seed in range(4):
        pairs = open_datasets(TrainConfig(dataset="pairs", root=str(tmp_path)))[0].scan().pairs
        parts = patients(pairs, split(pairs, TrainConfig(seed=seed)))
        for name, part in (("train", "training"), ("val", "validation"), ("test", "test")):
            found = names(config(tmp_path, "pairs", split=name, seed=seed))
            assert [n for n in found if n != "case3"] == parts[part]


def test_the_parts_are_those_of_the_run_that_the_model_is_from(tmp_path):
    for n, name in enumerate("abcd"):
        plain_pair(tmp_path / "data", name, n)
    run = tmp_path / "run"
    run.mkdir()
    (run / "best.pt").touch()
    parts = {"training": ["a", "mri2d-7"], "validation": ["b"], "test": ["c", "d"]}
    (run / "split.json").write_text(json.dumps(parts))
    of_run = {"model": str(run / "best.pt"), "split": "test"}
    for seed in range(3):
        assert names(config(tmp_path / "data", "pairs", **of_run, seed=seed)) == ["c", "d"]
    everything = {"model": str(run / "best.pt"), "split": "all", "phantoms": 2}
    assert names(config(tmp_path / "data", "pairs+phantom", **everything)) == [
        *"abcd",
        "mri2d-50000",
        "mri2d-50001",
    ]
    (run / "split.json").write_text(json.dumps({"training": ["other"], "test": ["another"]}))
    other = [names(config(tmp_path / "data", "pairs", **of_run, seed=seed)) for seed in range(6)]
    assert len(set(map(tuple, other))) > 1  # the run was on other data: drawn


def test_a_split_file_names_the_patients(tmp_path):
    for n, name in enumerate("abcd"):
        plain_pair(tmp_path / "data", name, n)
    file = tmp_path / "split.json"
    parts = {"training": ["a", "mri2d-7"], "validation": ["b"], "test": ["c", "echo2d-5"]}
    file.write_text(json.dumps(parts))
    chosen = {"split_file": str(file), "split": "test", "phantom_size": 32}
    assert names(config(tmp_path / "data", "pairs", **chosen)) == ["c"]
    # the phantoms of that run are made again; those of other parts are not
    assert names(config(tmp_path / "data", "pairs+phantom", **chosen)) == ["c", "echo2d-5"]
    (case,) = list_cases(config("", "phantom", **chosen))[0][0].read()
    assert np.array_equal(case.fixed.array, phantom("echo2d", 5).fixed.array)
    assert names(config(tmp_path / "data", "pairs", **chosen | {"split": "all"})) == list("abcd")
    file.write_text(json.dumps(parts | {"test": ["c", "lost"]}))
    with pytest.raises(ValueError, match="lost") as caught:
        list_cases(config(tmp_path / "data", "pairs", **chosen))
    assert_sentence(caught.value, "The split", "test")


def test_phantoms_are_test_cases_from_the_first_seed_on():
    made = EvaluateConfig(phantoms=3, kind="mri2d+echo2d", first_seed=8)
    assert names(made) == ["echo2d-9", "mri2d-10", "mri2d-8"]
    for part in ("train", "val"):
        with pytest.raises(ValueError, match=part) as caught:
            list_cases(replace(made, split=part))
        assert_sentence(caught.value, "No case")


def test_nothing_to_evaluate_is_one_sentence(tmp_path):
    (tmp_path / "notes.txt").write_text("stray")
    for wrong, error, words in (
        (config(tmp_path, "pairs"), ValueError, ("No case", "notes.txt")),
        (config(tmp_path / "absent", "acdc"), FileNotFoundError, ("absent",)),
        (config("", "camus"), ValueError, ("No data folder",)),
        (config(tmp_path, split_file=str(tmp_path / "no.json")), FileNotFoundError, ("no.json",)),
        (EvaluateConfig(phantoms=0), ValueError, ("No case",)),
    ):
        with pytest.raises(error) as caught:
            list_cases(wrong)
        assert_sentence(caught.value, *words)


def test_bad_configurations_are_refused():
    for values, words in (
        ({"dataset": "acdc+mnms"}, ("mnms", "camus")),
        ({"kind": "mri2d+ct"}, ("ct", "echo3d")),
        ({"labels": "2+x"}, ("labels", "255")),
        ({"labels": "0"}, ("labels",)),
        ({"split": "testing"}, ("split", "val")),
        ({"protocol": "mine"}, ("published",)),
        ({"phantoms": -1}, ("phantoms is -1",)),
        ({"refine": -1}, ("refine is -1",)),
    ):
        with pytest.raises(ValueError, match=next(iter(values))) as caught:
            EvaluateConfig(**values)
        assert_sentence(caught.value, *words)


def test_the_main_label_is_the_myocardium_or_the_first():
    assert main_label([1, 2, 3]) == 2
    assert main_label([3, 4]) == 3


@pytest.mark.parametrize("kind", ["mri2d", "echo2d", "echo3d"])
def test_the_content_of_an_image_is_about_the_body_of_the_phantom(kind):
    pair = phantom(kind, 3) if kind == "echo3d" else phantom(kind, 3, slices=1)
    body = pair.body.array > 0
    high = np.percentile(pair.fixed.array, 99.5)
    found = content(np.maximum(pair.fixed.array, pair.moving.array) / high, None if kind == "echo3d" else 0)
    assert (found & body).sum() / (found | body).sum() > 0.8
    assert not content(np.zeros((1, 8, 8)), 0).any()
    assert content(np.ones((1, 8, 8)), 0).all()
