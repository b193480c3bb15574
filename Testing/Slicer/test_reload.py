"""Reload in developer mode: the new panel is not entered again, and works all the same."""

import pytest
import slicer

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
    assert new.ui.outputFolderEdit.currentPath == new.logic.getParameterNode().outputFolder != ""
    new.ui.batchSpinBox.value = 3
    assert new.logic.getParameterNode().batch == 3
