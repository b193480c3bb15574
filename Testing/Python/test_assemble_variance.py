"""The variance on the image grid: its level, place by place, where the networks saw a resampled image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from hetreg.assemble import on_image_grid
from hetreg.config import GridConfig
from hetreg.image import Image
from hetreg.preprocess import NetworkPair, to_network_grid


def halved() -> NetworkPair:
    """Two slices of 64 x 64 voxels of 0 to 200 on a grid of 32 x 32."""
    array = np.linspace(0, 200, 2 * 64 * 64, dtype=np.float32).reshape(2, 64, 64)
    image = Image(array, np.diag([1, 1, 8, 1.0]), "image")
    grid = GridConfig(max_size=32, low_percentile=0, high_percentile=100)
    return to_network_grid(image, image.like(array[:, ::-1], "other"), grid, ndim=2, multiple=4)


@pytest.mark.parametrize("axis", [1, 2])
def test_the_level_follows_the_residual_within_a_few_voxels(axis):
    """Residuals of 1 and 2 % of the range beside each other, which a Gaussian of SD 4 voxels blurs; the
    networks saw a quarter of the former."""
    distance = np.arange(64) - 31.5
    step = np.where(distance < 0, 2.0, 4.0).astype(np.float32)
    residual = np.broadcast_to(step[:, None] if axis == 1 else step, (2, 64, 64))
    found = on_image_grid(np.ones_like(residual), residual, halved()).swapaxes(axis, 2)
    expected = 4 + 12 * norm.cdf(distance / 4)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=0.06)


def test_where_both_images_are_constant_there_is_no_noise():
    nothing = np.zeros((2, 64, 64), np.float32)
    assert not on_image_grid(nothing, nothing, halved()).any()
