#!/usr/bin/env python3
"""Clicks through HetReg Training: a short run on phantoms, then the evaluation of its model; writes a
screenshot of each. It runs in the environment that `Testing/demo` makes:

    .venv/bin/python Testing/demo_training.py [--steps 400] [--output demo-output]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "Testing"), str(ROOT / "HetRegUncertainty")]
LIMIT_SECONDS = 3600.0


def start_panel():
    """The module's panel in the stand-in runtime."""
    import runtime

    runtime.start(width=1600, height=1000)
    import slicer

    for name in ("HetRegUncertainty", "HetRegTraining"):
        runtime.load_module(str(ROOT / name / f"{name}.py"))
    slicer.util.selectModule("HetRegTraining")
    return slicer.util.getModuleWidget("HetRegTraining")


def fill(panel, steps: int, folder: Path) -> None:
    """A small network, a few phantoms, validations often enough for a curve."""
    from HetRegUncertaintyLib.trainingparameters import LengthUnit, NetworkSize

    p = panel.logic.getParameterNode()
    p.networkSize, p.phantoms, p.learningRate, p.batch = NetworkSize("small"), 60, 2e-3, 4
    p.lengthUnit, p.length, p.validateEvery = LengthUnit("steps"), steps, max(1, steps // 10)
    p.outputFolder = str(folder)


def wait(until: Callable[[], bool]) -> None:
    """Let Qt work until it is so, for LIMIT_SECONDS at most."""
    import runtime

    runtime.wait(until, LIMIT_SECONDS)


def picture(path: Path) -> None:
    """The whole window. Raises the first error of a slot, if there was one."""
    import runtime

    if errors := runtime.errors():
        raise errors[0]
    runtime.process_events(0.5)
    runtime.screenshot(path)
    print(path, flush=True)


def main() -> int:
    """Train, take a picture before the end, evaluate, take another."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--output", type=Path, default=ROOT / "demo-output")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    panel = start_panel()
    with tempfile.TemporaryDirectory(prefix="heart-runs-") as folder:
        fill(panel, options.steps, Path(folder) / "run-1")
        panel.ui.startButton.click()
        run = panel.section.run
        wait(lambda: run.curves.steps[-1:] > [0.85 * options.steps] or not run.running)
        picture(options.output / "training.png")
        wait(lambda: not run.running)
        panel.ui.evaluateButton.click()
        wait(lambda: not panel.evaluation.running)
        picture(options.output / "evaluation.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
