"""The usual dirt in data folders: what is missing, stray, damaged or oddly named is told, the rest used."""

from __future__ import annotations

import shutil

import layouts
import numpy as np
import pytest
import SimpleITK as sitk

from builders import assert_sentence, sampled
from hetreg.config import GridConfig
from hetreg.datasets.acdc import ACDCDataset
from hetreg.datasets.camus import CAMUSDataset
from hetreg.datasets.headers import read_header
from hetreg.datasets.pairs import PairsDataset
from hetreg.datasets.reader import label_image
from hetreg.image import read_image, write_image
from hetreg.registry import DATASETS, resolve


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """One folder for each layout."""
    return layouts.write_all(tmp_path_factory.mktemp("layouts"))


@pytest.fixture
def copy(clean, tmp_path):
    """copy(name): a layout to be soiled."""
    return lambda name: shutil.copytree(clean / name, tmp_path / name)


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
    reasons = layouts.refused(listing)
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
    reasons = layouts.refused(listing)
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
    assert layouts.refused(dataset.scan()) == {}
    samples = dataset.samples(GridConfig())
    assert len(samples) == 4
    assert samples[0].fixed_label.max() == 4


def test_an_mhd_without_its_voxels_is_refused(copy):
    root = copy("camus_mhd")
    (root / "patient0004" / "patient0004_4CH_ED.raw").unlink()
    reasons = layouts.refused(CAMUSDataset(root).scan())
    assert set(reasons) == {"patient0004_4CH_ED.mhd", "patient0004_4CH_ES.mhd"}
    assert "missing" in reasons["patient0004_4CH_ED.mhd"]
    assert "its pair" in reasons["patient0004_4CH_ES.mhd"]


def test_dirt_in_a_plain_folder(tmp_path):
    layouts.plain_pair(tmp_path, "good", 1)
    layouts.plain_pair(tmp_path, "broken", 2)
    layouts.plain_pair(tmp_path, "lonely", 3, labels="")
    layouts.plain_pair(tmp_path, "wronglabel", 4)
    layouts.cut_off(tmp_path / "broken_ED.nii.gz")
    shutil.copy(tmp_path / "good_ED_seg.nii.gz", tmp_path / "orphan_ED_seg.nii.gz")
    (tmp_path / "lonely_ES.nii.gz").unlink()
    (tmp_path / "wronglabel_ED_seg.nii.gz").write_text("no image")
    layouts.write_sequence(layouts.stack(1).fixed, tmp_path / "good_4d.nii.gz", 2)
    layouts.write_sequence(layouts.stack(1).fixed, tmp_path / "seq_ED.nii.gz", 2)
    layouts.write_sequence(layouts.stack(1).fixed, tmp_path / "seq_ES.nii.gz", 2)
    (tmp_path / "empty_ED.nii.gz").touch()
    (tmp_path / "void_ES.nii.gz").touch()
    (tmp_path / "readme.txt").write_text("stray")
    for name in ("good_ES.mha", "gone_ED.nii.gz", "folder"):
        (tmp_path / name).symlink_to(tmp_path / "nowhere")
    write_image(layouts.stack(1).fixed, tmp_path / "good_ED.nrrd")
    write_image(layouts.stack(1).fixed, tmp_path / "other.nrrd")
    listing = PairsDataset(tmp_path).scan()
    reasons = layouts.refused(listing)
    assert [(p.case, p.labels) for p in listing.pairs] == [("good", "both"), ("wronglabel", "fixed")]
    for file, word in {
        "broken_ED.nii.gz": "cut off",
        "broken_ES.nii.gz": "its pair",
        "lonely_ED.nii.gz": "no image of end-systole",
        "wronglabel_ED_seg.nii.gz": "could not be read",
        "good_4d.nii.gz": "4 dimensions",
        "other.nrrd": "does not say what it is",
        "seq_ES.nii.gz": "4 dimensions",
        "seq_ED.nii.gz": "its pair",
        "empty_ED.nii.gz": "no image of end-systole",
        "void_ES.nii.gz": "no image of end-diastole",
        "orphan_ED_seg.nii.gz": "labels of orphan, which has no images",
        "readme.txt": "not an image",
        "good_ED.nrrd": "second file",
        "good_ES.mha": "missing",
        "gone_ED.nii.gz": "missing",
        "folder": "not an image",
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
    assert listing.pairs[0].size == (32, 32, 2)  # the grid that it is resampled to
    assert "does not overlap" in layouts.refused(listing)["far_ED.nii.gz"]
    assert all(s.moving.shape == (32, 32) for s in dataset.samples(GridConfig()))


def test_an_image_with_one_short_side_is_no_pair(tmp_path):
    pair = layouts.phantom("echo2d", 1)
    for phase, image in (("ED", pair.moving), ("ES", pair.fixed)):
        sitk.WriteImage(layouts.flat(image)[:, :3], str(tmp_path / f"thin_{phase}.nii.gz"))
    listing = PairsDataset(tmp_path).scan()
    assert listing.pairs == []
    assert "32 x 3: at least" in layouts.refused(listing)["thin_ED.nii.gz"]


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


def test_a_folder_that_may_not_be_read_and_axes_that_are_skewed_are_sentences(tmp_path, monkeypatch):
    layouts.plain_pair(tmp_path, "a", 1, ending=".nii", labels="")
    content = bytearray((tmp_path / "a_ED.nii").read_bytes())
    content[252:254] = b"\0\0"  # no quaternion: the sheared rows below count
    content[280:328] = np.array([[2, 1, 0, 0], [0, 2, 1, 0], [0, 0, 2, 0]], "<f4").tobytes()
    (tmp_path / "a_ED.nii").write_bytes(content)
    reasons = layouts.refused(PairsDataset(tmp_path).scan())
    assert "right angles" in reasons["a_ED.nii"]

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(OSError, match="cannot be read") as caught:
        PairsDataset(tmp_path).scan()
    assert_sentence(caught.value, tmp_path.name)


def test_labels_between_whole_numbers_are_refused(tmp_path):
    image = sampled((4, 4, 1))
    write_image(image.like(np.full(image.array.shape, 1.5, np.float32), "label"), tmp_path / "label.nrrd")
    with pytest.raises(ValueError, match=r"label\.nrrd") as error:
        label_image(tmp_path / "label.nrrd")
    assert_sentence(error.value, "16 voxels", "1.5")


def test_warnings_of_itk_are_not_shown(tmp_path, capfd):
    """The sform of ACDC's files is no more than signs, beside a qform with the voxel's size."""
    path = write_image(sampled((4, 3, 5), (1.5, 1.5, 10.0)), tmp_path / "a.nii")
    content = bytearray(path.read_bytes())
    content[280:328] = np.array([[-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0]], "<f4").tobytes()
    path.write_bytes(content)
    capfd.readouterr()
    assert read_image(path).spacing_mm == pytest.approx([1.5, 1.5, 10.0])
    read_header(path)
    assert capfd.readouterr().err == ""
    sitk.ReadImage(str(path))  # others' warnings stay
    assert "sform" in capfd.readouterr().err
