"""For test_reload: reloads the named modules with all packages, one by one, and registers after each."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "Testing"), str(REPOSITORY / "HetRegUncertainty")]


def main(names):
    """Say what worked, and which errors there were in slots and observers."""
    import runtime

    runtime.start()
    import slicer

    from hetreg.datasets.phantom import make_pair
    from HetRegUncertaintyLib import sampledata

    runtime.load_modules(
        [REPOSITORY / module / f"{module}.py" for module in ("HetRegUncertainty", "HetRegTraining")]
    )
    pair = make_pair("mri2d", 3, size=32, slices=1, with_truth=False)
    volumes = [sampledata.addVolume(image, "image") for image in (pair.fixed, pair.moving)]
    for name in names:
        slicer.util.selectModule(name)
        slicer.util.getModuleWidget(name).onReload()
        slicer.util.getModuleLogic("HetRegUncertainty").register(*volumes)
        sys.stdout.write(f"{name}: registered\n")
    sys.stdout.write(f"{runtime.errors()}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
