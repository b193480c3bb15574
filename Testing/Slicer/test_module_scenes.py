"""Saved scenes: loaded over a result, added to one, in a new session; and what closing a scene leaves."""

import subprocess
import sys
from pathlib import Path

import pytest
import slicer

import runtime
from HetRegUncertaintyLib import layout, overlays, results, traininglayout

REPOSITORY = Path(__file__).resolve().parents[2]
FOUR_UP = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
NEW_SESSION = """
import sys
sys.path[:0] = ["Testing", "HetRegUncertainty"]
import runtime
runtime.start()
runtime.load_module("HetRegUncertainty/HetRegUncertainty.py")
import slicer
from HetRegUncertaintyLib import layout
slicer.util.selectModule("HetRegUncertainty")
ui = slicer.util.getModuleWidget("HetRegUncertainty").ui
slicer.app.coreIOManager().loadNodes("SceneFile", {"fileName": sys.argv[1], "clear": sys.argv[2] == "clear"})
legends = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
print(runtime.errors(), layout.isShown(), len(legends), ui.fixedSelector.currentNode().GetName(),
      ui.registerButton.enabled, ui.statusLabel.text == "", "Correlation" in ui.numbersLabel.text,
      ui.resultsCollapsibleButton.collapsed, ui.inspectCollapsibleButton.collapsed)
"""


@pytest.fixture
def saved(panel, smallPair, tmp_path):
    """File of a scene with a result in the linked layout; the result is still in the panel."""
    panel.ui.registerButton.click()
    assert slicer.util.saveScene(str(tmp_path / "run.mrb"))
    return str(tmp_path / "run.mrb")


def load(path, clear):
    assert slicer.app.coreIOManager().loadNodes("SceneFile", {"fileName": path, "clear": clear})


def shownMap():
    """The map in the uncertainty view of the linked layout."""
    composite = layout.sliceLogics()[2].GetSliceCompositeNode()
    return slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID() or "")


@pytest.mark.parametrize("clear", [True, False])
@pytest.mark.parametrize("linked", [True, False])
def test_sceneLoadedOverAResultShowsItsOwn(panel, saved, clear, linked):
    """Also where it is added: its nodes come one by one, the volumes without voxels at first."""
    panel.ui.linkedLayoutCheckBox.checked = linked
    panel.ui.overlayComboBox.setCurrentIndex(3)
    former = panel.logic.getParameterNode().transform
    formerID = former.GetID()
    load(saved, clear)
    p = panel.logic.getParameterNode()
    assert clear or p.transform.GetID() != formerID
    assert layout.isShown()
    assert panel.ui.overlayComboBox.currentText == "Noise SD"
    assert shownMap() == p.noiseSd
    assert len(slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")) == 1
    assert panel.ui.fixedSelector.currentNode() == p.fixedVolume
    assert panel.ui.registerButton.enabled
    assert "Correlation" in panel.ui.numbersLabel.text


@pytest.mark.parametrize("how", ["clear", "add"])
def test_sceneInANewSession(saved, how):
    """The panel is open and its views are new: inputs, map, legend and the sections are there."""
    done = subprocess.run(
        [sys.executable, "-c", NEW_SESSION, saved, how],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    last = done.stdout.strip().splitlines()[-1]
    assert last == "[] True 1 ES True True True False False", done.stdout + done.stderr


def test_sectionsClosedByHandStayClosed(panel, saved):
    panel.ui.inspectCollapsibleButton.collapsed = True
    panel.parent.exit()
    panel.parent.enter()
    assert panel.ui.inspectCollapsibleButton.collapsed
    load(saved, True)
    assert not panel.ui.inspectCollapsibleButton.collapsed


@pytest.mark.parametrize("away", [False, True])
def test_closingTheSceneGivesTheLayoutBack(panel, smallPair, dummyPath, away):
    former = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    slicer.app.layoutManager().setLayout(former)
    panel.ui.registerButton.click()
    if away:
        slicer.util.selectModule("Dummy")
    slicer.mrmlScene.Clear(0)
    assert slicer.app.layoutManager().layout == former


def test_closingUnderTheLayoutOfATraining(panel, smallPair, training):
    """The training's layout goes back to the linked one, which then goes too."""
    slicer.util.selectModule("HetRegUncertainty")
    panel.ui.registerButton.click()
    slicer.util.selectModule("HetRegTraining")
    traininglayout.follow(traininglayout.LAYOUT_ID, training.logic.getParameterNode())
    assert not layout.isShown()
    slicer.mrmlScene.Clear(0)
    assert not layout.isShown()


def test_loadingWhileAnotherModuleIsSelected(panel, saved, dummyPath):
    """The loaded scene keeps the layout and the views that it was saved with."""
    slicer.util.selectModule("Dummy")
    load(saved, True)
    assert layout.isShown()
    assert shownMap().GetAttribute(results.ROLE) == "noise_sd"
    slicer.util.selectModule("HetRegUncertainty")
    assert "Correlation" in panel.ui.numbersLabel.text
    slicer.mrmlScene.Clear(0)
    assert slicer.app.layoutManager().layout == FOUR_UP


def test_changesInABatchAreShownAfterIt(panel, smallPair):
    """Nothing is drawn while the scene is half made, and nothing is forgotten."""
    scene, p = slicer.mrmlScene, panel.logic.getParameterNode()
    scene.StartState(scene.BatchProcessState)
    p.movingVolume = p.fixedVolume
    assert panel.ui.registerButton.enabled
    scene.EndState(scene.BatchProcessState)
    assert not panel.ui.registerButton.enabled


def test_mapWithoutItsFile(panel, smallPair):
    """A scene can be loaded without the file of a map: its range is that of an empty map."""
    panel.ui.registerButton.click()
    node = panel.logic.getParameterNode().snrWeight
    node.SetAndObserveImageData(None)
    panel.ui.overlayComboBox.setCurrentIndex(3)
    assert overlays.rangeOf(node) == (0.0, 1.0)
    assert runtime.errors() == []


def test_aRestoredSceneViewLeavesOneLegend(panel, smallPair):
    """It brings the legend back that it had, without its map."""
    panel.ui.registerButton.click()
    view = slicer.mrmlScene.AddNode(slicer.vtkMRMLSceneViewNode())
    view.StoreScene()
    panel.ui.overlayComboBox.setCurrentIndex(4)
    view.RestoreScene()
    runtime.process_events(0.1)
    legends = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
    assert [legend.GetDisplayableNode().GetName() for legend in legends] == ["ES noise SD"]
    panel.ui.legendCheckBox.checked = False
    assert slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode") == []
