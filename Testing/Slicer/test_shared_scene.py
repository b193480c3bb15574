"""What a saved scene tells of the computer: no folder of it, except those chosen in a panel."""

import json
import zipfile
from pathlib import Path

import pytest
import slicer

from hetreg.config import RegisterConfig
from HetRegUncertaintyLib import evaluationnodes, evaluationnumbers, results
from runtime import wait


@pytest.fixture
def texts(tmp_path):
    """texts(): the files of the saved scene as one text."""

    def read():
        path = str(tmp_path / "scene.mrb")
        assert slicer.util.saveScene(path)
        with zipfile.ZipFile(path) as archive:
            files = [name for name in archive.namelist() if name.endswith((".mrml", ".tsv", ".csv"))]
            return "\n".join(archive.read(name).decode("utf-8", errors="replace") for name in files)

    return read


def test_recordNamesTheWeightFileOnly(panel, smallPair, plainModel, texts):
    nodes = panel.logic.register(*smallPair, config=RegisterConfig(model=plainModel))
    record = json.loads(nodes["moved"].GetAttribute(results.RECORD))
    assert record["config"]["model"] == "plain.pt"
    assert record["model"]["sha256"]
    assert "plain.pt" in texts()
    assert str(Path(plainModel).parent) not in texts()


def test_evaluationNamesNoFolder(trained, texts):
    p = trained.logic.getParameterNode()
    folder = Path(p.outputFolder) / "evaluation"
    folder.mkdir()
    (folder / "summary.json").write_text('{"cases": {}, "counts": {}}', encoding="utf-8")
    (folder / "metrics.csv").write_text("case,error\na,\n", encoding="utf-8")
    numbers = evaluationnumbers.read(p.outputFolder)
    for _twice in range(2):
        evaluationnodes.show(numbers)
    tables = slicer.util.getNodesByClass("vtkMRMLTableNode")
    assert sum(bool(table.GetAttribute(evaluationnodes.ATTRIBUTE)) for table in tables) == 1
    p.outputFolder = ""
    assert "run-1, cases" in texts()
    assert str(folder.parent) not in texts()


def test_folderThatNobodyChoseIsOnlyShown(training, texts, fake, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "jdoe"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "jdoe"))
    slicer.mrmlScene.Clear(0)
    ui, p = training.ui, training.logic.getParameterNode()
    assert ui.outputFolderEdit.currentPath == p.outputFolder == ""
    first = ui.outputFolderEdit.comboBox().lineEdit().placeholderText
    assert Path(first) == tmp_path / "jdoe" / "HetReg" / "run-1"
    assert "jdoe" not in texts()
    ui.startButton.click()
    assert ui.outputFolderEdit.currentPath == p.outputFolder == training.section.run.folder == first
    wait(lambda: not training.section.running)
    assert ui.statusLabel.text == "Finished.", (training.section.run.outcome, ui.logText.plainText)
    assert ui.useButton.enabled
    slicer.mrmlScene.Clear(0)
    assert ui.outputFolderEdit.comboBox().lineEdit().placeholderText == first.replace("run-1", "run-2")
