"""The CSV files of a reproduction, for tests of one's own: patients.csv, and the tables in full."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import numpy as np
import pytest

from builders import TINY_REPRODUCTION
from hetreg.metrics.statistics import clustered_test
from hetreg.reproduce.book import Book
from hetreg.reproduce.config import ReproduceConfig
from hetreg.reproduce.run import reproduce
from hetreg.reproduce.scores import Measure, Score
from hetreg.reproduce.sheets import every_patient, tables
from hetreg.tables import csv_text, markdown

SOURCE = "phantom:mri2d"


def score(variant: str, **cases: list[float]) -> Score:
    """{patient: DSC of each slice}; a patient without slices failed."""
    rows = [{"case": p, "patient": p, "error": "" if v else "It is broken."} for p, v in cases.items()]
    slices = [
        {"case": p, "patient": p, "slice": n, "dice_published_2": v}
        for p, values in cases.items()
        for n, v in enumerate(values)
    ]
    return Score("voxelmorph", variant, 0, SOURCE, rows, slices, smoothness=0.03)


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_units_of_a_measure_are_the_cases_or_the_slices_that_have_it_and_failed_cases():
    rows = [{"case": "a", "error": "", "slices_left_out_2": 2}, {"case": "b", "error": "It is broken."}]
    slices = [{"case": "a", "slice": 0, "dice_2": 0.5}, {"case": "a", "slice": 1, "dice_3": 0.5}]
    found, measure = Score("voxelmorph", "ours", 0, SOURCE, rows, slices), Measure("Dice", "dice_{label}")
    assert found.units(measure, 2) == rows
    assert found.units(replace(measure, slices=True), 2) == [slices[0], rows[1]]
    assert (found.left_out(2), found.left_out(3)) == (2, 0)


def test_each_patient_is_a_row_with_the_mean_of_the_slices_and_a_failed_one_too():
    """0.8 and 0.9 make 85 %; the test over patients by hand is that of the tables."""
    ours = score("ours", a=[0.8, 0.9], b=[0.7], c=[0.6, 0.8])
    mse = score("mse", a=[0.7, 0.9], b=[0.65], c=[0.7, 0.6])
    nll = score("nll", a=[0.5], b=[])
    whole = Score("voxelmorph", "ncc", 0, SOURCE, error="There is no memory left.")
    book = Book(ReproduceConfig(), [ours, mse, nll, whole])
    rows = read(csv_text(every_patient(book)))
    assert len(rows) == 3 + 3 + 2 + 1
    of = {(row["Method"], row["Patient"]): row for row in rows}
    assert float(of["ours", "a"]["DSC (%)"]) == pytest.approx(85)
    assert of["ours", "a"] | {"DSC (%)": ""} == {
        **dict.fromkeys(of["ours", "a"], ""),
        **{"Source": SOURCE, "Network": "voxelmorph", "Method": "ours", "Lambda": "0.03", "Seed": "0"},
        **{"Patient": "a", "Cases": "1", "Failed": "0"},
    }
    assert (of["nll", "b"]["Failed"], of["nll", "b"]["Error"]) == ("1", "It is broken.")
    assert of["nll", "b"]["DSC (%)"] == ""
    assert of["ncc", ""]["Error"] == "There is no memory left."
    first, second = (np.array([float(of[v, p]["DSC (%)"]) for p in "abc"]) for v in ("ours", "mse"))
    (tested,) = [
        c
        for c in book.comparisons()
        if (c.claim.first, c.claim.second, c.claim.measure, c.claim.table) == ("ours", "mse", "dice", "1")
    ]
    assert clustered_test(first, second, list("abc")).t.p == pytest.approx(tested.p_patients)


def test_the_file_of_a_reproduction_has_every_patient_of_every_run_and_survives_the_next_call(tmp_path):
    config = replace(TINY_REPRODUCTION, methods=("undeformed", "mse"), seeds=2, budget=2)
    for _ in range(2):
        path = reproduce(config, tmp_path)["patients.csv"]
        rows = read(path.read_text(encoding="utf-8"))
        assert path.parent == tmp_path / "tables"
        assert len(rows) == 2 + 2 * 2
        assert {(row["Method"], row["Seed"]) for row in rows} == {
            ("undeformed", "0"),
            ("mse", "0"),
            ("mse", "1"),
        }
        assert all(math.isfinite(float(row["End-point error in the myocardium (vox)"])) for row in rows)
    corrected = (tmp_path / "tables" / "corrected-phantom-mri2d.csv").read_text(encoding="utf-8")
    mean = np.mean([float(r["DSC, mask from 0.5 (%)"]) for r in rows if r["Method"] == "mse"])
    assert float(read(corrected)[1]["DSC, mask from 0.5 (%)"]) == pytest.approx(mean)


def test_the_dice_of_masks_from_a_half_is_tested_too():
    """0.9 - 0.8 and 0.7 - 0.64 are 10 and 6 points, 8 in the mean."""
    values = {"ours": (0.9, 0.7), "mse": (0.8, 0.64)}
    scores = [
        Score("voxelmorph", v, 0, SOURCE, [{"case": c, "dice_2": n} for c, n in zip("ab", d, strict=True)])
        for v, d in values.items()
    ]
    found = Book(ReproduceConfig(), scores).comparisons()
    (tested,) = [c for c in found if c.claim.measure == "dice_half" and c.claim.second == "mse"]
    assert tested.claim.first == "ours"
    assert tested.difference == pytest.approx(8)
    assert tested.patients == 2


def test_the_numbers_of_every_table_are_rounded_for_readers_and_in_full_in_csv():
    rng = np.random.default_rng(0)
    values = {"ours": 0.8 + 0.01 * rng.random(8), "mse": 0.79 + 0.01 * rng.random(8)}
    scores = [score(v, **{p: [d] for p, d in zip("abcdefgh", n, strict=True)}) for v, n in values.items()]
    made = Book(ReproduceConfig(), scores)
    compared = made.comparisons()
    tested = next(c for c in compared if (c.claim.second, c.claim.measure) == ("mse", "dice"))
    expected = {
        "95 % interval low": tested.low,
        "95 % interval high": tested.high,
        "Each seed": tested.seeds[0],
        "p, Holm": tested.p_holm,
    }
    found = tables(made, compared)
    table2, verdicts = (f"{name}-phantom-mri2d" for name in ("table2", "verdicts"))
    own = {"Difference": tested.difference, "p, paper": 0.02, "p, published way": tested.p_published}
    for name, more in ((table2, own), (verdicts, {"Here": tested.difference, "Paper": 0.53})):
        row = read(csv_text(found[name]))[0]
        assert {head: float(row[head]) for head in (*expected, *more)} == pytest.approx(
            expected | more, rel=1e-12
        )
    shown = f"| {tested.difference:.3f} | {tested.low:.3f} to {tested.high:.3f} | {tested.seeds[0]:.2f} |"
    assert shown in markdown(found[table2])
    row = read(csv_text(found["table1-phantom-mri2d"]))[0]
    assert len(row["DSC (%) 95 % interval low"]) > 8
    assert float(row["DSC (%) 95 % interval high"]) > float(row["DSC (%) here"])
