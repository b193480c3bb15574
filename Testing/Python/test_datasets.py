"""Samples, crops, augmentation; a folder of pairs; phantoms as samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from builders import FULL_RANGE, OBLIQUE, assert_sentence, sampled, train_samples
from hetreg.config import GridConfig
from hetreg.datasets.augment import Pairs, augment
from hetreg.datasets.base import PairSample, crop_or_pad, stack
from hetreg.datasets.pairs import PairsDataset
from hetreg.datasets.phantom import make_pair
from hetreg.datasets.simulated import PhantomDataset, to_sample
from hetreg.image import write_image
from hetreg.progress import Cancelled, Progress


@pytest.mark.parametrize(
    ("length", "size", "offset", "expected"),
    [
        (4, 4, (0,), [1, 2, 3, 4]),
        (4, 2, (0,), [2, 3]),
        (4, 2, (1,), [3, 4]),
        (4, 2, (9,), [3, 4]),
        (4, 2, (-9,), [1, 2]),
        (2, 4, (0,), [0, 1, 2, 0]),
        (2, 4, (9,), [1, 2, 0, 0]),
        (2, 4, (-9,), [0, 0, 1, 2]),
    ],
)
def test_crop_and_pad_by_hand(length, size, offset, expected):
    np.testing.assert_array_equal(crop_or_pad(np.arange(1, length + 1), size, offset), expected)


def test_crop_keeps_axes_apart_and_the_type():
    array = np.arange(30, dtype=np.uint8).reshape(3, 10)
    out = crop_or_pad(array, 4, (0, 2))
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out[1:], array[:, 5:9])


def test_stack_is_a_batch_or_none_if_one_lacks_it():
    samples = train_samples(2)
    zero = [[0, 0], [0, 0]]
    batch = stack(samples, "fixed", 20, zero)
    assert batch.shape == (2, 1, 20, 20)
    np.testing.assert_array_equal(batch[1, 0], samples[1].fixed)
    assert (
        stack([samples[0], PairSample(samples[1].fixed, samples[1].moving)], "fixed_label", 20, zero) is None
    )


def test_a_sample_of_other_types_becomes_what_training_takes():
    rng = np.random.default_rng(0)
    image, label = rng.random((6, 5)), np.arange(30.0).reshape(6, 5)
    sample = PairSample(torch.from_numpy(image), image, label, label > 3, true_variance=image)
    assert sample.fixed.dtype == sample.moving.dtype == sample.true_variance.dtype == np.float32
    assert sample.fixed_label.dtype == sample.moving_label.dtype == np.uint8
    np.testing.assert_array_equal(sample.fixed, image.astype(np.float32))
    np.testing.assert_array_equal(sample.fixed_label, label)
    ready = image.astype(np.float32)
    assert PairSample(ready, ready).fixed is ready


GREY = np.full((6, 5), 0.5, np.float32)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"moving": GREY[:4]}, ("moving is an array of (4, 5)", "(6, 5) is accepted")),
        ({"moving": GREY[None], "fixed": GREY[None]}, ("(1, 6, 5)", "2 or 3 axes")),
        ({"moving": GREY[0], "fixed": GREY[0]}, ("(5,)", "2 or 3 axes")),
        ({"moving": GREY * 255}, ("moving has values from 127.5 to 127.5", "0 to 1 is accepted")),
        ({"fixed": GREY * np.nan}, ("fixed has values from nan",)),
        ({"fixed_label": GREY[:4]}, ("fixed_label is an array of (4, 5)",)),
        ({"fixed_label": GREY}, ("fixed_label", "whole numbers")),
        ({"moving_label": 600 * GREY}, ("moving_label has values from 300", "0 to 255")),
        ({"true_disp": GREY}, ("true_disp is an array of (6, 5)", "(2, 6, 5) is accepted")),
        ({"true_variance": GREY[:, :3]}, ("true_variance is an array of (6, 3)",)),
        ({"fixed": None}, ("fixed has a NoneType", "real numbers")),
        ({"moving": None}, ("moving has a NoneType", "real numbers")),
        ({"moving": GREY.astype(str)}, ("moving has a ndarray of type <U", "real numbers")),
        ({"true_variance": GREY * 1j}, ("true_variance has a ndarray of type complex", "real numbers")),
        ({"fixed": torch.zeros((6, 5), requires_grad=True)}, ("fixed has a Tensor", "detached")),
    ],
)
def test_a_sample_that_training_cannot_take_is_refused_when_it_is_made(arrays, words):
    with pytest.raises(ValueError, match=next(reversed(arrays)).split("_")[0]) as caught:
        PairSample(**{"fixed": GREY, "moving": GREY} | arrays)
    assert_sentence(caught.value, *words)


@pytest.mark.parametrize("ndim", [2, 3])
def test_augmentation_treats_both_images_alike(ndim, monkeypatch):
    monkeypatch.setattr("hetreg.datasets.augment.JITTER", 0.0)  # the little that it does to each alone
    image = torch.rand((4, 1, *[12] * ndim), generator=torch.Generator().manual_seed(1))
    changed = augment(Pairs(image, image), torch.Generator().manual_seed(0))
    fixed = changed.fixed
    assert torch.equal(fixed, changed.moving)
    assert fixed.shape == image.shape
    assert fixed.min() >= 0
    assert fixed.max() <= 1
    assert not torch.allclose(fixed, image)
    again = augment(Pairs(image, image), torch.Generator().manual_seed(0))
    assert torch.equal(fixed, again.fixed)
    assert not torch.allclose(fixed[0], fixed[1])


def test_augmentation_exchanges_the_two_as_often_as_it_says():
    ones, zeros = torch.ones(200, 1, 8, 8), torch.zeros(200, 1, 8, 8)
    for swap, low, high in ((0.0, 0, 0), (1.0, 200, 200), (0.3, 35, 85)):
        changed = augment(Pairs(ones, zeros), torch.Generator().manual_seed(0), swap=swap)
        exchanged = int((changed.fixed[:, 0, 4, 4] == 0).sum())
        assert low <= exchanged <= high


@pytest.fixture
def folder(tmp_path):
    """Two pairs: a stack with labels, and an oblique isotropic volume without; and files that are none."""
    stack_, volume = sampled((20, 18, 3), (1, 1, 8)), sampled((16, 17, 18), direction=OBLIQUE)
    for case, image in (("b_stack", stack_), ("a_volume", volume)):
        for frame, factor in (("ED", 1.0), ("ES", 2.0)):
            write_image(image.like(image.array * factor, "x"), tmp_path / f"{case}_{frame}.nii.gz")
    for frame in ("ED", "ES"):
        label = stack_.like((stack_.array > 50).astype(np.uint8), "label")
        write_image(label, tmp_path / f"b_stack_{frame}_seg.nrrd")
    write_image(stack_, tmp_path / "alone_ED.nrrd")
    (tmp_path / "notes.txt").write_text("not an image")
    return tmp_path


def test_pairs_are_found_by_name(folder):
    first, second = PairsDataset(folder).scan().pairs
    assert (first.case, second.case) == ("a_volume", "b_stack")
    assert (first.fixed.name, first.moving.name) == ("a_volume_ES.nii.gz", "a_volume_ED.nii.gz")
    assert first.fixed_label is first.moving_label is None
    assert second.moving_label.name == "b_stack_ED_seg.nrrd"


def test_stacks_give_slices_and_volumes_give_one_sample(folder):
    samples = PairsDataset(folder).samples(FULL_RANGE)
    assert [s.patient for s in samples] == ["a_volume", *["b_stack"] * 3]
    assert samples[0].fixed.shape == (18, 17, 16)
    assert samples[0].fixed_label is None
    for sample in samples[1:]:
        assert sample.fixed.shape == sample.fixed_label.shape == (18, 20)
        assert sample.fixed_label.dtype == np.uint8
        assert sample.fixed.flags["C_CONTIGUOUS"]
        assert sample.fixed.min() >= 0
        assert sample.fixed.max() <= 1
    assert samples[2].fixed_label.any()
    ratio = samples[2].fixed[5:10, 5:10] / samples[2].moving[5:10, 5:10]
    assert (ratio > 1.5).all()  # ES is twice as bright, and is the fixed image


def test_a_folder_without_pairs_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no pairs") as caught:
        PairsDataset(tmp_path).samples(GridConfig())
    assert_sentence(caught.value, "_ED and <case>_ES")


def test_reading_can_be_cancelled(folder):
    with pytest.raises(Cancelled, match="a_volume"):
        PairsDataset(folder).samples(GridConfig(), Progress(cancelled=lambda: True))


def test_a_phantom_becomes_a_sample_in_0_to_1_with_its_truth_in_the_same_units():
    pair = make_pair("mri2d", 3, size=32)
    sample = to_sample(pair, FULL_RANGE)
    assert sample.fixed.shape == sample.fixed_label.shape == (32, 32)
    assert min(sample.fixed.min(), sample.moving.min()) == 0.0
    assert max(sample.fixed.max(), sample.moving.max()) == 1.0
    both = np.concatenate([pair.fixed.array.ravel(), pair.moving.array.ravel()])
    expected = pair.residual_variance.array[0] / np.ptp(both) ** 2
    np.testing.assert_allclose(sample.true_variance, expected, rtol=1e-5)
    assert sample.patient == "mri2d-3"


def test_phantoms_of_several_kinds_by_seed():
    samples = PhantomDataset("mri2d+echo2d", 3, seed=5, size=32).samples(GridConfig())
    assert [s.patient for s in samples] == ["mri2d-5", "echo2d-6", "mri2d-7"]
    again = PhantomDataset("mri2d+echo2d", 3, seed=5, size=32).samples(GridConfig())
    for a, b in zip(samples, again, strict=True):
        np.testing.assert_array_equal(a.fixed, b.fixed)
    with pytest.raises(ValueError, match="'ct2d'"):
        PhantomDataset("ct2d", 1).samples(GridConfig())
