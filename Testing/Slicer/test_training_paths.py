"""The path fields of both panels: CTK says nothing of an empty one, nor of a file with another suffix."""

import ctk
import pytest
import qt
import slicer

from HetRegUncertaintyLib import modelmenu
from HetRegUncertaintyLib.trainingform import PATHS, TrainingForm
from HetRegUncertaintyLib.trainingparameters import Dataset
from runtime import wait


@pytest.fixture
def history(training):
    """Afterwards no path is offered."""
    yield
    for name in PATHS:
        qt.QSettings().remove(f"ctkPathLineEdit/HetRegTraining/{name}")
        getattr(training.ui, name).comboBox().clear()


def test_whatAPathFieldSays():
    """The stand-in is as quiet as CTK."""
    field, said = ctk.ctkPathLineEdit(), []
    field.nameFilters = ["Weights (*.pt)"]
    field.connect("currentPathChanged(QString)", said.append)
    field.connect("validInputChanged(bool)", said.append)
    for path in ("/a/b.pt", "/a/b.txt", "/a/c.txt", "/a/c.pt", ""):
        field.currentPath = path
    assert said == ["/a/b.pt", True, False, "/a/c.pt", True, False]


@pytest.mark.parametrize(("name", "suffix"), [("splitFile", ".json"), ("startFile", ".pt"), ("folder", "")])
def test_aChosenPathCanBeTakenBack(training, name, suffix):
    p, field = training.logic.getParameterNode(), getattr(training.ui, f"{name}Edit")
    field.currentPath = f"/data/one{suffix}"
    assert getattr(p, name) == f"/data/one{suffix}"
    field.currentPath = ""
    assert getattr(p, name) == ""
    p.seed += 1
    assert field.currentPath == ""
    for other in ("/data/two.txt", "/data/three.txt"):
        field.currentPath = other
        p.seed += 1
        assert (getattr(p, name), field.currentPath) == (other, other)


def test_aWeightFileCanBeTakenBack(panel):
    p, combo, field = panel.logic.getParameterNode(), panel.ui.modelComboBox, panel.ui.weightFileEdit
    combo.setCurrentIndex(combo.count - 1)
    for path in ("/data/one.pt", "/data/two.pth", "/data/three.pth", ""):
        field.currentPath = path
        assert p.model == path
        p.refineIterations += 1
        assert field.currentPath == path
    combo.setCurrentIndex(0)


def test_typingInTheMiddleOfAPathLeavesTheCursorThere(panel):
    combo, line = panel.ui.modelComboBox, panel.ui.weightFileEdit.comboBox().lineEdit()
    combo.setCurrentIndex(combo.count - 1)
    panel.ui.weightFileEdit.currentPath = "/data/one.pt"
    line.setCursorPosition(3)
    line.insert("x")
    assert panel.logic.getParameterNode().model == "/daxta/one.pt"
    assert line.cursorPosition == 4
    combo.setCurrentIndex(0)


def test_aSliderAsksForNoFile(panel, monkeypatch):
    """Models trained here may lie on a drive that is gone: each look at one would take seconds."""
    looked = []
    monkeypatch.setattr(modelmenu, "userModels", lambda: looked.append(1) or [])
    panel.parent.enter()
    assert looked
    looked.clear()
    panel.logic.getParameterNode().refineIterations += 1
    assert not looked


def test_pathsAreOfferedAgain(training, fake, history, tmp_path):
    """On the way CTK shows other paths in the field: none of them may become the run's."""
    ui, p, seen = training.ui, training.logic.getParameterNode(), set()
    p.dataset = Dataset("pairs")
    p.AddObserver("ModifiedEvent", lambda *_: seen.add(p.folder))
    for name in ("first", "second", "second", "first"):
        ui.folderEdit.currentPath = str(tmp_path / name)
        seen.clear()
        ui.checkButton.click()
        wait(lambda: not training.dataCheck.running)
        assert seen <= {str(tmp_path / name)}
        assert ui.folderEdit.currentPath == p.folder == str(tmp_path / name)
    menu = ui.folderEdit.comboBox()
    assert [menu.itemText(i) for i in range(2)] == [str(tmp_path / name) for name in ("first", "second")]


def test_aFormWithFormerPathsShowsThoseOfTheScene(training, fake, history, tmp_path):
    """CTK fills an empty field with the newest path."""
    training.ui.splitFileEdit.currentPath = str(tmp_path / "split.json")
    training.ui.checkButton.click()
    wait(lambda: not training.dataCheck.running)
    p = training.logic.getParameterNode()
    p.splitFile = ""
    form = slicer.util.loadUI(training.resourcePath("UI/HetRegTraining.ui"))
    ui = slicer.util.childWidgetVariables(form)
    assert ui.splitFileEdit.currentPath == str(tmp_path / "split.json")
    TrainingForm(ui, lambda: False).show(p)
    assert ui.splitFileEdit.currentPath == p.splitFile == ""
