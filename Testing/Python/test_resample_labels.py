"""Labels on another grid: the one whose linear weight is largest, each in its own type, none invented."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hetreg import resample
from hetreg.image import Image
from hetreg.resample import displacement_transform, resample_like, resampled


def shifted(array: np.ndarray, shift_ij: tuple[float, float]) -> np.ndarray:
    """The labels at a grid that lies that many voxels along i and j from theirs."""
    labels = Image.from_array(array[None], (1, 1, 1))
    grid = Image.from_array(np.zeros_like(array[None]), (1, 1, 1), origin_lps=(*shift_ij, 0))
    return resample_like(labels, grid, labels=True)[0]


@pytest.mark.parametrize(("shift", "weight"), [((-0.4, -0.4), 0.36), ((-0.2, -0.2), 0.64), ((-0.4, 0), 0.6)])
def test_a_label_needs_half_of_the_weight_beside_the_background(shift, weight):
    """At the corner of a square, products of the shares along i and j; nearest neighbour takes all three."""
    array = np.zeros((8, 8), np.uint8)
    array[3:6, 3:6] = 7
    assert shifted(array, shift)[3, 3] == (7 if weight > 0.5 else 0)


def test_among_several_labels_the_largest_weight_wins_and_none_is_made_up():
    """Half way between 1, 5, 9 and 9: 9 has half of the weight. Between 1 and 9 there is no 5."""
    array = np.full((6, 6), 9, np.int16)
    array[2, 2], array[2, 3] = 1, 5
    found = shifted(array, (0.5, 0.5))
    assert found[2, 2] == 9
    assert set(np.unique(found[:5, :5])) <= {1, 5, 9}
    assert found.dtype == np.int16


def test_more_labels_elsewhere_do_not_change_one():
    j, i = np.mgrid[:48, :32]
    few = (np.hypot(i - 15.2, j - 15.7) < 9).astype(np.int16)
    many = few.copy()
    many[32:] = np.arange(2, 514).reshape(16, 32)
    for shift in ((0.5, 0.5), (0.4, -0.3)):
        np.testing.assert_array_equal(shifted(many, shift) == 1, shifted(few, shift) == 1)


GRIDS = {  # shape of the labels, of the grid
    "volume": ((6, 7, 8), (7, 9, 6)),
    "to one slice": ((6, 7, 8), (1, 9, 6)),
    "one slice": ((1, 9, 8), (5, 7, 6)),
    "planes": ((1, 9, 8), (1, 7, 9)),
}


@pytest.mark.parametrize("displaced", [False, True])
@pytest.mark.parametrize("shapes", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (bool, 0, 1),
        (np.uint8, 0, 0),
        (np.uint8, 0, 255),
        (np.uint16, 65000, 65535),
        (np.int16, -40, 0),
        (np.int32, 2**30, 2**30 + 9),
    ],
)
def test_many_labels_are_found_as_few_by_itk(dtype, low, high, shapes, displaced, monkeypatch):
    """Oblique, flipped, anisotropic, partly outside, in another memory order."""
    rng = np.random.default_rng(0)
    array = rng.integers(low, high, shapes[0], endpoint=True).astype(dtype, order="F")
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0] * (-1, 1, 1)
    image = Image.from_array(array, (1.1, 0.7, 2.3), direction=turn)
    zeros, spacing = np.zeros(shapes[1]), np.array((0.9, 0.8, 1.9))
    centre = image.ijk_to_lps[:3] @ (*(np.array(image.size_ijk) - 1) / 2, 1)
    origin = centre - turn @ (spacing * (np.array(shapes[1][::-1]) - 1) / 2) + 0.3
    grid = Image.from_array(zeros, spacing, origin_lps=origin, direction=turn)
    disp, found = displaced * rng.normal(size=(*shapes[1], 3)), []
    for most in (0, 1000):
        monkeypatch.setattr(resample, "_ONE_BY_ONE", most)
        transform = displacement_transform(disp, grid.ijk_to_lps)
        found.append(resampled(image, grid, transform, labels=True, outside=100))
    np.testing.assert_array_equal(*found)
    assert found[0].dtype == dtype


def test_labels_that_stay_are_the_same():
    array = np.random.default_rng(0).integers(0, 4, (9, 9)).astype(np.uint8)
    np.testing.assert_array_equal(shifted(array, (0, 0)), array)
    np.testing.assert_array_equal(shifted(array, (1, 0))[:, :-1], array[:, 1:])


@pytest.mark.parametrize("radius", [4.0, 8.0, 16.0])
def test_labels_of_half_the_voxel_size_keep_their_area(radius):
    """Each sample lies half way between voxels. By the lower label they shrank, those of radius 4 by 15 %."""
    areas = []
    for x, y in np.random.default_rng(0).uniform(28, 36, (20, 2)):
        j, i = np.mgrid[:64, :64]
        fine = (((i - x) ** 2 + (j - y) ** 2) < radius**2).astype(np.uint8)
        labels = Image.from_array(fine[None], (1, 1, 1))
        grid = Image.from_array(np.zeros((1, 32, 32), np.float32), (2, 2, 1), origin_lps=(0.5, 0.5, 0))
        areas.append(4 * resample_like(labels, grid, labels=True).sum() / fine.sum())
    assert np.mean(areas) == pytest.approx(1, abs=0.02)


def test_a_line_half_way_between_voxels_stays_one():
    array = np.zeros((9, 9), np.uint8)
    array[4] = 1
    found = shifted(array, (0, 0.5))
    assert (found.sum(axis=0) == 1).all()


@pytest.mark.parametrize("flip", [1, -1])
def test_labels_reach_to_the_edge(flip):
    labels = Image.from_array(np.ones((3, 8, 8), np.uint8), (1, 1, 2), direction=np.diag([flip, 1.0, flip]))
    place = labels.ijk_to_lps.copy()
    place[:3, 3] += 1e-5  # another grid, so that it is resampled
    assert resample_like(labels, Image(labels.array, place, "grid"), labels=True).all()


def test_images_and_labels_are_read_without_torch(root):
    """By the panel, on the main thread, which would stand still while torch is loaded."""
    code = "import sys, hetreg.image, hetreg.resample; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root / "HetRegUncertainty",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "False\n", done.stderr
