"""The cardiac phantom: its contract, its displacement, and its noise variance against many draws."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import map_coordinates

from hetreg.datasets.phantom import KINDS, make_pair, pixel_size_mm, save_pair
from hetreg.datasets.phantom_motion import Bump, SaxMotion, radial_gain
from hetreg.datasets.phantom_truth import Interpolator
from hetreg.image import read_image

KNOWN = KINDS[:4]  # of which the variance of the noise is known; the others are in test_scatterers
SMALL = {"mri2d": 48, "echo2d": 48, "echo2d_sax": 48, "echo3d": 20}


def warp(volume, disp):
    """volume(x + disp(x)), linear, zero outside; volume (K, J, I), disp (3, K, J, I)."""
    grid = np.meshgrid(*(np.arange(n) for n in volume.shape), indexing="ij")
    return map_coordinates(
        volume.astype(float), [g + d for g, d in zip(grid, disp, strict=True)], order=1, mode="grid-constant"
    )


def dice(a, b):
    return 2.0 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def jacobian(disp):
    """det J of x + disp on the axes that have more than one voxel."""
    axes = [a for a in range(3) if disp.shape[a + 1] > 1]
    field = np.squeeze(disp.astype(float))[-len(axes) :] if len(axes) == 2 else disp.astype(float)
    gradient = np.stack([np.stack(np.gradient(c)) for c in field]) + np.eye(len(axes)).reshape(
        len(axes), len(axes), *[1] * len(axes)
    )
    return np.linalg.det(np.moveaxis(gradient, (0, 1), (-2, -1)))


@pytest.mark.parametrize("kind", KNOWN)
def test_pair_follows_the_contract(kind):
    size = SMALL[kind]
    pair = make_pair(kind, 5, size=size)
    shape = (size, size, size) if kind == "echo3d" else (1, size, size)
    images = (pair.fixed, pair.moving, pair.noise_variance, pair.residual_variance)
    assert all(i.array.shape == shape and i.array.dtype == np.float32 for i in images)
    assert all(np.isfinite(i.array).all() for i in images)
    masks = (pair.fixed_label, pair.moving_label, pair.body)
    assert all(m.array.shape == shape and m.array.dtype == np.uint8 for m in masks)
    assert pair.disp_vox.shape == (3, *shape)
    assert pair.disp_vox.dtype == np.float32
    accepted = {0, 1, 2, 3, 4} if kind in ("echo2d", "echo3d") else {0, 1, 2, 3}
    assert {2, 3} <= set(np.unique(pair.fixed_label.array)) <= accepted
    assert (pair.kind, pair.seed) == (kind, 5)
    assert 0 < pair.body.array.mean() <= 1
    if kind != "echo3d":
        assert not pair.disp_vox[0].any()


@pytest.mark.parametrize("kind", KNOWN)
def test_geometry_is_a_plausible_oblique_view(kind):
    pair = make_pair(kind, 1, size=SMALL[kind], with_truth=False)
    direction = pair.fixed.direction
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-12)
    assert np.linalg.det(direction) == pytest.approx(1.0)
    assert np.abs(direction).max() < 0.999
    full = pair.fixed.spacing_mm * SMALL[kind] / (64 if kind == "echo3d" else 128)
    low, high = (1.8, 2.9) if kind == "echo3d" else (0.9, 1.9)
    assert low <= full[0] <= high
    assert full[0] == pytest.approx(full[1])
    for image in (pair.moving, pair.fixed_label, pair.body):
        np.testing.assert_array_equal(image.ijk_to_lps, pair.fixed.ijk_to_lps)
    assert pixel_size_mm(kind, 1, size=SMALL[kind]) == pytest.approx(pair.fixed.spacing_mm[0], abs=1e-9)
    assert pixel_size_mm(kind, 1) == pytest.approx(full[0])


@pytest.mark.parametrize("kind", KNOWN)
def test_same_seed_same_bits_other_seed_other_heart(kind):
    size = SMALL[kind]
    a, b, c = (make_pair(kind, seed, size=size) for seed in (7, 7, 8))
    for name in ("fixed", "moving", "fixed_label", "moving_label", "noise_variance", "residual_variance"):
        np.testing.assert_array_equal(getattr(a, name).array, getattr(b, name).array)
    np.testing.assert_array_equal(a.disp_vox, b.disp_vox)
    np.testing.assert_array_equal(a.fixed.ijk_to_lps, b.fixed.ijk_to_lps)
    assert not np.array_equal(a.fixed.array, c.fixed.array)
    assert not np.array_equal(a.disp_vox, c.disp_vox)


@pytest.mark.parametrize("kind", KNOWN)
def test_truth_can_be_left_out_and_changes_nothing_else(kind):
    size = SMALL[kind]
    with_truth, without = make_pair(kind, 2, size=size), make_pair(kind, 2, size=size, with_truth=False)
    assert without.noise_variance is None
    assert without.residual_variance is None
    np.testing.assert_array_equal(with_truth.fixed.array, without.fixed.array)
    np.testing.assert_array_equal(with_truth.disp_vox, without.disp_vox)


def test_noise_seed_changes_the_noise_only():
    a, b = (make_pair("mri2d", 2, size=48, noise_seed=n) for n in (0, 1))
    assert not np.array_equal(a.fixed.array, b.fixed.array)
    np.testing.assert_array_equal(a.fixed_label.array, b.fixed_label.array)
    np.testing.assert_array_equal(a.noise_variance.array, b.noise_variance.array)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ct2d", 0, {}), "'ct2d': accepted are mri2d, echo2d, echo2d_sax, echo3d, echo2d_scatterers"),
        (("mri2d", 0, {"size": 8}), "size 8 of 'mri2d': 16 to 1024"),
        (("echo2d", 0, {"size": 100_000}), "size 100000 of 'echo2d': 16 to 1024"),
        (("echo3d", 0, {"size": 257}), "size 257 of 'echo3d': 16 to 256"),
        (("echo2d", 0, {"slices": 3}), "3 slices of 'echo2d': 1 is accepted"),
        (("mri2d", 0, {"slices": 0}), "0 slices"),
    ],
)
def test_errors_say_what_was_found_and_what_is_accepted(arguments, message):
    kind, seed, options = arguments
    with pytest.raises(ValueError, match=message):
        make_pair(kind, seed, **options)


def test_stack_varies_from_base_to_apex():
    pair = make_pair("mri2d", 4, size=64, slices=5)
    assert pair.fixed.array.shape == (5, 64, 64)
    assert pair.fixed.spacing_mm[2] == pytest.approx(8.0)
    area = [(k >= 2).sum() for k in pair.moving_label.array]
    assert area[0] > area[-1] > 0
    assert not pair.disp_vox[0].any()
    assert (jacobian(pair.disp_vox[:, 2:3]) > 0).all()


@pytest.mark.parametrize(("kind", "seeds"), [*((kind, 8) for kind in KNOWN[:3]), ("echo3d", 1)])
def test_true_displacement_carries_the_labels(kind, seeds):
    """Voxelised labels limit this: the thinnest walls stay a little below 0.96."""
    scores = []
    for seed in range(seeds):
        pair = make_pair(kind, seed, with_truth=False)
        moved = warp(pair.moving_label.array == 2, pair.disp_vox) >= 0.5
        seen = warp(pair.body.array > 0, pair.disp_vox) > 0.99  # labels end with the sector
        scores.append(dice(moved & seen, (pair.fixed_label.array == 2) & seen))
    assert np.mean(scores) >= (0.94 if kind == "echo3d" else 0.96)
    assert np.min(scores) >= (0.95 if kind == "mri2d" else 0.94)


@pytest.mark.parametrize(
    ("kind", "size", "seeds"),
    [("mri2d", 96, 20), ("echo2d", 96, 16), ("echo2d_sax", 96, 16), ("echo3d", 40, 4)],
)
def test_undeformed_overlap_is_like_that_of_real_pairs(kind, size, seeds):
    pairs = (make_pair(kind, 100 + s, size=size, with_truth=False) for s in range(seeds))
    scores = [dice(p.fixed_label.array == 2, p.moving_label.array == 2) for p in pairs]
    least, most = (0.52, 0.65) if kind == "mri2d" else (0.55, 0.75)
    assert least < np.mean(scores) < most
    assert np.min(scores) > 0.43
    assert np.max(scores) < (0.72 if kind == "mri2d" else 0.86)


@pytest.mark.parametrize(
    ("kind", "seeds"), [("mri2d", 10), ("echo2d", 10), ("echo2d_sax", 10), ("echo3d", 2)]
)
def test_motion_is_regular_and_ends_before_the_border(kind, seeds):
    for seed in range(seeds):
        pair = make_pair(kind, seed, size=40 if kind == "echo3d" else 96, with_truth=False)
        determinant = jacobian(pair.disp_vox)
        assert determinant.min() > 0.2, seed
        disp = pair.disp_vox if kind == "echo3d" else pair.disp_vox[1:, 0]
        for axis in range(1, disp.ndim):
            assert np.abs(disp.take([0, -1], axis)).max() < 1e-3
        assert np.abs(disp).max() > (0.5 if kind == "echo3d" else 2.0)
        wall = np.squeeze(pair.fixed_label.array == 2)
        low, high = (0.93, 1.08) if kind == "echo3d" else (0.72, 1.08)
        assert low < determinant[wall].mean() < high, (
            seed
        )  # in a plane the wall grows as it shortens or rounds


def test_wall_volume_is_conserved_by_the_radial_map():
    q = np.linspace(14.0**2, 25.0**2, 50)
    mapped = q * (1.0 + radial_gain(q, 22.0**2, 14.0 / 22.0, 0.85))
    assert mapped[0] == pytest.approx(22.0**2, rel=1e-4)
    np.testing.assert_allclose(np.diff(mapped)[10:], 0.85 * np.diff(q)[10:], rtol=0.1)


def test_still_heart_does_not_move():
    still = SaxMotion(22.0, 30.0, np.eye(2), 1.0, 1.0, 0.0, Bump((0.0, 0.0), (0.0, 0.0), 9.0), 0.5, ())
    y, x = np.meshgrid(np.linspace(-60, 60, 31), np.linspace(-60, 60, 31), indexing="ij")
    moved = still(y, x)
    np.testing.assert_allclose(moved, (y, x), atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "draws", "tolerance"),
    [("mri2d", 200, 0.12), ("echo2d", 120, 0.05), ("echo2d_sax", 120, 0.05), ("echo3d", 50, 0.06)],
)
def test_variance_of_many_draws_is_the_stated_variance(kind, draws, tolerance):
    """Empirical variance and residual over fresh noise on one anatomy, by quarters of the stated variance."""
    size = 32 if kind != "echo3d" else 20
    pair = make_pair(kind, 3, size=size)
    total, square, residual = np.zeros((3, *pair.fixed.array.shape))
    for n in range(draws):
        other = make_pair(kind, 3, size=size, with_truth=False, noise_seed=n)
        fixed = other.fixed.array.astype(float)
        total += fixed
        square += fixed**2
        residual += (fixed - warp(other.moving.array, pair.disp_vox)) ** 2
    variance = (square - total**2 / draws) / (draws - 1)
    noisy = pair.noise_variance.array > 1e-7
    for stated, found in ((pair.noise_variance, variance), (pair.residual_variance, residual / draws)):
        stated, found = stated.array[noisy].astype(float), found[noisy]
        group = np.digitize(stated, np.quantile(stated, [0.25, 0.5, 0.75]))
        for g in range(4):
            assert found[group == g].sum() == pytest.approx(stated[group == g].sum(), rel=tolerance)
        assert np.median(found / stated) == pytest.approx(1.0, abs=0.04)
    assert np.abs(variance[~noisy]).max(initial=0.0) < 1e-6


@pytest.mark.parametrize("kind", KNOWN)
def test_noise_is_heteroscedastic(kind):
    """How much differs from pair to pair: where no speckle moves with the tissue, its logarithm is as noisy
    everywhere."""
    spread = []
    for seed in range(4):
        pair = make_pair(kind, seed, size=SMALL[kind])
        variance = pair.noise_variance.array[pair.body.array > 0]
        spread.append(np.divide(*np.quantile(variance, [0.95, 0.05])))
    assert np.min(spread) > 1.1
    assert np.median(spread) > 1.5
    assert (pair.residual_variance.array >= pair.noise_variance.array * (1 - 1e-5)).all()


def test_muscle_is_dark_in_mri_and_bright_in_echo():
    def means(kind):
        pairs = [make_pair(kind, seed, size=64, with_truth=False) for seed in range(12)]
        return np.mean([[p.moving.array[p.moving_label.array == v].mean() for v in (2, 3)] for p in pairs], 0)

    muscle, blood = means("mri2d")
    assert blood > 1.5 * muscle
    for kind in ("echo2d", "echo2d_sax"):
        muscle, blood = means(kind)
        assert muscle > 1.3 * blood


def test_echo_is_black_outside_the_sector_and_within_the_window_inside():
    pair = make_pair("echo2d", 6, size=64)
    assert not pair.fixed.array[pair.body.array == 0].any()
    assert pair.fixed.array.min() >= 0.0
    assert pair.fixed.array.max() <= 1.0


def test_interpolator_agrees_with_scipy_and_weights_variance():
    rng = np.random.default_rng(1)
    values, disp = rng.normal(size=(9, 11)), rng.normal(0, 1.5, (2, 9, 11))
    expected = warp(values[None], np.stack([np.zeros((1, 9, 11)), *disp[:, None]]))[0]
    np.testing.assert_allclose(Interpolator(disp).mean(values), expected, atol=1e-12)
    half = np.full((2, 9, 11), 0.5)
    assert Interpolator(half).variance(np.ones((9, 11)))[4, 4] == pytest.approx(0.25)
    pairs = {o: np.ones((9, 11)) for o in ((0, 1), (1, 0), (1, 1), (1, -1))}
    smooth = Interpolator(half)
    assert (smooth.variance(np.ones((9, 11))) + smooth.covariance(pairs))[4, 4] == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["mri2d", "echo3d"])
def test_saved_displacement_moves_the_saved_image_in_simpleitk(kind, tmp_path):
    pair = make_pair(kind, 9, size=SMALL[kind], **({"slices": 3} if kind == "mri2d" else {}))
    paths = save_pair(pair, tmp_path / "pair")
    np.testing.assert_array_equal(read_image(paths["fixed"]).array, pair.fixed.array)
    np.testing.assert_allclose(read_image(paths["moving"]).ijk_to_lps, pair.moving.ijk_to_lps, atol=1e-6)
    np.testing.assert_array_equal(read_image(paths["fixed_seg"]).array, pair.fixed_label.array)
    field = sitk.ReadImage(str(paths["true_displacement"]), sitk.sitkVectorFloat64)
    moving, fixed = (sitk.ReadImage(str(paths[n]), sitk.sitkFloat64) for n in ("moving", "fixed"))
    transform = sitk.DisplacementFieldTransform(sitk.Image(field))
    moved = sitk.GetArrayFromImage(sitk.Resample(moving, fixed, transform, sitk.sitkLinear, 0.0))
    expected = warp(pair.moving.array, pair.disp_vox)
    inner = (slice(None), slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(moved[inner], expected[inner], atol=1e-3 * np.ptp(pair.moving.array))
    about = json.loads(paths["phantom"].read_text(encoding="utf-8"))
    assert (about["kind"], about["seed"]) == (kind, 9)
    assert set(about["files"]) <= set(paths)


def test_a_pair_takes_the_place_of_another_whole_or_not_at_all(tmp_path):
    save_pair(make_pair("mri2d", 0, size=32), tmp_path)
    paths = save_pair(make_pair("echo2d_scatterers", 1, size=32), tmp_path)
    assert set(tmp_path.iterdir()) == set(paths.values())
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(TypeError):  # of JSON
        save_pair(replace(make_pair("mri2d", 2, size=32), seed=object()), tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_pair_without_truth_saves_without_variance(tmp_path):
    paths = save_pair(make_pair("mri2d", 0, size=32, with_truth=False), tmp_path)
    assert "true_noise_variance" not in paths
    assert paths["fixed"].exists()
