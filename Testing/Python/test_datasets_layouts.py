"""ACDC, CAMUS, MITEA and plain folders as they are handed out: listed, read, trained on."""

from __future__ import annotations

import json

import layouts
import numpy as np
import pytest
import SimpleITK as sitk

from builders import TINY, tiny_training
from hetreg.config import GridConfig, NetworkConfig, TrainConfig
from hetreg.datasets.acdc import ACDCDataset
from hetreg.datasets.camus import CAMUSDataset
from hetreg.datasets.pairs import PairsDataset
from hetreg.datasets.split import split
from hetreg.training.data import dry_run
from hetreg.training.loop import train


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """One folder for each layout."""
    return layouts.write_all(tmp_path_factory.mktemp("layouts"))


READERS = {
    "acdc": (ACDCDataset, 3, 3),
    "camus": (CAMUSDataset, 6, 3),
    "camus_mhd": (CAMUSDataset, 4, 2),
    "mitea": (PairsDataset, 4, 2),
    "plain": (PairsDataset, 2, 2),
}


@pytest.mark.parametrize("name", READERS)
def test_a_clean_layout_is_listed_in_full_and_nothing_is_refused(clean, name):
    reader, pairs, patients = READERS[name]
    listing = reader(clean / name).scan()
    assert layouts.refused(listing) == {}
    assert len(listing.pairs) == pairs
    assert len({p.case for p in listing.pairs}) == pairs
    assert len({p.patient for p in listing.pairs}) == patients
    assert (len(listing.pairs), len({p.patient for p in listing.pairs})) == (pairs, patients)
    for pair in listing.pairs:
        image = sitk.ReadImage(str(pair.fixed))
        assert pair.size == image.GetSize()
        assert pair.spacing_mm == pytest.approx(image.GetSpacing())
        assert pair.labels == ("none" if pair.case == "b" else "both")
        assert pair.note == ""
        assert set(pair.row()) >= {"case", "patient", "split", "size", "spacing_mm", "labels"}


@pytest.mark.parametrize("name", READERS)
def test_samples_of_a_layout(clean, name):
    reader = READERS[name][0]
    dataset = reader(clean / name)
    samples = dataset.samples(GridConfig())
    assert dataset.failed == []
    assert {s.case for s in samples} == {p.case for p in dataset.scan().pairs}
    assert {s.patient for s in samples} == {p.patient for p in dataset.scan().pairs}
    per_pair = {"acdc": 3, "plain": 2}.get(name, 1)
    assert len(samples) == per_pair * len(dataset.scan().pairs)
    for sample in samples:
        assert sample.fixed.shape == sample.moving.shape == ((16,) * 3 if name == "mitea" else (32, 32))
        assert len(sample.spacing_mm) == sample.fixed.ndim
        assert sample.fixed.dtype == np.float32
        assert min(sample.fixed.min(), sample.moving.min()) >= 0
        assert max(sample.fixed.max(), sample.moving.max()) <= 1
        if sample.case != "b":
            assert sample.fixed_label.shape == sample.fixed.shape
    labels = set().union(*(np.unique(s.fixed_label) for s in samples if s.case != "b"))
    assert labels >= {0, 2, 3}


def run_of(clean, name: str, **changes) -> TrainConfig:
    """A short run on a layout, as the command line would start it."""
    dataset = {"mitea": "pairs", "plain": "pairs", "camus_mhd": "camus"}.get(name, name)
    return tiny_training(dataset=dataset, root=str(clean / name), **changes)


@pytest.mark.parametrize("name", READERS)
def test_a_few_steps_of_training_on_each_layout(clean, name, tmp_path):
    network = NetworkConfig(ndim=3 if name == "mitea" else 2, **TINY)
    train(run_of(clean, name, steps=3), tmp_path, network=network)
    assert (tmp_path / "best.pt").is_file()
    written = json.loads((tmp_path / "split.json").read_text())
    assert sum(map(len, written.values())) == READERS[name][2]


@pytest.mark.parametrize("name", READERS)
def test_a_dry_run_lists_each_layout_with_the_parts_of_the_run(clean, name):
    config = run_of(clean, name)
    listed = dry_run(config)
    assert listed["rejected"] == []
    assert len(listed["pairs"]) == READERS[name][1]
    part_of = {row["patient"]: row["split"] for row in listed["pairs"]}
    samples = READERS[name][0](clean / name).samples(GridConfig())
    for part, indices in split(samples, config).items():
        assert {part_of[samples[i].patient] for i in indices} <= {part}


def test_the_images_and_labels_of_acdc_are_those_of_the_named_frames(clean):
    samples = ACDCDataset(clean / "acdc").samples(GridConfig())
    pair = layouts.stack(1)
    for k in range(3):
        np.testing.assert_array_equal(samples[k].fixed_label, pair.fixed_label.array[k])
        np.testing.assert_array_equal(samples[k].moving_label, pair.moving_label.array[k])
        assert np.corrcoef(samples[k].fixed.ravel(), pair.fixed.array[k].ravel())[0, 1] > 0.98
    assert samples[0].spacing_mm == pytest.approx(tuple(pair.fixed.spacing_mm[1::-1]))


def test_labels_of_camus_take_the_meaning_of_the_project(clean):
    samples = CAMUSDataset(clean / "camus").samples(GridConfig())
    first = next(s for s in samples if s.case == "patient0001_2CH")
    ours = layouts.phantom("echo2d", 2).fixed_label.array[0]
    np.testing.assert_array_equal(first.fixed_label, np.where(ours == 1, 0, ours))  # CAMUS has no RV
    assert first.fixed_label.max() == 4


def test_the_testing_folder_of_acdc_is_the_test_part(clean, tmp_path):
    listing = ACDCDataset(clean / "acdc").scan()
    assert {p.patient: p.split for p in listing.pairs} == {
        "patient001": "",
        "patient002": "",
        "patient101": "test",
    }
    assert [p.patient for p in ACDCDataset(clean / "acdc" / "training").scan().pairs] == [
        "patient001",
        "patient002",
    ]
    one = ACDCDataset(clean / "acdc" / "testing" / "patient101").scan()
    assert [p.split for p in one.pairs] == ["test"]


def test_the_scans_of_a_subject_stay_together(clean):
    samples = PairsDataset(clean / "mitea").samples(GridConfig())
    parts = split(samples, tiny_training())
    groups = [{samples[i].patient for i in indices} for indices in parts.values()]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 2
