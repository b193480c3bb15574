"""Slicer without views and main window, as a script runs it with --no-main-window."""

import unittest

import pytest
import slicer

import runtime
from HetRegUncertaintyLib import install, traininglayout
from HetRegUncertaintyLib.parameters import Deformation, Overlay


@pytest.fixture(autouse=True)
def noWindow(panel, training):
    """Both panels are there, and then the window is not. They are entered and left as by Slicer."""
    with runtime.without_window():
        training.parent.exit()
        panel.parent.enter()
        yield
        panel.parent.exit()
        install.setResume(False)


def test_slicerItself():
    assert slicer.app.layoutManager() is None
    assert slicer.util.mainWindow() is None
    with pytest.raises(RuntimeError, match="main window"):
        slicer.util.selectModule("HetRegUncertainty")


def test_theStartIsCompleted(monkeypatch):
    """Also where an installation waits to be gone on with: that needs the panel, at a later start."""
    import HetRegUncertainty

    install.setResume(True)
    monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda _app: False)
    HetRegUncertainty.registerSampleData()
    traininglayout.register()
    assert install.resumeWanted()


def test_theExamplePairIsLoaded(panel):
    panel.ui.sampleButton.click()
    p = panel.logic.getParameterNode()
    assert (p.fixedVolume.GetName(), p.movingVolume.GetName()) == ("Phantom ES", "Phantom ED")
    assert None not in (p.fixedSegmentation, p.movingSegmentation)


def test_bothPanels(panel, training, smallPair, plainModel):
    p = panel.logic.getParameterNode()
    p.model = plainModel
    panel.ui.registerButton.click()
    assert panel.ui.statusLabel.text.startswith("Done")
    p.overlay, p.deformation = Overlay.SNR_WEIGHT, Deformation.GRID
    p.linkedLayout = False
    p.linkedLayout = True
    panel.parent.exit()
    panel.parent.enter()
    slicer.mrmlScene.Clear(0)
    training.parent.enter()
    training.parent.exit()
    assert p.transform is None


@pytest.mark.parametrize("test", ["test_panel", "test_rowsFollowTheMethod", "test_train"])
def test_selfTestsThatNeedThePanel(test, caplog):
    import HetRegTraining
    import HetRegUncertainty

    cases = (HetRegUncertainty.HetRegUncertaintyTest, HetRegTraining.HetRegTrainingTest)
    suite = unittest.TestSuite(case(test) for case in cases if hasattr(case, test))
    outcome = unittest.TestResult()
    suite.run(outcome)
    assert outcome.wasSuccessful(), outcome.errors + outcome.failures
    assert caplog.text.count("There is no main window") == outcome.testsRun > 0
