"""The layouts of HetRegTraining are asked for once: one that the user chooses instead stays."""

import pytest
import slicer

import runtime
from HetRegUncertaintyLib import deformation, evaluationnodes, layout, overlays, results, traininglayout
from HetRegUncertaintyLib.aside import Aside

ONE_UP = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView


def current():
    return slicer.app.layoutManager().layout


def choose(layoutID):
    """As the user does in Slicer's menu of layouts."""
    slicer.app.layoutManager().setLayout(layoutID)


@pytest.fixture
def evaluated(trained, fake):
    """The panel after an evaluation, which is shown."""
    trained.ui.evaluateButton.click()
    runtime.wait(lambda: not trained.evaluation.running)
    assert current() == traininglayout.EVALUATION_ID
    return trained


def test_layoutChosenWhileTrainingStays(training, fake):
    fake("long")
    training.ui.startButton.click()
    runtime.wait(lambda: training.section.run.previews)
    assert current() == traininglayout.LAYOUT_ID
    choose(ONE_UP)
    checks = training.section.run.checks
    runtime.wait(lambda: training.section.run.checks > checks)
    training.ui.stopButton.click()
    runtime.wait(lambda: not training.section.running)
    training.ui.seedSpinBox.value += 1
    training.parent.exit()
    training.parent.enter()
    assert current() == ONE_UP
    training.ui.trainingLayoutCheckBox.checked = False
    training.ui.trainingLayoutCheckBox.checked = True
    assert current() == traininglayout.LAYOUT_ID
    training.ui.trainingLayoutCheckBox.checked = False
    assert current() == ONE_UP


def test_nextTrainingIsShown(training, fake):
    for _run in range(2):
        choose(ONE_UP)
        training.ui.startButton.click()
        runtime.wait(lambda: not training.section.running)
        assert current() == traininglayout.LAYOUT_ID
        training.ui.newFolderButton.click()


def test_theUsersLayoutComesBackAfterTheSceneWasClosed(training, fake):
    """While a scene closes Slicer has no layout at all for a moment: that is not the user's."""
    choose(ONE_UP)
    fake("long")
    training.ui.startButton.click()
    runtime.wait(lambda: training.section.run.previews)
    slicer.mrmlScene.Clear(0)
    assert current() == traininglayout.LAYOUT_ID
    slicer.util.selectModule("HetRegUncertainty")
    assert current() == ONE_UP


def test_theLayoutOfAClosedResultDoesNotComeBack(panel, training, smallPair, plainModel, fake):
    """Also where the training's panel was opened first, and hears of the scene first."""
    scene, event = slicer.mrmlScene, slicer.vtkMRMLScene.EndBatchProcessEvent
    panel.removeObserver(scene, event, panel.onSceneEndBatch)
    panel.addObserver(scene, event, panel.onSceneEndBatch, priority=layout.LAST)
    choose(ONE_UP)
    slicer.util.selectModule("HetRegUncertainty")
    panel.logic.getParameterNode().model = plainModel
    panel.ui.registerButton.click()
    assert current() == layout.LAYOUT_ID
    slicer.util.selectModule("HetRegTraining")
    fake("long")
    training.ui.startButton.click()
    runtime.wait(lambda: training.section.run.previews)
    slicer.mrmlScene.Clear(0)
    assert current() == traininglayout.LAYOUT_ID
    slicer.util.selectModule("HetRegUncertainty")
    assert current() == ONE_UP


def test_anEvaluationIsShownThoughTheSceneWasClosedMeanwhile(trained, fake):
    fake("slow")
    folder = trained._parameterNode.outputFolder
    trained.ui.evaluateButton.click()
    slicer.mrmlScene.Clear(0)
    assert trained._parameterNode.outputFolder == folder
    runtime.wait(lambda: not trained.evaluation.running)
    assert current() == traininglayout.EVALUATION_ID
    assert "Test cases: 3" in trained.ui.evaluationLabel.text


def test_layoutChosenAfterAnEvaluationStaysUntilTheNext(evaluated):
    choose(ONE_UP)
    evaluated.ui.seedSpinBox.value += 1
    assert current() == ONE_UP
    evaluated.ui.evaluateButton.click()
    assert current() == ONE_UP
    runtime.wait(lambda: not evaluated.evaluation.running)
    assert current() == traininglayout.EVALUATION_ID


def test_layoutChosenAfterAnEvaluationStaysWhenThatIsNoLongerWanted(evaluated):
    choose(ONE_UP)
    evaluated.evaluation.packageButton._onChanged()
    assert current() == ONE_UP
    evaluated.ui.newFolderButton.click()
    assert not evaluated.evaluation.wanted
    assert current() == ONE_UP


def test_tableAndPlotComeBackWhenTheUserHasRemovedThem(evaluated):
    for className in ("Table", "PlotChart", "PlotSeries"):
        for node in slicer.util.getNodesByClass(f"vtkMRML{className}Node"):
            if node.GetAttribute(evaluationnodes.ATTRIBUTE):
                slicer.mrmlScene.RemoveNode(node)
    evaluated.ui.evaluationLayoutCheckBox.click()
    evaluated.ui.evaluationLayoutCheckBox.click()
    table = traininglayout.tableViewNode(traininglayout.EVALUATION_TABLE).GetTableNode()
    assert table.GetTable().GetNumberOfRows() == 6
    chart = traininglayout.plotViewNode(traininglayout.EVALUATION_PLOT).GetPlotChartNode()
    assert chart.GetNumberOfPlotSeriesNodes() == 2


def drawn(className, role):
    """A visible output of a registration."""
    node = slicer.mrmlScene.AddNewNodeByClass(className)
    node.SetAttribute(results.ROLE, role)
    node.SetNodeReferenceID(f"{results.REFERENCE}original", node.GetID())
    node.CreateDefaultDisplayNodes()
    node.SetDisplayVisibility(True)
    return node


def test_registrationIsNotDrawnOverThePreview(training):
    """Nor its grid: the preview is of another heart. Both come back, by whatever way its layout goes."""
    contours, other = (drawn("vtkMRMLSegmentationNode", "moved_segmentation") for _run in range(2))
    grid = drawn(results.TRANSFORM, "transform")
    overlays.showOnly({"contours": contours, "grid": grid})
    for leave in (lambda: choose(ONE_UP), lambda: slicer.util.selectModule("HetRegUncertainty")):
        slicer.util.selectModule("HetRegTraining")
        choose(traininglayout.LAYOUT_ID)
        assert [bool(node.GetDisplayVisibility()) for node in (contours, grid, other)] == [False] * 3
        leave()
        assert [bool(node.GetDisplayVisibility()) for node in (contours, grid, other)] == [True, True, False]


def test_resultThatComesDuringTheTrainingWaits(training, fake):
    training.ui.startButton.click()
    runtime.wait(lambda: not training.section.running)
    slicer.mrmlScene.StartState(slicer.vtkMRMLScene.BatchProcessState)  # as a registration adds its result
    contours = drawn("vtkMRMLSegmentationNode", "moved_segmentation")
    slicer.mrmlScene.EndState(slicer.vtkMRMLScene.BatchProcessState)
    assert not contours.GetDisplayVisibility()
    choose(ONE_UP)
    assert contours.GetDisplayVisibility()


def test_sceneThatWasSavedMeanwhileIsDrawnWhereItIsLoaded(panel, training, tmp_path):
    """Also where the panel of the training is not there."""
    drawn("vtkMRMLSegmentationNode", "moved_segmentation")
    choose(traininglayout.LAYOUT_ID)
    scene = tmp_path / "scene.mrml"
    assert slicer.util.saveScene(str(scene))
    scene.write_text(scene.read_text().replace(f'currentViewArrangement="{traininglayout.LAYOUT_ID}"', ""))
    slicer.mrmlScene.Clear()
    choose(ONE_UP)
    training.section._aside.close()
    slicer.util.loadScene(str(scene))
    training.section._aside = Aside()  # the panel serves other tests too
    (contours,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert contours.GetDisplayVisibility()


def test_deformationThatIsPutOffMeanwhileStaysOff(training):
    grid = drawn(results.TRANSFORM, "transform")
    choose(traininglayout.LAYOUT_ID)
    deformation.show(grid, None, "none", 5.0)
    choose(ONE_UP)
    assert not grid.GetDisplayVisibility()
