"""What must not matter to a registration: units and offsets of intensities, torch's settings around it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from builders import pair_2d, points_of, sampled, scene, tiny_model
from hetreg.config import GridConfig, RegisterConfig
from hetreg.datasets.phantom import make_pair
from hetreg.evaluation.case import Case
from hetreg.evaluation.scores import score
from hetreg.image import Image
from hetreg.modality import ECHO, modality
from hetreg.model import RegistrationModel
from hetreg.reach import reached
from hetreg.register import register_pair


def test_noise_is_in_the_units_of_the_fixed_image_and_the_field_does_not_know_them():
    pair = make_pair("mri2d", 1)
    first = register_pair(pair.fixed, pair.moving)
    for factor, offset in ((10.0, 0.0), (0.01, 5.0)):
        images = [i.like(i.array * factor + offset, i.name) for i in (pair.fixed, pair.moving)]
        other = register_pair(*images)
        np.testing.assert_allclose(other.noise_sd.array, factor * first.noise_sd.array, rtol=0.02)
        np.testing.assert_allclose(other.disp_vox, first.disp_vox, atol=0.02)
        np.testing.assert_allclose(other.snr_weight.array, first.snr_weight.array, atol=0.02)


def test_a_model_that_is_still_training_registers_as_it_does_afterwards():
    """A TransMorph that trains leaves out branches at random."""
    model, seen = tiny_model(rough=1.0).train(), []
    for net in (model.displacement_net, model.variance_net):
        net.register_forward_pre_hook(lambda module, _: seen.append(module.training))
    register_pair(*pair_2d(), model)
    assert seen == [False, False]


def test_each_part_of_a_model_is_left_in_its_own_mode():
    """Such as a variance network that is kept out of a training."""
    model = tiny_model().train()
    model.variance_net.eval()
    before = [part.training for part in model.modules()]
    register_pair(*pair_2d(), model)
    assert [part.training for part in model.modules()] == before


@pytest.mark.parametrize("place", ["covered", "shifted", "another grid"])
def test_adding_a_constant_changes_no_map_and_no_number(place):
    """Such as that between Hounsfield units and positive ones, also where the moving image has no voxels and
    where the networks see a resampled image."""
    fixed = sampled((40, 36, 2), (1, 1, 8))
    moving = fixed.like(scene(points_of(fixed) + 2), "moving")
    if place == "another grid":
        moving = sampled((30, 28, 3), (1.2, 1.3, 7), centre=(2, -1, 1))
    matrix = moving.ijk_to_lps.copy()
    matrix[0, 3] += 10.0 * (place == "shifted")
    moving = replace(moving, ijk_to_lps=matrix)
    model = tiny_model(rough=3.0, grid=GridConfig(max_size=20))
    plain, other = (
        register_pair(*(i.like((i.array + c).astype(np.float32), i.name) for i in (fixed, moving)), model)
        for c in (0.0, -1000.0)
    )
    inside = reached(moving, fixed, plain.disp_vox).inside
    assert inside.all() == (place == "covered")
    np.testing.assert_allclose(other.moved.array[inside], plain.moved.array[inside] - 1000, atol=0.01)
    for name in ("noise_sd", "noise_variance", "snr_weight", "log_jacobian", "residual", "displacement_mm"):
        ours, theirs = getattr(plain, name).array, getattr(other, name).array
        np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-3 * np.abs(ours).max())
    np.testing.assert_allclose(other.disp_vox, plain.disp_vox, atol=1e-3)
    numbers = {n: v for n, v in plain.summary.items() if isinstance(v, float) and n != "seconds"}
    assert {"mse_before", "ncc_after", "noise_sd_median"} <= numbers.keys()
    assert {n: other.summary[n] for n in numbers} == pytest.approx(numbers, rel=1e-3, abs=1e-4)
    for note in set(plain.summary["notes"]) ^ set(other.summary["notes"]):
        assert "intensities" in note  # their numbers differ


@pytest.mark.parametrize("other_grid", [False, True])
def test_an_offset_too_large_for_32_bits_changes_nothing(other_grid):
    """Steps of 32-bit floats are 64 there, as wide as the whole image."""
    offset, model = 1e9, tiny_model(rough=3.0)
    fixed = sampled((40, 36, 2), (1, 1, 8))
    fixed = fixed.like(np.rint(64 * fixed.array), "fixed")
    moving = fixed.like(scene(points_of(fixed) + 2), "moving")
    if other_grid:
        moving = sampled((30, 28, 3), (1.2, 1.3, 7), centre=(2, -1, 1))
    moving = moving.like(np.rint(64 * moving.array), "moving")
    plain = register_pair(fixed, moving, model)
    exact = score(Case("a", "a", fixed, moving), plain).row
    for kind in (np.float64, np.int64):
        images = [i.like((i.array.astype(np.float64) + offset).astype(kind), i.name) for i in (fixed, moving)]
        other = register_pair(*images, model)
        np.testing.assert_allclose(other.disp_vox, plain.disp_vox, atol=1e-4)
        np.testing.assert_allclose(other.noise_sd.array, plain.noise_sd.array, rtol=1e-3)
        inside = reached(moving, fixed, plain.disp_vox).inside
        np.testing.assert_allclose(other.moved.array[inside] - offset, plain.moved.array[inside], atol=1e-3)
        for name in ("mse_before", "mse_after", "ncc_before", "ncc_after"):
            assert other.summary[name] == pytest.approx(plain.summary[name], rel=1e-4)
        found = score(Case("a", "a", *images), other).row
        assert {n: found[n] for n in ("ncc_after", "mse_after")} == pytest.approx(
            {n: exact[n] for n in ("ncc_after", "mse_after")}, rel=1e-4
        )


def test_the_sector_of_an_echocardiogram_is_seen_at_any_offset():
    image = make_pair("echo2d", 1, with_truth=False).fixed
    assert modality(image.like(image.array.astype(np.float64) + 1e9, "far"), 0) == modality(image, 0)
    assert modality(image, 0)[0] == ECHO


@pytest.mark.parametrize("refine", [0, 2])
@pytest.mark.parametrize(
    "way", ["default dtype", "double model", "autocast", "inference mode", "inference model"]
)
def test_what_surrounds_it_in_torch_does_not_matter(tmp_path, way, refine):
    model, config = tiny_model(rough=1.0), RegisterConfig(refine=refine)
    model.save(tmp_path / "m.pt")
    plain = register_pair(*pair_2d(), model, config)
    if way == "default dtype":
        torch.set_default_dtype(torch.float64)
        try:
            other = register_pair(*pair_2d(), tmp_path / "m.pt", config)
        finally:
            torch.set_default_dtype(torch.float32)
    elif way == "double model":
        other = register_pair(*pair_2d(), model.double(), config)
        assert next(model.parameters()).dtype == torch.float64
    elif way == "autocast":
        with torch.autocast("cpu", torch.bfloat16):
            other = register_pair(*pair_2d(), model, config)
    elif way == "inference mode":
        with torch.inference_mode():
            loaded = RegistrationModel.load(tmp_path / "m.pt")
            other = register_pair(*pair_2d(), loaded, config)
        assert not any(p.is_inference() for p in loaded.parameters())
    else:
        with torch.inference_mode():
            made = tiny_model(rough=1.0)
        other = register_pair(*pair_2d(), made, config)
        assert all(p.is_inference() for p in made.parameters())
    np.testing.assert_allclose(other.disp_vox, plain.disp_vox, atol=1e-3)
    np.testing.assert_allclose(other.noise_sd.array, plain.noise_sd.array, rtol=1e-3)
    assert other.noise_sd.array.dtype == other.snr_weight.array.dtype == np.float32


def test_black_margins_do_not_change_the_weight():
    """Most of an echocardiogram may be black: the median of the ratio is that of its sector."""
    pair = make_pair("echo2d", 1, with_truth=False)
    first = register_pair(pair.fixed, pair.moving)
    inside = pair.fixed.array > 0
    assert np.median(first.snr_weight.array[inside]) == pytest.approx(0.5, abs=0.03)
    wide = [
        replace(i, array=np.pad(i.array, ((0, 0), (128, 0), (64, 64)))) for i in (pair.fixed, pair.moving)
    ]
    other = register_pair(*wide).snr_weight.array[:, 128:, 64:-64]
    assert np.median(np.abs(other - first.snr_weight.array)[inside]) < 0.02


def test_the_weight_of_a_black_slice_is_relative_to_that_slice():
    pair = make_pair("mri2d", 1, with_truth=False)
    images = [np.concatenate((i.array, 0 * i.array)) for i in (pair.fixed, pair.moving)]
    result = register_pair(*(Image.from_array(a, (*pair.fixed.spacing_mm[:2], 8.0)) for a in images))
    assert np.median(result.snr_weight.array[1]) == pytest.approx(0.5, abs=0.03)


def test_a_model_of_64_bits_is_left_to_the_cpu_where_the_gpu_is_apples(monkeypatch):
    model, config = tiny_model(rough=0.3).double(), RegisterConfig(device="cpu")
    expected = register_pair(*pair_2d(), model, config)
    monkeypatch.setattr("hetreg.register.resolve_device", lambda _: torch.device("mps"))
    found = register_pair(*pair_2d(), model, config)
    assert np.array_equal(found.disp_vox, expected.disp_vox)
    assert found.summary["device"] == "cpu"
    told = [any("64 bits" in note for note in result.summary["notes"]) for result in (expected, found)]
    assert told == [False, True]
