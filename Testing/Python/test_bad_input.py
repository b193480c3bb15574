"""Bad input through `register_pair`: one clear sentence, nothing lost."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from builders import assert_sentence, pair_2d, pair_3d, resample, tiny_model
from hetreg import zoo
from hetreg.config import RegisterConfig
from hetreg.image import Image, write_image
from hetreg.model import RegistrationModel
from hetreg.register import register_pair

FIXED, MOVING = pair_2d()
TYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
TYPES += ["float16", "float32", "float64", ">f4"]


def refusal(fixed, moving, model=None, **config) -> ValueError:
    """The one sentence with which this pair is refused."""
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        register_pair(fixed, moving, model or tiny_model(), RegisterConfig(**config))
    assert_sentence(caught.value)
    return caught.value


def spoiled(value: float) -> Image:
    """The moving image with one voxel of that value."""
    array = MOVING.array.copy()
    array[0, 3, 4] = value
    return MOVING.like(array, "spoiled")


def test_the_same_volume_twice(tmp_path):
    for name in ("a.nrrd", "b.nii.gz"):
        write_image(FIXED, tmp_path / name)
    copy = FIXED.like(FIXED.array.astype(np.float64), "copy")
    for fixed, moving in ((FIXED, FIXED), (FIXED, copy), (tmp_path / "a.nrrd", tmp_path / "b.nii.gz")):
        assert_sentence(refusal(fixed, moving), "the same", "end-systole")


def test_the_same_voxels_elsewhere_are_legal():
    matrix = FIXED.ijk_to_lps.copy()
    matrix[0, 3] += 2.0
    result = register_pair(FIXED, replace(FIXED, ijk_to_lps=matrix), tiny_model())
    assert result.summary["mse_before"] > 0


def test_no_overlap_and_little_overlap():
    for axis, distance in ((0, 500.0), (2, -40.0)):
        matrix = MOVING.ijk_to_lps.copy()
        matrix[axis, 3] += distance
        error = refusal(FIXED, replace(MOVING, ijk_to_lps=matrix))
        assert "do not overlap" in str(error)
    matrix = MOVING.ijk_to_lps.copy()
    matrix[0, 3] += 29.0  # three columns are left
    result = register_pair(FIXED, replace(MOVING, ijk_to_lps=matrix), tiny_model(rough=1.0))
    assert np.isfinite(result.moved.array).all()
    assert any("overlap" in note or "cover" in note for note in result.summary["notes"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_finite(value):
    assert_sentence(refusal(FIXED, spoiled(value)), "moving image has 1 NaN or infinite")
    assert_sentence(refusal(spoiled(value), MOVING), "fixed image has 1 NaN or infinite")


@pytest.mark.parametrize(
    ("scale", "origin", "said"),
    [
        (1e30, 0.0, "voxels of 1e+30 to 1e+30 mm"),
        (1e-150, 0.0, "voxels of 1e-150"),
        (1.0, 1e15, "lie up to 1e+15 mm"),
        (1e-8, 100.0, "voxels of 1e-08 mm that lie up to 100 mm"),
    ],
)
def test_a_place_that_numbers_cannot_tell(scale, origin, said):
    """The displacement in mm was no number, or the transform did not lead to the moved image."""
    matrix = FIXED.ijk_to_lps.copy()
    matrix[:3] *= scale
    matrix[0, 3] += origin
    fixed, moving = (replace(image, ijk_to_lps=matrix) for image in (FIXED, MOVING))
    assert_sentence(refusal(fixed, MOVING), "fixed image", said)
    assert_sentence(refusal(FIXED, moving), "moving image", said)


@pytest.mark.parametrize(("scale", "origin"), [(1e-8, 0.0), (1e8, 0.0), (1.0, 5e8)])
def test_a_place_that_numbers_just_tell(scale, origin):
    matrix = FIXED.ijk_to_lps.copy()
    matrix[:3] *= scale
    matrix[0, 3] += origin
    fixed, moving = (replace(image, ijk_to_lps=matrix) for image in (FIXED, MOVING))
    result = register_pair(fixed, moving, tiny_model(rough=1.0))
    assert all(np.isfinite(v) for v in result.summary.values() if isinstance(v, float))
    difference = result.moved.array - resample(moving, fixed, result.transform())
    assert np.abs(difference).max() < 1e-3 * 100


def test_a_plane_of_tiny_pixels_is_not_far_away_for_its_thickness():
    """As of an image in the units of a microscope, whose slices ITK takes for 1 mm thick."""
    matrix = FIXED.ijk_to_lps @ np.diag([1e-8, 1e-8, 1.0, 1.0])
    matrix[:3, 3] = 0.0
    fixed, moving = (replace(image, ijk_to_lps=matrix) for image in (FIXED, MOVING))
    assert np.isfinite(register_pair(fixed, moving, tiny_model()).moved.array).all()


def test_a_constant_image():
    for array in (np.zeros_like(FIXED.array), np.full_like(FIXED.array, 7)):
        assert_sentence(refusal(FIXED, FIXED.like(array, "flat")), "moving", "same value", str(array.flat[0]))


def test_a_moving_image_that_shows_nothing_where_it_covers_the_fixed_one():
    """Such as one of another patient, whose dark corner alone reaches there."""
    array = MOVING.array.copy()
    array[:, :, : array.shape[2] // 2] = 5
    place = MOVING.ijk_to_lps.copy()
    place[:3, 3] += place[:3, 0] * (array.shape[2] // 2)
    error = refusal(FIXED, Image(array, place, "beside"))
    assert "the same value (5) wherever it covers the fixed one, which is 50 % of that" in str(error)


@pytest.mark.parametrize("shape", [(0, 0, 0), (0, 8, 8), (1, 1, 1), (1, 3, 3), (1, 1, 64), (3, 3, 3)])
def test_empty_and_tiny_images(shape):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    tiny = Image(array, FIXED.ijk_to_lps, "tiny")
    error = refusal(tiny, MOVING)
    assert "at least 4" in str(error)
    kept = [n for n in shape[::-1] if n != 1]
    assert all(str(n) in str(error) for n in kept)


def test_the_smallest_image_registers():
    fixed, moving = (i.like(i.array, "x") for i in pair_2d(4))
    result = register_pair(fixed, moving, tiny_model(rough=1.0))
    assert result.moved.array.shape == (1, 4, 4)
    assert any("too small" in note for note in result.summary["notes"])


def test_four_dimensions_and_colour(tmp_path):
    sitk.WriteImage(sitk.Image([8, 8, 8, 3], sitk.sitkInt16), str(tmp_path / "cine.nii.gz"))
    sitk.WriteImage(sitk.Image([8, 8], sitk.sitkVectorUInt8, 3), str(tmp_path / "colour.png"))
    for name, words in {
        "cine.nii.gz": ("4 dimensions", "frame"),
        "colour.png": ("3 channels", "scalar"),
    }.items():
        with pytest.raises(ValueError, match=words[0]) as caught:
            register_pair(FIXED, tmp_path / name, tiny_model())
        assert_sentence(caught.value, *words)


@pytest.mark.parametrize("dtype", TYPES)
def test_every_voxel_type_registers_and_agrees_with_simpleitk(dtype):
    low, high = (0, 1) if dtype == "bool" else (-100, 100) if dtype == "int8" else (0, 100)
    scaled = [low + (high - low) * i.array / 120 for i in (FIXED, MOVING)]
    if dtype == "bool":
        scaled = [a > 0.4 for a in scaled]
    fixed, moving = (i.like(a.astype(dtype), i.name) for i, a in zip((FIXED, MOVING), scaled, strict=True))
    result = register_pair(fixed, moving, tiny_model(rough=1.0))
    assert result.moved.array.dtype == np.float32
    difference = result.moved.array - resample(moving, fixed, result.transform())
    assert np.abs(difference).max() < 1e-3 * (high - low)


@pytest.mark.parametrize("scale", [2e-18, 1e-12, 1e-3, 1e6, 1e15])
def test_intensities_of_any_size_give_finite_numbers(scale):
    fixed, moving = (i.like(i.array.astype(np.float64) * scale, i.name) for i in (FIXED, MOVING))
    result = register_pair(fixed, moving, tiny_model(rough=1.0))
    assert np.isfinite(result.noise_variance.array).all()
    assert result.noise_variance.array.min() > 0
    assert np.isfinite(result.summary["mse_after"])


def memory(name: str) -> int:
    """A line of /proc/self/status in bytes; 0 where there is none, beyond Linux."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


def test_an_image_of_2000_x_2000_stays_within_time_and_memory():
    y, x = np.mgrid[0:2000, 0:2000].astype(np.float32) / 100
    fixed, moving = (Image((np.sin(x + s) * np.cos(y))[None], np.eye(4), str(s)) for s in (0.0, 0.1))
    before, started = memory("VmRSS"), time.process_time()
    if before:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
    result = register_pair(fixed, moving, zoo.default_model(2).name)
    assert result.moved.array.shape == (1, 2000, 2000)
    assert memory("VmHWM") - before < 1.5e9
    assert time.process_time() - started < 60


def test_weight_files_that_are_not(tmp_path):
    good = tmp_path / "good.pt"
    tiny_model().save(good)
    (tmp_path / "cut.pt").write_bytes(good.read_bytes()[:5000])
    torch.save({"weights": 1}, tmp_path / "foreign.pt")
    content = torch.load(good, weights_only=True)
    torch.save(content | {"network": content["network"] | {"ndim": 3}}, tmp_path / "other.pt")
    for name in ("absent.pt", "cut.pt", "foreign.pt", "other.pt"):
        assert name in str(refusal(FIXED, MOVING, tmp_path / name))
    assert "damaged" in str(refusal(FIXED, MOVING, tmp_path / "cut.pt"))


def test_model_names_that_are_not():
    for name in ("nonsense", "../models", "cine-mri-2d "):
        error = refusal(FIXED, MOVING, name)
        assert zoo.list_models()[0].name in str(error)
        assert f"'{name}'" in str(error)


def test_a_shipped_model_that_was_changed(tmp_path, monkeypatch):
    shutil.copytree(zoo.WEIGHTS, tmp_path / "weights")
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path / "weights")
    card = zoo.default_model(2)
    tiny_model().save(card.path)
    assert "checksum" in str(refusal(FIXED, MOVING, card.name))


def test_a_model_of_the_other_dimension():
    assert_sentence(refusal(*pair_3d(), tiny_model(2), dimension="3d"), "2D", "'3d'")
    assert_sentence(refusal(FIXED, MOVING, tiny_model(3), dimension="2d"), "3D", "'2d'")
    assert "at least 4" in str(refusal(FIXED, MOVING, tiny_model(3)))


@pytest.mark.parametrize("refine", [0, 3])
def test_a_model_whose_answer_is_no_number(refine):
    model = tiny_model(shift=(float("nan"), 0.0))
    with pytest.raises(ValueError, match="not finite") as error:
        register_pair(*pair_2d(), model, RegisterConfig(refine=refine))
    assert_sentence(error.value, "'tiny'", "displacements", "another model is accepted")


def test_a_model_whose_noise_is_no_number():
    model = tiny_model()
    torch.nn.init.constant_(model.variance_net.unet.head.bias, float("nan"))
    with pytest.raises(ValueError, match="noise variances that are not finite"):
        register_pair(*pair_2d(), model)


def test_a_device_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert_sentence(refusal(FIXED, MOVING, device="cuda"), "'cuda'", "accepted are auto")


def test_bad_images_are_refused_before_the_model_is_read(monkeypatch):
    monkeypatch.setattr(RegistrationModel, "load", lambda path: pytest.fail("the model was read"))
    with pytest.raises(ValueError, match="NaN"):
        register_pair(FIXED, spoiled(np.nan))


def test_a_segmentation_that_lies_elsewhere_or_is_not_finite():
    matrix = MOVING.ijk_to_lps.copy()
    matrix[0, 3] += 500
    labels = (MOVING.array > 50).astype(np.float32)
    far = Image(labels, matrix, "labels")
    broken = [np.where(labels > 0, value, 0) for value in (np.nan, np.inf, -np.inf, 0.5)]
    for seg, words in ((far, "overlap"), *((MOVING.like(b, "labels"), "whole numbers") for b in broken)):
        with pytest.raises(ValueError, match=words) as caught:
            register_pair(FIXED, MOVING, tiny_model(), moving_seg=seg)
        assert_sentence(caught.value, "labels")


def test_what_is_no_image_is_told():
    with pytest.raises(ValueError, match=r"moving image is a ndarray") as caught:
        register_pair(FIXED, MOVING.array)
    assert_sentence(caught.value, "Image.from_array")
    with pytest.raises(FileNotFoundError, match=r"none\.nrrd"):
        register_pair(FIXED, MOVING, moving_seg="none.nrrd")


def test_a_fixed_segmentation_without_the_moving_one():
    labels = FIXED.like((FIXED.array > 50).astype(np.uint8), "labels")
    with pytest.raises(ValueError, match="without moving_seg") as caught:
        register_pair(FIXED, MOVING, tiny_model(), fixed_seg=labels)
    assert_sentence(caught.value, "fixed_seg", "Dice")


def test_a_model_or_a_configuration_of_another_kind():
    with pytest.raises(ValueError, match="Identity") as caught:
        register_pair(FIXED, MOVING, torch.nn.Identity())
    assert_sentence(caught.value, "RegistrationModel", "weight file")
    with pytest.raises(ValueError, match="dict") as caught:
        register_pair(FIXED, MOVING, tiny_model(), {"refine": 3})
    assert_sentence(caught.value, "RegisterConfig")
