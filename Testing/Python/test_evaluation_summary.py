"""Means and their intervals of an evaluation: each interval is that of the mean beside it."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from hetreg.config import EvaluateConfig
from hetreg.evaluation.results import Evaluation
from hetreg.evaluation.summary import label_notes, mean_curves, patient_rows, statistics
from hetreg.report import document
from hetreg.report.document import html_report

T2 = 12.7062  # Student's t of one degree of freedom, 95 %


def rows_of(**cases: list[float]) -> list[dict]:
    """A row for each number, of the patient that it is named by."""
    return [
        {"case": f"{p}{n}", "patient": p, "dice_2": v} for p, vs in cases.items() for n, v in enumerate(vs)
    ]


def summarised(rows: list[dict]) -> dict[str, float]:
    return statistics(rows, [row["patient"] for row in rows])["dice_2"]


def test_the_mean_curve_by_hand():
    """Over the cases that have it whole: neither a shorter one nor one with a gap counts."""
    first, second, gap = np.arange(100.0), np.full(100, 2.0), np.full(100, np.nan)
    curves = [{"sparsification": c, "oracle": c / 2} for c in (first, second, gap, second[:50])]
    (curve,) = mean_curves(curves).values()
    assert curve["cases"] == 2
    assert curve["fraction"].tolist() == pytest.approx([n / 100 for n in range(100)])
    assert curve["by_uncertainty"].tolist() == [(n + 2) / 2 for n in range(100)]
    assert curve["oracle"].tolist() == [(n + 2) / 4 for n in range(100)]


def test_the_interval_of_two_patients_by_hand():
    """Mean over the cases 0.85, without one of the patients 0.9 or 0.7."""
    rows = rows_of(a=[0.8, 0.9, 1.0], b=[0.7])
    rows.append({"case": "failed", "patient": "c", "error": "no"})
    found, of_patients = summarised(rows), summarised(patient_rows(rows))
    reach = T2 * math.sqrt((0.05**2 + 0.15**2) / 2)
    assert (found["mean"], found["median"], found["sd"]) == pytest.approx((0.85, 0.85, math.sqrt(0.05 / 3)))
    assert (found["n"], found["missing"]) == (4, 1)
    assert (found["low"], found["high"]) == pytest.approx((0.85 - reach, 0.85 + reach), abs=1e-5)
    assert of_patients["mean"] == pytest.approx(0.8)
    assert (of_patients["low"], of_patients["high"]) == pytest.approx(
        (0.8 - T2 / 10, 0.8 + T2 / 10), abs=1e-5
    )


def test_one_patient_has_no_interval():
    found = summarised(rows_of(a=[0.8, 0.9]))
    assert found["mean"] == pytest.approx(0.85)
    assert np.isnan([found["low"], found["high"]]).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("value", "n"), [(0.8, 1), (math.nan, 0)])
def test_one_value_has_no_spread_and_none_has_nothing(value, n):
    found = summarised(rows_of(a=[value]))
    assert (found["mean"], found["median"]) == pytest.approx((value, value), nan_ok=True)
    assert (found["n"], found["missing"], math.isnan(found["sd"])) == (n, 1 - n, True)


def test_cases_without_labels_and_labels_without_a_case_are_noted():
    rows = [{"error": "", "dice_1": 0.5, "dice_3": math.nan}, {"error": ""}, {"error": "It is damaged."}]
    sources = [SimpleNamespace(name=n, misplaced="", labelled=n == "a") for n in "abc"]
    assert label_notes(rows, sources, (1, 3)) == [
        "1 of 3 cases lack labels on one image or both: no overlap.",
        "No case has label 3: its numbers are empty.",
    ]
    assert label_notes([], [], (1,)) == []


def test_a_patient_with_many_cases_is_in_the_interval_as_in_the_mean():
    """30 cases at 0.9 and 6 patients with one at 0.5: the mean is 5/6, and 0.557 over patients."""
    rows = rows_of(a=[0.9] * 30, **{name: [0.5] for name in "bcdefg"})
    found, of_patients = summarised(rows), summarised(patient_rows(rows))
    assert found["mean"] == pytest.approx(5 / 6)
    assert found["low"] <= found["mean"] <= found["high"]
    assert of_patients["low"] <= of_patients["mean"] <= of_patients["high"] < found["mean"]


def test_the_report_shows_each_interval_beside_its_mean(monkeypatch):
    monkeypatch.setattr(document, "find_spec", lambda name: None)  # no plots
    rows = rows_of(a=[8.0, 9.0, 10.0], b=[7.0])
    patients = patient_rows(rows)
    counts = {"cases": 4, "failed": 0, "patients": 2, "slices": 0, "refused": 0}
    tables = {"cases": rows, "slices": [], "patients": patients}
    summary = {"counts": counts, **{n: statistics(t, [r["patient"] for r in t]) for n, t in tables.items()}}
    text = html_report(Evaluation(EvaluateConfig(), rows, [], patients, summary, {}, [], 2, "dice_2"))
    assert "95 % interval -5.706 to 22.71" in text  # of 8.5, the key number
    shown = text[text.index("Summary") :]
    assert shown.index("-5.7 to 22.7") < shown.index("8.0 ± 1.4") < shown.index("-4.7 to 20.7")
