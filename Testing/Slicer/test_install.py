"""The Dependencies section without torch: the panel works, says what is missing, installs with consent."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import slicer

import runtime
from hetreg.errors import with_remedy
from HetRegUncertaintyLib import install
from HetRegUncertaintyLib.parameters import Overlay
from HetRegUncertaintyLib.words import inWords

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def noTorch(monkeypatch):
    """torch and PyTorchUtils cannot be found, as in a fresh Slicer."""
    original = importlib.util.find_spec

    def find_spec(name, *arguments):
        if name in sys.modules and name == "PyTorchUtils":
            return object()
        return None if name in ("torch", "PyTorchUtils") else original(name, *arguments)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    return monkeypatch


@pytest.fixture
def pyTorchExtension(noTorch):
    """The PyTorch extension is there, PyTorch itself is not; calls of installTorch are recorded."""
    calls = []

    class PyTorchUtilsLogic:
        result = None

        def installTorch(self, **keywords):
            calls.append(keywords | {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY")})
            return self.result

    module = types.SimpleNamespace(PyTorchUtilsLogic=PyTorchUtilsLogic, calls=calls)
    noTorch.setitem(sys.modules, "PyTorchUtils", module)
    return module


@pytest.fixture(autouse=True)
def forgetMarker():
    install.setResume(False)
    yield
    install.setResume(False)


def test_registerSaysThatTorchIsMissing(panel, smallPair, noTorch):
    panel._checkCanApply()
    assert not panel.ui.registerButton.enabled
    assert "PyTorch is not installed" in panel.ui.registerButton.toolTip
    assert "PyTorch is not installed" in panel.ui.statusLabel.text


def test_menusAreFilledWithoutTorch(panel, noTorch):
    assert panel.ui.modelComboBox.count >= 2
    assert panel.ui.deviceComboBox.count == 4
    assert panel.ui.overlayComboBox.count == len(Overlay)


def test_cardWithoutTorch(panel, noTorch):
    panel.dependencyCard.update()
    assert "missing" in panel.ui.dependencyLabel.text
    assert panel.ui.installButton.text == "Install the PyTorch extension..."


def test_cardWithTorch(panel):
    panel.ui.dependencyCollapsibleButton.collapsed = False
    panel.dependencyCard.update()
    assert install.torchVersion() in panel.ui.dependencyLabel.text
    assert "CPU" in panel.ui.dependencyLabel.text or "GPU" in panel.ui.dependencyLabel.text
    panel.ui.dependencyCollapsibleButton.collapsed = True


def test_declinedExtensionInstallsNothing(panel, noTorch, monkeypatch):
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *_, **__: False)
    monkeypatch.setattr(install, "installExtension", lambda: pytest.fail("not asked for"))
    panel.ui.installButton.click()
    assert panel.ui.dependencyLabel.text == "Nothing was installed."


class ExtensionsManager:
    """Asks, restarts and answers as Slicer's does; what happens is appended to `events`."""

    def __init__(self, events, succeeds=True):
        self.events, self.succeeds, self.interactive = events, succeeds, True

    def installExtensionFromServer(self, name, restart=True, update=False):
        self.events += ["asked"] * self.interactive + [name]
        if self.succeeds and restart:
            self.events += ["asked"] * self.interactive + ["restart"]
        return True  # also if the download failed, which is only logged

    def isExtensionInstalled(self, name):
        return self.succeeds and name in self.events


def test_extensionIsInstalledThenSlicerRestarts(panel, noTorch, monkeypatch):
    """One question, one restart, and before that the marker to go on after it."""
    events = []
    manager = ExtensionsManager(events)
    monkeypatch.setattr(
        slicer.util, "confirmOkCancelDisplay", lambda *_, **__: events.append("asked") or True
    )
    monkeypatch.setattr(slicer.util, "restart", lambda: events.append(("restart", install.resumeWanted())))
    monkeypatch.setattr(install, "extensionsManager", lambda: manager)
    panel.ui.installButton.click()
    assert events == ["asked", "PyTorch", ("restart", True)]
    assert manager.interactive


def test_noNetwork(panel, noTorch, monkeypatch):
    manager = ExtensionsManager([], succeeds=False)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *_, **__: True)
    monkeypatch.setattr(install, "extensionsManager", lambda: manager)
    panel.ui.installButton.click()
    assert "could not be installed" in panel.ui.dependencyLabel.text
    assert not install.resumeWanted()


def test_resumeAfterTheRestart(panel, pyTorchExtension):
    install.setResume(True)
    panel.parent.exit()
    panel.parent.enter()
    assert len(pyTorchExtension.calls) == 1
    assert pyTorchExtension.calls[0]["askConfirmation"] is True
    assert not install.resumeWanted()
    assert "not installed" in panel.ui.dependencyLabel.text


def test_markerIsClearedWithoutTheExtension(panel, noTorch):
    """Slicer would open this module at every start."""
    install.setResume(True)
    panel.parent.exit()
    panel.parent.enter()
    assert not install.resumeWanted()


def test_leftoversOfABrokenInstallationAreNoTorch(panel, monkeypatch):
    """Only the folder is there: the panel offers to install."""

    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert importlib.util.find_spec("torch") is not None
    panel.ui.dependencyCollapsibleButton.collapsed = False
    panel.dependencyCard.update()
    assert "PyTorch is missing" in panel.ui.dependencyLabel.text
    assert panel.ui.installButton.visible
    assert "not installed" in install.reasonMissing()
    panel.ui.dependencyCollapsibleButton.collapsed = True


@pytest.mark.parametrize(
    ("system", "numpy", "wanted"),
    [("nt", "2.4.1", ">=2.4.1,<2.13"), ("posix", "2.4.1", ">=2.3"), ("posix", "1.26.4", ">=2.2")],
)
def test_torchThatCanBeInstalled(system, numpy, wanted, monkeypatch):
    """No PyTorch that the panel then refuses."""
    monkeypatch.setattr(install, "os", types.SimpleNamespace(name=system))
    monkeypatch.setattr("numpy.__version__", numpy)
    assert install.torchRequirement() == wanted
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "2.13.0")
    assert install.reasonMissing() == ""


@pytest.mark.parametrize(
    ("system", "torch", "numpy", "accepted"),
    [
        ("posix", "2.2.2", "2.4.1", "2.3"),
        ("posix", "2.2.2", "1.26.4", ""),
        ("posix", "2.3.0+cpu", "2.4.1", ""),
        ("posix", "2.13.0", "2.4.1", ""),
        ("nt", "2.4.0+cu121", "2.4.1", "2.4.1"),
        ("nt", "2.4.0", "1.26.4", ""),
        ("nt", "2.4.1+cu121", "2.4.1", ""),
        ("nt", "2.12.0", "2.4.1", ""),
    ],
)
def test_torchThatIsTooOldForNumPy(system, torch, numpy, accepted, monkeypatch):
    monkeypatch.setattr(install, "os", types.SimpleNamespace(name=system))
    monkeypatch.setattr(install, "torchVersion", lambda: torch)
    monkeypatch.setattr("numpy.__version__", numpy)
    reason = install.reasonMissing()
    assert bool(reason) == bool(accepted)
    for part in (torch, numpy, f"PyTorch {accepted} or newer") if accepted else ():
        assert part in reason


@pytest.mark.parametrize(
    ("machine", "numpy"), [("x86_64", "2.4.1"), ("x86_64", "1.26.4"), ("arm64", "2.4.1")]
)
def test_macs(panel, pyTorchExtension, machine, numpy, monkeypatch):
    """Where no PyTorch works the panel says so and does not ask, not even after the extension's restart."""
    monkeypatch.setattr(install, "sys", types.SimpleNamespace(platform="darwin"))
    monkeypatch.setattr(install, "platform", types.SimpleNamespace(machine=lambda: machine))
    monkeypatch.setattr("numpy.__version__", numpy)
    impossible = machine == "x86_64" and numpy[0] == "2"
    panel.ui.dependencyCollapsibleButton.collapsed = False
    panel.dependencyCard.update()
    assert panel.ui.installButton.visible != impossible
    said = f"the last one for Intel Macs is 2.2, which does not work with NumPy {numpy}"
    for text in (panel.ui.dependencyLabel.text, install.reasonMissing()):
        assert (said in text) == impossible
    install.setResume(True)
    panel.dependencyCard.resume()
    assert len(pyTorchExtension.calls) == (0 if impossible else 1)
    assert ("cannot be installed into this Slicer" in panel.ui.dependencyLabel.text) == impossible
    panel.ui.dependencyCollapsibleButton.collapsed = True


def test_theCardNamesTheAppleGpuOnlyWhereItIsUsed(monkeypatch):
    monkeypatch.setattr("hetreg.device.torch.cuda.is_available", lambda: False)
    for names, told in ((["mps", "cpu"], "Apple"), (["cpu"], "CPU")):
        monkeypatch.setattr("hetreg.device.available_devices", lambda names=names: names)
        assert told in install.describeDevice()


def test_aLibraryThatWindowsCannotLoadNamesWhatIsMissing(panel, monkeypatch):
    said = '[WinError 1114] Error loading "c10.dll" or one of its dependencies.'

    class Unloaded(types.ModuleType):
        def __getattr__(self, _name):
            raise OSError(said)

    monkeypatch.setitem(sys.modules, "hetreg.device", Unloaded("hetreg.device"))
    ofTheCommand = with_remedy(said)  # which a training or evaluation runs
    for text in (install.describeDevice(), inWords(panel.ui, said), inWords(panel.ui, ofTheCommand)):
        assert text.count("Visual C++") == 1


def test_torchIsInstalledByTheExtension(panel, pyTorchExtension, monkeypatch):
    """Which imports it at once: what PyTorch reads from the environment is there before."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    pyTorchExtension.PyTorchUtilsLogic.result = types.ModuleType("torch")
    assert install.installTorch() == ""
    given = {"askConfirmation": True, "torchVersionRequirement": install.torchRequirement()}
    assert pyTorchExtension.calls == [given | {"OMP_WAIT_POLICY": "PASSIVE"}]


def test_installErrorIsShown(panel, pyTorchExtension, monkeypatch, raisesInSlot):
    def fail(self, **keywords):
        raise RuntimeError("no space left")

    monkeypatch.setattr(pyTorchExtension.PyTorchUtilsLogic, "installTorch", fail)
    with raisesInSlot(RuntimeError, "no space left"):
        panel.ui.installButton.click()
    assert runtime.errors() == []


BLOCKED = """
import importlib.util, sys, unittest
sys.path[:0] = ["Testing", "HetRegUncertainty"]
class Block:
    def find_spec(self, name, *_):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, Block())
original = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torch" else original(name, *rest)
import runtime; runtime.start()
runtime.load_module("HetRegUncertainty/HetRegUncertainty.py")
import HetRegUncertainty
suite = unittest.defaultTestLoader.loadTestsFromTestCase(HetRegUncertainty.HetRegUncertaintyTest)
outcome = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(suite)
assert outcome.wasSuccessful() and outcome.testsRun >= 5
import slicer; slicer.util.selectModule("HetRegUncertainty")
ui = slicer.modules.HetRegUncertaintyWidget.ui
assert ui.modelComboBox.count >= 2 and ui.overlayComboBox.count >= 7
assert not ui.dependencyCollapsibleButton.collapsed and ui.installButton.visible
assert not runtime.errors(), runtime.errors()
print("all well without torch")
"""


def test_panelAndSelfTestWithTorchBlocked():
    command = [sys.executable, "-c", BLOCKED]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300)
    assert "all well without torch" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
