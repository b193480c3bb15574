"""ACDC, CAMUS, MITEA and plain folders as they are handed out, clean and with the usual dirt."""

from __future__ import annotations

import json
import shutil
import time

import layouts
import numpy as np
import pytest
import SimpleITK as sitk

from builders import TINY, assert_sentence, tiny_training, train_samples
from hetreg.config import GridConfig, NetworkConfig, TrainConfig
from hetreg.datasets.acdc import ACDCDataset
from hetreg.datasets.base import split
from hetreg.datasets.camus import CAMUSDataset
from hetreg.datasets.headers import read_header
from hetreg.datasets.pairs import PairsDataset
from hetreg.image import write_image
from hetreg.model import RegistrationModel
from hetreg.registry import DATASETS, resolve
from hetreg.training.data import draw_batch, dry_run
from hetreg.training.loop import train


@pytest.fixture(scope="session")
def clean(tmp_path_factory):
    """One folder for each layout: acdc, camus, camus_mhd, mitea, plain."""
    root = tmp_path_factory.mktemp("layouts")
    for n in (1, 2):
        layouts.acdc_patient(root / "acdc" / "training", n)
    layouts.acdc_patient(root / "acdc" / "testing", 101)
    for n in (1, 2, 3):
        layouts.camus_patient(root / "camus" / "database_nifti", n)
    layouts.camus_patient(root / "camus_mhd", 4, ending=".mhd")
    layouts.camus_patient(root / "camus_mhd", 5, ending=".mhd")
    layouts.mitea(root / "mitea", 2)
    layouts.plain_pair(root / "plain", "a", 1)
    layouts.plain_pair(root / "plain" / "deeper", "b", 2, labels="")
    return root


@pytest.fixture
def copy(clean, tmp_path):
    """copy(name): a layout to be soiled."""
    return lambda name: shutil.copytree(clean / name, tmp_path / name)


READERS = {
    "acdc": (ACDCDataset, 3, 3),
    "camus": (CAMUSDataset, 6, 3),
    "camus_mhd": (CAMUSDataset, 4, 2),
    "mitea": (PairsDataset, 4, 2),
    "plain": (PairsDataset, 2, 2),
}


def refused(listing) -> dict[str, str]:
    """{file name: reason}; every reason is a sentence."""
    for item in listing.rejected:
        assert_sentence(item.reason)
    return {r.file.name: r.reason for r in listing.rejected}


@pytest.mark.parametrize("name", READERS)
def test_a_clean_layout_is_listed_in_full_and_nothing_is_refused(clean, name):
    reader, pairs, patients = READERS[name]
    listing = reader(clean / name).scan()
    assert refused(listing) == {}
    assert len(listing.pairs) == pairs
    assert len({p.case for p in listing.pairs}) == pairs
    assert len({p.patient for p in listing.pairs}) == patients
    assert f"{pairs} pairs of {patients} patients" in listing.summary()
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
        assert sample.fixed.shape == sample.moving.shape == (16,) * 3 if name == "mitea" else (32, 32)
        assert len(sample.spacing_mm) == sample.fixed.ndim
        assert sample.fixed.dtype == np.float32
        assert min(sample.fixed.min(), sample.moving.min()) >= 0
        assert max(sample.fixed.max(), sample.moving.max()) <= 1
        if sample.case != "b":
            assert sample.fixed_label.shape == sample.fixed.shape
            assert {2, 3} & set(np.unique(sample.fixed_label)) or name in ("acdc", "plain")
    assert all(a is b for a, b in zip(dataset.samples(GridConfig()), samples, strict=True))  # not read again


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


def test_drawing_a_batch_costs_little_of_a_step():
    config = TrainConfig(batch=4, device="cpu")
    samples = train_samples(8, 128)
    model = RegistrationModel(NetworkConfig())
    batch = draw_batch(samples, config, 0)

    def step():
        model.move(batch.moving, batch.fixed).moved.square().mean().backward()

    def seconds(work):
        times = []
        for _ in range(3):
            started = time.process_time()
            work()
            times.append(time.process_time() - started)
        return min(times)

    step()
    assert seconds(lambda: draw_batch(samples, config, 1)) < 0.2 * seconds(step)


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


def test_the_official_split_of_camus_is_used_where_its_lists_are(copy):
    root = copy("camus")
    lists = root / "database_split"
    lists.mkdir()
    for part, patient in (("training", 1), ("validation", 2), ("testing", 3)):
        (lists / f"subgroup_{part}.txt").write_text(f"patient{patient:04d}\n")
    for start in (root, root / "database_nifti"):
        parts = {p.patient[-1]: p.split for p in CAMUSDataset(start).scan().pairs}
        assert parts == {"1": "training", "2": "validation", "3": "test"}


def test_the_scans_of_a_subject_stay_together(clean):
    samples = PairsDataset(clean / "mitea").samples(GridConfig())
    parts = split(samples, tiny_training())
    groups = [{samples[i].patient for i in indices} for indices in parts.values()]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 2


def test_dirt_in_acdc(copy):
    root = copy("acdc")
    first, second = root / "training" / "patient001", root / "training" / "patient002"
    (first / "patient001_frame09_gt.nii.gz").unlink()
    shutil.copy(first / "patient001_frame01.nii.gz", first / "patient001_frame05.nii.gz")
    (first / "notes.docx").write_text("stray")
    (first / ".DS_Store").write_text("hidden")
    shutil.copy(first / "patient001_frame01.nii.gz", root / "training" / "stray.nii.gz")
    for path in list(second.glob("*.nii.gz")):
        path.rename(path.with_name(path.name.replace(".nii.gz", ".NII.GZ")))
    dataset = ACDCDataset(root)
    listing = dataset.scan()
    reasons = refused(listing)
    assert set(reasons) == {"patient001_frame05.nii.gz", "notes.docx", "stray.nii.gz"}
    assert "1 (ED) and 9 (ES)" in reasons["patient001_frame05.nii.gz"]
    labels = {p.case: p.labels for p in listing.pairs}
    assert labels == {"patient001": "moving", "patient002": "both", "patient101": "both"}
    assert "end-systole" in listing.pairs[0].note
    samples = dataset.samples(GridConfig())
    assert [s.fixed_label is None for s in samples] == [True] * 3 + [False] * 6
    assert all(s.moving_label is not None for s in samples)


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ("ED: 1\nES: 45\nNbFrame: 12\n", ["ES frame 45", "1 to 12"]),
        ("ED: 0\nES: 9\nNbFrame: 12\n", ["ED frame 0", "1 to 12"]),
        ("ED: 1\nES: 7\nNbFrame: 12\n", ["frame 7", "ES"]),
        ("ED: 1\n", ["ES = ''"]),
        ("ED: one\nES: 9\n", ["ED = 'one'"]),
        ("ED: 1\nES: 1\n", ["both ED and ES"]),
        (None, ["no Info.cfg"]),
    ],
)
def test_a_patient_of_acdc_with_wrong_frame_numbers_is_refused(copy, info, words):
    root = copy("acdc") / "training"
    file = root / "patient001" / "Info.cfg"
    file.write_text(info) if info else file.unlink()
    listing = ACDCDataset(root).scan()
    assert [p.case for p in listing.pairs] == ["patient002"]
    reasons = [r.reason for r in listing.rejected if r.file.name in ("Info.cfg", "patient001")]
    assert len(reasons) == 1
    assert_sentence(reasons[0], "patient001", *words)


@pytest.mark.parametrize("name", ["camus", "camus_mhd"])
def test_dirt_in_camus(copy, name):
    root = copy(name)
    folder = sorted(root.rglob("patient*"))[0]
    ending = ".mhd" if name == "camus_mhd" else ".nii.gz"
    number = folder.name
    (folder / f"{number}_2CH_ES_gt{ending}").unlink()
    (folder / "Info_2CH.cfg").write_text("ED: 1\nES: 25\nNbFrame: 19\n")
    (folder / f"{number}_4CH_ES{ending}").unlink()
    (folder / f"{number}_3CH_ED{ending}").write_bytes((folder / f"{number}_4CH_ED{ending}").read_bytes())
    listing = CAMUSDataset(root).scan()
    reasons = refused(listing)
    assert set(reasons) == {f"{number}_4CH_ED{ending}", f"{number}_3CH_ED{ending}"}
    assert "end-systole" in reasons[f"{number}_4CH_ED{ending}"]
    pair = listing.pairs[0]
    assert (pair.case, pair.labels) == (f"{number}_2CH", "moving")
    assert "ES frame 25 of 19" in pair.note


def test_extensions_in_upper_case(copy):
    root = copy("camus_mhd")
    for path in list(root.rglob("*.mhd")):
        path.rename(path.with_suffix(".MHD"))
    dataset = CAMUSDataset(root)
    assert refused(dataset.scan()) == {}
    samples = dataset.samples(GridConfig())
    assert len(samples) == 4
    assert samples[0].fixed_label.max() == 4


def test_an_mhd_without_its_voxels_is_refused(copy):
    root = copy("camus_mhd")
    (root / "patient0004" / "patient0004_4CH_ED.raw").unlink()
    reasons = refused(CAMUSDataset(root).scan())
    assert set(reasons) == {"patient0004_4CH_ED.mhd", "patient0004_4CH_ES.mhd"}
    assert "missing" in reasons["patient0004_4CH_ED.mhd"]
    assert "its pair" in reasons["patient0004_4CH_ES.mhd"]


def test_dirt_in_a_plain_folder(tmp_path):
    layouts.plain_pair(tmp_path, "good", 1)
    layouts.plain_pair(tmp_path, "broken", 2)
    layouts.plain_pair(tmp_path, "lonely", 3, labels="")
    layouts.plain_pair(tmp_path, "wronglabel", 4)
    layouts.cut_off(tmp_path / "broken_ED.nii.gz")
    (tmp_path / "lonely_ES.nii.gz").unlink()
    (tmp_path / "wronglabel_ED_seg.nii.gz").write_text("no image")
    layouts.write_sequence(layouts.stack(1).fixed, tmp_path / "good_4d.nii.gz", 2)
    layouts.write_sequence(layouts.stack(1).fixed, tmp_path / "seq_ED.nii.gz", 2)
    layouts.write_sequence(layouts.stack(1).fixed, tmp_path / "seq_ES.nii.gz", 2)
    (tmp_path / "empty_ED.nii.gz").touch()
    (tmp_path / "readme.txt").write_text("stray")
    write_image(layouts.stack(1).fixed, tmp_path / "good_ED.nrrd")
    write_image(layouts.stack(1).fixed, tmp_path / "other.nrrd")
    listing = PairsDataset(tmp_path).scan()
    reasons = refused(listing)
    assert [(p.case, p.labels) for p in listing.pairs] == [("good", "both"), ("wronglabel", "fixed")]
    for file, word in {
        "broken_ED.nii.gz": "cut off",
        "broken_ES.nii.gz": "its pair",
        "lonely_ED.nii.gz": "no image of end-systole",
        "wronglabel_ED_seg.nii.gz": "could not be read",
        "good_4d.nii.gz": "4 dimensions",
        "other.nrrd": "no role",
        "seq_ES.nii.gz": "4 dimensions",
        "seq_ED.nii.gz": "its pair",
        "empty_ED.nii.gz": "no image of end-systole",
        "readme.txt": "not an image",
        "good_ED.nrrd": "second file",
    }.items():
        assert word in reasons.pop(file)
    assert reasons == {}


def test_images_of_different_size_are_a_pair_where_they_overlap(tmp_path):
    layouts.plain_pair(tmp_path, "near", 1)
    layouts.plain_pair(tmp_path, "far", 2)
    write_image(layouts.cropped(layouts.stack(1, 2).moving, 4), tmp_path / "near_ED.nii.gz")
    far = sitk.ReadImage(str(tmp_path / "far_ED.nii.gz"))
    far.SetOrigin([5000.0, 0.0, 0.0])
    sitk.WriteImage(far, str(tmp_path / "far_ED.nii.gz"))
    dataset = PairsDataset(tmp_path)
    listing = dataset.scan()
    assert [p.case for p in listing.pairs] == ["near"]
    assert "32 x 28 x 2" in listing.pairs[0].note
    assert "does not overlap" in refused(listing)["far_ED.nii.gz"]
    assert all(s.moving.shape == (32, 32) for s in dataset.samples(GridConfig()))


def test_slices_without_content_are_left_out(tmp_path):
    layouts.plain_pair(tmp_path, "a", 1, labels="")
    image = sitk.ReadImage(str(tmp_path / "a_ED.nii.gz"))
    image[:, :, 0] = 0
    sitk.WriteImage(image, str(tmp_path / "a_ED.nii.gz"))
    assert len(PairsDataset(tmp_path).samples(GridConfig())) == 1


def test_voxels_that_turn_out_unusable_cost_their_pair_alone(tmp_path):
    layouts.plain_pair(tmp_path, "a", 1)
    layouts.plain_pair(tmp_path, "b", 2)
    shutil.copy(tmp_path / "b_ED.nii.gz", tmp_path / "b_ES.nii.gz")
    dataset = PairsDataset(tmp_path)
    assert {s.case for s in dataset.samples(GridConfig())} == {"a"}
    assert [r.file.name for r in dataset.failed] == ["b_ES.nii.gz"]
    assert_sentence(dataset.failed[0].reason, "the same")


@pytest.mark.parametrize("name", ["acdc", "camus", "pairs"])
def test_a_folder_without_pairs_is_a_sentence(tmp_path, name):
    reader = resolve(DATASETS, name)
    (tmp_path / "stray.txt").write_text("x")
    with pytest.raises(ValueError, match="has no pairs") as caught:
        reader(tmp_path).samples(GridConfig())
    assert_sentence(caught.value, "are accepted")
    with pytest.raises(FileNotFoundError, match="no data folder"):
        reader(tmp_path / "absent")
    with pytest.raises(ValueError, match="No data folder is given"):
        reader("")


def test_a_header_says_what_the_file_has(tmp_path):
    image = layouts.stack(1).fixed
    write_image(image, tmp_path / "a.nii.gz")
    header = read_header(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(header.ijk_to_lps, image.ijk_to_lps, atol=1e-3)
    assert header.size == image.size_ijk


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"])
def test_a_file_that_is_cut_off_is_found_in_the_scan_or_in_the_reading(tmp_path, ending):
    layouts.plain_pair(tmp_path, "a", 1, ending=ending, labels="")
    layouts.plain_pair(tmp_path, "b", 2, ending=ending, labels="")
    data = next(
        p for p in (tmp_path / "b_ED.zraw", tmp_path / "b_ED.raw", tmp_path / f"b_ED{ending}") if p.exists()
    )
    layouts.cut_off(data)
    dataset = PairsDataset(tmp_path)
    assert {s.case for s in dataset.samples(GridConfig())} == {"a"}
    faults = [*dataset.scan().rejected, *dataset.failed]
    assert faults
    assert ending not in (".nii", ".nii.gz") or not dataset.failed
    for fault in faults:
        assert_sentence(fault.reason)
