"""The cases of an evaluation as the paper prepares them: crops of slices, resized planes and volumes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from layouts import acdc_patient, camus_patient, mitea
from squares import undeformed

from builders import OBLIQUE, points_of, sampled
from hetreg.config import EvaluateConfig
from hetreg.evaluate import score
from hetreg.evaluation.case import Case
from hetreg.evaluation.cases import list_cases
from hetreg.evaluation.published import SIDE, SIDE_3D, pair_of, prepare
from hetreg.image import Image, read_image, write_image
from hetreg.reproduce.data import _sample


def config(root, dataset="acdc", **changes) -> EvaluateConfig:
    return EvaluateConfig(dataset=dataset, root=str(root), **{"split": "all"} | changes)


@pytest.fixture(scope="module")
def acdc(tmp_path_factory):
    return acdc_patient(tmp_path_factory.mktemp("acdc") / "testing", 101).parent.parent


@pytest.fixture(scope="module")
def camus(tmp_path_factory):
    return camus_patient(tmp_path_factory.mktemp("camus"), 1).parent


def test_published_acdc_gives_a_crop_around_the_myocardium_for_each_slice(acdc):
    sources, _ = list_cases(config(acdc, protocol="published"))
    (whole,) = list_cases(config(acdc))[0][0].read()
    cases = sources[0].read()
    assert [c.name for c in cases] == [f"{whole.name}_slice{k:02d}" for k in range(3)]
    for k, case in enumerate(cases):
        assert (case.patient, case.note) == (whole.patient, "")
        for image in (case.fixed, case.moving, case.fixed_label, case.moving_label):
            assert image.array.shape == (1, SIDE, SIDE)
            assert np.allclose(image.spacing_mm, whole.fixed.spacing_mm)
        assert (case.fixed.array.min(), case.fixed.array.max()) == (0.0, 1.0)
        assert (case.moving.array.min(), case.moving.array.max()) == (0.0, 1.0)
        assert np.array_equal(np.unique(case.fixed_label.array), np.unique(whole.fixed_label.array[k]))


def test_a_published_crop_keeps_each_voxel_in_its_place():
    """Where the image is large the crop is around the label; every voxel stays where it was in space."""
    image = sampled((200, 150, 3), (1.5, 1.5, 9.0), OBLIQUE, function=lambda p: p @ np.array([1.0, 2, 3]))
    label = np.zeros(image.array.shape, np.uint8)
    label[1:, 60:71, 80:91] = 2
    labels = [image.like(label, "l"), image.like(np.roll(label, 4, axis=2), "l")]
    cases = prepare(Case("a", "p", image, image.like(image.array**2, "m"), *labels))
    assert [c.name for c in cases] == ["a_slice00", "a_slice01", "a_slice02"]
    for k, case in enumerate(cases):
        if k:
            where = np.argwhere((case.fixed_label.array == 2) | (case.moving_label.array == 2)).mean(axis=0)
            assert where[2] == pytest.approx(SIDE / 2, abs=1)  # of 200: room on both sides
            assert where[1] == pytest.approx(65, abs=1)  # of 150: the crop begins at the border
        else:
            assert not np.any([case.fixed_label.array, case.moving_label.array])
            aside = case.fixed.origin_lps - cases[1].fixed.origin_lps  # none: as in the others
            assert np.allclose(aside, -image.ijk_to_lps[:3, 2])
        values = points_of(case.fixed) @ np.array([1.0, 2, 3])
        low, high = values.min(), values.max()
        assert np.allclose(case.fixed.array, (values - low) / (high - low), atol=1e-4)


@pytest.mark.parametrize("frame", ["fixed_label", "moving_label"])
def test_a_crop_is_around_the_label_that_one_frame_alone_has(frame):
    image = sampled((200, 200, 2), (1.5, 1.5, 9.0))
    label = np.zeros(image.array.shape, np.uint8)
    label[:, 66:77, 121:132] = 2
    labels = image.like(label, "l")
    for case in prepare(Case("a", "p", image, image.like(image.array + 1, "m"), **{frame: labels})):
        assert case.note == ""
        where = np.argwhere(getattr(case, frame).array).mean(axis=0)
        assert where[1:] == pytest.approx([64, 64], abs=1)


def test_published_planes_and_volumes_are_resized_over_the_same_extent(camus, tmp_path):
    (case,) = list_cases(config(camus, "camus", protocol="published"))[0][0].read()
    (native,) = list_cases(config(camus, "camus"))[0][0].read()
    assert case.fixed.array.shape == case.fixed_label.array.shape == (1, SIDE, SIDE)
    assert case.name == native.name
    assert np.allclose(case.fixed.spacing_mm[:2], native.fixed.spacing_mm[:2] * 32 / SIDE)
    assert set(np.unique(case.fixed_label.array)) == set(np.unique(native.fixed_label.array))
    ours, theirs = ((c.fixed_label.array == 2).mean() for c in (case, native))
    assert ours == pytest.approx(theirs, rel=0.05)
    (solid,) = list_cases(config(mitea(tmp_path, 1), "pairs", protocol="published"))[0][0].read()
    assert solid.fixed.array.shape == solid.moving_label.array.shape == (SIDE_3D,) * 3


def test_the_resized_image_shows_the_same_place():
    image = sampled((50, 40, 1), (2.0, 3.0, 5.0), OBLIQUE, function=lambda p: p @ np.array([1.0, 2, 3]))
    (case,) = prepare(Case("a", "p", image, image.like(image.array + 1, "m")))
    for whole in (0, 1):  # the outer corners of the first and of the last voxel
        corners = [i.ijk_to_lps @ [*(whole * np.array(i.size_ijk) - 0.5), 1] for i in (image, case.fixed)]
        np.testing.assert_allclose(*corners, atol=1e-9)
    values = points_of(case.fixed) @ np.array([1.0, 2, 3])
    inner = (slice(None), slice(4, -4), slice(4, -4))  # beyond the outermost centres it cannot be linear
    slope, offset = np.polyfit(values[inner].ravel(), case.fixed.array[inner].ravel(), 1)
    assert np.abs(case.fixed.array - (slope * values + offset))[inner].max() < 1e-3


def test_a_volume_that_is_no_cube_stays_a_volume_when_it_is_resized():
    array = np.random.default_rng(0).random((24, 40, 52)).astype(np.float32)
    fixed = Image(array, np.diag([0.7, 0.7, 0.7, 1.0]), "fixed")
    (made,) = prepare(Case("a", "a", fixed, fixed.like(array[::-1], "moving")))
    assert made.fixed.spacing_mm.max() > 2 * made.fixed.spacing_mm.min()
    assert made.fixed.array.shape == (SIDE_3D,) * 3
    assert made.slice_axis is None
    assert _sample(made).fixed.shape == (SIDE_3D,) * 3
    flat = Image(array[:1], np.eye(4), "flat")
    assert prepare(Case("a", "a", flat, flat.like(array[1:2], "moving")))[0].slice_axis == 0


def test_every_slice_is_a_published_case_and_one_with_the_label_in_one_frame_is_counted():
    image = sampled((32, 32, 3), (1, 1, 8.0))
    label = np.zeros(image.array.shape, np.uint8)
    label[:2, 5:9, 5:9] = 2
    case = Case("a", "p", image, image.like(image.array + 1, "m"), image.like(label, "l"), note="so")
    unlabelled = prepare(replace(case, fixed_label=None))  # no labels at all: every slice, around the middle
    assert [c.note for c in unlabelled] == [
        "so; cut around the middle of the image, as no frame has labels"
    ] * 3
    first = label.copy()
    first[1] = 0
    cases = prepare(replace(case, moving_label=image.like(first, "l")))
    assert [c.note for c in cases] == ["so"] * 3
    for labels in ((), (2,)):
        both, alone, neither = (score(c, undeformed(c), labels) for c in cases)
        assert both.row["dice_published_2"] == both.slices[0]["dice_published_2"] == 1.0
        assert {n: v for n, v in alone.row.items() if n.endswith("_2")} == {"slices_left_out_2": 1}
        assert not [n for n in neither.row if n.endswith("_2")]
        assert alone.slices == neither.slices == []
        assert {"ncc_after", "folding_percent"} <= alone.row.keys() & neither.row.keys()
    assert [c.name for c in prepare(cases[0], (7,))] == ["a_slice00"]  # not there: around the main label


def test_label_files_without_a_label_are_noted(tmp_path):
    folder = acdc_patient(tmp_path, 1)
    for path in folder.glob("*_gt.nii.gz"):
        label = read_image(path)
        write_image(label.like(0 * label.array, "l"), path)
    for protocol, cases in (("native", 1), ("published", 3)):
        read = list_cases(config(tmp_path, protocol=protocol))[0][0].read()
        assert len(read) == cases
        for case in read:
            for frame in ("01", "09"):
                assert f"patient001_frame{frame}_gt.nii.gz has no label in it" in case.note
            assert ("around the middle" in case.note) == (protocol == "published")


def test_the_pair_of_a_slice_and_of_a_pair_whose_own_name_ends_like_one():
    assert pair_of("patient001_slice07", published=True) == "patient001"
    assert pair_of("p_slice2_slice07", published=True) == "p_slice2"
    assert pair_of("p_slice2", published=False) == "p_slice2"
