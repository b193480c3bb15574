"""Labels that lie elsewhere than their image, as after an export that loses the geometry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from layouts import phantom

from builders import OBLIQUE, assert_sentence, sampled, tiny_model, tiny_training
from hetreg.checks import check_labels
from hetreg.config import EvaluateConfig, GridConfig
from hetreg.datasets.pairs import PairsDataset
from hetreg.datasets.phantom import make_pair
from hetreg.evaluate import evaluate
from hetreg.image import Image, write_image
from hetreg.placement import misplaced, outside
from hetreg.register import register_pair
from hetreg.sequence import register_sequence
from hetreg.training.data import dry_run
from hetreg.training.loop import train

IMAGE = sampled((24, 24, 6), (1.4, 1.4, 8), OBLIQUE)
WORDS = "has the size of"


def moved_by(change: np.ndarray) -> Image:
    """IMAGE on the grid whose voxel is at its `change @ index`."""
    return replace(IMAGE, ijk_to_lps=IMAGE.ijk_to_lps @ change)


def stored(order: list[int], flip: tuple[int, ...] = ()) -> Image:
    """IMAGE with its first axes in this order, or flipped, in the same place."""
    change = np.eye(4)[:, [*order, 2, 3]]
    for axis in flip:
        change[axis, 3] += IMAGE.size_ijk[axis] - 1
        change[axis, :3] *= -1
    return moved_by(change)


def small(image: Image) -> Image:
    """The image with pixels of half the size."""
    return replace(image, ijk_to_lps=image.ijk_to_lps @ np.diag([0.5, 0.5, 1, 1]))


@pytest.mark.parametrize(
    "labels",
    [
        IMAGE,
        stored([1, 0]),
        stored([0, 1], (0, 2)),
        replace(IMAGE, ijk_to_lps=IMAGE.ijk_to_lps.astype(np.float32).astype(float)),
        replace(IMAGE, ijk_to_lps=np.round(IMAGE.ijk_to_lps, 3)),
        Image(IMAGE.array[:, 4:20, 4:20], np.eye(4)),
    ],
    ids=["same", "axes swapped", "flipped", "rounded", "decimals", "another size"],
)
def test_labels_on_the_voxels_of_their_image_or_of_another_size_are_no_matter(labels):
    assert misplaced(labels, IMAGE, "labels", "the image") == ""


@pytest.mark.parametrize(
    ("labels", "mm"),
    [
        (Image(IMAGE.array, np.eye(4)), None),
        (moved_by(np.diag([0.5, 1, 1, 1])), 0.5 * 23 * 1.4),
        (moved_by(np.array([[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])), 2.8),
        (moved_by(np.diag([-1, 1, 1, 1])), 2 * 23 * 1.4),
        (moved_by(np.diag([1e-6, 1e-6, 1e-6, 1])), np.hypot(np.hypot(23 * 1.4, 23 * 1.4), 5 * 8)),
    ],
    ids=["nothing kept", "spacing", "origin", "direction", "in km"],
)
def test_it_is_said_how_far_labels_lie_from_their_image(labels, mm):
    text = misplaced(labels, IMAGE, "labels", "the image")
    assert_sentence(f"{text}.", "labels has the size of the image", "spacing, origin and direction")
    if mm is not None:
        assert f" {mm:.3g} mm " in text


def test_a_registration_and_a_sequence_say_so():
    pair = phantom("mri2d", 1, slices=2)
    fine = [pair.moving_label, pair.fixed_label]
    lost = [small(labels) for labels in fine]
    for (moving_seg, fixed_seg), roles in ((lost, ["moving", "fixed"]), (fine, [])):
        result = register_pair(
            pair.fixed, pair.moving, tiny_model(), moving_seg=moving_seg, fixed_seg=fixed_seg
        )
        told = [note for note in result.summary["notes"] if WORDS in note]
        assert [note.split()[1] for note in told] == roles
        for note, role in zip(told, roles, strict=True):
            assert_sentence(note, f"the {role} image", "mm")
        frames = register_sequence(
            [pair.moving, pair.fixed], pair.moving, tiny_model(), moving_seg=moving_seg
        )
        for frame in frames:
            assert sum(WORDS in note for note in frame.summary["notes"]) == bool(roles)


def part(columns: slice = slice(4, 20), along: tuple[float, float, float] = (0, 0, 0)) -> Image:
    """Labels of some columns of IMAGE, around which there is a margin of zeros, moved along its axes by so
    many voxels."""
    i = np.array([columns.start - 2, 0, 0]) + along
    array = np.pad(IMAGE.array[:, :, columns] * 0 + 1, ((0, 0), (0, 0), (2, 2))).astype(np.uint8)
    place = IMAGE.ijk_to_lps.copy()
    place[:3, 3] = (place @ [*i, 1])[:3]
    return Image(array, place)


@pytest.mark.parametrize(
    ("labels", "out"),
    [
        (part(), False),
        (part(along=(-10, 0, 0)), False),
        (part(along=(-13, 0, 0)), True),
        (part(along=(0, 13, 0)), True),
        (part(along=(0, 0, 4)), True),
        (part(along=(100, 0, 0)), True),
        (part(slice(4, 5), along=(4, 0, 0)), False),
        (replace(part(), array=part().array * 0), False),
        (sampled((100, 90, 60), (1, 1, 2), np.eye(3)), False),
    ],
    ids=["inside", "over the border", "beyond it", "beside", "above", "far", "few", "empty", "all around"],
)
def test_labels_of_a_part_or_of_more_than_the_image_are_told_of_where_they_lie_mostly_outside(labels, out):
    assert outside(labels, IMAGE) == out
    text = misplaced(labels, IMAGE, "labels", "the image")
    assert bool(text) == out
    if out:
        assert_sentence(f"{text}.", "labels lies mostly outside of the image", "spacing, origin")


def test_a_slice_of_a_stack_takes_the_labels_of_the_stack():
    one = replace(IMAGE, array=IMAGE.array[:1])
    assert not outside(replace(IMAGE, array=np.pad(IMAGE.array[:, 8:16, 8:16] * 0 + 1, 1)[1:7]), one)


def test_labels_that_lie_on_no_voxel_of_the_image_are_refused(tmp_path):
    pair = make_pair("mri2d", 1, size=64, with_truth=False)
    wide = pair.moving_label.like(pair.moving_label.array * 0, "wide")
    wide.array[:, :, :20] = 1
    half = replace(pair.moving, array=pair.moving.array[:, :, 30:].copy())
    half.ijk_to_lps[:3, 3] = (pair.moving.ijk_to_lps @ [30, 0, 0, 1])[:3]
    with pytest.raises(ValueError, match="no label inside") as caught:
        check_labels(wide, half, "moving")
    assert_sentence(caught.value, "'wide'", "the moving image")
    write_image(half, tmp_path / "a_ES.nrrd")
    write_image(half.like(half.array + 1, "ED"), tmp_path / "a_ED.nrrd")
    write_image(wide, tmp_path / "a_ES_seg.nrrd")
    data = PairsDataset(tmp_path)
    (sample,) = data.samples(GridConfig())
    (failed,) = data.failed
    assert sample.fixed_label is None
    assert_sentence(failed.reason, "a_ES_seg.nrrd has no label inside a_ES")


def write_pairs(folder: Path) -> None:
    """a, b, c with labels; those of a and b have lost their place."""
    folder.mkdir()
    for n, case in enumerate("abc"):
        pair = phantom("mri2d", n, slices=2)
        write_image(pair.fixed, folder / f"{case}_ES.nrrd")
        write_image(pair.moving, folder / f"{case}_ED.nrrd")
        write_image(
            pair.fixed_label if case == "c" else small(pair.fixed_label), folder / f"{case}_ES_seg.nrrd"
        )
        write_image(pair.moving_label, folder / f"{case}_ED_seg.nrrd")


def test_a_data_set_keeps_them_and_says_so(tmp_path):
    write_pairs(tmp_path / "data")
    config = tiny_training(dataset="pairs", root=str(tmp_path / "data"), steps=1, warmup=0)
    listed = dry_run(config)
    assert listed["rejected"] == []
    assert [(row["labels"], WORDS in row["note"]) for row in listed["pairs"]] == [
        ("both", True),
        ("both", True),
        ("both", False),
    ]
    events: list[tuple[str, dict]] = []
    train(config, tmp_path / "run", emit=lambda kind, **fields: events.append((kind, fields)))
    told = [fields["text"] for kind, fields in events if kind == "note"]
    evaluation = evaluate(
        EvaluateConfig(dataset="pairs", root=config.root, split="all", device="cpu"), model=tiny_model()
    )
    assert [WORDS in row["note"] for row in evaluation.rows] == [True, True, False]
    for notes in (told, evaluation.summary["notes"]):
        (note,) = (note for note in notes if WORDS in note)
        assert note.startswith("2 pairs have labels that lie elsewhere than their image. The first: a_ES_seg")


@pytest.mark.parametrize(("columns", "expected"), [((18, 22), False), ((19, 22), True), ((16, 20), False)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_labels_are_outside_where_less_than_half_of_their_box_is_shared(axis, columns, expected):
    """The image has 20 voxels along the axis, the grid of the labels 30 and as many more before the first."""
    size = [12, 12, 12]
    size[2 - axis] = 20
    image = Image(np.zeros(size), np.eye(4))
    size[2 - axis] = 60
    labels = Image(np.zeros(size, np.uint8), np.eye(4))
    labels.ijk_to_lps[axis, 3] = -30
    np.moveaxis(labels.array, 2 - axis, 0)[30 + columns[0] : 30 + columns[1], 4:7, 4:7] = 1
    assert outside(labels, image) == expected


def test_the_image_itself_is_no_segmentation_of_it_but_a_mask_may_be():
    grey = IMAGE.like(np.arange(IMAGE.array.size).reshape(IMAGE.array.shape) % 33, "grey")
    with pytest.raises(ValueError, match=r"^The moving segmentation 'grey' is the moving image itself, "):
        check_labels(grey, replace(grey, array=grey.array.astype(float)), "moving")
    check_labels(grey, IMAGE, "moving")
    mask = IMAGE.like(grey.array % 32, "mask")
    check_labels(mask, mask, "moving")
