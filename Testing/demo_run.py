"""Testing/demo: starts the module on the stand-in runtime, clicks Register, shows and saves the result.

Every step goes through the module's own widgets, as a person would do it. See `Testing/demo --help`.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from demo_steps import BadInput, Steps, check_display

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "Testing"), str(ROOT / "HetRegUncertainty")]

FILES = {
    "transform": "transform.h5",
    "inverse_transform": "inverse_transform.h5",
    "noise_variance": "noise_variance.nrrd",
    "snr_weight": "snr_weight.nrrd",
    "moved": "moved.nrrd",
}
READ_BY_SLICER = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd", ".hdr", ".img", ".img.gz", ".dcm")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("Testing/demo", description=__doc__.split("\n", 1)[0].split(": ", 1)[1])
    parser.add_argument(
        "fixed", nargs="?", type=Path, metavar="FIXED", help="image to register to (end-systole)"
    )
    parser.add_argument(
        "moving", nargs="?", type=Path, metavar="MOVING", help="image to deform (end-diastole)"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("demo-output"), metavar="DIR", help="default: demo-output"
    )
    parser.add_argument("--show", action="store_true", help="open the window and leave it open at the end")
    options = parser.parse_args(arguments)
    if (options.fixed is None) != (options.moving is None):
        parser.error("FIXED is given without MOVING: give both, or none for the sample pair.")
    return options


def check(options: argparse.Namespace) -> None:
    """Fail before the work, not after it. Raises BadInput."""
    from hetreg import read_image

    for path in filter(None, (options.fixed, options.moving)):
        try:
            read_image(path)
        except (ValueError, OSError) as error:
            raise BadInput(" ".join(str(error).split())) from error
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        probe = options.output / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise BadInput(f"The output folder {options.output} cannot be written: {error.strerror}.") from error
    if options.show:
        check_display()


def print_unexpected(kind: type[BaseException], error: BaseException, trace) -> None:
    """A ValueError is a sentence for the user, passed on by `register`; anything else is printed."""
    if not isinstance(error, ValueError):
        sys.__excepthook__(kind, error, trace)


def load_volume(path: Path):
    """The file's volume node. What the loader does not read (PNG, TIFF) goes through a NRRD file."""
    import slicer

    from hetreg.image import read_image, write_image

    if path.name.endswith(READ_BY_SLICER):
        # its numbered neighbours are no slices of it
        return slicer.util.loadVolume(str(path), properties={"singleFile": True})
    with tempfile.TemporaryDirectory() as folder:
        image = read_image(path)
        return slicer.util.loadVolume(str(write_image(image, Path(folder) / f"{image.name}.nrrd")))


def load_pair(ui, options: argparse.Namespace) -> None:
    """Choose fixed and moving in the panel: the sample pair by its button, or the user's files."""
    import slicer

    if options.fixed is None:
        ui.sampleButton.click()
        return
    for path, selector in ((options.fixed, ui.fixedSelector), (options.moving, ui.movingSelector)):
        try:
            node = load_volume(path)
        except (RuntimeError, ValueError, OSError) as error:
            raise BadInput(f"{path.name} could not be loaded as a volume.") from error
        selector.setCurrentNode(node)
    slicer.util.setSliceViewerLayers(
        background=ui.fixedSelector.currentNode(), fit=True, rotateToVolumePlane=True
    )


def register(ui, steps: Steps) -> None:
    """Click Register and wait for its end. Raises BadInput with the panel's sentence."""
    import runtime

    if not ui.registerButton.enabled:
        raise BadInput(ui.registerButton.toolTip)

    def show(value: int) -> None:
        if value:
            steps.say(f"  {100 * value / ui.progressBar.maximum:3.0f} %  {ui.statusLabel.text}")

    ui.progressBar.connect("valueChanged(int)", show)
    ui.registerButton.click()
    steps.stop()
    for error in runtime.errors():
        if isinstance(error, ValueError):
            raise BadInput(" ".join(str(error).split()))
        raise error
    if ui.transformSelector.currentNode() is None:
        raise BadInput(ui.statusLabel.text)


def inspect(ui) -> None:
    """Overlay, legend and grid, through the panel's own widgets."""
    import runtime

    for box, text in ((ui.overlayComboBox, "Noise SD"), (ui.deformationComboBox, "Grid")):
        box.setCurrentIndex(box.findText(text))
        if box.currentText != text:
            raise RuntimeError(f"The panel's menu '{box.name}' has no entry '{text}'.")
    ui.legendCheckBox.checked = True
    ui.linkedLayoutCheckBox.checked = True
    runtime.process_events(0.3)


def save(parameters, output: Path) -> dict[str, str]:
    """Screenshot, scene and the outputs of the run. Returns the files by what they are. Raises OSError."""
    import slicer

    import runtime
    from HetRegUncertaintyLib.parameters import outputParameter

    files = {"screenshot": output / "screenshot.png", "scene": output / "scene.mrb"}
    files |= {role: output / name for role, name in FILES.items()}
    runtime.screenshot(files["screenshot"])
    written = [slicer.util.saveScene(str(files["scene"]))]
    for role in FILES:
        written.append(slicer.util.saveNode(getattr(parameters, outputParameter(role)), str(files[role])))
    if not all(written) or not all(f.is_file() for f in files.values()):
        raise OSError(f"Not every file could be written to {output}: is the disk full?")
    return {name: file.name for name, file in files.items()}


def check_transform(parameters, output: Path) -> float:
    """Largest difference of `moved` from SimpleITK's own use of the transform file, in intensity ranges."""
    import numpy as np
    import SimpleITK as sitk

    from HetRegUncertaintyLib import volumes

    moving = sitk.Cast(volumes.imageFromNode(parameters.movingVolume).to_sitk(), sitk.sitkFloat64)
    moved = sitk.ReadImage(str(output / FILES["moved"]), sitk.sitkFloat64)
    transform = sitk.ReadTransform(str(output / FILES["transform"]))
    again = sitk.Resample(moving, moved, transform, sitk.sitkLinear, 0.0)
    difference = sitk.GetArrayViewFromImage(again) - sitk.GetArrayViewFromImage(moved)
    return float(np.abs(difference).max() / np.ptp(sitk.GetArrayViewFromImage(moving)))


def write_report(parameters, output: Path, files: dict[str, str]) -> None:
    """report.json, and the same numbers on the terminal."""
    from HetRegUncertaintyLib import results, summary

    numbers, names = results.summaryOf(parameters.transform)
    error = check_transform(parameters, output)
    report = {
        "fixed": parameters.fixedVolume.GetName(),
        "moving": parameters.movingVolume.GetName(),
        "summary": numbers,
        "labels": names,
        "transform_error_of_intensity_range": error,
        "record": json.loads(parameters.transform.GetAttribute(results.RECORD)),
        "files": files,
    }
    (output / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for row in summary.rows(numbers, names):
        before = f"{row.before} -> " if row.before else ""
        print(f"  {row.label:32} {before}{row.after} {row.unit}".rstrip())
    print(f"  {'Transform in SimpleITK':32} reproduces the moved image to {error:.1e} of its range")
    print("  " + ", ".join(str(numbers[key]) for key in ("model", "dimension", "device", "seconds")) + " s")


def write_all(parameters, output: Path) -> None:
    """All files of the run or, after Ctrl-C or an error, those of the run before. Raises OSError."""
    from hetreg.files import whole_folder

    with whole_folder(output, ()) as folder:
        write_report(parameters, folder, save(parameters, folder))


def demo(options: argparse.Namespace) -> None:
    """All steps. Raises BadInput for what the user can mend."""
    steps = Steps()
    check(options)
    steps.begin("Starting the stand-in runtime (not 3D Slicer itself: see Testing/runtime/README.md)")
    import runtime

    sys.excepthook = print_unexpected
    runtime.start(show=options.show, width=1600, height=1000 if options.show else 1130)
    import slicer

    runtime.load_module(str(ROOT / "HetRegUncertainty" / "HetRegUncertainty.py"))
    slicer.util.selectModule("HetRegUncertainty")
    panel = slicer.util.getModuleWidget("HetRegUncertainty")
    steps.interrupt_between(panel.run.cancel)
    steps.begin("Loading the images" if options.fixed else "Making the sample pair")
    load_pair(panel.ui, options)
    steps.begin("Clicking Register")
    register(panel.ui, steps)
    steps.begin("Overlay, legend and grid")
    inspect(panel.ui)
    steps.begin(f"Writing to {options.output}")
    write_all(panel.logic.getParameterNode(), options.output)
    steps.begin(f"Done: look at {options.output / 'screenshot.png'}")
    if options.show:
        steps.begin("The window stays open: close it to end")
        sys.excepthook = sys.__excepthook__
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Qt's loop does not look at Python's handler
        runtime.run()


def main() -> int:
    """Exit code: 0 done, 2 bad input (one sentence), 1 anything else."""
    try:
        demo(parse())
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
