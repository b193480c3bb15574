"""Displacement fields against analytic truth and against SimpleITK."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from builders import FLIPPED, OBLIQUE, sampled
from hetreg import spatial
from hetreg.resample import displacement_transform

SIZES = {2: (30, 34), 3: (22, 24, 26)}


def coordinates(size) -> torch.Tensor:
    """(1, ndim, *size) voxel coordinates relative to the centre, float64."""
    axes = [torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]


def linear_field(matrix: torch.Tensor, size) -> torch.Tensor:
    """The field matrix @ (x - centre)."""
    return torch.einsum("cd,bd...->bc...", matrix, coordinates(size))


def smooth_field(size, amplitude: float) -> torch.Tensor:
    """A field of one bump per component, zero at the border, float64."""
    axes = torch.meshgrid(*(torch.linspace(0, torch.pi, n).double() for n in size), indexing="ij")
    bump = torch.stack([a.sin() for a in axes]).prod(dim=0)
    parts = [bump * (c + 1 + 2 * axes[c]).cos() for c in range(len(size))]
    return amplitude * torch.stack(parts)[None]


def inner(tensor: torch.Tensor, width: int = 4) -> torch.Tensor:
    """Without the border, where a field that leaves the grid is clamped."""
    return tensor[(..., *[slice(width, -width)] * (tensor.dim() - 2))]


@pytest.mark.parametrize("ndim", [2, 3])
def test_zero_field_is_the_identity(ndim):
    image = torch.rand((2, 3, *SIZES[ndim]), dtype=torch.float64)
    torch.testing.assert_close(spatial.warp(image, image.new_zeros((2, ndim, *SIZES[ndim]))), image)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_a_whole_voxel_translation_is_a_roll_with_zeros_outside(ndim, mode):
    size = SIZES[ndim]
    image = torch.rand((1, 1, *size), dtype=torch.float64)
    for axis in range(ndim):
        disp = image.new_zeros((1, ndim, *size))
        disp[:, axis] = 2.0
        expected = image.roll(-2, dims=axis + 2)
        expected.narrow(axis + 2, size[axis] - 2, 2).zero_()
        torch.testing.assert_close(spatial.warp(image, disp, mode=mode), expected)
        assert spatial.warp(image, disp, padding="border").narrow(axis + 2, size[axis] - 2, 2).all()


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_linear_image_is_moved_by_exactly_the_fraction(ndim):
    ramp = sum((a + 1) * coordinates(SIZES[ndim])[:, a : a + 1] for a in range(ndim))
    disp = torch.full((1, ndim, *SIZES[ndim]), 0.3, dtype=torch.float64)
    expected = ramp + 0.3 * sum(range(1, ndim + 1))
    torch.testing.assert_close(inner(spatial.warp(ramp, disp)), inner(expected))


@pytest.mark.parametrize("matrix", [np.eye(3), OBLIQUE, FLIPPED], ids=["axial", "oblique", "flipped"])
def test_warp_equals_simpleitk(matrix):
    moving = sampled((16, 14, 12), (0.8, 1.1, 2.5), matrix, centre=(40.0, -7.0, 3.0))
    disp = smooth_field((12, 14, 16), 2.0).float()
    field = spatial.disp_to_lps_mm(disp[0].numpy(), moving.ijk_to_lps)
    transform = displacement_transform(field, moving.ijk_to_lps)
    theirs = sitk.GetArrayFromImage(sitk.Resample(moving.to_sitk(), transform, sitk.sitkLinear))
    image = torch.from_numpy(moving.array)[None, None]
    for ours in (spatial.warp(image, disp), spatial.warp_as_itk(image, disp)):
        np.testing.assert_allclose(ours[0, 0].numpy(), theirs, atol=1e-3 * np.ptp(moving.array))


def test_warp_as_itk_equals_simpleitk_where_the_field_leaves_the_image():
    moving = sampled((16, 14, 1))
    disp = 3.2 * torch.rand((2, 2, 14, 16), generator=torch.Generator().manual_seed(0)) - 1.6
    image = torch.from_numpy(moving.array)[None].expand(2, -1, -1, -1)
    for ours, field in zip(spatial.warp_as_itk(image, disp), disp.numpy(), strict=True):
        field = np.stack([np.zeros((14, 16), np.float32), *field])[:, None]
        field = spatial.disp_to_lps_mm(field, moving.ijk_to_lps)
        transform = displacement_transform(field, moving.ijk_to_lps)
        theirs = sitk.GetArrayFromImage(sitk.Resample(moving.to_sitk(), transform, sitk.sitkLinear))
        assert (theirs == 0).any()
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-3 * np.ptp(moving.array))


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"warp: disp .*\(1, 3, 8, 8\)"):
        spatial.warp(torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="differ in size"):
        spatial.warp(torch.zeros(1, 1, 8, 9), torch.zeros(1, 2, 8, 8))
    for function in (spatial.integrate, spatial.invert, spatial.jacobian_determinant):
        with pytest.raises(ValueError, match=f"{function.__name__}: disp"):
            function(torch.zeros(1, 1, 8, 8))
    with pytest.raises(ValueError, match=r"integrate: steps is -1: 0 or more"):
        spatial.integrate(torch.zeros(1, 2, 8, 8), -1)
    for image in (torch.zeros(1, 1, 8, 9), torch.zeros(3, 1, 8, 8)):  # another size, another number
        for warp in (spatial.warp, spatial.warp_as_itk):
            with pytest.raises(ValueError, match=f"{warp.__name__}: .*differ in size or number"):
                warp(image, torch.zeros(2, 2, 8, 8))
    for resize in (spatial.resize, spatial.resize_disp):
        with pytest.raises(ValueError, match=rf"{resize.__name__}: size \(4,\) .*2 spatial axes"):
            resize(torch.zeros(1, 2, 8, 8), (4,))


@pytest.mark.parametrize("ndim", [2, 3])
def test_integration_of_zero_of_no_steps_and_of_a_constant(ndim):
    size = SIZES[ndim]
    zero = torch.zeros((1, ndim, *size), dtype=torch.float64)
    assert spatial.integrate(zero).abs().max() == 0
    velocity = smooth_field(size, 2.0)
    assert torch.equal(spatial.integrate(velocity, 0), velocity)
    constant = zero + torch.tensor([1.5, -0.5, 0.75][:ndim]).view(1, ndim, *[1] * ndim)
    torch.testing.assert_close(spatial.integrate(constant), constant)


@pytest.mark.parametrize("ndim", [2, 3])
def test_integration_of_a_rotation_generator_is_the_rotation(ndim):
    angle = 0.3
    generator, rotation = torch.zeros(ndim, ndim).double(), torch.eye(ndim).double()
    generator[0, 1], generator[1, 0] = -angle, angle
    rotation[:2, :2] = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    disp = spatial.integrate(linear_field(generator, SIZES[ndim]), 10)
    expected = linear_field(rotation - torch.eye(ndim), SIZES[ndim])
    torch.testing.assert_close(inner(disp), inner(expected), atol=5e-3, rtol=0)


@pytest.mark.parametrize("ndim", [2, 3])
def test_integration_of_an_affine_generator_is_the_matrix_exponential(ndim):
    generator = 0.15 * torch.randn((ndim, ndim), generator=torch.Generator().manual_seed(2)).double()
    disp = spatial.integrate(linear_field(generator, SIZES[ndim]), 10)
    expected = linear_field(torch.linalg.matrix_exp(generator) - torch.eye(ndim), SIZES[ndim])
    torch.testing.assert_close(inner(disp), inner(expected), atol=5e-3, rtol=0)


@pytest.mark.parametrize("ndim", [2, 3])
def test_forward_after_backward_is_the_identity(ndim):
    velocity = smooth_field(SIZES[ndim], 2.0)
    there, back = spatial.integrate(velocity), spatial.integrate(-velocity)
    assert there.abs().max() > 0.5
    assert spatial.compose(there, back).abs().max() < 0.15


def test_compose_adds_translations_and_multiplies_matrices():
    a = 0.1 * torch.tensor([[1.0, 2.0], [-1.0, 0.5]]).double()
    b = 0.1 * torch.tensor([[0.0, 1.0], [2.0, -1.0]]).double()
    both = spatial.compose(linear_field(a, (30, 34)), linear_field(b, (30, 34)))
    eye = torch.eye(2).double()
    expected = linear_field((eye + a) @ (eye + b) - eye, (30, 34))
    torch.testing.assert_close(inner(both, 5), inner(expected, 5))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("guess", [False, True])
def test_the_inverse_is_true_and_its_error_is_told(ndim, guess):
    velocity = smooth_field(SIZES[ndim], 2.0)
    disp = spatial.integrate(velocity)
    start = spatial.integrate(-velocity) if guess else None
    inverse, error = spatial.invert(disp, start=start)
    found = spatial.compose(disp, inverse).square().sum(1).sqrt().max().item()
    assert found < 2e-3
    assert error == pytest.approx(found, abs=1e-4)
    assert spatial.compose(inverse, disp).abs().max() < 0.1


def test_where_most_voxels_need_it_whole_sweeps_come_before_newton_s_method(monkeypatch):
    """Its steps look voxels up one by one: of a large field that is most of the time of a registration."""
    disp = spatial.integrate(smooth_field((30, 34), 3.0))
    asked, step = [], spatial._newton_step
    monkeypatch.setattr(
        spatial, "_newton_step", lambda d, b, p, e, n: asked.append(len(p)) or step(d, b, p, e, n)
    )
    inverse, error = spatial.invert(disp, start=spatial.integrate(smooth_field((30, 34), -3.0)))
    assert error < 1e-3
    assert spatial.compose(disp, inverse).square().sum(1).sqrt().max() < 1.01e-3
    assert max(asked, default=0) <= 0.1 * 30 * 34


def test_the_inverse_of_strong_stretching_is_found_where_whole_steps_of_newton_overshoot():
    x = torch.arange(80.0).double() - 39.5
    stretched = 39.5 * (x / 2.5).atan() / math.atan(39.5 / 2.5)  # slopes from 0.04 to 10
    disp = torch.zeros((1, 2, 80, 80)).double()
    disp[0, 0] = (stretched - x).view(80, 1)
    inverse, error = spatial.invert(disp)
    assert error < 1e-3
    assert spatial.compose(disp, inverse).abs().max() < 1.01e-3


def test_the_inverse_of_a_folded_field_stays_finite_and_tells_its_error():
    disp = torch.zeros((1, 2, 20, 20))
    disp[:, 0, 8:12] = torch.tensor([4.0, -4.0, 4.0, -4.0]).view(4, 1)
    inverse, error = spatial.invert(disp)
    assert inverse.isfinite().all()
    found = spatial.compose(disp, inverse).square().sum(1).sqrt().max().item()
    assert error == pytest.approx(found, abs=1e-4)


def test_the_inverse_leaves_its_inputs_alone():
    disp = spatial.integrate(smooth_field((30, 34), 2.0))
    start = -disp
    before = disp.clone(), start.clone()
    spatial.invert(disp, start=start)
    assert torch.equal(disp, before[0])
    assert torch.equal(start, before[1])


@pytest.mark.parametrize("ndim", [2, 3])
def test_jacobian_of_a_linear_field_is_its_determinant(ndim):
    matrix = 0.2 * torch.randn((ndim, ndim), generator=torch.Generator().manual_seed(1)).double()
    jacobian = spatial.jacobian_determinant(linear_field(matrix, SIZES[ndim]))
    expected = torch.linalg.det(torch.eye(ndim).double() + matrix)
    torch.testing.assert_close(jacobian, expected.expand_as(jacobian))


def test_jacobian_sees_folding_and_counts_a_flat_axis_as_undeformed():
    mirror = linear_field(torch.diag(torch.tensor([-2.0, 0.0])).double(), (30, 34))
    assert spatial.jacobian_determinant(mirror).max() < 0
    flat = torch.zeros((1, 3, 1, 8, 8))
    flat[:, 1] = 0.5 * torch.arange(8.0).view(8, 1)
    torch.testing.assert_close(spatial.jacobian_determinant(flat), torch.full((1, 1, 1, 8, 8), 1.5))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("factors", [(2.0, 2.0, 2.0), (2.0, 3.0, 1.5)])
def test_a_resized_field_moves_the_same_way(ndim, factors):
    size, scale = SIZES[ndim], torch.tensor(factors[:ndim]).double()
    larger = [int(f * n) for f, n in zip(factors[:ndim], size, strict=True)]
    matrix = 0.1 * torch.ones(ndim, ndim).double()
    expected = linear_field(matrix * scale[:, None] / scale, larger)
    disp = linear_field(matrix, size)
    torch.testing.assert_close(inner(spatial.resize_disp(disp, larger)), inner(expected))
    assert spatial.resize_disp(disp, size) is disp


@pytest.mark.parametrize("size", [(5,), (16, 20), (1, 16, 20), (4, 9, 30)])
def test_the_window_is_zero_at_the_border_and_one_inside(size):
    window = spatial.edge_window(size, 3)[0, 0]
    assert window.max() == 1
    for axis, n in enumerate(size):
        ends = window.index_select(axis, torch.tensor([0, n - 1]))
        assert ends.max() == (0 if n >= 5 else 1)


def test_the_window_rises_as_a_squared_sine_by_hand():
    quarter = math.sin(math.pi / 8) ** 2  # 0.146
    rise = torch.tensor([0.0, quarter, 0.5, 1 - quarter, 1.0])
    torch.testing.assert_close(spatial.edge_window((20, 24), 4)[0, 0, :5, :5], rise[:, None] * rise)


@pytest.mark.parametrize("matrix", [np.eye(3), OBLIQUE, FLIPPED], ids=["axial", "oblique", "flipped"])
def test_voxels_become_mm_along_the_image_axes_and_back(matrix):
    image = sampled((4, 3, 5), (0.5, 2.0, 4.0), matrix)
    disp = np.zeros((3, 5, 3, 4), np.float32)
    disp[2] = 1.0  # one voxel along i
    field = spatial.disp_to_lps_mm(disp, image.ijk_to_lps)
    np.testing.assert_allclose(field, np.broadcast_to(0.5 * matrix[:, 0], field.shape), atol=1e-12)
    disp = np.random.default_rng(0).normal(size=disp.shape).astype(np.float32)
    back = spatial.disp_to_vox(spatial.disp_to_lps_mm(disp, image.ijk_to_lps), image.ijk_to_lps)
    np.testing.assert_allclose(back, disp, atol=1e-5)


@pytest.mark.parametrize("shape", [(64, 64, 64), (128, 128, 128), (64, 128, 128), (48, 80, 96), (7, 11, 13)])
def test_thinned_voxels_are_spread_over_all_rows_and_columns(shape):
    count = int(np.prod(shape))
    step = spatial.thinning(count, 8192)
    where = np.unravel_index(np.arange(count)[::step], shape)
    assert count // 8192 <= step <= 2 * max(1, count // 8192)
    for axis, n in enumerate(shape):
        counts = np.bincount(where[axis], minlength=n)
        assert counts.min() > 0.5 * counts.mean()


def test_a_volume_that_shrinks_is_averaged_and_one_that_grows_is_linear():
    torch.manual_seed(0)
    noise = torch.randn(1, 1, 40, 40, 40, dtype=torch.float64)
    small = spatial.resize(noise, (10, 20, 40))
    assert small.shape == (1, 1, 10, 20, 40)
    # triangles of 4 and 2 voxels half width have the square sums 0.164 and 0.3125
    assert small[..., 2:-2, 2:-2, :].var() == pytest.approx(0.164 * 0.3125, rel=0.15)
    ramp = torch.arange(40.0, dtype=torch.float64).view(1, 1, 40, 1, 1).expand(noise.shape)
    expected = torch.arange(10.0, dtype=torch.float64) * 4 + 1.5
    torch.testing.assert_close(spatial.resize(ramp, (10, 20, 40))[0, 0, 2:-2, 5, 5], expected[2:-2])
    theirs = torch.nn.functional.interpolate(noise, size=(50, 60, 40), mode="trilinear", align_corners=False)
    torch.testing.assert_close(spatial.resize(noise, (50, 60, 40)), theirs)
