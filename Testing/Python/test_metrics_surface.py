"""Surface distances of squares, cubes and single voxels, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hetreg.metrics.surface import directed_distances, surface_distances

ONES = (1.0, 1.0)


def box(shape, *ranges) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*r) for r in ranges)] = True
    return mask


def test_surface_of_a_square_is_its_rim_also_at_the_border_of_the_image():
    def surface(mask: np.ndarray) -> int:
        return directed_distances(mask, mask)[0].size

    assert surface(box((9, 9), (2, 7), (2, 7))) == 16
    assert surface(np.ones((5, 5), bool)) == 16
    assert surface(np.ones((1, 5, 5), bool)) == 16  # an axis of length 1 does not count
    assert surface(box((9, 9), (4, 5), (2, 7))) == 5  # a line is all surface
    assert surface(np.ones((5, 5, 5), bool)) == 125 - 27


def test_equal_masks_are_at_distance_0():
    mask = box((9, 9), (2, 7), (2, 7))
    assert set(surface_distances(mask, mask, ONES).values()) == {0.0}
    assert surface_distances(mask, mask, ONES, "as_published") == {"hd_px": 0.0, "asd_px": 0.0}


def test_a_square_moved_by_2_of_4_mm():
    truth, found = box((9, 12), (2, 7), (2, 7)), box((9, 12), (2, 7), (4, 9))
    values = surface_distances(truth, found, (3.0, 4.0))
    # px, columns 2..6 of the truth: the corner columns 2 and 3 are 2 and 1 away from column 4; the rest of
    # the top and bottom rows lie on it; of the right column the three inner voxels are 1 (below or above).
    there = [2.0] * 5 + [1.0] * 2 + [0.0] * 6 + [1.0, 2.0, 1.0]
    assert sorted(directed_distances(truth, found)[0]) == sorted(there)
    assert values["hd_px"] == 2.0
    assert values["asd_px"] == pytest.approx(sum(there) / 16)
    assert values["hd95_px"] == 2.0
    assert values["hd_mm"] == 8.0
    assert surface_distances(truth, found, (3.0, 4.0), "as_published") == {
        "hd_px": 2.0,
        "asd_px": pytest.approx(sum(there) / 16),
    }


def test_single_voxels_diagonal_in_3d():
    truth, found = box((4, 5, 6), (0, 1), (0, 1), (0, 1)), box((4, 5, 6), (1, 2), (2, 3), (2, 3))
    values = surface_distances(truth, found, (8.0, 2.0, 1.0))
    assert values["hd_px"] == values["hd95_px"] == values["asd_px"] == 3.0
    assert values["hd_mm"] == values["asd_mm"] == pytest.approx(math.sqrt(64 + 16 + 4))


def test_asd_is_one_way_as_published_and_both_ways_corrected():
    truth, found = box((1, 9), (0, 1), (2, 3)), box((1, 9), (0, 1), (2, 3))
    found[0, 7] = True  # an island, 5 away; the truth's own surface does not notice
    published = surface_distances(truth, found, ONES, "as_published")
    corrected = surface_distances(truth, found, ONES)
    assert published == {"hd_px": 5.0, "asd_px": 0.0}
    assert corrected["asd_px"] == pytest.approx(5.0 / 3.0)
    assert corrected["hd95_px"] == pytest.approx(4.75)  # numpy's 95th percentile of 0, 5


def test_weights_are_a_mask_by_the_policy():
    truth = box((1, 9), (0, 1), (2, 5))
    weights = truth.astype(np.float32)
    weights[0, 5:7] = 0.5, 0.01
    assert surface_distances(truth, weights, ONES)["hd_px"] == 1.0
    assert surface_distances(truth, weights, ONES, "as_published")["hd_px"] == 2.0


@pytest.mark.parametrize("policy", ["as_published", "corrected"])
def test_an_empty_mask_gives_nan(policy):
    empty, full = np.zeros((4, 4), bool), np.ones((4, 4), bool)
    for pair in ((empty, full), (full, empty), (empty, empty)):
        assert all(math.isnan(v) for v in surface_distances(*pair, ONES, policy).values())


def test_a_slice_counts_alike_as_2d_and_as_volume_of_one_slice():
    rng = np.random.default_rng(0)
    truth, found = rng.random((2, 12, 14)) > 0.6
    flat = surface_distances(truth, found, (1.5, 1.2))
    assert surface_distances(truth[None], found[None], (8.0, 1.5, 1.2)) == pytest.approx(flat)


def test_refusals():
    mask = np.ones((4, 4), bool)
    with pytest.raises(ValueError, match=r"\(4, 4\).*\(5,\)"):
        surface_distances(mask, np.ones(5, bool), ONES)
    for spacing in ((1.0,), (1.0, 0.0), (1.0, -1.0)):
        with pytest.raises(ValueError, match="one positive number per axis"):
            surface_distances(mask, mask, spacing)
    with pytest.raises(ValueError, match=r"'strict'.*as_published, corrected"):
        surface_distances(mask, mask, ONES, "strict")
