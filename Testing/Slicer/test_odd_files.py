"""Scenes and run folders of another version, or of somebody else: told in a sentence, the panels go on."""

import json
import zipfile
from pathlib import Path

import pytest
import slicer

import runtime
from HetRegUncertaintyLib import evaluationnodes, evaluationnumbers, results, summary, trainingplot
from HetRegUncertaintyLib.parameters import Deformation
from HetRegUncertaintyLib.trainingfolder import stepOf
from HetRegUncertaintyLib.trainingrun import formerCurves

DEEP = "[" * 100_000
GOOD = {"ncc_before": 0.5, "ncc_after": 0.9, "displacement_max_mm": 4.0, "seconds": 1.5, "notes": ["so"]}
NOTHING = ["[]", "5", "{", '"text"', DEEP, "{}"]
STRANGE = [
    {"seconds": "x"},
    {"seconds": 10**400},
    {"displacement_max_mm": "far"},
    {"displacement_max_mm": 10**400},
    {"ncc_after": "<b>"},
    {"folded_percent": [1]},
    {"notes": 5},
    {"notes": "text"},
    {"dice_before": [1], "dice_after": {"1": {}}},
    {"dice_after": 5},
    {"model": {}, "device": None},
]


def test_summaryOfAScene(panel, smallPair):
    panel.ui.registerButton.click()
    ui, p = panel.ui, panel.logic.getParameterNode()
    p.deformation = Deformation.NONE  # its scale is computed all the same
    texts = NOTHING + [json.dumps(GOOD | strange) for strange in STRANGE] + [json.dumps(GOOD)]
    for n, text in enumerate(texts):
        p.transform.SetAttribute(results.SUMMARY, text)
        p.gridSpacing = 5.0 + n
        panel._onParameters()
        assert runtime.errors() == [], text[:100]
        assert (ui.numbersLabel.text == "No result yet.") is (text in NOTHING), text[:100]
        assert ui.registerButton.enabled
        assert results.secondsOf(p.transform) in (0.0, 1.5)
    for names in NOTHING:
        p.transform.SetAttribute(results.NAMES, names)
        assert results.summaryOf(p.transform) == (GOOD, {})


@pytest.mark.parametrize("key", GOOD)
def test_summaryThatLacksANumber(key):
    text = summary.html({k: v for k, v in GOOD.items() if k != key})
    assert ("Correlation" in text) is (key != "ncc_after")
    assert ("0.500" in text) is (key not in ("ncc_before", "ncc_after"))
    assert ("Note" in text) is (key != "notes")


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (DEEP, ""),
        ("5", ""),
        ({"cases": {"dice_3": 5}}, ""),
        ({"cases": {"dice_3": {"n": 1, "mean": "<b>"}}}, ""),
        ({"cases": {"dice_3": {"n": 1, "mean": 10**400}}}, ""),
        ({"counts": []}, ""),
        ({"curves": []}, ""),
        ({"curves": {"sparsification": {"fraction": [0.0]}}}, ""),
        ({"curves": {"sparsification": {"fraction": [0, 1], "by_uncertainty": [1], "oracle": [1, 0]}}}, ""),
        ({"curves": {"sparsification": {"fraction": 1, "by_uncertainty": 1, "oracle": 1}}}, ""),
        ({}, "a,,much\n"),
        ({}, "a,,0.5,too,many\n"),
        ({}, "a" * 200_000 + "\n"),
    ],
)
def test_evaluationOfARun(trained, content, rows):
    folder = Path(trained._parameterNode.outputFolder) / "evaluation"
    folder.mkdir()
    good = {"cases": {}, "counts": {"cases": 1}, "label": 3}
    text = content if isinstance(content, str) else json.dumps(good | content)
    (folder / "summary.json").write_text(text, encoding="utf-8")
    (folder / "metrics.csv").write_text(f"case,error,dice_3\n{rows}", encoding="utf-8")
    trained._onParameters()
    assert "evaluation cannot be read" in trained.ui.evaluationLabel.text
    assert trained.ui.evaluateButton.enabled
    assert trained.ui.startButton.enabled


def test_evaluationWithoutAllColumns(trained):
    """What is only missing is not shown, and the rest is."""
    folder = Path(trained._parameterNode.outputFolder) / "evaluation"
    folder.mkdir()
    content = {"cases": {"dice_3": {"n": 1, "mean": "0.5"}}, "counts": {"cases": 1}, "label": 3}
    (folder / "summary.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "metrics.csv").write_text("error,dice_3\n,0.5\nno image\n", encoding="utf-8")
    trained._onParameters()
    assert "0.5" in trained.ui.evaluationLabel.text
    evaluationnodes.show(evaluationnumbers.read(str(folder.parent)))
    tables = slicer.util.getNodesByClass("vtkMRMLTableNode")
    assert sum(bool(table.GetAttribute(evaluationnodes.ATTRIBUTE)) for table in tables) == 1


def test_logOfARun(tmp_path):
    lines = [
        '{"event": "step", "step": "<b>", "loss": 1.0}',
        '{"event": "step", "step": 1, "loss": {}}',
        '{"event": "step", "loss": ' + DEEP,
        '{"event": "validation", "step": null, "mse": 1}',
        '{"event": "step", "step": 2, "loss": 0.5}',
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "last.ckpt").touch()
    curves = formerCurves(tmp_path)
    assert (curves.steps, curves.loss) == ([1, 2], [None, 0.5])
    trainingplot.show(curves)


def test_aCompressedCheckpointIsNotUnpacked(tmp_path):
    """It would fill the memory."""
    numbers = b"\x80\x02}q\x00X\x04\x00\x00\x00stepq\x01K\x0cs."
    for packed, step in ((zipfile.ZIP_STORED, 12), (zipfile.ZIP_DEFLATED, 0)):
        (tmp_path / str(step)).mkdir()
        with zipfile.ZipFile(tmp_path / str(step) / "last.ckpt", "w", packed) as archive:
            archive.writestr("last/data.pkl", numbers)
        assert stepOf(str(tmp_path / str(step))) == step
