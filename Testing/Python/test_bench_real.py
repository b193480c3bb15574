"""The traced frames of the real echo: closed outlines, one in the other, that any grid shows alike."""

from __future__ import annotations

import numpy as np
import pytest
import real_echo
import SimpleITK as sitk

SHAPE = (370, 510)


@pytest.mark.parametrize("frame", sorted(real_echo.CAVITY))
def test_the_cavity_lies_in_the_heart(frame: int) -> None:
    cavity, heart = (real_echo.inside(c[frame], SHAPE) for c in (real_echo.CAVITY, real_echo.HEART))
    assert 5_000 < cavity.sum() < 0.75 * heart.sum()
    assert (cavity & ~heart).sum() < 0.03 * cavity.sum()
    assert set(np.unique(real_echo.labels(frame, SHAPE))) == {0, 2, 3}


def test_end_diastole_is_larger_than_end_systole() -> None:
    areas = {frame: (real_echo.labels(frame, SHAPE) == 3).sum() for frame in real_echo.CAVITY}
    assert all(areas[systole] < 0.8 * areas[diastole] for diastole, systole in real_echo.PAIRS)


def test_a_square_keeps_its_place_on_a_coarser_grid() -> None:
    array = np.zeros((100, 140), np.uint8)
    array[20:60, 35:70] = 3
    made = real_echo.image(array, 20)
    assert made.GetSize() == (20, 20, 1)
    assert made.GetSpacing()[:2] == pytest.approx((7 * real_echo.PIXEL_MM, 5 * real_echo.PIXEL_MM))
    found = sitk.GetArrayFromImage(made)[0]
    assert (found[4:12, 5:10] == 3).all()
    assert (found == 3).sum() == 40
    grey = sitk.GetArrayFromImage(real_echo.image(array.astype(np.float32), 0))[0]
    np.testing.assert_array_equal(grey, array)
