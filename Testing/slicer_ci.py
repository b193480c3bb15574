"""Runs in a real Slicer: loads the extension's modules, opens their panels and runs their own tests.

Slicer --testing --additional-module-paths FOLDER --python-script Testing/slicer_ci.py MODE RESULT.json
MODE: without-torch; with-torch (torch has to be there); install-torch (PyTorch extension, torch; no tests).

The launcher may lose the exit code and the output, so the outcome is also written to RESULT.json. An
exception that Slicer swallows in a widget's setup() is caught through sys.excepthook and counts as a failure,
as do zero tests.
"""

from __future__ import annotations

import json
import sys
import traceback
import unittest
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import slicer

MODULES = ["HetRegUncertainty", "HetRegTraining"]
swallowed: list[str] = []


def remember(kind, error, trace) -> None:
    """Keep an exception that nobody caught."""
    swallowed.append("".join(traceback.format_exception(kind, error, trace)))


def install_torch() -> dict[str, object]:
    """The PyTorch extension from the extensions server, then torch for the CPU through it."""
    model = slicer.app.extensionsManagerModel()
    model.setInteractive(False)
    if not model.isExtensionInstalled("PyTorch"):
        model.installExtensionFromServer("PyTorch")
        installed = Path(model.extensionInstallPath("PyTorch"))
        sys.path += [str(f.parent) for f in installed.rglob("PyTorchUtils.py")]
    import PyTorchUtils

    torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(
        askConfirmation=False, forceComputationBackend="cpu"
    )
    return {"torch": getattr(torch, "__version__", None)}


def self_tests() -> dict[str, object]:
    """Every module's panel and its XxxTest, each test method on its own as CTest runs it."""
    suite = unittest.TestSuite()
    for name in MODULES:
        slicer.util.selectModule(name)
        if slicer.util.getModuleWidget(name) is None:
            raise RuntimeError(f"The panel of {name} did not open.")
        test_class = getattr(import_module(name), f"{name}Test")
        suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(test_class))
    outcome = unittest.TextTestRunner(verbosity=2).run(suite)
    problems = [f"{case}: {text}" for case, text in outcome.failures + outcome.errors]
    ran = outcome.testsRun - len(outcome.skipped)
    return {"tests": ran, "skipped": len(outcome.skipped), "problems": problems}


def outcome_of(mode: str) -> dict[str, object]:
    """What happened, as written to the result file."""
    result: dict[str, object] = {"mode": mode, "slicer": slicer.app.applicationVersion}
    try:
        if mode == "install-torch":
            result.update(install_torch())
            result["passed"] = result["torch"] is not None
            return result
        present = find_spec("torch") is not None
        if present != (mode == "with-torch"):
            raise RuntimeError(f"The mode is {mode}, and torch is {'there' if present else 'absent'}.")
        result.update(self_tests())
        result["passed"] = bool(result["tests"]) and not result["problems"] and not swallowed
    except Exception:
        result.update(passed=False, error=traceback.format_exc())
    result["swallowed"] = swallowed
    return result


sys.excepthook = remember
mode, path = sys.argv[-2:]
result = outcome_of(mode)
Path(path).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
print(json.dumps(result, indent=1), flush=True)
slicer.util.exit(0 if result["passed"] else 1)
