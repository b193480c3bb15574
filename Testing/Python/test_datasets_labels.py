"""Labels that are left out without their pair; images of one slice, two and three dimensions together."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from layouts import flat, phantom, plain_pair

from builders import assert_sentence, tiny_training
from hetreg.config import GridConfig
from hetreg.datasets.pairs import PairsDataset
from hetreg.image import write_image
from hetreg.progress import Progress
from hetreg.training.data import dimension_of, dry_run, load_run


def write_planes(folder, thick: str) -> None:
    """a_ED, a_ES and their labels in two dimensions, but that with this ending as a volume of one slice."""
    pair = phantom("echo2d", 1)
    images = {"ED": pair.moving, "ES": pair.fixed, "ED_seg": pair.moving_label, "ES_seg": pair.fixed_label}
    for end, image in images.items():
        plane = flat(image)
        made = sitk.JoinSeries([plane]) if end == thick else plane
        sitk.WriteImage(made, str(folder / f"a_{end}.nii.gz"))


@pytest.mark.parametrize("thick", ["ES_seg", "ED_seg", "ED", "ES"])
def test_a_third_axis_of_length_one_does_not_count(tmp_path, thick):
    write_planes(tmp_path, thick)
    dataset = PairsDataset(tmp_path)
    (pair,) = dataset.scan().pairs
    assert (pair.labels, pair.note, dataset.scan().rejected) == ("both", "", [])
    (sample,) = dataset.samples(GridConfig())
    expected = phantom("echo2d", 1)
    np.testing.assert_array_equal(sample.fixed_label, expected.fixed_label.array[0])
    np.testing.assert_array_equal(sample.moving_label, expected.moving_label.array[0])


def test_a_volume_is_no_pair_of_a_plane(tmp_path):
    write_planes(tmp_path, "")
    write_image(phantom("mri2d", 1, slices=3).moving, tmp_path / "a_ED.nii.gz")
    (refused,) = PairsDataset(tmp_path).scan().rejected
    assert_sentence(refused.reason, "3 dimensions", "has 2")


def test_the_case_of_another_dimension_is_named_before_and_after_reading(tmp_path):
    for n, case in enumerate(("a", "c")):
        plain_pair(tmp_path, case, n)
    solid = phantom("echo3d", 1)
    for phase, image in (("ED", solid.moving), ("ES", solid.fixed)):
        write_image(image, tmp_path / f"b_{phase}.nii.gz")
    config = tiny_training(dataset="pairs+phantom", root=str(tmp_path), phantoms=1)
    notes = {row["case"]: row["note"] for row in dry_run(config)["pairs"]}
    assert [case for case, note in notes.items() if "3D" in note] == ["b"]
    assert PairsDataset(tmp_path).scan().pairs[1].note == ""
    with pytest.raises(ValueError, match="one dimension") as caught:
        dimension_of(PairsDataset(tmp_path).samples(GridConfig()))
    assert_sentence(caught.value, "2D and 3D", "3D: 1 of 3, the first is b")


def test_labels_that_cannot_be_read_as_such_do_not_cost_their_pair(tmp_path):
    for n, case in enumerate("abc"):
        plain_pair(tmp_path / "data", case, n)
    label = sitk.ReadImage(str(tmp_path / "data" / "a_ES_seg.nii.gz"), sitk.sitkInt16)
    sitk.WriteImage(label * 300, str(tmp_path / "data" / "a_ES_seg.nii.gz"))
    dataset = PairsDataset(tmp_path / "data")
    (first, *_) = dataset.samples(GridConfig())
    assert (first.case, first.fixed_label is None, first.moving_label is None) == ("a", True, False)
    config = tiny_training(dataset="pairs", root=str(tmp_path / "data"), cache=True)
    for _ in range(2):  # a cache does not hide it
        loaded = load_run(config, None, Progress(), tmp_path / "cache")
        assert (len(loaded.samples), loaded.lost) == (6, [])
        (left_out,) = loaded.failed
        assert left_out.file.name == "a_ES_seg.nii.gz"
        assert_sentence(left_out.reason, "a_ES_seg.nii.gz", "0 to 255")
