"""`hetreg evaluate`: its files, its events, what it says of failed cases and of bad input."""

from __future__ import annotations

import json
from pathlib import Path

from builders import assert_sentence, error_of, events_of, pair_2d, tiny_model
from hetreg import cli
from hetreg.image import write_image

EVALUATE = {"phantoms": 2, "phantom-size": 32, "model": "tiny.pt"}


def evaluate_arguments(folder: Path, **changes: object) -> list[str]:
    """`evaluate` of two small phantoms by the model tiny.pt of the folder, into its folder `out`."""
    tiny_model(rough=1.0).save(folder / "tiny.pt")
    flags = EVALUATE | {"model": folder / "tiny.pt", "output": folder / "out"}
    flags |= {k.replace("_", "-"): v for k, v in changes.items()}
    return ["evaluate", *(a for name, value in flags.items() for a in (f"--{name}", str(value)))]


def test_evaluate_writes_its_files_and_a_summary_for_people(tmp_path, capsys):
    assert cli.main(evaluate_arguments(tmp_path)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "2 cases of 2 patients, 0 failed" in out
    assert "Dice, label 2 " in out
    assert "End-point error (mm), myocardium" in out
    written = {p.name for p in (tmp_path / "out").iterdir()}
    assert {"metrics.csv", "slices.csv", "patients.csv", "summary.json"} <= written
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["config"]["phantoms"] == 2


def test_evaluate_in_json_lines(tmp_path, capsys):
    assert cli.main([*evaluate_arguments(tmp_path), "--json"]) == 0
    events = events_of(capsys.readouterr().out)
    kinds = [e["event"] for e in events if e["event"] != "progress"]
    assert kinds == ["case", "case", "result"]
    case = next(e for e in events if e["event"] == "case")
    assert (case["case"], case["error"]) == ("mri2d-50000", "")
    assert {"dice_2", "epe_mm_myocardium", "seconds", "peak_memory_mb"} <= case.keys()
    fractions = [e["fraction"] for e in events if e["event"] == "progress"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    result = events[-1]
    assert result["summary"]["counts"]["cases"] == 2
    assert all(Path(p).is_file() for p in result["files"].values())


def test_evaluate_names_the_cases_that_failed_and_fails_only_if_all_did(tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for n, case in enumerate(("a", "b"), 1):
        for phase, image in zip(("ES", "ED"), pair_2d(), strict=True):
            write_image(image.like(n * image.array, "x"), data / f"{case}_{phase}.nrrd")
    (data / "b_ED.nrrd").write_text("no image")
    arguments = evaluate_arguments(tmp_path, dataset="pairs", root=data, split="all")
    assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    assert "2 cases of 2 patients, 1 failed, 2 files refused" in out
    assert "failed  b: b_ED.nrrd" in out
    assert "note: 1 of 2 cases lack labels on one image or both: no overlap." in out
    (data / "a_ED.nrrd").write_text("no image")
    assert cli.main([*arguments, "--json"]) == 2
    out, err = capsys.readouterr()
    assert_sentence(err, "None of the 2 cases")
    assert [e["event"] for e in events_of(out) if e["event"] != "progress"] == [
        "case",
        "case",
        "result",
        "error",
    ]
    assert (tmp_path / "out" / "metrics.csv").read_text().count("\n") == 3


def test_bad_input_of_evaluate(tmp_path, capsys):
    arguments = evaluate_arguments(tmp_path)
    for wrong, words in (
        (["--dataset", "mnms"], ("mnms", "acdc")),
        (["--split", "testing"], ("--split", "val")),
        (["--labels", "a"], ("labels",)),
        (["--phantoms", "0"], ("No case",)),
        (["--phantom-size", "3"], ("None of the 2 cases", "16")),
        (["--model", "no-such"], ("no-such", "cine-mri-2d")),
        (["--model", ""], ("no model", "cine-mri-2d")),
        (["--model", "/"], ("no weight file /",)),
        (["--dataset", "acdc"], ("No data folder",)),
        (["--dataset", "acdc", "--root", str(tmp_path / "absent")], ("absent",)),
        (["--split-file", "absent.json"], ("absent.json",)),
    ):
        assert cli.main([*arguments, *wrong]) == 2
        err = capsys.readouterr().err
        assert_sentence(err, *words)
        assert err.count("\n") == 1
    error_of(capsys, ["evaluate"], "--output")


def test_evaluate_that_is_interrupted_leaves_nothing(tmp_path, capsys, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("hetreg.evaluate.register_pair", interrupt)
    assert cli.main(evaluate_arguments(tmp_path)) == 130
    assert capsys.readouterr().err == "hetreg: cancelled\n"
    assert not (tmp_path / "out").exists()
