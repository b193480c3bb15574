"""The README's demo command, run as a user runs it, in a process of its own."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path

import demo_run
import numpy as np
import pytest
import SimpleITK as sitk

from hetreg.datasets.phantom import make_pair
from hetreg.image import write_image
from HetRegUncertaintyLib import volumes

DEMO = Path(__file__).resolve().parents[1] / "demo_run.py"
FILES = {"scene.mrb", "transform.h5", "inverse_transform.h5", "moved.nrrd", "noise_variance.nrrd"}
FILES |= {"snr_weight.nrrd", "screenshot.png", "report.json"}


def demo(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command's body; Testing/demo itself only makes the environment first."""
    command = [sys.executable, str(DEMO), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Files of a simulated pair whose geometry is oblique and whose moving image has another size."""
    folder = tmp_path_factory.mktemp("pair")
    made = make_pair("mri2d", 3, slices=2)
    turn = sitk.Euler3DTransform()
    turn.SetRotation(0.2, -0.3, 0.4)
    for name, image in (("es", made.fixed.to_sitk()), ("ed", made.moving.to_sitk()[8:-4, 4:-2, :])):
        image.SetDirection(
            (np.reshape(turn.GetMatrix(), (3, 3)) @ np.reshape(image.GetDirection(), (3, 3))).ravel()
        )
        image.SetOrigin(turn.TransformPoint(image.GetOrigin()))
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    return folder / "es.nii.gz", folder / "ed.nii.gz"


@pytest.mark.slow
def test_sample_pair(tmp_path):
    done = demo("--output", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "100 %" in done.stdout
    assert {f.name for f in tmp_path.iterdir()} == FILES
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["transform_error_of_intensity_range"] < 1e-3
    numbers = report["summary"]
    assert numbers["folded_percent"] < 0.5
    assert numbers["dice_before"]
    assert all(numbers["dice_after"][k] > numbers["dice_before"][k] for k in numbers["dice_before"])
    screenshot = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "screenshot.png")))
    assert screenshot.shape[0] >= 600
    right = screenshot[:, screenshot.shape[1] // 2 :, :3].astype(int)
    assert (np.ptp(right, axis=2) > 60).mean() > 0.01, "no colour in the views: the overlay is not shown"


@pytest.mark.slow
def test_files_of_the_user(pair, tmp_path):
    fixed, moving = pair
    done = demo(fixed, moving, "--output", tmp_path / "new" / "folder")
    assert done.returncode == 0, done.stderr
    output = tmp_path / "new" / "folder"
    image = sitk.ReadImage(str(moving), sitk.sitkFloat64)
    moved = sitk.ReadImage(str(output / "moved.nrrd"), sitk.sitkFloat64)
    transform = sitk.ReadTransform(str(output / "transform.h5"))
    again = sitk.GetArrayFromImage(sitk.Resample(image, moved, transform, sitk.sitkLinear, 0.0))
    assert np.abs(again - sitk.GetArrayFromImage(moved)).max() < 1e-3 * np.ptp(sitk.GetArrayFromImage(image))
    reference = sitk.ReadImage(str(fixed))
    for name in ("moved", "noise_variance", "snr_weight"):
        written = sitk.ReadImage(str(output / f"{name}.nrrd"))
        assert written.GetSize() == reference.GetSize()
        np.testing.assert_allclose(written.GetOrigin(), reference.GetOrigin(), atol=1e-3)
        np.testing.assert_allclose(written.GetDirection(), reference.GetDirection(), atol=1e-5)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")
@pytest.mark.parametrize("step", ["Clicking Register", "Writing to"])
def test_ctrl_c_is_one_word_and_leaves_the_files_of_one_run(tmp_path, step):
    former = "moved.nrrd"
    (tmp_path / former).write_text("of the run before", encoding="utf-8")
    command = [sys.executable, str(DEMO), "--output", str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        while step not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=600)
    assert (process.returncode, said) == (130, "interrupted\n")
    written = {f.name for f in tmp_path.iterdir()}
    assert written == ({former} if step == "Clicking Register" else FILES)


@pytest.mark.parametrize("ending", ["png", "tif", "nrrd"])
def test_flat_images_are_loaded_without_error_lines(panel, tmp_path, capfd, ending):
    y, x = np.mgrid[0:40, 0:32]
    files = {}
    for name, width in (("fixed", 6.0), ("moving", 8.0)):
        array = 200 * np.exp(-((x - 16) ** 2 + (y - 20) ** 2) / width**2)
        files[name] = tmp_path / f"{name}.{ending}"
        sitk.WriteImage(sitk.GetImageFromArray(array.astype(np.uint8)), str(files[name]))
    demo_run.load_pair(panel.ui, argparse.Namespace(**files))
    for name, selector in (("fixed", panel.ui.fixedSelector), ("moving", panel.ui.movingSelector)):
        node = selector.currentNode()
        assert node.GetName() == name
        loaded = volumes.imageFromNode(node).array
        np.testing.assert_array_equal(loaded[0], sitk.GetArrayFromImage(sitk.ReadImage(str(files[name]))))
    assert panel.ui.registerButton.enabled
    said = capfd.readouterr()
    assert "ERR" not in said.out + said.err


def test_numbered_neighbours_are_no_slices_of_a_flat_image(panel, tmp_path):
    for n in range(1, 4):
        for phase, seed in (("ED", 0), ("ES", 1)):
            image = make_pair("mri2d", 10 * n + seed, size=48, with_truth=False).fixed
            write_image(image, tmp_path / f"p{n}_{phase}.nii.gz")
    files = {"moving": tmp_path / "p1_ED.nii.gz", "fixed": tmp_path / "p1_ES.nii.gz"}
    demo_run.load_pair(panel.ui, argparse.Namespace(**files))
    node = panel.ui.fixedSelector.currentNode()
    assert node.GetImageData().GetDimensions() == (48, 48, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", "no image file"),
        ("text", "could not be read"),
        ("colour", "channels"),
        ("same", "are the same"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(pair, tmp_path, change, message):
    fixed, moving = pair
    if change in ("missing", "text", "colour"):
        moving = tmp_path / f"{change}.nrrd"
    if change == "text":
        moving.write_text("no image\n", encoding="utf-8")
    elif change == "colour":
        sitk.WriteImage(sitk.Image([8, 8, 2], sitk.sitkVectorUInt8, 3), str(moving))
    elif change == "same":
        moving = fixed
    done = demo(fixed, moving, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not (tmp_path / "out" / "report.json").exists()


def test_one_file_without_the_other_and_no_display(pair, tmp_path, monkeypatch):
    assert demo(pair[0]).returncode == 2
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    done = demo("--show", "--output", tmp_path)
    if sys.platform.startswith("linux"):
        assert done.returncode == 2
        assert "no display" in done.stderr
