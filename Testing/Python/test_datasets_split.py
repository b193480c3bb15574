"""Parts by patient: from the data set, by a seed, or from a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from builders import assert_sentence
from hetreg.config import TrainConfig
from hetreg.datasets.base import PairSample
from hetreg.datasets.listing import PairFiles
from hetreg.datasets.split import PARTS, patients, split


def items(count: int, *, per_patient: int = 3, first: int = 0, **more) -> list[PairSample]:
    """Samples of `count` patients."""
    blank = np.zeros((2, 2), np.float32)
    names = [f"p{n}" for n in range(first, first + count) for _ in range(per_patient)]
    return [PairSample(blank, blank, patient=name, **more) for name in names]


def file_of(folder: Path, **parts: list[str]) -> TrainConfig:
    """A configuration that names a split file of these parts."""
    (folder / "split.json").write_text(json.dumps(parts))
    return TrainConfig(split=str(folder / "split.json"))


def test_by_seed_every_item_is_in_one_part_and_every_patient_too():
    samples = items(20)
    parts = split(samples, TrainConfig(seed=3))
    assert sorted(i for part in parts.values() for i in part) == list(range(60))
    names = patients(samples, parts)
    assert [len(names[p]) for p in PARTS] == [14, 3, 3]
    assert split(samples, TrainConfig(seed=3)) == parts
    assert any(split(samples, TrainConfig(seed=s)) != parts for s in (1, 2))


def test_samples_are_split_as_their_listing_is():
    listing = [PairFiles(f"c{n}", f"p{n}", None, None) for n in range(20)]
    samples = items(20)
    config = TrainConfig(seed=1)
    assert patients(listing, split(listing, config)) == patients(samples, split(samples, config))


def test_a_patient_less_hardly_changes_the_parts():
    config, all_, fewer = TrainConfig(), items(20), items(19)
    before, after = (patients(x, split(x, config)) for x in (all_, fewer))
    for part in ("validation", "test"):
        assert len(set(before[part]) & set(after[part])) >= 2


@pytest.mark.parametrize(
    ("count", "expected"), [(0, [0, 0, 0]), (1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1]), (5, [3, 1, 1])]
)
def test_few_patients(count, expected):
    samples = items(count, per_patient=1)
    assert [len(split(samples, TrainConfig())[p]) for p in PARTS] == expected


def test_parts_that_the_data_set_fixes_stay():
    samples = items(10) + items(5, first=10, split="test")
    names = patients(samples, split(samples, TrainConfig()))
    assert set(names["test"]) == {f"p{n}" for n in range(10, 15)}
    assert len(names["validation"]) == 2
    fixed = items(2, split="training") + items(1, first=2, split="validation")
    names = patients(fixed, split(fixed, TrainConfig()))
    assert names == {"training": ["p0", "p1"], "validation": ["p2"], "test": []}
    with pytest.raises(ValueError, match="Patient p0") as caught:
        split(items(1) + items(2, split="training") + items(1, split="test"), TrainConfig())
    assert_sentence(caught.value, "training", "test")


def test_only_test_patients_leave_nothing_to_train_on():
    with pytest.raises(ValueError, match="no pair for training") as caught:
        split(items(2, split="test"), TrainConfig())
    assert_sentence(caught.value, "6 pairs")


def test_a_file_decides_and_a_former_runs_file_gives_the_same_parts(tmp_path):
    samples = items(4)
    config = file_of(tmp_path, training=["p3", "p0"], validation=["p1"], test=["p2"])
    parts = split(samples, config)
    assert patients(samples, parts) == {"training": ["p0", "p3"], "validation": ["p1"], "test": ["p2"]}
    drawn = split(samples, TrainConfig(seed=7))
    assert split(samples, file_of(tmp_path, **patients(samples, drawn))) == drawn


def test_phantoms_that_a_file_does_not_name_are_for_training(tmp_path):
    samples = items(2) + items(2, first=5, simulated=True)
    parts = split(samples, file_of(tmp_path, training=["p0"], validation=["p1"]))
    assert patients(samples, parts) == {"training": ["p0", "p5", "p6"], "validation": ["p1"], "test": []}


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"training": ["p0", "p1", "x9"]}, ["names 1 patients", "x9", "p0, p1"]),
        ({"training": ["p0"]}, ["does not name 1 patients", "p1"]),
        ({"training": ["p0", "p1"], "test": ["p1"]}, ["p1 in training and in test"]),
        ({"training": "p0"}, ["lists of patients"]),
        ({"train": ["p0", "p1"]}, ["training, validation, test"]),
        ({"validation": ["p0", "p1"]}, ["training, validation, test"]),
        ({"training": [], "test": ["p0", "p1"]}, ["no pair for training"]),
    ],
)
def test_a_file_that_does_not_fit_is_a_sentence(tmp_path, parts, words):
    with pytest.raises(ValueError, match=r"split") as caught:
        split(items(2), file_of(tmp_path, **parts))
    assert_sentence(caught.value, *words)


def test_no_file_and_no_json(tmp_path):
    with pytest.raises(FileNotFoundError, match="no split file"):
        split(items(2), TrainConfig(split=str(tmp_path / "absent.json")))
    (tmp_path / "split.json").write_text("{")
    with pytest.raises(ValueError, match="not a JSON file"):
        split(items(2), TrainConfig(split=str(tmp_path / "split.json")))
