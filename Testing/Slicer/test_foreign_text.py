"""Names, paths and messages that come from elsewhere are shown letter by letter, never drawn as HTML."""

import json
import re
from pathlib import Path

import pytest
import qt
import slicer

from hetreg.config import TrainConfig
from HetRegUncertaintyLib import process, summary
from HetRegUncertaintyLib.literal import toolTip
from HetRegUncertaintyLib.trainingparameters import Dataset
from runtime.played_process import FakeProcess

REPOSITORY = Path(__file__).resolve().parents[2]
TAG = "<img src='x'>"
WORD = "a &lt;b&gt;"  # Qt takes this for HTML too, and every system for the name of a folder
PLAIN, RICH = qt.Qt.PlainText, qt.Qt.RichText


def drawn(html):
    """The letters that Qt draws of HTML; a picture would be one letter of its own."""
    document = qt.QTextDocument()
    document.setHtml(html)
    return document.toPlainText()


def tip(widget):
    """The letters of a tooltip."""
    text = widget.toolTip() if callable(widget.toolTip) else widget.toolTip
    return drawn(text) if qt.Qt.mightBeRichText(text) else text


def said(label):
    """The letters of a label whose format does not hang on its text."""
    assert label.textFormat in (PLAIN, RICH), label.objectName
    return label.text if label.textFormat == PLAIN else drawn(label.text)


def test_formatOfALabelIsNotGuessed(panel, training):
    """Every label that code gives a text has a format."""
    library = REPOSITORY / "HetRegUncertainty" / "HetRegUncertaintyLib"
    files = [*library.glob("*.py"), *REPOSITORY.glob("HetReg*/*.py")]
    sources = "".join(file.read_text(encoding="utf-8") for file in files)
    names = set(re.findall(r"ui\.(\w+Label)\.text = ", sources))
    labels = [getattr(ui, name) for ui in (panel.ui, training.ui) for name in names if hasattr(ui, name)]
    assert {"statusLabel", "numbersLabel", "evaluationLabel", "dataLabel"} <= names
    assert len(labels) > len(names)  # both panels have some
    assert [label.objectName for label in labels if label.textFormat not in (PLAIN, RICH)] == []


@pytest.mark.parametrize("text", ["", "plain & simple", TAG, WORD, "a\n<b>b</b>", "1 < 2", "&amp;"])
def test_toolTipShowsTheTextItself(text):
    shown = toolTip(text)
    assert (drawn(shown) if qt.Qt.mightBeRichText(shown) else shown).split() == text.split()


def test_modelAndSegmentationsOfAScene(panel, smallPair):
    ui, p = panel.ui, panel.logic.getParameterNode()
    p.model = f"{TAG}."
    assert TAG in said(ui.statusLabel)
    assert TAG in tip(ui.registerButton)
    p.model = "auto"
    p.fixedSegmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", TAG)
    assert TAG in said(ui.statusLabel)
    assert TAG in tip(ui.registerButton)


def test_namesAndNotesOfAResult(panel):
    text = drawn(
        summary.html({"notes": [TAG], "model": WORD, "dice_after": {"1": 0.5}}, {"1": TAG}, (TAG, WORD))
    )
    assert text.count(TAG) == 3
    assert text.count(WORD) == 2
    assert panel.ui.numbersLabel.textFormat == RICH


def test_longNamesDoNotWidenTheResult(panel):
    label, name = panel.ui.numbersLabel, "Myocardium_" * 10
    widths = []
    for text in ("Myocardium", name):
        label.text = summary.html(
            {"notes": [f"'{text}' is."], "dice_after": {"1": 0.5}}, {"1": text}, (text, text)
        )
        widths.append(label.minimumSizeHint().width())
    assert widths[1] < 1.3 * widths[0]
    assert said(label).replace("\u200b", "").count(name) == 4


@pytest.mark.parametrize("name", ["startFile", "splitFile", "outputFolder", "folder"])
def test_pathsOfAScene(training, name):
    ui, p = training.ui, training.logic.getParameterNode()
    p.dataset, p.folder = Dataset("pairs"), "/somewhere"
    setattr(p, name, f"{TAG}.")
    assert TAG in said(ui.statusLabel)
    assert TAG in tip(ui.startButton)
    if name == "folder":
        ui.checkButton.click()
        assert TAG in said(ui.dataLabel)


def test_settingsAndFolderOfARun(training, tmp_path):
    folder = tmp_path / WORD
    (folder / "evaluation").mkdir(parents=True)
    TrainConfig().save(folder / "config.json")
    for name in ("last.ckpt", "best.pt", "evaluation/report.html"):
        (folder / name).touch()
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(settings | {"method": TAG}), encoding="utf-8")
    training.logic.getParameterNode().outputFolder = str(folder)
    assert TAG in said(training.ui.statusLabel)
    assert WORD in said(training.ui.modelFileLabel)
    assert WORD in tip(training.ui.reportButton)


def test_namesInTheData(training):
    check = training.dataCheck
    check._onEvent(
        {
            "event": "dry_run",
            "pairs": [{"case": TAG, "patient": WORD, "split": "test"}],
            "rejected": [{"file": f"a/{TAG}", "reason": WORD}],
        }
    )
    check._onEnd(0, "")
    pairs, rejected = training.ui.pairsTable, training.ui.rejectedTable
    assert tip(pairs.item(0, 0)) == TAG
    assert tip(pairs.item(0, 1)) == tip(rejected.item(0, 1)) == WORD
    assert tip(rejected.item(0, 0)) == f"a/{TAG}"


def test_casesOfAnEvaluation(trained, monkeypatch):
    evaluation = trained.evaluation
    evaluation._onEvent({"event": "progress", "fraction": 0.5, "message": f"Case 1 of 2: {TAG}"})
    assert said(trained.ui.evaluationLabel) == f"Case 1 of 2: {TAG}"
    evaluation._onEnd(2, f"No case '{WORD}'.")
    assert said(trained.ui.evaluationLabel) == f"No case '{WORD}'."
    folder = Path(trained._parameterNode.outputFolder) / "evaluation"
    folder.mkdir()
    (folder / "metrics.csv").write_text(f"case,error\n{TAG},{WORD}\n", encoding="utf-8")
    counts = {"cases": TAG, "patients": 1, "failed": 1}
    (folder / "summary.json").write_text(json.dumps({"cases": {}, "counts": counts}), encoding="utf-8")
    evaluation._problem = ""
    trained._onParameters()
    assert f"Test cases: {TAG}" in said(trained.ui.evaluationLabel)
    assert f"{TAG}: {WORD}" in said(trained.ui.evaluationLabel)


def test_boxesShowTheTextItself(training, monkeypatch):
    shown = []

    def box(text, windowTitle, **options):
        shown.append((text, options.get("textFormat")))

    monkeypatch.setattr(slicer.util, "errorDisplay", box)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", box)
    runner, fake = training.section.run._process, FakeProcess()
    fake.start = lambda *_: runner._onError(qt.QProcess.FailedToStart)
    monkeypatch.setattr(runner, "_process", fake)
    monkeypatch.setattr(process, "python", lambda: TAG)
    training.ui.startButton.click()
    training.section._mayClose()
    assert [form for _text, form in shown] == [PLAIN, PLAIN]
    assert TAG in shown[0][0]
    assert TAG in said(training.ui.statusLabel)
