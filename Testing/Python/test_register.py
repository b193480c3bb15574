"""`register_pair`: geometry, choice of the dimension, results, device. Refusals are in test_bad_input.py."""

from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from builders import (
    FLIPPED,
    OBLIQUE,
    SWAPPED,
    pair_2d,
    pair_3d,
    points_of,
    resample,
    sampled,
    scene,
    tiny_model,
)
from hetreg import register, zoo
from hetreg.config import GridConfig, RegisterConfig
from hetreg.datasets.phantom import make_pair
from hetreg.image import from_sitk, read_image
from hetreg.losses.snr_weighted import snr_weight
from hetreg.model import RegistrationModel
from hetreg.preprocess import to_network_grid
from hetreg.progress import Cancelled, Progress
from hetreg.reach import reached
from hetreg.register import register_pair
from hetreg.registry import WEIGHT_MODES

TILTED = OBLIQUE @ np.array([[0.98, -0.199, 0], [0.199, 0.98, 0], [0, 0, 1]])
FIXED = {
    "volume": sampled((22, 20, 18), (2, 2, 2)),
    "oblique volume": sampled((22, 20, 18), (2, 2, 2), OBLIQUE, centre=(1, 2, -1)),
    "flipped volume": sampled((22, 20, 18), (2, 2, 2), FLIPPED),
    "swapped volume": sampled((22, 20, 18), (2, 2, 2), SWAPPED),
    "slices along k": sampled((24, 22, 4), (1.5, 1.5, 6)),
    "slices along j": sampled((24, 4, 22), (1.5, 6, 1.5)),
    "slices along i": sampled((4, 24, 22), (6, 1.5, 1.5)),
    "oblique stack": sampled((24, 22, 4), (1.5, 1.5, 6), OBLIQUE),
    "flipped stack": sampled((24, 22, 4), (1.5, 1.5, 6), FLIPPED),
    "one slice": sampled((24, 22, 1), (1.5, 1.5, 6)),
    "one oblique slice": sampled((24, 22, 1), (1.5, 1.5, 6), OBLIQUE),
}
ELSEWHERE = sampled((26, 24, 22), (1.7, 1.6, 1.9), TILTED, centre=(2, -1, 1), name="moving")


def registered(fixed, moving, config: RegisterConfig | None = None, *, rough: float = 3.0):
    """The result with a small model that moves about two voxels."""
    flat = min(fixed.array.shape) < 5
    return register_pair(fixed, moving, tiny_model(2 if flat else 3, rough=rough), config)


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("same_grid", [True, False], ids=["same grid", "another grid"])
def test_the_transform_applied_by_simpleitk_reproduces_moved(name, same_grid):
    fixed = FIXED[name]
    moving = fixed.like(scene(points_of(fixed) + 2).astype(np.float32), "moving") if same_grid else ELSEWHERE
    result = registered(fixed, moving)
    assert result.summary["displacement_max_mm"] > 0.5
    theirs = resample(moving, fixed, result.transform())
    assert np.abs(result.moved.array - theirs).max() < 1e-3 * np.ptp(moving.array)


@pytest.mark.parametrize("name", FIXED)
def test_results_lie_on_the_fixed_grid(name):
    fixed = FIXED[name]
    result = registered(fixed, ELSEWHERE)
    shape = fixed.array.shape
    maps = (result.moved, result.noise_variance, result.noise_sd, result.snr_weight, result.log_jacobian)
    for image in (*maps, result.residual, result.displacement_mm):
        assert image.array.shape == shape
        assert image.array.dtype == np.float32
        assert np.isfinite(image.array).all()
        np.testing.assert_array_equal(image.ijk_to_lps, fixed.ijk_to_lps)
    assert result.disp_vox.shape == (3, *shape)
    assert result.disp_lps_mm.shape == result.inverse_disp_lps_mm.shape == (*shape, 3)
    length = np.linalg.norm(result.disp_lps_mm, axis=-1)
    np.testing.assert_allclose(result.displacement_mm.array, length, atol=1e-4)
    inside = reached(ELSEWHERE, fixed, result.disp_vox).inside
    residual = fixed.array - result.moved.array
    np.testing.assert_allclose(result.residual.array[inside], residual[inside], atol=1e-4)
    np.testing.assert_allclose(result.noise_sd.array**2, result.noise_variance.array, rtol=1e-4)


@pytest.mark.parametrize("name", FIXED)
def test_the_inverse_transform_is_a_true_inverse(name):
    fixed = FIXED[name]
    result = registered(fixed, ELSEWHERE)
    there, back = result.transform(), result.transform(inverse=True)
    margin = [min(3, (n - 1) // 2) for n in fixed.array.shape]
    inner = points_of(fixed)[tuple(slice(m, n - m) for m, n in zip(margin, fixed.array.shape, strict=True))]
    voxel = fixed.spacing_mm.min()
    for point in inner.reshape(-1, 3)[::7].tolist():
        error = np.subtract(there.TransformPoint(back.TransformPoint(point)), point)
        assert np.linalg.norm(error) < 0.1 * voxel


@pytest.mark.parametrize("name", FIXED)
def test_the_field_is_zero_at_the_border_and_across_slices(name):
    fixed = FIXED[name]
    field = registered(fixed, ELSEWHERE).disp_vox
    shape = fixed.array.shape
    short = int(np.argmin(shape))
    for axis in range(3):
        if shape[axis] < 5:
            assert axis == short
            assert not field[axis].any()
            continue
        assert not np.take(field, [0, -1], axis=axis + 1).any()


@pytest.mark.parametrize(
    "name", ["volume", "oblique volume", "swapped volume", "oblique stack", "slices along j"]
)
def test_a_known_translation_moves_the_image_along_its_own_axes(name):
    step = FIXED[name]
    size = tuple(3 * n if n > 5 else n for n in step.size_ijk)
    fixed = sampled(size, tuple(step.spacing_mm / 3), step.direction)
    in_slices = min(size) < 5
    shift = (1.0, -2.0) if in_slices else (1.0, -2.0, 0.5)
    moving = fixed.like(scene(points_of(fixed) + 0.5).astype(np.float32), "moving")
    result = register_pair(fixed, moving, tiny_model(len(shift), shift=shift, grid=GridConfig(taper_vox=2)))
    axes = [a for a in range(3) if not in_slices or a != int(np.argmin(fixed.array.shape))]
    middle = tuple(slice(n // 3, n - n // 3) if n > 5 else slice(None) for n in fixed.array.shape)
    lps = sum(s * fixed.ijk_to_lps[:3, 2 - a] for s, a in zip(shift, axes, strict=True))
    assert np.abs(result.disp_lps_mm[middle] - lps).max() < 1e-3
    expected = scene(points_of(fixed) + lps + 0.5)
    np.testing.assert_allclose(result.moved.array[middle], expected[middle], atol=0.5)


def test_a_2d_image_gives_a_one_slice_field_in_the_plane():
    flat = sitk.GetImageFromArray(pair_2d()[0].array[0])
    flat.SetDirection((0.0, -1.0, 1.0, 0.0))
    fixed = from_sitk(flat)
    moving = fixed.like(np.roll(fixed.array, 1, axis=2), "moving")
    result = registered(fixed, moving)
    assert result.moved.is_2d
    assert result.disp_lps_mm.shape == (1, 32, 32, 3)
    assert not result.disp_lps_mm[..., 2].any()
    assert result.disp_lps_mm[..., :2].any()


@pytest.fixture
def menu(tmp_path, monkeypatch):
    """Two small models in place of the shipped ones."""
    for ndim in (2, 3):
        tiny_model(ndim).save(tmp_path / f"{ndim}.pt")
    cards = [SimpleNamespace(name=str(ndim), ndim=ndim, modality="mri", sha256="none") for ndim in (2, 3)]
    monkeypatch.setattr(zoo, "list_models", lambda: cards)
    monkeypatch.setattr(zoo, "locate", lambda name: tmp_path / f"{name}.pt")


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("wanted", ["auto", "2d", "3d"])
def test_the_dimension_is_chosen_by_the_image_or_by_the_user(menu, name, wanted):
    fixed = FIXED[name]
    by_size = "2d" if min(fixed.array.shape) < 5 else "3d"
    config = RegisterConfig(dimension=wanted)
    if wanted == "3d" and 1 in fixed.array.shape:
        with pytest.raises(ValueError, match="at least 4"):
            register_pair(fixed, ELSEWHERE, config=config)
        return
    thick = replace(fixed, array=np.repeat(fixed.array, 4, axis=0)) if wanted == "3d" else fixed
    assert register_pair(thick, ELSEWHERE, config=config).summary["dimension"] == (
        by_size if wanted == "auto" else wanted
    )


@pytest.mark.parametrize("mode", WEIGHT_MODES)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_weight_is_that_of_the_mode_and_of_gamma(mode, gamma):
    model, (fixed, moving) = tiny_model(rough=3.0), pair_2d()
    pair = to_network_grid(fixed, moving, model.grid, ndim=2, multiple=model.multiple)
    result = register_pair(fixed, moving, model, RegisterConfig(weight_mode=mode, gamma=gamma))
    log_variance = torch.from_numpy(np.log(result.noise_variance.array / pair.scale**2))[None]
    expected = snr_weight(pair.fixed, log_variance, mode=mode, gamma=gamma, mask=(pair.fixed > 0).float())
    np.testing.assert_allclose(result.snr_weight.array, expected[0].nan_to_num(0.5).clip(0, 1), atol=1e-4)
    assert (np.ptp(result.snr_weight.array) < 1e-5) == (gamma == 0)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("refine", [0, 3])
def test_the_shared_model_is_left_as_it_was(training, refine):
    model = tiny_model(rough=1.0).train(training)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    register_pair(*pair_2d(), model, RegisterConfig(refine=refine))
    assert model.training == training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("refine", [0, 3])
def test_twice_the_same_is_the_same_to_the_bit(refine):
    first, second = (registered(*pair_3d(), RegisterConfig(refine=refine)) for _ in range(2))
    for name in ("disp_vox", "disp_lps_mm", "inverse_disp_lps_mm"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    assert np.array_equal(first.noise_variance.array, second.noise_variance.array)


@pytest.mark.parametrize(("mode", "refine"), [("robust", 0), ("released", 0), ("released", 3)])
def test_slices_do_not_know_of_each_other(monkeypatch, mode, refine):
    fixed = FIXED["slices along k"]
    moving = fixed.like(scene(points_of(fixed) + 2).astype(np.float32), "moving")
    model, config = tiny_model(rough=3.0, sigma_z=True), RegisterConfig(weight_mode=mode, refine=refine)
    whole = register_pair(fixed, moving, model, config)
    monkeypatch.setattr(register, "_CHUNK_VOXELS", 1)
    alone = register_pair(fixed, moving, model, config)
    np.testing.assert_allclose(alone.disp_vox, whole.disp_vox, atol=1e-4)
    np.testing.assert_allclose(alone.snr_weight.array, whole.snr_weight.array, atol=1e-4)
    np.testing.assert_allclose(alone.noise_sd.array, whole.noise_sd.array, rtol=1e-4)
    np.testing.assert_allclose(
        alone.displacement_sd_mm.array, whole.displacement_sd_mm.array, rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("refine", [0, 4])
def test_progress_rises_and_cancelling_works_at_every_report(training, refine):
    config, seen = RegisterConfig(refine=refine), []
    model = tiny_model().train(training)
    register_pair(*pair_2d(), model, config, Progress(lambda f, m: seen.append((f, m))))
    fractions = [f for f, _ in seen]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert len(seen) >= 5 + refine
    for stop in range(len(seen)):
        count = iter(range(len(seen)))
        with pytest.raises(Cancelled):
            register_pair(*pair_2d(), model, config, Progress(cancelled=lambda n=stop, c=count: next(c) == n))
        assert model.training == training


@pytest.mark.parametrize(
    "error", [torch.cuda.OutOfMemoryError("CUDA out of memory."), RuntimeError("MPS backend out of memory")]
)
def test_a_full_gpu_falls_back_to_the_cpu_and_says_so(monkeypatch, error):
    compute, model = register._compute, tiny_model(rough=1.0).train()

    def full(model, pair, config, device, progress):
        if device.type != "cpu":
            raise error
        return compute(model, pair, config, device, progress)

    monkeypatch.setattr(register, "_compute", full)
    plain = register_pair(*pair_2d(), model)
    monkeypatch.setattr(register, "resolve_device", lambda name: torch.device("mps"))
    result = register_pair(*pair_2d(), model)
    assert result.summary["device"] == result.record["device"] == "cpu"
    assert any("memory of mps" in note and "CPU" in note for note in result.summary["notes"])
    assert not any("memory" in note for note in plain.summary["notes"])
    assert np.array_equal(result.disp_vox, plain.disp_vox)
    assert model.training


def test_another_failure_of_the_gpu_is_not_hidden(monkeypatch):
    def broken(*arguments):
        raise RuntimeError("illegal instruction")

    monkeypatch.setattr(register, "_compute", broken)
    with pytest.raises(RuntimeError, match="illegal"):
        register_pair(*pair_2d(), tiny_model())


@pytest.mark.parametrize("frames", [("ES", "ED"), ("ED", "ES")])
def test_oblique_pig_cine_files_and_transform_reproduce_moved(data_dir, tmp_path, frames):
    paths = [data_dir / "pig_cine" / f"pig_gip17_{frame}.nii.gz" for frame in frames]
    result = register_pair(*paths)
    files = result.save(tmp_path)
    fixed, moving = (read_image(path) for path in paths)
    theirs = resample(moving, fixed, sitk.ReadTransform(str(files["transform"])))
    written = read_image(files["moved"])
    assert np.abs(written.array - theirs).max() < 1e-3 * np.ptp(moving.array)
    np.testing.assert_allclose(written.ijk_to_lps, fixed.ijk_to_lps, atol=1e-4)
    assert result.summary["mse_after"] < 0.6 * result.summary["mse_before"]
    assert result.summary["inverse_error_p99_mm"] < 0.1 * fixed.spacing_mm.min()
    assert result.summary["inverse_error_max_mm"] < 2.0 * fixed.spacing_mm.min()


def test_a_model_that_is_not_a_shipped_one_is_called_by_its_file(tmp_path):
    """Also one that was made of a shipped one, and has its card."""
    file, shipped = tmp_path / "my run" / "best.pt", RegistrationModel.load("cine-mri-2d")
    file.parent.mkdir()
    own = RegistrationModel(shipped.network, shipped.grid, shipped.card)
    own.save(file)
    pair = make_pair("mri2d", 1, size=32, with_truth=False)
    result = register_pair(pair.fixed, pair.moving, file)
    assert result.summary["model"] == result.record["model"]["name"] == "my run/best.pt"
    shutil.copy(zoo.locate("cine-mri-2d"), file)
    assert RegistrationModel.load(file).name == shipped.name == "cine-mri-2d"
    assert [RegistrationModel(card=card).name for card in ({}, {"name": "mine"})] == ["unnamed", "mine"]
