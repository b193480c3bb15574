"""Reload in developer mode: the new panel is not entered again, and works all the same; so does the other."""

import subprocess
import sys
from pathlib import Path

import pytest
import slicer

import runtime
from HetRegUncertaintyLib import layout, reload


@pytest.fixture
def reloaded(panel, monkeypatch):
    """reloaded(panel): the panel that Slicer puts in its place. The library stays, other tests use it."""
    monkeypatch.setattr(reload, "dropPackages", lambda: None)

    def reloadPanel(former):
        former.onReload()
        panel = slicer.util.getModuleWidget(former.moduleName)
        assert panel is not former
        return panel

    return reloadPanel


def test_theExampleAfterClosingTheScene(panel, reloaded):
    new = reloaded(panel)
    slicer.mrmlScene.Clear()
    new.ui.sampleButton.click()
    assert new.ui.fixedSelector.currentNode() == new.logic.getParameterNode().fixedVolume is not None
    assert new.ui.registerButton.enabled


def test_theResultIsShown(panel, reloaded, smallPair):
    new = reloaded(panel)
    assert not layout.isShown()
    new.ui.registerButton.click()
    assert layout.isShown()
    assert "Correlation" in new.ui.numbersLabel.text


def test_theTrainingFollowsTheScene(training, reloaded):
    new = reloaded(training)
    slicer.mrmlScene.Clear()
    assert new.ui.outputFolderEdit.currentPath == new.logic.getParameterNode().outputFolder == ""
    new.ui.batchSpinBox.value = 3
    assert new.logic.getParameterNode().batch == 3


def test_theOtherModuleIsReloadedToo(training, panel, reloaded):
    reloaded(training)
    other = slicer.util.getModuleWidget("HetRegUncertainty")
    assert other is not panel
    slicer.util.selectModule("HetRegUncertainty")
    other.ui.sampleButton.click()
    assert other.ui.registerButton.enabled


def test_noReloadWhileTheOtherModuleIsAtWork(fake, training, panel):
    fake("long")
    training.ui.startButton.click()
    runtime.wait(lambda: training.section.running)
    before = {**sys.modules}
    with pytest.raises(RuntimeError, match="HetRegTraining is at work"):
        panel.onReload()
    assert sys.modules == before
    assert slicer.util.getModuleWidget("HetRegUncertainty") is panel
    assert training.section.running
    assert not panel.running


def test_registersAfterEitherReload():
    """With all packages, thus in a process of its own: the new classes would not fit those of other tests."""
    modules = ["HetRegTraining", "HetRegUncertainty", "HetRegTraining"]
    script = Path(__file__).with_name("reload_both.py")
    command = [sys.executable, script, *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.splitlines() == [*(f"{name}: registered" for name in modules), "[]"], done.stderr
