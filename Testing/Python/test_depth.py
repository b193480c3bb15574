"""The axis of the depth of an ultrasound volume, and models that want it in one place."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

import hetreg
from builders import tiny_model
from hetreg.config import GridConfig, RegisterConfig
from hetreg.datasets.phantom import make_pair
from hetreg.image import Image
from hetreg.modality import depth_axis
from hetreg.preprocess import plan, to_network_grid

ORDERS = list(permutations(range(3)))


def turned(image: Image, order: tuple[int, ...]) -> Image:
    """The same image in space with its array axes in another order."""
    columns = [2 - order[2], 2 - order[1], 2 - order[0], 3]
    return Image(np.ascontiguousarray(image.array.transpose(order)), image.ijk_to_lps[:, columns], image.name)


@pytest.fixture(scope="module")
def echo():
    return make_pair("echo3d", 7000, size=48, with_truth=False)


@pytest.mark.parametrize("order", ORDERS)
def test_the_depth_is_found_along_any_axis(echo, order):
    assert depth_axis(turned(echo.fixed, order)) == order.index(1)


def test_the_depth_of_voxels_that_are_not_cubic_is_found(echo):
    matrix = echo.fixed.ijk_to_lps.copy()
    matrix[:, 1] *= 3  # of the array's axis 1
    assert depth_axis(Image(echo.fixed.array[:, ::3], matrix, "echo")) == 1


def test_a_volume_without_a_sector_has_none():
    assert depth_axis(Image(np.random.default_rng(0).random((40, 44, 48), np.float32), np.eye(4))) is None


@pytest.mark.parametrize("order", ORDERS)
def test_a_pair_is_laid_with_the_depth_where_the_model_wants_it(echo, order):
    grid = GridConfig(depth_axis=1)
    fixed, moving = turned(echo.fixed, order), turned(echo.moving, order)
    assert plan(fixed, GridConfig(), ndim=3, multiple=8).axes == (0, 1, 2)
    pair = to_network_grid(fixed, moving, grid, ndim=3, multiple=8)
    assert pair.plan.axes[1] == order.index(1)
    laid = pair.map_samples(fixed.array)
    np.testing.assert_array_equal(laid[0, 0].numpy(), fixed.array.transpose(pair.plan.axes))
    np.testing.assert_array_equal(pair.samples_to_map(laid), fixed.array)
    field = np.random.default_rng(0).random((3, *fixed.array.shape), np.float32)
    samples = pair.field_samples(field)
    np.testing.assert_array_equal(samples[0, 1].numpy(), field[order.index(1)].transpose(pair.plan.axes))
    np.testing.assert_array_equal(pair.samples_to_field(samples), field)
    assert pair.image_window().shape == fixed.array.shape


def test_the_order_of_the_axes_does_not_matter(echo):
    """But for that of the other two."""
    model = tiny_model(ndim=3, rough=0.3)
    model.grid = replace(model.grid, depth_axis=1)
    config = RegisterConfig()
    found = hetreg.register_pair(echo.fixed, echo.moving, model, config)
    for order in ((1, 0, 2), (0, 2, 1)):
        other = hetreg.register_pair(turned(echo.fixed, order), turned(echo.moving, order), model, config)
        for name in ("disp_lps_mm", "inverse_disp_lps_mm"):
            np.testing.assert_allclose(
                getattr(other, name), getattr(found, name).transpose(*order, 3), atol=1e-3
            )
        for name in ("moved", "noise_variance", "snr_weight", "log_jacobian"):
            np.testing.assert_allclose(
                getattr(other, name).array, getattr(found, name).array.transpose(order), rtol=1e-2, atol=1e-3
            )
