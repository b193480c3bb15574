"""MONAI and Matplotlib: the panel says what a choice needs and installs it after asking, changing nothing."""

import importlib.metadata
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import slicer
from packaging.requirements import Requirement

from HetRegUncertaintyLib import packages
from HetRegUncertaintyLib.trainingparameters import Method, Network
from runtime import packaging_module


@pytest.fixture
def installed(monkeypatch):
    """{name: version} that importlib.metadata tells of; what is not in it is as it is."""
    found, version = {}, importlib.metadata.version

    def tell(name):
        if name not in found:
            return version(name)
        if found[name] is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found[name]

    monkeypatch.setattr(importlib.metadata, "version", tell)
    return found


@pytest.fixture
def pip(monkeypatch, installed):
    """Calls of pip_ensure, which now installs at once; confirmed is what the user answers."""

    class Pip:
        calls, asked, confirmed, constraints = (), (), True, ""

    def ensure(requirements, **options):
        Pip.calls.append((requirements, options))
        Pip.constraints = Path(options["constraints"]).read_text(encoding="utf-8")
        installed.update(monai="1.5.0", matplotlib="3.10.0")

    def confirm(text, *_arguments, **_keywords):
        Pip.asked.append(text)
        return Pip.confirmed

    Pip.calls, Pip.asked = [], []
    monkeypatch.setattr(slicer.packaging, "pip_ensure", ensure)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", confirm)
    return Pip


def test_nothingIsSaidWhereNothingIsNeeded(training, installed):
    installed["monai"] = None
    training._onParameters()
    assert training.ui.startButton.enabled
    assert not training.ui.packageButton.visible


@pytest.mark.parametrize("choice", [Method("ncc"), Method("mi"), Network("transmorph")])
def test_choiceThatNeedsMonai(training, installed, choice):
    installed["monai"] = None
    p = training.logic.getParameterNode()
    setattr(p, "network" if isinstance(choice, Network) else "method", choice)
    assert not training.ui.startButton.enabled
    assert "needs MONAI" in training.ui.statusLabel.text
    assert training.ui.packageButton.visible
    assert training.ui.packageButton.text == "Install MONAI..."
    p.method, p.network = Method("mse"), Network("voxelmorph")
    assert training.ui.startButton.enabled
    assert not training.ui.packageButton.visible


@pytest.mark.parametrize(("version", "isMissing"), [("1.3.2", True), ("1.4.0", False), ("2.0.0", True)])
def test_versionsThatAreAccepted(installed, version, isMissing):
    installed["monai"] = version
    assert packages.missing(["monai"]) == (["monai"] if isMissing else [])


def test_installedByOneClick(training, installed, pip):
    installed["monai"] = None
    training.logic.getParameterNode().method = Method("ncc")
    training.ui.packageButton.click()
    assert len(pip.asked) == 1
    assert pip.asked[0].startswith("MONAI will be downloaded and installed")
    assert "(monai>=1.4,<2)" in pip.asked[0]
    (requirements, options), *rest = pip.calls
    assert rest == []
    assert requirements == [Requirement("monai>=1.4,<2")]  # a draft of pip_ensure takes no text
    assert not options["prompt_install"]  # it was asked already
    assert training.ui.startButton.enabled
    assert not training.ui.packageButton.visible


def test_whatIsThereIsNotReplaced(installed, pip):
    """Every installed package is held at its version, torch and SimpleITK too; the wanted one is free."""
    installed["monai"] = None
    assert packages.install(["monai"]) == ""
    held = dict(line.lower().split("==") for line in pip.constraints.splitlines())
    for name in ("torch", "numpy", "simpleitk"):
        assert held[name] == importlib.metadata.version(name)
    assert "monai" not in held
    assert not os.path.exists(pip.calls[0][1]["constraints"])  # another Slicer writes its own


def test_ofTwoOfOneNameTheFirstIsInUse(installed, pip, monkeypatch):
    """As after an update that left a folder of metadata behind; pip and Python take the first, too."""
    installed["monai"] = None
    pairs = [("Odd_Name", "1.0"), ("odd-name", "2.0"), ("numpy", "1.26.4"), ("numpy", "2.4.1")]
    found = [types.SimpleNamespace(metadata={"Name": name}, version=version) for name, version in pairs]
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: found)
    assert packages.install(["monai"]) == ""
    assert pip.constraints.splitlines() == ["numpy==1.26.4", "odd-name==1.0"]


def test_versionThatPipCannotRead(installed, pip, monkeypatch):
    """It would refuse the whole file."""
    installed["monai"] = None
    odd = types.SimpleNamespace(metadata={"Name": "odd"}, version="1.0-of-today")
    found = [odd, *importlib.metadata.distributions()]
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: found)
    assert packages.install(["monai"]) == ""
    assert "odd==" not in pip.constraints
    assert "numpy==" in pip.constraints


def test_beforeSlicer512(installed, pip, monkeypatch):
    """There is no slicer.packaging: pip itself is told the same."""
    calls = []

    def pipInstall(arguments):
        calls.append(arguments)
        assert "numpy==" in Path(arguments[-1]).read_text(encoding="utf-8")
        installed["monai"] = "1.5.0"

    installed["monai"] = None
    monkeypatch.delattr(slicer, "packaging")
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    monkeypatch.setattr(slicer.util, "pip_install", pipInstall)
    assert packages.missing(["monai"]) == ["monai"]
    assert packages.install(["monai"]) == ""
    assert calls[0][:-1] == ["monai>=1.4,<2", "--constraint"]


def test_declined(training, installed, pip):
    installed["monai"], pip.confirmed = None, False
    training.logic.getParameterNode().method = Method("ncc")
    training.ui.packageButton.click()
    assert pip.calls == []
    assert training.ui.statusLabel.text == "Nothing was installed."
    assert not training.ui.startButton.enabled


def failing(*_arguments, **_options):
    raise subprocess.CalledProcessError(1, "pip")


@pytest.fixture
def shown(monkeypatch):
    """Texts of the error dialogs, which a real Slicer opens when it is not in testing mode."""
    texts = []
    monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda _app: False)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *_, **__: True)
    monkeypatch.setattr(slicer.util, "errorDisplay", lambda text, **_options: texts.append(text))
    return texts


def test_pipFails(training, installed, shown, monkeypatch):
    """Slicer shows it, once; the panel says what is missing still."""
    installed["monai"] = None
    monkeypatch.setattr(packaging_module, "runPip", failing)
    training.logic.getParameterNode().method = Method("ncc")
    training.ui.packageButton.click()
    assert shown == ["Package installation failed."]
    assert training.ui.statusLabel.text == "MONAI could not be installed."
    assert training.ui.packageButton.visible


def test_pipFailsBeforeSlicer512(training, installed, shown, monkeypatch, raisesInSlot):
    """There pip_install only raises, and the panel shows it."""
    installed["monai"] = None
    monkeypatch.delattr(slicer, "packaging")
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    monkeypatch.setattr(slicer.util, "pip_install", failing)
    training.logic.getParameterNode().method = Method("ncc")
    with raisesInSlot(subprocess.CalledProcessError, "pip"):
        training.ui.packageButton.click()
    assert len(shown) == 1
    assert training.ui.packageButton.visible


def test_skippedInstallationIsNotTakenForDone(training, installed, pip, monkeypatch):
    """pip_ensure does nothing when Slicer is in testing mode."""
    installed["monai"] = None
    monkeypatch.setattr(slicer.packaging, "pip_ensure", lambda *_, **__: None)
    training.logic.getParameterNode().method = Method("ncc")
    training.ui.packageButton.click()
    assert "could not be installed" in training.ui.statusLabel.text
    assert not training.ui.startButton.enabled
