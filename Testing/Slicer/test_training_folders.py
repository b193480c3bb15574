"""The folders and files that the panel of HetRegTraining is given: which it takes, what it says of others."""

import ntpath
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from hetreg.config import TrainConfig
from hetreg.zoo import options_from
from HetRegUncertaintyLib import trainingfolder
from HetRegUncertaintyLib.trainingfolder import nextFolder
from HetRegUncertaintyLib.trainingparameters import Dataset, Method, Network, trainConfig
from runtime import wait


def test_newFolder(training, tmp_path):
    training.ui.newFolderButton.click()
    assert training.ui.outputFolderEdit.currentPath == str(tmp_path / "run-2")
    assert nextFolder("").startswith(os.path.join(os.path.expanduser("~"), "HetReg", "run-"))


def test_newFolderOnAWholeDriveOfWindows(monkeypatch):
    """Its letter alone is the folder of the drive that happens to be the current one."""
    monkeypatch.setattr(trainingfolder, "os", SimpleNamespace(path=ntpath))
    assert nextFolder("D:/") == nextFolder("")
    assert nextFolder("D:/run-1") == "D:/run-2"


@pytest.mark.parametrize(
    ("current", "there", "following"),
    [
        ("run-1", [], "run-2"),
        ("run-1", ["run-1", "run-2"], "run-3"),
        ("r4", ["r4"], "r5"),
        ("heart", ["heart"], "heart-1"),
        ("heart-", [], "heart-1"),
        ("try09", [], "try10"),
        ("2024", [], "2025"),
    ],
)
def test_newCountsOn(tmp_path, current, there, following):
    for name in there:
        (tmp_path / name).mkdir()
    assert nextFolder(str(tmp_path / current)) == str(tmp_path / following)
    assert nextFolder(str(tmp_path / current) + "/") == str(tmp_path / following)


def test_outputFolderThatIsAFile(training, tmp_path):
    (tmp_path / "file").write_text("x")
    training.ui.outputFolderEdit.currentPath = str(tmp_path / "file")
    assert training.ui.statusLabel.text == "The output folder 'file' is a file: choose a folder."
    assert not training.ui.startButton.enabled


def test_outputFolderThatIsTheFolderOfTheData(training, tmp_path):
    ui, data = training.ui, tmp_path / "data"
    data.mkdir()
    training.logic.getParameterNode().dataset = Dataset("pairs")
    ui.folderEdit.currentPath = str(data)
    assert ui.startButton.enabled
    ui.outputFolderEdit.currentPath = f"{data}/../data/"
    assert not ui.startButton.enabled
    assert ui.statusLabel.text.startswith("The output folder is the folder of the data: choose another")
    (data / "pairs.csv").write_text("fixed,moving\n")
    ui.folderEdit.currentPath = str(data / "pairs.csv")
    assert not ui.startButton.enabled
    ui.newFolderButton.click()
    assert ui.startButton.enabled


def test_aRunThatLiesAmongTheDataMayGoOn(training, tmp_path):
    TrainConfig(dataset="pairs", root=str(tmp_path)).save(tmp_path / "config.json")
    (tmp_path / "last.ckpt").write_text("12")
    training.ui.outputFolderEdit.currentPath = str(tmp_path)
    assert (training.ui.startButton.text, training.ui.startButton.enabled) == ("Continue", True)


def test_homeFolder(training, fake, tmp_path, monkeypatch):
    """What is typed with ~ is shown and used as the home folder, wherever a path stands."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    ui, p = training.ui, training.logic.getParameterNode()
    p.dataset = Dataset("pairs")
    for widget in (ui.folderEdit, ui.splitFileEdit, ui.startFileEdit, ui.outputFolderEdit):
        widget.currentPath = "~/some"
        assert widget.currentPath == str(tmp_path / "some")
    p.outputFolder = "~/HetReg/x"  # from a script, or a scene
    ui.startButton.click()
    wait(lambda: not training.section.running)
    assert (tmp_path / "HetReg" / "x" / "best.pt").is_file()
    assert not (tmp_path / "~").exists()


def test_aPathThatIsNotWholeIsRefused(training, fake, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    ui, p = training.ui, training.logic.getParameterNode()
    p.dataset, p.folder = Dataset("pairs"), str(tmp_path)
    for widget, name in (
        (ui.outputFolderEdit, "Output folder"),
        (ui.folderEdit, "Folder"),
        (ui.splitFileEdit, "Split file"),
        (ui.startFileEdit, "Start from"),
    ):
        whole, widget.currentPath = widget.currentPath, "rel-run"
        assert ui.statusLabel.text.startswith(f"{name} is 'rel-run': a full path, ")
        assert ("cine-mri-2d" in ui.statusLabel.text) == (name == "Start from")
        assert not ui.startButton.enabled
        if name in ("Output folder", "Folder"):  # the check reads the data alone
            ui.checkButton.click()
            assert (ui.dataLabel.text == ui.statusLabel.text) == (name == "Folder")
            wait(lambda: not training.dataCheck.running)
        widget.currentPath = whole
        assert ui.startButton.enabled
    assert list(Path(tmp_path).iterdir()) == []


def test_theTrainingMayStartFromAShippedModelByName(training):
    parameters = training.logic.getParameterNode()
    training.ui.startFileEdit.currentPath = "cine-mri-2"
    assert parameters.network.value == TrainConfig().network
    training.ui.startFileEdit.currentPath = "cine-mri-2d"
    assert training.ui.startButton.enabled
    config, options = trainConfig(parameters), options_from("cine-mri-2d")
    assert config.start == "cine-mri-2d"
    assert {n: getattr(config, n) for n in options} == options
    assert training.ui.networkComboBox.currentText == "Pyramid"
    parameters.startFile, parameters.network = "echo-2d", Network.VOXELMORPH  # not by hand, as from a scene
    assert training.ui.startFileEdit.currentPath == "echo-2d"
    assert parameters.network is Network.VOXELMORPH
    parameters.varianceResidual, parameters.method = False, Method.MSE
    assert not training.ui.startButton.enabled
    assert training.ui.statusLabel.text == (
        "Training that starts from echo-2d needs these settings: Architecture 'Pyramid', "
        "Show the residual to the variance network yes, Method 'Ours + what is known'."
    )
    training.ui.startFileEdit.currentPath = "paper-cine-mri-2d"
    parameters.method = Method.MSE  # which has the networks of ours
    assert training.ui.startButton.enabled
    training.ui.splitFileEdit.currentPath = "cine-mri-2d"
    assert not training.ui.startButton.enabled


def test_twoSlicersDoNotSteerEachOthersTraining(training, monkeypatch):
    """They have one temporary folder, in which lies what the trainer reads."""
    one = training.logic.writeConfig(TrainConfig(), "run")
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert training.logic.writeConfig(TrainConfig(), "run") != one


def test_aRunWhoseFolderIsMoved(training, tmp_path):
    """Its settings stay: a Start with others would be a training that nobody asked for."""
    ui, folder = training.ui, tmp_path / "mine"
    folder.mkdir()
    TrainConfig(steps=1000, batch=4).save(folder / "config.json")
    (folder / "last.ckpt").write_text("12")
    ui.outputFolderEdit.currentPath = str(folder)
    for place in ("moved", "moved again"):
        folder = folder.rename(tmp_path / place)
        training._onParameters()
        assert ui.statusLabel.text.endswith("is gone: choose where it is, or click New.")
        assert not ui.startButton.enabled
        assert (ui.lengthSpinBox.value, ui.batchSpinBox.value) == (1000, 4)
        training.onStart()
        assert not training.section.running
        if place == "moved":
            ui.outputFolderEdit.currentPath = str(folder)
            assert (ui.startButton.text, ui.startButton.enabled) == ("Continue", True)
            assert ui.statusLabel.text == ""
    ui.newFolderButton.click()
    assert (ui.startButton.text, ui.startButton.enabled) == ("Start", True)
    assert (ui.lengthSpinBox.value, ui.batchSpinBox.value) == (1000, 4)


def test_aFolderThatIsMovedDuringTheTraining(training, fake, tmp_path):
    ui, folder = training.ui, tmp_path / "run-1"
    training.logic.getParameterNode().batch = 4
    fake("long")
    ui.startButton.click()
    wait(lambda: training.section.run.curves.steps)
    (folder / "last.ckpt").write_text("1")
    training._onParameters()
    folder.rename(tmp_path / "moved")
    ui.stopButton.click()
    wait(lambda: not training.section.running)
    assert "last.ckpt" in ui.statusLabel.text  # how it failed
    assert ui.statusLabel.text.endswith(
        " The output folder 'run-1' is gone: choose where it is, or click New."
    )
    assert not ui.startButton.enabled
    assert ui.batchSpinBox.value == 4


def test_aTrainingThatMadeNoFolderMayStartAgain(training, fake):
    fake("refused")
    training.ui.startButton.click()
    wait(lambda: not training.section.running)
    assert "is gone" not in training.ui.statusLabel.text
    assert training.ui.startButton.enabled
