"""Whether two images have the same voxels in the same places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders import OBLIQUE, sampled
from hetreg.checks import check_pair
from hetreg.image import Image, read_image, write_image
from hetreg.resample import same_grid


def test_same_grid_by_place_not_by_contents():
    image = Image.from_array(np.zeros((4, 4, 4)), (1, 1, 1))
    assert same_grid(image, Image.from_array(np.ones((4, 4, 4)), (1, 1, 1)))
    moved = image.ijk_to_lps.copy()
    moved[0, 3] += 0.01
    assert not same_grid(image, replace(image, ijk_to_lps=moved))
    assert not same_grid(image, Image.from_array(np.zeros((4, 4, 5)), (1, 1, 1)))


def test_a_header_of_32_bits_is_the_same_grid(tmp_path):
    """As in NIfTI: it would not be seen that an image is registered to itself."""
    far = sampled((130, 120, 9), (1.6091, 1.6091, 8), OBLIQUE, centre=(-211.3, 180.7, 95.1))
    write_image(far, tmp_path / "far.nii.gz")
    rounded = read_image(tmp_path / "far.nii.gz")
    assert 0 < np.abs(rounded.ijk_to_lps - far.ijk_to_lps).max() < 1e-4
    with pytest.raises(ValueError, match="are the same"):
        check_pair(far, rounded)
    longer = far.ijk_to_lps.copy()
    longer[:3, 0] *= 1 + 1e-5  # at the last voxel more than a thousandth of one
    assert not same_grid(far, replace(far, ijk_to_lps=longer))
