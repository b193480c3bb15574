"""`register_sequence`: each frame as by `register_pair`, one model for all, the moving frame unmoved."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from hetreg import choose, cli
from hetreg.commands.sequence import extremes, told
from hetreg.config import NetworkConfig, RegisterConfig
from hetreg.datasets.phantom import make_pair
from hetreg.image import Image, read_image, write_image
from hetreg.model import RegistrationModel
from hetreg.progress import Cancelled, Progress
from hetreg.register import register_pair
from hetreg.sequence import read_frames, register_sequence

MAPS = ("moved", "noise_variance", "noise_sd", "snr_weight", "log_jacobian", "residual", "displacement_mm")


@pytest.fixture(scope="module")
def model() -> RegistrationModel:
    shape = {"encoder": (4, 8), "decoder": (8, 4), "tail": (4,)}
    return RegistrationModel(NetworkConfig(sigma_z=True, **shape))


@pytest.fixture(scope="module")
def cine() -> list[Image]:
    """End-diastole first, then end-systole, then something between them."""
    pair = make_pair("mri2d", 3, size=64, slices=2)
    between = (pair.fixed.array + pair.moving.array) / 2
    return [pair.moving, pair.fixed, pair.fixed.like(between, "between")]


@pytest.fixture(scope="module")
def labels(cine: list[Image]) -> Image:
    array = np.zeros(cine[0].array.shape, np.uint8)
    array[:, 20:40, 20:40] = 3
    return cine[0].like(array, "labels")


def test_every_frame_is_registered_as_a_pair(cine, labels, model):
    results = list(register_sequence(cine, cine[0], model, moving_seg=labels))
    assert len(results) == 3
    for frame, result in zip(cine[1:], results[1:], strict=True):
        alone = register_pair(frame, cine[0], model, moving_seg=labels)
        for name in (*MAPS, "displacement_sd_mm", "moved_seg"):
            assert np.array_equal(getattr(result, name).array, getattr(alone, name).array), name
        assert np.array_equal(result.inverse_disp_lps_mm, alone.inverse_disp_lps_mm)
        timed = {"seconds"}
        assert {k: v for k, v in result.summary.items() if k not in timed} == {
            k: v for k, v in alone.summary.items() if k not in timed
        }
        assert result.record.keys() == alone.record.keys()


def test_the_moving_frame_stays(cine, labels, model):
    first = next(register_sequence(cine, cine[0], model, moving_seg=labels))
    assert np.array_equal(first.moved.array, cine[0].array)
    assert np.array_equal(first.moved_seg.array, labels.array)
    for name in ("noise_variance", "noise_sd", "residual", "displacement_mm", "displacement_sd_mm"):
        assert not getattr(first, name).array.any(), name
    assert (first.snr_weight.array == 1).all()
    assert not first.disp_lps_mm.any()
    assert not first.inverse_disp_lps_mm.any()
    assert first.summary["ncc_after"] == pytest.approx(1)
    assert first.summary["folded_percent"] == 0
    assert "moving image itself" in first.summary["notes"][0]
    beside = replace(cine[0], ijk_to_lps=cine[0].ijk_to_lps + np.diag([1.0], 3))  # 1 mm along x
    elsewhere = next(register_sequence([beside], cine[0], model))
    assert not any("moving image itself" in note for note in elsewhere.summary["notes"])
    other = next(register_sequence(cine[1:], cine[0], model))
    assert first.summary.keys() == other.summary.keys()
    assert first.record.keys() == other.record.keys()


def test_frames_may_come_from_a_4d_file_or_one_by_one(cine, model, tmp_path):
    path = tmp_path / "cine.nii.gz"
    sitk.WriteImage(sitk.JoinSeries([frame.to_sitk() for frame in cine]), path)
    expected = [result.moved.array for result in register_sequence(read_frames(path), cine[0], model)]
    for frames in (path, str(path), (frame for frame in read_frames(path))):
        found = [result.moved.array for result in register_sequence(frames, cine[0], model)]
        assert len(found) == len(cine)
        assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


def test_an_automatic_model_is_chosen_once(cine, monkeypatch):
    seen, automatic = [], choose.automatic
    monkeypatch.setattr(choose, "automatic", lambda *a: seen.append(a[0].name) or automatic(*a))
    results = list(register_sequence(cine[:2], cine[0], config=RegisterConfig(inverse=False)))
    assert seen == [cine[0].name]
    names = {result.summary["model"] for result in results}
    assert len(names) == 1
    assert all("chosen automatically" in result.summary["notes"][0] for result in results)
    assert [result.inverse_disp_lps_mm for result in results] == [None, None]


def test_a_bad_frame_is_named(cine, model):
    flat = cine[0].like(np.ones_like(cine[0].array), "flat")
    results = register_sequence([cine[1], flat], cine[0], model)
    next(results)
    with pytest.raises(ValueError, match=r"Frame 2 of 2: The fixed image has the same value"):
        next(results)
    with pytest.raises(ValueError, match="no frames"):  # these at once, not as it comes to a frame
        register_sequence([], cine[0], model)
    with pytest.raises(ValueError, match="config is a dict: a RegisterConfig is accepted"):
        register_sequence(cine, cine[0], model, {})
    with pytest.raises(ValueError, match=r"frames is a Image: one 4D file, or images or files in order, are"):
        register_sequence(cine[0], cine[0], model)
    with pytest.raises(FileNotFoundError, match=r"missing\.nrrd"):
        register_sequence("missing.nrrd", cine[0], model)
    with pytest.raises(ValueError, match=r"^There is no model"):
        next(register_sequence(cine, cine[0], "nosuch"))
    same = [flat, flat]
    with pytest.raises(ValueError, match=r"Frame 1 of 2: The fixed image has the same value"):
        next(register_sequence(same, flat, model))
    with pytest.raises(OSError, match=r"Frame 1 of 1: .*missing\.nrrd"):
        next(register_sequence(["missing.nrrd"], cine[0], model))


def test_it_reports_and_stops(cine, model):
    said: list[tuple[float, str]] = []
    list(register_sequence(cine, cine[0], model, progress=Progress(lambda f, m: said.append((f, m)))))
    fractions = [fraction for fraction, _ in said]
    assert fractions == sorted(fractions)
    assert said[-1] == (1.0, "Frame 3 of 3: Done")
    assert {message.split(":")[0] for _, message in said} == {f"Frame {n} of 3" for n in (1, 2, 3)}
    stopping = Progress(cancelled=lambda: len(said) > 0)
    with pytest.raises(Cancelled):
        next(register_sequence(cine[1:], cine[0], model, progress=stopping))


@pytest.mark.parametrize("callback", ["report", "cancelled"])
def test_errors_of_the_caller_are_its_own(cine, model, callback):
    seen = []

    def say(*_said):
        if seen:  # not before the second frame
            raise UnicodeError("of the caller")

    results = register_sequence(cine, cine[0], model, progress=Progress(**{callback: say}))
    with pytest.raises(UnicodeError, match=r"^of the caller$"):
        list(map(seen.append, results))


def test_bad_labels_are_refused_before_the_first_frame(cine, model):
    labels = cine[0].like(cine[0].array * 1.5, "no labels")
    with pytest.raises(ValueError, match=r"^The moving segmentation 'no labels' is not a label image"):
        next(register_sequence(cine, cine[0], model, moving_seg=labels))


def test_a_frame_elsewhere_is_not_the_moving_one(cine, model):
    place = cine[0].ijk_to_lps.copy()
    place[0, 3] += 2.0
    shifted = replace(cine[0], ijk_to_lps=place)
    (result,) = register_sequence([shifted], cine[0], model)
    assert result.summary["ncc_before"] < 1


# --- files
@pytest.fixture
def files(cine, labels, model, tmp_path):
    """Arguments of `hetreg sequence` for the cine as a 4D file with labels; output in tmp_path / out."""
    sitk.WriteImage(sitk.JoinSeries([frame.to_sitk() for frame in cine]), tmp_path / "cine.nii.gz")
    write_image(labels, tmp_path / "labels.nrrd")
    model.save(tmp_path / "tiny.pt")
    given = {"frames": "cine.nii.gz", "moving-seg": "labels.nrrd", "model": "tiny.pt", "output": "out"}
    return ["sequence", *(a for flag, name in given.items() for a in (f"--{flag}", str(tmp_path / name)))]


def test_frames_of_a_file(cine, files, tmp_path):
    frames = read_frames(tmp_path / "cine.nii.gz")
    assert [frame.name for frame in frames] == ["cine frame 1", "cine frame 2", "cine frame 3"]
    for frame, written in zip(cine, frames, strict=True):
        np.testing.assert_array_equal(written.array, frame.array)
        np.testing.assert_allclose(written.ijk_to_lps, frame.ijk_to_lps, atol=1e-5)
    write_image(cine[0], tmp_path / "one.nrrd")
    assert [frame.name for frame in read_frames(tmp_path / "one.nrrd", tmp_path / "one.nrrd")] == [
        "one",
        "one",
    ]
    sitk.WriteImage(cine[0].to_sitk()[..., 0], tmp_path / "plane.nrrd")
    with pytest.raises(ValueError, match=r"plane\.nrrd has size \(64, 64\): one 4D file \(of planes: 3D\)"):
        read_frames(tmp_path / "plane.nrrd")
    stack = sitk.GetImageFromArray(np.zeros((3, 8, 8)))
    stack.SetDirection((1, 0, 0, 0, 0.8, -0.6, 0, 0.6, 0.8))  # of it two axes alone have a smaller spacing
    sitk.WriteImage(stack, tmp_path / "oblique.nrrd")
    with pytest.raises(ValueError, match=r"oblique\.nrrd is 3D and its slices lie at an angle"):
        read_frames(tmp_path / "oblique.nrrd")
    with pytest.raises(FileNotFoundError, match=r"no image file .*none\.nrrd"):
        read_frames(tmp_path / "none.nrrd")
    with pytest.raises(ValueError, match="folder"):
        read_frames(tmp_path, tmp_path / "one.nrrd")


def test_planes_in_time_as_camus_has_them(tmp_path, capsys):
    """Columns, rows and time in one 3D file, labels of one frame beside it."""
    pair = make_pair("echo2d", 1, size=64, with_truth=False)
    arrays = {"cine": [pair.moving, pair.fixed], "ed_gt": [pair.moving_label]}
    for name, images in arrays.items():
        stack = sitk.GetImageFromArray(np.concatenate([image.array for image in images]))
        stack.SetSpacing((2.0, 2.5, 1.0))
        stack.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
        sitk.WriteImage(stack if len(images) > 1 else stack[..., 0], tmp_path / f"{name}.nii.gz")
    frames = read_frames(tmp_path / "cine.nii.gz")
    assert [frame.is_2d for frame in frames] == [True, True]
    np.testing.assert_array_equal(frames[1].array, pair.fixed.array)
    given = {"frames": "cine.nii.gz", "moving-seg": "ed_gt.nii.gz", "output": "out"}
    arguments = [a for flag, name in given.items() for a in (f"--{flag}", str(tmp_path / name))]
    assert cli.main(["sequence", *arguments, "--no-inverse"]) == 0
    rows = list(csv.DictReader((tmp_path / "out" / "frames.csv").open(encoding="utf-8")))
    pixels = np.count_nonzero(pair.moving_label.array == 3)
    assert float(rows[0]["area_3_cm2"]) == pytest.approx(pixels * 0.05)
    said = capsys.readouterr().out
    assert "cine.nii.gz is 3D: its 2 slices are taken as frames in time." in said
    assert "lie up to" not in said  # the labels are in their place
    assert "area label 3  " in said


def test_the_command_writes_each_frame_and_the_numbers(cine, files, labels, model, tmp_path, capsys):
    assert cli.main([*files, "--moving-frame", "1", "--no-inverse"]) == 0
    out = tmp_path / "out"
    assert sorted(p.name for p in out.iterdir()) == ["frame-01", "frame-02", "frame-03", "frames.csv"]
    assert (out / "frame-02" / "transform.h5").is_file()
    rows = list(csv.DictReader((out / "frames.csv").open(encoding="utf-8")))
    assert [row["frame"] for row in rows] == ["1", "2", "3"]
    voxel = np.prod(labels.spacing_mm) / 1000
    assert float(rows[0]["volume_3_ml"]) == pytest.approx(voxel * np.count_nonzero(labels.array))
    moved = read_image(out / "frame-02" / "moved_seg.nrrd").array
    assert float(rows[1]["volume_3_ml"]) == pytest.approx(voxel * np.count_nonzero(moved))
    alone = register_pair(cine[1], cine[0], model, RegisterConfig(inverse=False))
    assert float(rows[1]["ncc_after"]) == pytest.approx(alone.summary["ncc_after"], abs=1e-5)
    said = capsys.readouterr().out
    assert "files in" in said
    assert said.count("Frame 1: The fixed image is the moving image itself") == 1
    assert "volume label 3  " in said


def test_the_largest_and_the_smallest_volume_are_said():
    rows = [{"frame": n + 1, "volume_3_ml": v} for n, v in enumerate((20.0, 23.456789, 23.456789, 17.5))]
    rows[1]["volume_9_ml"] = 0.25
    assert [" ".join(line.split()) for line in extremes(rows)] == [
        "volume label 3 23.457 ml (frame 2) to 17.5 ml (frame 4)",
        "volume label 9 0.25 ml (frame 2) to 0 ml (frame 1)",
    ]


@pytest.mark.parametrize(
    ("frames", "text"),
    [([1, 2, 3, 4], "odd"), ([2], "Frame 2: odd"), ([1, 3, 4], "Frames 1, 3 to 4: odd")],
)
def test_a_note_names_its_frames_where_it_is_not_about_all(frames, text):
    assert told("odd", frames, 4) == text


def test_what_becomes_of_an_empty_segmentation_or_of_a_lost_label_is_said(cine, labels, model):
    empty = labels.like(np.zeros_like(labels.array), "empty")
    for result in register_sequence(cine[:2], cine[0], model, moving_seg=empty):
        assert (
            "The moving segmentation 'empty' is empty: there was nothing to carry along."
            in (result.summary["notes"])
        )
    wide = np.pad(labels.array, ((0, 0), (0, 40), (0, 0)))
    wide[:, -8:, 20:40] = 12
    far = replace(labels, array=wide, name="wide")
    (alone,) = register_sequence(cine[1:2], cine[0], model, moving_seg=far)
    assert set(np.unique(alone.moved_seg.array)) == {0, 3}
    assert (
        "Nothing is left of label 12 of the moving segmentation 'wide' in the fixed image."
        in (alone.summary["notes"])
    )
    kept = register_pair(cine[1], cine[0], model, moving_seg=labels)
    assert not any("segmentation" in note for note in kept.summary["notes"])


def test_the_command_keeps_what_is_done(cine, files, tmp_path, capsys):
    array = np.stack([frame.array for frame in cine])
    array[2] = 7.0
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=False), tmp_path / "cine.nii.gz")
    assert cli.main([*files[:3], *files[5:], "--json"]) == 2
    assert "Frame 3 of 3: The fixed image has the same value" in capsys.readouterr().err
    assert len(list(csv.DictReader((tmp_path / "out" / "frames.csv").open(encoding="utf-8")))) == 2
    assert not (tmp_path / "out" / "frame-03").exists()
    assert cli.main([*files, "--moving-frame", "4"]) == 2
    assert "--moving-frame is 4: 1 to 3 is accepted." in capsys.readouterr().err


def test_the_command_mixes_no_runs(files, tmp_path, capsys):
    (tmp_path / "out" / "frame-12").mkdir(parents=True)
    assert cli.main(files) == 2
    assert (
        "out already has frame-12: a folder without the frames of an earlier run is accepted."
        in capsys.readouterr().err
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["frame-12"]
