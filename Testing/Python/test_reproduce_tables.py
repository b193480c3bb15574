"""Means, tests and verdicts of hand-made evaluations, by hand numbers; the tables that are made of them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hetreg.reproduce import paper
from hetreg.reproduce.book import MEASURES, Book
from hetreg.reproduce.comparisons import (
    BETTER,
    EQUAL,
    FAILS,
    HOLDS,
    OPEN,
    UNTESTED,
    WORSE,
    Claim,
    compare,
    ordering,
    tally,
    verdict,
)
from hetreg.reproduce.config import ReproduceConfig
from hetreg.reproduce.documents import readme
from hetreg.reproduce.paper import PUBLISHED
from hetreg.reproduce.scores import Score, series
from hetreg.reproduce.sheets import interval, lambda_table, tables
from hetreg.reproduce.verdicts import verdict_lines
from hetreg.tables import Shown, Spread, markdown, p_value

DICE = PUBLISHED["dice"]
PATIENTS = ("a", "a", "b", "b")


def score(values, variant="ours", seed=0, *, patients=PATIENTS, key="dice_published_2", **other) -> Score:
    """A run's rows from one number per slice."""
    rows = [
        {"case": p, "slice": n, "patient": p, key: v}
        for n, (p, v) in enumerate(zip(patients, values, strict=True))
    ]
    cases = [{"case": p, "patient": p, "error": ""} for p in dict.fromkeys(patients)]
    network = "" if variant in ("undeformed", "elastix") else "voxelmorph"
    return Score(network, variant, seed, "phantom:mri2d", cases, rows, smoothness=0.01, **other)


OURS = score((0.80, 0.84, 0.70, 0.74))
MSE = score((0.78, 0.80, 0.69, 0.71), "mse")


def book(*scores: Score) -> Book:
    return Book(ReproduceConfig(), scores)


def comparison(found, first: str, second: str, measure: str = "dice", table: str = "1"):
    """The one comparison of two variants."""
    wanted = (first, second, measure, table)
    (one,) = [c for c in found if (c.claim.first, c.claim.second, c.claim.measure, c.claim.table) == wanted]
    return one


def test_means_over_units_and_seeds():
    again = score((0.82, 0.86, 0.72, math.nan), seed=1)
    found = series([OURS, again], DICE, 2)
    np.testing.assert_allclose(found.over_seeds, [81, 85, 71, 74])
    assert found.mean == pytest.approx(77.75)
    assert found.seed_sd == pytest.approx(abs(80 - 77) / math.sqrt(2))  # means 77 and 80
    assert found.missing == 1
    assert found.patients == list(PATIENTS)
    assert math.isnan(series([OURS], DICE, 2).seed_sd)


def test_a_failed_unit_is_missing_and_an_unknown_label_too():
    failed = Score("voxelmorph", "ours", 0, "phantom:mri2d", [{"case": "a", "error": "It is broken."}])
    assert series([failed], DICE, 2).missing == 1
    assert math.isnan(series([OURS], DICE, 3).mean)


def test_slices_with_the_structure_in_one_image_alone_are_missing_and_those_in_neither_are_not():
    other = {"case": "a", "slice": 9, "patient": "a", "dice_published_3": 0.5}
    rows = [dict(row) for row in OURS.rows]
    rows[0]["slices_left_out_2"], rows[1]["slices_left_out_2"] = 2, 1
    found = replace(OURS, rows=rows, slices=[*OURS.slices, other])
    made = book(found)
    assert made.series("phantom:mri2d", "voxelmorph", "ours", "dice").missing == 0
    (row,) = tables(made, made.comparisons())["table1-phantom-mri2d"].rows
    assert row[-2] == 3


def test_cavity_is_taken_where_there_is_no_myocardium():
    assert book(OURS).label("phantom:mri2d") == 2
    cavity = score((0.9, 0.8, 0.7, 0.6), key="dice_published_3")
    assert book(cavity).label("phantom:mri2d") == 3
    assert book(cavity).series("phantom:mri2d", "voxelmorph", "ours", "dice").mean == pytest.approx(75)
    both = book(cavity, score((0.8, 0.8, 0.7, 0.6), "mse", key="dice_published_3"))
    ordered = tables(both, both.comparisons())["verdicts-phantom-mri2d"]
    assert "these data have contours of the cavity alone" in markdown(ordered)


def test_the_interval_is_that_of_the_mean_over_all_slices():
    """80 without patient b, 76 without a, mean 79: standard error sqrt((1 + 9) / 2), t 12.706."""
    found = series([score((0.80, 0.80, 0.80, 0.76), patients=("a", "a", "a", "b"))], DICE, 2)
    assert found.mean == pytest.approx(79)
    assert interval(found).text == "50.59 to 107.41"


def test_both_ways_to_test_by_hand():
    """Differences 2, 4, 1, 3 points: t = 3.873 with 3 degrees over slices; 3 and 2, t = 5 with 1 degree,
    over patients."""
    found = comparison(book(OURS, MSE).comparisons(), "ours", "mse")
    assert found.difference == pytest.approx(2.5)
    assert found.p_published == pytest.approx(0.03047, abs=1e-5)
    assert found.p_patients == pytest.approx(1 - 2 / math.pi * math.atan(5))
    assert (found.units, found.patients) == (4, 2)
    # Student's t of two patients
    assert (found.low, found.high) == pytest.approx((2.5 - 12.7062 / 2, 2.5 + 12.7062 / 2), abs=1e-4)
    assert found.claim.paper == pytest.approx(80.73 - 80.20)
    assert found.verdict == OPEN  # 0.126 over patients, although 0.03 over slices


def test_copies_of_a_slice_change_the_published_p_but_not_the_verdict():
    many = []
    for s in (OURS, MSE):
        values = np.repeat([row["dice_published_2"] for row in s.slices], 5)
        many.append(score(values, s.variant, patients=np.repeat(PATIENTS, 5)))
    few, found = (comparison(book(*s).comparisons(), "ours", "mse") for s in ((OURS, MSE), many))
    assert found.p_published < few.p_published / 10
    assert found.p_patients == pytest.approx(few.p_patients)


@pytest.mark.parametrize(
    ("paper_difference", "difference", "p", "higher", "word"),
    [
        (0.5, 0.3, 0.01, True, HOLDS),
        (-0.5, -0.3, 0.01, False, HOLDS),
        (0.5, -0.3, 0.01, True, FAILS),
        (0.5, 0.3, 0.05, True, OPEN),
        (0.5, -0.3, 0.2, True, OPEN),
        (0.0, 0.3, 0.01, True, EQUAL),
        (0.5, 0.3, math.nan, True, UNTESTED),
        (math.nan, 0.3, 0.01, True, BETTER),
        (math.nan, 0.3, 0.01, False, WORSE),
        (math.nan, -0.3, 0.01, False, BETTER),
    ],
)
def test_verdicts(paper_difference, difference, p, higher, word):
    assert verdict(paper_difference, difference, p, higher=higher) == word


def test_holm_is_within_a_family_and_methods_that_were_not_run_are_not_in_it():
    """Over six patients: p of ours - mse and ours - nll times 2 and 1, whatever else the table has."""
    rng = np.random.default_rng(0)
    base = rng.random(6) / 10 + 0.7
    runs = {"ours": base, "mse": base - 0.01 - rng.random(6) / 50, "nll": base - rng.random(6) / 20}
    found = book(*(score(v, n, patients="abcdef") for n, v in runs.items())).comparisons()
    pair = [comparison(found, "ours", name) for name in ("mse", "nll")]
    raw = sorted(c.p_patients for c in pair)
    assert sorted(c.p_holm for c in pair) == pytest.approx([2 * raw[0], max(2 * raw[0], raw[1])])
    assert comparison(found, "mse", "nll").p_holm == comparison(found, "mse", "nll").p_patients
    assert {c.claim.second for c in found if c.claim.table == "1"} == {"mse", "nll"}
    assert [c.verdict for c in pair] == [HOLDS, HOLDS]
    assert tally(pair)[HOLDS] == 2
    (line,) = [text for text in verdict_lines(book(), found) if "Table 1" in text]
    assert line.endswith("Of ours alone: 6 comparisons (holds 2, not tested 4).")


def test_a_reversed_order_is_told_as_such():
    better = score(np.array([0.9, 0.91, 0.92, 0.93, 0.94]), "nll", patients="abcde")
    worse = score(np.array([0.8, 0.82, 0.81, 0.84, 0.83]), "ours", patients="abcde")
    made = book(better, worse)
    found = made.comparisons()
    assert comparison(found, "ours", "nll").verdict == FAILS
    (line,) = [text for text in verdict_lines(made, found) if "Table 1" in text]
    assert "3 comparisons (does not hold 1, not tested 2)" in line


def test_a_measure_where_less_is_better_holds_when_it_is_less():
    claim = Claim("1", "s", "voxelmorph", "hd", "ours", "mse", 4.57 - 4.64, "f")
    values = {"ours": np.array([4.0, 4.1, 4.3, 4.2]), "mse": np.array([4.5, 4.7, 4.9, 4.8])}
    named = {n: score(v, n, patients="abcd", key="hd_published_px_2") for n, v in values.items()}
    (found,) = compare([claim], lambda c, name: series([named[name]], PUBLISHED["hd"], 2), MEASURES)
    assert found.difference == pytest.approx(-0.575)
    assert found.verdict == HOLDS


def test_ordering_has_every_pair_once_with_the_papers_difference():
    claims = ordering("1", "s", "n", "dice", {"mse": 80.2, "nll": 76.5, "ours": 80.7}, "ours")
    assert [(c.first, c.second, c.paper) for c in claims] == [
        ("ours", "mse", 0.5),
        ("ours", "nll", 4.2),
        ("mse", "nll", 3.7),
    ]
    assert len({c.family for c in claims}) == 2


def test_the_papers_numbers():
    table = paper.printed("1", "acdc", "voxelmorph")
    assert len(table) == 8
    assert table["ours"] == {"dice": 80.73, "hd": 4.57, "asd": 1.21}
    assert paper.printed("1", "camus", "transmorph")["adaframe"] == {"dice": 78.06, "hd": 9.86, "asd": 1.91}
    assert paper.printed("1", "camus", "")["elastix"]["dice"] == 80.18
    assert paper.printed("3", "echo3d", "voxelmorph")["ours"]["asd"] == 0.93
    assert list(paper.printed("4", "camus", "voxelmorph")) == ["gamma_0.25", "ours", "gamma_0.75", "gamma_1"]
    assert paper.printed("5", "acdc", "voxelmorph")["ours_sigma_z"]["dice"] == 79.87
    assert paper.printed("4", "acdc", "transmorph") == {}
    assert paper.printed_p("acdc", "transmorph") == 1.02e-41
    assert paper.printed_ause("camus", "voxelmorph") == {"nll": 14e-5, "beta_nll": 5e-5, "ours": 5e-5}


def test_which_numbers_of_the_paper_a_source_is_shown_beside():
    config = ReproduceConfig(dataset="phantom+pairs", root="x", kind="echo2d_sax+echo3d")
    assert [paper.paper_set(s, config) for s in config.sources] == ["camus", "echo3d", "camus"]
    assert paper.paper_set("pairs", ReproduceConfig(kind="mri2d")) == "acdc"
    assert paper.main_table("echo3d") == "3"
    assert paper.is_own("acdc")
    assert not paper.is_own("pairs")


def test_tables_have_every_run_and_what_failed():
    failed = Score("voxelmorph", "nll", 0, "phantom:mri2d", error="Step 7: loss is not a finite number.")
    plain = score((0.5, 0.5, 0.5, 0.6), "undeformed")
    again = score((0.82, 0.86, 0.72, 0.76), seed=1)
    made = book(OURS, again, MSE, failed, plain, score((0.8, 0.8, 0.7, 0.7), "gamma_1"))
    found = tables(made, made.comparisons())
    assert set(found) == {
        "table1-phantom-mri2d",
        "table2-phantom-mri2d",
        "table4-phantom-mri2d",
        "ause-phantom-mri2d",
        "corrected-phantom-mri2d",
        "controls-phantom-mri2d",
        "verdicts-phantom-mri2d",
        "comparisons",
    }
    rows = {row[1]: row for row in found["table1-phantom-mri2d"].rows}
    assert list(rows) == ["Undeformed", "MSE", "NLL", "Ours (SNR-weighted)"]
    ours = rows["Ours (SNR-weighted)"]
    assert ours[3] == "2 of 2"
    assert ours[4] == Spread(pytest.approx(78.0), pytest.approx(math.sqrt(2)))
    assert ours[6] == 80.73
    assert rows["Undeformed"][4] == pytest.approx(52.5)
    assert rows["NLL"][3] == "0 of 1"
    assert rows["NLL"][4] is None
    assert rows["NLL"][-1] == "Step 7: loss is not a finite number."
    gamma = {row[1]: row for row in found["table4-phantom-mri2d"].rows}
    assert set(gamma) == {"Ours (SNR-weighted)", "Ours, gamma 1"}
    (p_row,) = found["table2-phantom-mri2d"].rows
    assert p_row[-1] == Shown("0.02", 0.02)
    tested = comparison(made.comparisons(), "ours", "mse")
    shown = dict(zip((c.heading for c in found["table2-phantom-mri2d"].columns), p_row, strict=True))
    names = {"published way": "published", "patients (t)": "patients", "patients (Wilcoxon)": "wilcoxon"}
    for name, p in (names | {"Holm": "holm"}).items():
        assert shown[f"p, {name}"].text == p_value(getattr(tested, f"p_{p}"))
    assert all(row[2].startswith("Ours (SNR-weighted) - ") for row in found["verdicts-phantom-mri2d"].rows)
    raw = found["comparisons"].rows
    assert {row[0] for row in raw} == {"1", "4", "controls"}
    assert sum(row[0] == "controls" for row in raw) == len(found["controls-phantom-mri2d"].rows) > 0
    assert [c.p for c in found["comparisons"].columns].count(True) == 5
    for table in found.values():
        assert "nan" not in markdown(table)
    assert "compare the order" in markdown(found["table1-phantom-mri2d"])


def test_pairs_without_labels_of_the_structure_are_counted_and_named():
    rows = [
        {"case": "a_slice00", "patient": "a", "error": "", "dice_published_2": 0.8},
        {"case": "a_slice01", "patient": "a", "error": ""},  # a slice that has nothing of it
        {"case": "b_slice00", "patient": "b", "error": ""},
        {"case": "b_slice01", "patient": "b", "error": ""},
        {"case": "c_slice00", "patient": "c", "error": "", "slices_left_out_2": 1},
        {"case": "d", "patient": "d", "error": "It is damaged."},
    ]
    runs = [Score("voxelmorph", "ours", seed, "phantom:mri2d", rows) for seed in (0, 1)]
    expected = {"published": "1 of 3 (b)", "native": "3 of 5 (a_slice01, b_slice00, b_slice01)"}
    for protocol, found in expected.items():
        made = book(*runs)
        made = replace(made, config=replace(made.config, protocol=protocol))
        lines = readme(made, [], {}, {}, [], []).splitlines()
        assert [line for line in lines if "labels" in line] == [
            "- test pairs of phantom:mri2d without DSC, HD and ASD, as the two images do not both have "
            f"labels of the structure: {found}."
        ]
    assert "labels" not in readme(book(replace(runs[0], rows=rows[:1])), [], {}, {}, [], [])


def test_the_table_of_lambda_shows_all_values_and_the_one_taken():
    table = lambda_table(
        {("voxelmorph", "mse"): {0.01: 0.7, 0.1: 0.8}, ("voxelmorph", "ours"): {0.01: 0.9}},
        {("voxelmorph", "mse"): 0.1, ("voxelmorph", "ours"): 0.01},
    )
    assert [c.heading for c in table.columns] == ["Network", "Method", "0.01", "0.1", "Taken"]
    assert table.rows == (
        ("VoxelMorph", "MSE", 0.7, 0.8, "0.1"),
        ("VoxelMorph", "Ours (SNR-weighted)", 0.9, None, "0.01"),
    )
    assert "edge of what was tried, so perhaps not the best: MSE, Ours" in table.notes[0]
