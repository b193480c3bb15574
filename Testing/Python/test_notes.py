"""Notes on a pair and its labels: doubts that are told, and none where nothing is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from hetreg.assemble import pair_notes
from hetreg.config import GridConfig, NetworkConfig
from hetreg.image import Image
from hetreg.model import RegistrationModel
from hetreg.preprocess import to_network_grid
from hetreg.register import register_pair


@pytest.mark.parametrize("changed_only", [False, True])
@pytest.mark.parametrize("width", [12, 40])
@pytest.mark.parametrize(("factor", "told"), [(1, False), (0.1, True), (8, True)])
def test_the_intensities_of_a_small_moving_image_are_compared_where_it_lies(
    width, factor, told, changed_only
):
    """A bright heart in the middle of darker tissue."""
    array = np.random.default_rng(0).normal(40, 10, (2, 3, 128, 128)).astype(np.float32)
    array[..., 50:78, 50:78] *= 4
    fixed = Image(array[0], np.diag([1.4, 1.4, 8, 1]), "fixed")
    first = (128 - width) // 2
    part = array[1, :, first : first + width, first : first + width]
    matrix = fixed.ijk_to_lps.copy()
    matrix[:, 3] += matrix[:, :2].sum(1) * first
    moving = Image(part * factor, matrix, "moving")
    grid = GridConfig(changed_only=changed_only, low_percentile=0.5, high_percentile=99.5)
    pair = to_network_grid(fixed, moving, grid, ndim=2, multiple=8)
    assert any("scale" in note for note in pair_notes(fixed, pair)) == told


@pytest.mark.parametrize(("fixed", "moving", "count"), [(1, 3, 1), (3, 3, 0), (3, 1, 0), (1, 1, 0)])
def test_a_volume_of_which_one_plane_is_moved_is_told_of(fixed, moving, count):
    """As with a sequence of CAMUS, whose third axis is time, as the moving image."""
    values = np.random.default_rng(0).random((2, 3, 32, 24))
    pair = [Image(values[n, :planes], np.eye(4)) for n, planes in enumerate((fixed, moving))]
    model = RegistrationModel(NetworkConfig(encoder=(4,), decoder=(4,), tail=(4,)))
    notes = [note for note in register_pair(*pair, model).summary["notes"] if "is a plane" in note]
    assert len(notes) == count
    assert all("a volume (24 x 32 x 3): only what lies in that plane" in note for note in notes)


@pytest.mark.parametrize(("columns", "told"), [(31, ["48 %"]), (32, [])])
def test_a_moving_image_that_covers_less_than_half_of_the_fixed_one_is_told_of(columns, told):
    array, place = np.random.default_rng(0).random((2, 3, 64, 64)), np.diag([1.4, 1.4, 8, 1])
    fixed, moving = Image(array[0], place), Image(array[1, ..., :columns], place)
    notes = pair_notes(fixed, to_network_grid(fixed, moving, GridConfig(), ndim=2, multiple=8))
    assert [note.split(" of the ")[0][-4:] for note in notes if "covers" in note] == told
