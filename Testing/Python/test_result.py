"""What is written, that it reads back, and that a failure leaves nothing broken."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from builders import (
    OBLIQUE,
    assert_sentence,
    pair_2d,
    points_of,
    resample,
    sampled,
    scene,
    spread_model,
    tiny_model,
)
from hetreg import result as result_module
from hetreg.config import RegisterConfig
from hetreg.image import from_sitk, read_image, write_image
from hetreg.register import register_pair
from hetreg.resample import displacement_transform
from hetreg.result import RegisterResult
from hetreg.versions import versions

IMAGES = ["moved", "noise_variance", "noise_sd", "snr_weight", "log_jacobian", "residual", "displacement_mm"]


@pytest.fixture(scope="module")
def stack() -> tuple:
    """(fixed, moving, result) of an oblique stack with labels."""
    fixed = sampled((24, 22, 4), (1.5, 1.4, 6.0), OBLIQUE, centre=(30, 0, -9), name="fixed")
    moving = fixed.like(scene(points_of(fixed) + 30).astype(np.float32), "moving")
    seg = fixed.like((fixed.array > 5).astype(np.uint8), "seg")
    return fixed, moving, register_pair(fixed, moving, tiny_model(rough=3.0), moving_seg=seg)


@pytest.fixture(scope="module")
def flat() -> RegisterResult:
    """The result of a rotated 2D image."""
    image = sitk.GetImageFromArray(pair_2d()[0].array[0])
    image.SetSpacing((1.5, 0.8))
    image.SetOrigin((7.0, -3.0))
    image.SetDirection((0.6, -0.8, 0.8, 0.6))
    fixed = from_sitk(image)
    return register_pair(fixed, fixed.like(np.roll(fixed.array, 2, 2), "moving"), tiny_model(rough=3.0))


def test_every_file_is_written_and_reads_back(stack, tmp_path):
    fixed, _, result = stack
    files = result.save(tmp_path / "new" / "folder")
    assert set(files) == {*IMAGES, "moved_seg", "transform", "inverse_transform", "report"}
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == sorted(
        p.name for p in files.values()
    )
    for name in [*IMAGES, "moved_seg"]:
        image, expected = read_image(files[name]), getattr(result, name)
        np.testing.assert_array_equal(image.array, expected.array)
        np.testing.assert_allclose(image.ijk_to_lps, fixed.ijk_to_lps, atol=1e-6)
        assert image.array.dtype == expected.array.dtype


def test_the_written_transforms_are_those_of_the_result(stack, tmp_path):
    fixed, moving, result = stack
    files = result.save(tmp_path)
    there, back = (sitk.ReadTransform(str(files[n])) for n in ("transform", "inverse_transform"))
    difference = np.abs(resample(moving, fixed, there) - result.moved.array).max()
    assert difference < 1e-3 * np.ptp(moving.array)
    for point in points_of(fixed)[:, 6:16:3, 6:18:3].reshape(-1, 3).tolist():
        assert there.TransformPoint(point) == pytest.approx(
            result.transform().TransformPoint(point), abs=1e-5
        )
        error = np.subtract(there.TransformPoint(back.TransformPoint(point)), point)
        assert np.linalg.norm(error) < 0.14


def test_the_sd_of_the_displacement_is_written_where_there_is_one(tmp_path):
    result = register_pair(*pair_2d(), spread_model(log_variance=-3.0))
    files = result.save(tmp_path)
    assert files["displacement_sd_mm"].name == "displacement_sd_mm.nrrd"
    np.testing.assert_array_equal(
        read_image(files["displacement_sd_mm"]).array, result.displacement_sd_mm.array
    )
    report = json.loads(files["report"].read_text(encoding="utf-8"))
    assert report["summary"]["displacement_sd_median_mm"] > 0


def test_the_report_is_plain_json(stack, tmp_path):
    _, _, result = stack
    broken = replace(result, summary=result.summary | {"ncc_before": float("nan")})
    path = broken.save(tmp_path)["report"]
    report = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert report["summary"]["ncc_before"] is None
    assert report["summary"]["mse_after"] == result.summary["mse_after"]
    assert {"model", "config", "fixed", "moving", "device", "seconds"} <= report["record"].keys()
    assert report["record"]["versions"] == versions()
    assert RegisterConfig.from_dict(report["record"]["config"]) == RegisterConfig()


def test_a_2d_image_has_a_2d_transform_beside_the_one_slice_one(flat, tmp_path):
    files = flat.save(tmp_path)
    plane, space = (sitk.ReadTransform(str(files[n])) for n in ("transform_2d", "transform"))
    assert (plane.GetDimension(), space.GetDimension()) == (2, 3)
    for point in points_of(flat.moved)[0, 4:-4:5, 4:-4:5].reshape(-1, 3).tolist():
        there = space.TransformPoint(point)
        assert there[2] == point[2]
        assert plane.TransformPoint(point[:2]) == pytest.approx(there[:2], abs=1e-6)
    assert flat.disp_lps_mm.any()
    back = sitk.ReadTransform(str(files["inverse_transform_2d"]))
    for point in points_of(flat.moved)[0, 6:-6:5, 6:-6:5, :2].reshape(-1, 2).tolist():
        assert plane.TransformPoint(back.TransformPoint(point)) == pytest.approx(point, abs=0.05)


def test_without_an_inverse_there_is_none(tmp_path):
    result = register_pair(*pair_2d(), tiny_model(), RegisterConfig(inverse=False))
    assert result.inverse_disp_lps_mm is None
    assert "inverse_error_max_mm" not in result.summary
    assert "inverse_transform" not in result.save(tmp_path)
    with pytest.raises(ValueError, match="inverse=True") as caught:
        result.transform(inverse=True)
    assert_sentence(caught.value)


def test_outside_the_grid_the_transform_is_the_identity(stack):
    fixed, _, result = stack
    far = (fixed.origin_lps - 500).tolist()
    assert result.transform().TransformPoint(far) == pytest.approx(far)


def test_a_constant_field_is_that_translation():
    image = sampled((6, 5, 4), (1, 2, 3), OBLIQUE)
    transform = displacement_transform(np.full((4, 5, 6, 3), [1.0, -2.0, 0.5]), image.ijk_to_lps)
    point = points_of(image)[2, 2, 2]
    np.testing.assert_allclose(transform.TransformPoint(point.tolist()), point + np.array([1.0, -2.0, 0.5]))


def test_saving_again_replaces_the_files(stack, tmp_path):
    _, _, result = stack
    first = {k: p.read_bytes() for k, p in result.save(tmp_path).items() if p.suffix == ".nrrd"}
    second = {k: p.read_bytes() for k, p in result.save(tmp_path).items() if p.suffix == ".nrrd"}
    assert first == second


def test_a_file_in_place_of_the_folder_is_refused(stack, tmp_path):
    (tmp_path / "taken").write_text("mine")
    for folder in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(OSError, match="taken") as caught:
            stack[2].save(folder)
        assert_sentence(caught.value)
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("writer", ["WriteImage", "WriteTransform"])
def test_a_disk_that_fills_up_leaves_no_partial_file(stack, tmp_path, monkeypatch, writer):
    write, count = getattr(sitk, writer), []

    def full(item, path, *arguments, **options):
        count.append(path)
        write(item, path, *arguments, **options)
        if len(count) == 2:
            raise RuntimeError("no space left on device\nsecond line")

    monkeypatch.setattr(sitk, writer, full)
    with pytest.raises(OSError, match="disk full") as caught:
        stack[2].save(tmp_path)
    assert_sentence(caught.value)
    assert not [p for p in tmp_path.iterdir() if "partial" in p.name]
    for path in tmp_path.glob("*.nrrd"):
        read_image(path)
    assert not (tmp_path / "report.json").exists()


def test_a_disk_without_room_is_told_before_the_transform_is_begun(stack, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 1000))
    with pytest.raises(OSError, match=r"transform\.h5 .*MB left") as caught:
        stack[2].save(tmp_path)
    assert_sentence(caught.value)
    assert not list(tmp_path.glob("*transform*"))


def test_a_transform_is_written_without_a_copy_of_it_in_memory(tmp_path):
    transform = displacement_transform(np.zeros((16, 64, 64, 3)), np.eye(4))
    tracemalloc.start()
    try:
        size = result_module._write_transform(transform, tmp_path / "transform.h5").stat().st_size
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()


def test_a_result_that_cannot_be_finished_leaves_the_former_whole(stack, tmp_path, monkeypatch):
    former = {name: path.read_bytes() for name, path in stack[2].save(tmp_path).items()}

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(result_module.Path, "write_text", full)
    with pytest.raises(OSError, match="disk full") as caught:
        stack[2].save(tmp_path)
    assert_sentence(caught.value)
    assert "partial" not in str(caught.value)
    assert {p.stem: p.read_bytes() for p in tmp_path.iterdir()} == former


def test_files_of_a_former_result_do_not_stay(stack, tmp_path):
    for name in ("moved_seg.nrrd", "transform_2d.h5", "mine.txt"):
        (tmp_path / name).write_text("former")
    files = stack[2].save(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in files.values()} | {"mine.txt"}


def test_what_lies_on_the_moving_image_is_carried_along(stack, tmp_path):
    fixed, moving, result = stack
    again = result.apply(moving)
    np.testing.assert_allclose(again.array, result.moved.array, atol=1e-3 * np.ptp(moving.array))
    np.testing.assert_array_equal(again.ijk_to_lps, fixed.ijk_to_lps)
    labels = fixed.like((fixed.array > 5).astype(np.int64) * 16777217, "seg")
    carried = result.apply(labels, labels=True)
    assert carried.array.dtype == np.int64
    np.testing.assert_array_equal(carried.array > 0, result.moved_seg.array > 0)
    finer = sampled((40, 40, 4), (0.8, 0.7, 6.0), OBLIQUE, centre=(30, 0, -9))
    for grid in (finer, write_image(finer, tmp_path / "finer.nrrd")):
        assert result.apply(moving, grid=grid).array.shape == finer.array.shape
    with pytest.raises(ValueError, match="grid is a ndarray") as caught:
        result.apply(moving, grid=np.zeros((2, 2)))
    assert_sentence(caught.value, "hetreg.Image")
    assert result.apply(moving, grid=finer).name == "moving moved"


def test_back_and_forth_is_where_it_was(stack, tmp_path):
    fixed, _, result = stack
    there = result.apply(write_image(fixed, tmp_path / "fixed.nrrd"), inverse=True)
    assert np.abs(there.array - fixed.array).max() > 1
    back = result.apply(there)
    assert np.abs(back.array - fixed.array)[:, 4:-4, 4:-4].max() < 0.05 * np.ptp(fixed.array)


def test_points_go_the_way_of_the_image(stack, flat):
    """A landmark of the moving image comes to lie where the moved image shows it."""
    fixed, _, result = stack
    points = points_of(fixed)[:, 6:16:3, 6:18:3].reshape(-1, 3)
    carried = result.apply_to_points(points)
    assert np.abs(carried - points).max() > 0.3
    there = np.array([result.transform().TransformPoint(p) for p in carried.tolist()])
    np.testing.assert_allclose(there, points, atol=0.14)
    np.testing.assert_allclose(result.apply_to_points(carried, inverse=True), there)
    assert result.apply_to_points(np.zeros((0, 3))).shape == (0, 3)
    points = points_of(flat.moved)[0, 8:-8:5, 8:-8:5].reshape(-1, 3)
    np.testing.assert_allclose(flat.apply_to_points(points)[:, :2], flat.apply_to_points(points[:, :2]))
    for wrong in (np.zeros(3), np.zeros((4, 2))):
        with pytest.raises(ValueError, match=r"points have shape") as caught:
            result.apply_to_points(wrong)
        assert_sentence(caught.value, "(N, 3)")
    with pytest.raises(ValueError, match="list of points has a dict") as caught:
        result.apply_to_points({"apex": (0, 0, 0)})
    assert_sentence(caught.value, "real numbers")
    with pytest.raises(ValueError, match="is a list") as caught:
        result.apply([1, 2])
    assert_sentence(caught.value)
