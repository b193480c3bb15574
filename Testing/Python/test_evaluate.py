"""Evaluation: numbers of cases made by hand, failures as rows, files whole or not at all."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from layouts import acdc_patient, camus_patient, cut_off, mitea
from squares import PHANTOM, folder_config, shifted, undeformed, write_squares

from builders import assert_sentence, spread_model, tiny_model
from hetreg.config import EvaluateConfig
from hetreg.evaluate import evaluate, write
from hetreg.image import read_image, write_image
from hetreg.progress import Cancelled, Progress
from hetreg.register import register_pair


def test_a_model_with_sigma_z_is_measured_too():
    row = evaluate(replace(PHANTOM, phantoms=1), model=spread_model()).rows[0]
    assert row["error"] == ""
    assert 0 <= row["displacement_coverage95"] <= 100


def test_every_case_goes_through_register_pair_with_the_configuration(monkeypatch):
    seen = []

    def spy(*arguments, **options):
        seen.append(arguments)
        return register_pair(*arguments, **options)

    monkeypatch.setattr("hetreg.evaluate.register_pair", spy)
    model = tiny_model(rough=1.0)
    rows = evaluate(replace(PHANTOM, refine=1, inverse=False), model=model, pictures=False).rows
    assert len(seen) == 2 * len(rows) == 4  # both ways
    assert seen[0][:2] == seen[1][1::-1]
    assert {a[2] for a in seen} == {model}
    assert {(a[3].refine, a[3].inverse) for a in seen} == {(1, False)}
    assert all(row["seconds"] > 0 and row["peak_memory_mb"] > 10 for row in rows)


def test_a_case_that_fails_is_a_row_with_its_reason(tmp_path):
    folder = write_squares(tmp_path / "data", *"abcdefg")
    cut_off(folder / "b_ES.nrrd")  # unreadable voxels
    (folder / "c_ED.nrrd").write_text("no image")  # unreadable header
    (folder / "d_ES.nrrd").unlink()
    far = read_image(folder / "e_ES_seg.nrrd")
    matrix = far.ijk_to_lps.copy()
    matrix[:3, 3] += 1000
    write_image(replace(far, ijk_to_lps=matrix), folder / "e_ES_seg.nrrd")  # labels of another place
    write_image(far.like(far.array.astype(np.int16) - 1, "l"), folder / "f_ED_seg.nrrd")

    def register(case):
        if case.name == "g":
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: 9 TB")
        return undeformed(case)

    told = []
    evaluation = evaluate(
        folder_config(folder), register=register, emit=lambda kind, **row: told.append((kind, row))
    )
    rows = {row["case"]: row for row in evaluation.rows}
    assert [("case", row) for row in evaluation.rows] == told
    assert sorted(rows) == list("abcdefg")
    assert rows["a"]["error"] == ""
    for case, words in {
        "b": ("b_ES.nrrd", "damaged or cut off"),
        "c": ("c_ED.nrrd",),
        "d": ("d has no image", "end-systole"),
        "e": ("e_ES_seg.nrrd",),
        "f": ("f_ED_seg.nrrd", "0 to 255"),
        "g": ("too little memory",),
    }.items():
        assert_sentence(rows[case]["error"], *words)
        assert "dice_2" not in rows[case]
    assert evaluation.summary["counts"] == {
        "cases": 7,
        "failed": 6,
        "patients": 7,
        "slices": 1,
        "refused": 4,
    }
    dice = evaluation.summary["cases"]["dice_2"]
    assert (dice["n"], dice["missing"], dice["mean"]) == (1, 6, pytest.approx(0.8))
    assert {f["case"] for f in evaluation.summary["failed"]} == set("bcdefg")


def test_an_error_of_a_hook_names_its_kind_and_cancelling_goes_through():
    def fail(case):
        return {}["nothing"]

    rows = evaluate(PHANTOM, register=fail).rows
    assert [row["error"] for row in rows] == ["KeyError: 'nothing'"] * 2

    def cancel(case):
        raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        evaluate(PHANTOM, register=cancel)
    with pytest.raises(Cancelled):
        evaluate(PHANTOM, Progress(cancelled=lambda: True), model=tiny_model())


def test_means_are_over_cases_and_over_patients(tmp_path):
    folder = write_squares(tmp_path / "data", "a_scan1", "a_scan2", "b")

    def register(case):
        return shifted(case) if case.name == "b" else undeformed(case)

    evaluation = evaluate(folder_config(folder), register=register)
    assert [(p["patient"], p["cases"], p["failed"]) for p in evaluation.patients] == [
        ("a", 2, 0),
        ("b", 1, 0),
    ]
    assert [p["dice_2"] for p in evaluation.patients] == [pytest.approx(0.8), 1.0]
    summary = evaluation.summary
    assert summary["cases"]["dice_2"]["mean"] == pytest.approx((0.8 + 0.8 + 1.0) / 3)
    assert summary["patients"]["dice_2"]["mean"] == pytest.approx(0.9)
    assert summary["cases"]["dice_2"]["median"] == pytest.approx(0.8)
    assert summary["patients"]["dice_2"]["sd"] == pytest.approx(0.2 / math.sqrt(2))
    assert (evaluation.label, evaluation.ranked_by) == (2, "dice_2")
    assert evaluation.pictures[0].case.name == "b"
    assert [p.role for p in evaluation.pictures] == ["best", "median", "worst"]


def test_a_case_that_cannot_be_drawn_is_noted_and_its_numbers_stay(tmp_path):
    folder, seen = write_squares(tmp_path / "data", "a", "b"), []

    def register(case):
        seen.append(case.name)
        if len(seen) > 4:  # both ways
            raise RuntimeError("no more")
        return undeformed(case)

    evaluation = evaluate(folder_config(folder), register=register)
    assert evaluation.pictures == []
    assert [row["dice_2"] for row in evaluation.rows] == [pytest.approx(0.8)] * 2
    assert any("could not be drawn: RuntimeError: no more" in note for note in evaluation.summary["notes"])


def test_each_case_is_registered_both_ways_unless_told_otherwise(tmp_path):
    folder = write_squares(tmp_path, "a", "b")
    ways = []

    def register(case):
        ways.append(float(case.fixed_label.array[0, :, 10].sum()))
        if len(ways) == 6:
            raise RuntimeError("no way back")
        return undeformed(case)

    one = evaluate(folder_config(folder, both_ways=False), register=register, pictures=False)
    assert len(ways) == 2
    assert "inverse_consistency_mm" not in one.rows[0]
    both = evaluate(folder_config(folder), register=register, pictures=False)
    assert len(ways) == 6
    assert ways[2] != ways[3]
    assert both.rows[0]["inverse_consistency_mm"] == 0.0
    assert "inverse_consistency_mm" not in both.rows[1]
    assert both.rows[1]["dice_2"] == one.rows[1]["dice_2"]
    assert any("b could not be registered the other way round" in note for note in both.summary["notes"])


def test_a_folder_without_labels_is_ranked_by_correlation(tmp_path):
    folder = write_squares(tmp_path / "data", "a", "b", labels=False)
    evaluation = evaluate(folder_config(folder), model=tiny_model())
    assert (evaluation.label, evaluation.ranked_by) == (0, "ncc_after")
    assert evaluation.slices == []
    assert [row["error"] for row in evaluation.rows] == ["", ""]
    assert "slices" not in write(evaluation, tmp_path / "out")


def test_a_chosen_label_that_is_nowhere_is_noted(tmp_path):
    folder = write_squares(tmp_path / "data", "a")
    evaluation = evaluate(folder_config(folder, labels="3+2"), register=undeformed)
    assert evaluation.label == 3
    assert [n for n in evaluation.summary["notes"] if "label 3" in n]
    assert evaluation.rows[0]["dice_2"] == pytest.approx(0.8)


def test_patients_that_a_shipped_model_was_trained_on_are_noted(tmp_path):
    folder = write_squares(tmp_path / "data", "SC-HF-I-02", "SC-HF-I-01")
    (note,) = [
        n
        for n in evaluate(folder_config(folder, model="cine-mri-2d"), pictures=False).summary["notes"]
        if "trained" in n
    ]
    assert_sentence(note, "cine-mri-2d", "1 of the 2 patients", "SC-HF-I-02")


def test_curves_are_means_over_the_cases():
    evaluation = evaluate(PHANTOM, model=tiny_model(), pictures=False)
    curve = evaluation.curves["sparsification"]
    assert curve["cases"] == 2
    assert len(curve["fraction"]) == len(curve["by_uncertainty"]) == len(curve["oracle"]) == 100
    assert (curve["oracle"] <= curve["by_uncertainty"] + 1e-12).all()
    assert (np.diff(curve["oracle"]) <= 1e-12).all()
    published = evaluation.curves["sparsification_published"]
    area = float(np.mean(published["by_uncertainty"] - published["oracle"]))
    assert area == pytest.approx(evaluation.summary["cases"]["ause_published"]["mean"])
    assert {"reliability", "coverage", "reliability_truth", "coverage_truth"} <= evaluation.curves.keys()
    assert len(evaluation.curves["coverage"]["level"]) == len(evaluation.curves["coverage"]["found"])


def test_the_files_hold_what_was_found(tmp_path):
    evaluation = evaluate(PHANTOM, model=tiny_model())
    files = write(evaluation, tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {p.name for p in files.values()}
    assert {p.name for p in files.values()} == {"metrics.csv", "slices.csv", "patients.csv", "summary.json"}
    with files["metrics"].open(newline="", encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    assert list(table[0])[:6] == ["case", "patient", "split", "model", "error", "note"]
    assert [row["case"] for row in table] == ["mri2d-50000", "mri2d-50001"]
    assert float(table[0]["dice_2"]) == pytest.approx(evaluation.rows[0]["dice_2"], rel=1e-6)
    summary = json.loads(files["summary"].read_text())
    assert EvaluateConfig.from_dict(summary["config"]) == PHANTOM
    assert {"torch", "hetreg", "numpy"} <= summary["versions"].keys()
    assert summary["models"] == {"tiny": tiny_model().checksum}
    assert summary["device"] == ["cpu"]
    assert summary["curves"]["sparsification"]["cases"] == 2


def test_a_second_evaluation_takes_the_place_of_the_first_or_leaves_it_whole(tmp_path):
    out = tmp_path / "out"
    write(evaluate(PHANTOM, register=undeformed), out, lambda e, path: path.write_text("report"))
    (out / "mine.txt").write_text("stays")
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    assert "report.html" in before
    second = evaluate(folder_config(write_squares(tmp_path / "d", "a", labels=False)), register=undeformed)

    def interrupted(evaluation, path):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(second, out, interrupted)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    write(second, out)
    assert {p.name for p in out.iterdir()} == {"metrics.csv", "patients.csv", "summary.json", "mine.txt"}
    assert (out / "metrics.csv").read_text().count("\n") == 2
    with pytest.raises(OSError, match="could not be written") as caught:
        write(second, out / "mine.txt")
    assert_sentence(caught.value)


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    """Small folders in the official layouts."""
    root = tmp_path_factory.mktemp("layouts")
    for n in (1, 2):
        acdc_patient(root / "acdc" / "training", n)
        camus_patient(root / "camus", n)
    mitea(root / "pairs", 1)
    return root


@pytest.mark.parametrize(
    ("dataset", "patients", "protocol"),
    [
        ("acdc", 2, "native"),
        ("acdc", 2, "published"),
        ("camus", 2, "native"),
        ("camus", 2, "published"),
        ("pairs", 1, "native"),
    ],
)
def test_official_layouts_are_evaluated(layouts, dataset, patients, protocol):
    config = folder_config(layouts / dataset, dataset=dataset, protocol=protocol)
    evaluation = evaluate(config, model=tiny_model(3 if dataset == "pairs" else 2, rough=1.0))
    assert [row["error"] for row in evaluation.rows] == [""] * len(evaluation.rows)
    assert evaluation.summary["counts"]["patients"] == patients
    assert evaluation.label == 2
    for row in evaluation.rows:
        assert 0 <= row["dice_2"] <= 1
        assert row["hd95_mm_2"] > 0
    if protocol == "published":
        assert {p.case.fixed.array.shape for p in evaluation.pictures} == {(1, 128, 128)}
        assert len(evaluation.slices) == len(evaluation.rows)
