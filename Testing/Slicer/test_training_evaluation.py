"""Evaluate in the panel of HetRegTraining: a process of its own, then table, plot and report."""

import json
import math
import os
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import slicer

import runtime
from hetreg.config import EvaluateConfig, TrainConfig
from HetRegUncertaintyLib import (
    evaluationnodes,
    evaluationnumbers,
    evaluationsection,
    packages,
    traininglayout,
    trainingtest,
)


def evaluate(panel):
    panel.ui.evaluateButton.click()
    runtime.wait(lambda: not panel.evaluation.running)


def nodes(className):
    found = slicer.util.getNodesByClass(f"vtkMRML{className}Node")
    return [n for n in found if n.GetAttribute(evaluationnodes.ATTRIBUTE)]


def test_needsATrainedModel(training):
    ui = training.ui
    assert not ui.evaluateButton.enabled
    assert "no trained model" in ui.evaluateButton.toolTip
    assert not ui.reportButton.enabled
    assert not ui.evaluationLayoutCheckBox.enabled


def test_tableOfTheCasesAndTheirMeans(trained, fake):
    evaluate(trained)
    text = trained.ui.evaluationLabel.text
    assert "Test cases: 3, patients: 1, failed: 0." in text
    assert "Dice, label 2" in text
    for number in ("0.5000", "0.7000", "0.1000"):  # before, mean, SD
        assert number in text
    table = next(n for n in nodes("Table") if n.GetName() == "run-1, cases").GetTable()
    heads = [table.GetColumnName(i) for i in range(table.GetNumberOfColumns())]
    assert heads == ["Case", "Patient", "Dice, label 2", "Dice, label 2, before"]
    first = [table.GetColumn(0).GetValue(i) for i in range(table.GetNumberOfRows())]
    assert first == ["a0", "a1", "a2", "Mean", "SD", "Median"]
    found = [table.GetColumn(2).GetValue(i) for i in range(6)]
    assert found == pytest.approx([0.6, 0.7, 0.8, 0.7, 0.1, 0.7])


def test_plotAndTableAreInTheViews(trained, fake):
    former = slicer.app.layoutManager().layout
    evaluate(trained)
    assert traininglayout.isShown(traininglayout.EVALUATION_ID)
    chart = traininglayout.plotViewNode(traininglayout.EVALUATION_PLOT).GetPlotChartNode()
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    assert "mean of 3 cases" in chart.GetTitle()
    ours, oracle = (chart.GetNthPlotSeriesNode(n) for n in range(2))
    assert ours.GetLineStyle() != oracle.GetLineStyle() == oracle.LineStyleDash  # a grey print has no colours
    values = slicer.util.arrayFromTableColumn(oracle.GetTableNode(), oracle.GetYColumnName())
    assert list(values) == [0.2, 0.05]
    removed = slicer.util.arrayFromTableColumn(oracle.GetTableNode(), oracle.GetXColumnName())
    assert list(removed) == [0, 50]
    view = traininglayout.tableViewNode(traininglayout.EVALUATION_TABLE)
    assert view.GetTableNode().GetName() == "run-1, cases"
    trained.ui.evaluationLayoutCheckBox.click()
    assert slicer.app.layoutManager().layout == former
    trained.ui.evaluationLayoutCheckBox.click()
    assert traininglayout.isShown(traininglayout.EVALUATION_ID)
    trained.parent.exit()
    assert slicer.app.layoutManager().layout == former
    trained.parent.enter()
    assert traininglayout.isShown(traininglayout.EVALUATION_ID)


def test_secondTimeFillsTheSameNodes(trained, fake):
    evaluate(trained)
    before = slicer.mrmlScene.GetNumberOfNodes()
    evaluate(trained)
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert len(nodes("Table")) == 2
    assert len(nodes("PlotSeries")) == 2


def test_oneCaseHasNoSpread(trained, fake):
    fake("single")
    evaluate(trained)
    table = next(n for n in nodes("Table") if n.GetName() == "run-1, cases").GetTable()
    assert [table.GetColumn(0).GetValue(i) for i in range(table.GetNumberOfRows())] == [
        "a0",
        "Mean",
        "Median",
    ]
    assert not any(math.isnan(table.GetColumn(2).GetValue(i)) for i in range(table.GetNumberOfRows()))
    chart = traininglayout.plotViewNode(traininglayout.EVALUATION_PLOT).GetPlotChartNode()
    assert chart.GetTitle() == "Sparsification of one case"
    assert "nan" not in trained.ui.evaluationLabel.text


def test_failedCaseIsARowWithItsReason(trained, fake):
    fake("failing")
    evaluate(trained)
    assert "failed: 1" in trained.ui.evaluationLabel.text
    assert "a0: no image" in trained.ui.evaluationLabel.text
    table = next(n for n in nodes("Table") if n.GetName() == "run-1, cases").GetTable()
    last = table.GetNumberOfColumns() - 1
    assert table.GetColumnName(last) == "Failed because"
    assert table.GetColumn(last).GetValue(0) == "no image"
    assert math.isnan(table.GetColumn(2).GetValue(0))


def test_progressAndCancel(trained, fake):
    ui = trained.ui
    fake("slow")
    ui.evaluateButton.click()
    assert ui.cancelEvaluationButton.visible
    assert not ui.evaluateButton.visible
    assert not ui.startButton.enabled
    assert "evaluation is running" in ui.startButton.toolTip
    runtime.wait(lambda: ui.evaluationProgressBar.value > 0)
    assert "of 3" in ui.evaluationLabel.text
    ui.cancelEvaluationButton.click()
    runtime.wait(lambda: not trained.evaluation.running)
    assert ui.evaluationLabel.text == "The evaluation was cancelled."
    assert ui.evaluateButton.enabled
    assert ui.startButton.enabled
    assert nodes("Table") == []
    assert not traininglayout.isShown(traininglayout.EVALUATION_ID)


def test_nothingToEvaluate(trained, fake):
    fake("empty")
    evaluate(trained)
    assert trained.ui.evaluationLabel.text == "No case is in split 'test': at least one is accepted."
    assert trained.ui.evaluateButton.enabled


@pytest.mark.parametrize(
    ("config", "split", "untested"),
    [
        ({"dataset": "pairs", "root": "/data"}, {"training": ["a", "b"], "test": []}, True),
        ({"dataset": "pairs", "root": "/data"}, {"training": ["a"], "validation": ["b"]}, True),
        ({"dataset": "pairs", "root": "/data"}, {"training": ["a"], "test": ["b"]}, False),
        ({}, {"training": ["mri2d-100000"], "test": []}, False),  # new phantoms are made for it
        ({"dataset": "pairs", "root": "/data"}, {"rubbish": 1}, False),  # Evaluate says so
    ],
)
def test_runWithoutTestPatients(trained, config, split, untested):
    ui, folder = trained.ui, Path(trained._parameterNode.outputFolder)
    TrainConfig(**config).save(folder / "config.json")
    (folder / "split.json").write_text(json.dumps(split))
    trained._onParameters()
    assert ui.evaluateButton.enabled is not untested
    for text in (ui.evaluateButton.toolTip, ui.modelFileLabel.text):
        assert ("This run has no test patients" in text) is untested
    assert ui.useButton.enabled


def test_reportIsOpened(trained, fake, monkeypatch):
    opened = []
    monkeypatch.setattr(evaluationsection, "openFile", opened.append)
    assert not trained.ui.reportButton.enabled
    evaluate(trained)
    trained.ui.reportButton.click()
    assert opened == [os.path.join(trained._parameterNode.outputFolder, "evaluation", "report.html")]
    assert opened[0] in trained.ui.evaluationLabel.text  # None: it could not be opened


def test_formerEvaluationIsFoundAgain(trained, fake):
    evaluate(trained)
    folder = trained._parameterNode.outputFolder
    trained.ui.newFolderButton.click()
    assert trained.ui.evaluationLabel.text == ""
    assert not trained.ui.evaluationLayoutCheckBox.enabled
    assert not traininglayout.isShown(traininglayout.EVALUATION_ID)
    trained.ui.outputFolderEdit.currentPath = folder
    assert "Test cases: 3" in trained.ui.evaluationLabel.text
    assert "changed since" not in trained.ui.evaluationLabel.text
    later = time.time() + 5
    os.utime(os.path.join(folder, "best.pt"), (later, later))
    trained._onParameters()
    assert "changed since" in trained.ui.evaluationLabel.text


def test_whatCannotBeShownIsNotRead(tmp_path):
    curve = {"fraction": [0, 0.5], "by_uncertainty": [1, None], "oracle": [1, 0.5]}
    whole = {"counts": {}, "cases": {}, "label": 2, "curves": {"sparsification": curve}}
    short = {"sparsification": curve | {"oracle": [1]}}
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "metrics.csv").write_text("case,dice_2\na,0.5\n")
    for change in ({}, {"counts": []}, {"curves": short}):
        (tmp_path / "evaluation" / "summary.json").write_text(json.dumps(whole | change))
        with pytest.raises(ValueError, match="cannot be read") if change else nullcontext():
            assert evaluationnumbers.read(str(tmp_path)).curve == curve


def test_damagedFilesAreSaid(trained, fake):
    evaluate(trained)
    summary = Path(trained._parameterNode.outputFolder) / "evaluation" / "summary.json"
    summary.write_text(json.dumps({"cases": []}))
    trained._onParameters()
    assert "cannot be read" in trained.ui.evaluationLabel.text
    assert trained.ui.evaluateButton.enabled


def test_folderWithoutARun(trained, fake, raisesInSlot):
    (Path(trained._parameterNode.outputFolder) / "config.json").unlink()
    with raisesInSlot(FileNotFoundError, "no configuration file"):
        trained.ui.evaluateButton.click()
    assert not trained.evaluation.running


def test_sceneClosed(trained, fake):
    evaluate(trained)
    slicer.mrmlScene.Clear(0)
    trained._onParameters()
    assert nodes("Table") == []
    assert not trained.ui.evaluationLayoutCheckBox.checked


def test_trainingTakesTheViewsBack(trained, fake):
    former = slicer.app.layoutManager().layout
    evaluate(trained)
    trained.ui.startButton.click()
    assert traininglayout.isShown()
    assert not trained.ui.evaluateButton.enabled
    assert "training is running" in trained.ui.evaluateButton.toolTip
    runtime.wait(lambda: not trained.section.running)
    assert trained.ui.evaluateButton.enabled
    trained.ui.trainingLayoutCheckBox.checked = False
    assert slicer.app.layoutManager().layout == former


def test_commandLineFollowsTheRun(tmp_path):
    run = TrainConfig(dataset="acdc+phantom", root="/data", kind="echo3d", seed=3, device="cpu", method="mse")
    run.save(tmp_path / "config.json")
    words = evaluationnumbers.arguments(str(tmp_path))
    assert words[:2] == ["evaluate", "--json"]
    flags = dict(zip(words[2::2], words[3::2], strict=True))
    assert flags == {
        "--output": str(tmp_path / "evaluation"),
        "--dataset": "acdc+phantom",
        "--root": "/data",
        "--kind": "echo3d",
        "--split-file": str(tmp_path / "split.json"),
        "--seed": "3",
        "--model": str(tmp_path / "best.pt"),
        "--device": "cpu",
    }
    assert EvaluateConfig().split == "test"
    TrainConfig(root="/data").save(tmp_path / "config.json")  # of the command line, which once took it
    assert "--root" not in evaluationnumbers.arguments(str(tmp_path))


def test_mainLabelComesFirst():
    row = dict.fromkeys(("case", "dice_1", "dice_1_before", "dice_2", "dice_2_before", "coverage95"), "0")
    numbers = evaluationnumbers.Numbers("", [row], {"label": 2})
    assert numbers.names == ["dice_2", "dice_2_before", "dice_1", "dice_1_before", "coverage95"]


def test_matplotlibForTheReport(trained, monkeypatch):
    monkeypatch.setattr(packages, "missing", lambda names: [n for n in names if n == "matplotlib"])
    trained._onParameters()
    assert trained.ui.reportPackageButton.visible
    assert trained.ui.reportPackageButton.text == "Install Matplotlib..."
    assert trained.ui.evaluateButton.enabled  # the numbers do not need it
    assert trained.ui.startButton.enabled


@pytest.mark.slow
def test_realRunIsEvaluated(training):
    """A short real training, then its real evaluation by the button."""
    ui, p = training.ui, training._parameterNode
    trainingtest.small(p, p.outputFolder, batches=10)
    ui.phantomsSpinBox.value = 14  # two of them are for the test
    ui.startButton.click()
    runtime.wait(lambda: not training.section.running, 240)
    assert ui.evaluateButton.enabled, ui.statusLabel.text
    ui.evaluateButton.click()
    runtime.wait(lambda: not training.evaluation.running, 240)
    assert "Test cases: 2, patients: 2, failed: 0." in ui.evaluationLabel.text
    for name in ("Dice, label 2", "HD95 (mm), label 2", "Folding (%)", "AUSE in mask"):
        assert name in ui.evaluationLabel.text
    chart = traininglayout.plotViewNode(traininglayout.EVALUATION_PLOT).GetPlotChartNode()
    series = chart.GetNthPlotSeriesNode(0)
    curve = slicer.util.arrayFromTableColumn(series.GetTableNode(), series.GetYColumnName())
    assert len(curve) == 100
    assert all(math.isfinite(value) and value >= 0 for value in curve)
    training.evaluation.forgetScene()
