"""What a table says of one comparison, and what it leaves out."""

from __future__ import annotations

import math
from dataclasses import replace

from hetreg.reproduce import notes
from hetreg.reproduce.book import CONTROL, Book
from hetreg.reproduce.comparisons import HOLDS, Claim, Comparison
from hetreg.reproduce.config import ReproduceConfig
from hetreg.reproduce.scores import Score
from hetreg.reproduce.sheets import corrected, lambda_table, tables
from hetreg.reproduce.verdicts import bounds, claims, paired_tests, verdict_lines
from hetreg.tables import Interval, Shown

SOURCE = "phantom:mri2d"
FOUND = Comparison(
    Claim("1", SOURCE, "voxelmorph", "dice", "ours", "mse", 0.53, "f"), 2.5, 1.0, 4.0, verdict=HOLDS
)
OF_CONTROL = replace(FOUND, claim=replace(FOUND.claim, table=CONTROL, paper=math.nan))
BOTH = [FOUND, OF_CONTROL]


def test_the_papers_tables_have_no_control():
    book = Book(ReproduceConfig(), [])
    table = claims(book, SOURCE, BOTH)
    (row,) = table.rows
    assert row[5:7] == (Shown("2.50", 2.5), Shown("1.00 to 4.00", Interval(1.0, 4.0)))
    assert table.notes == (notes.CLAIMS,)
    (row,) = paired_tests(book, SOURCE, BOTH).rows
    assert row[1:3] == (Shown("2.500", 2.5), Shown("1.000 to 4.000", Interval(1.0, 4.0)))
    (line,) = verdict_lines(book, BOTH)
    assert line.endswith(": 1 comparison (holds 1).")
    assert bounds(math.nan, math.nan, 2).text == ""


def test_the_corrected_numbers_are_those_that_were_measured_of_baselines_and_networks():
    rows = [{"case": "a", "patient": "a", "error": "", "dice_2": 0.8, "nll": math.nan}]
    runs = [("voxelmorph", "ours"), ("", "undeformed")]
    table = corrected(Book(ReproduceConfig(), [Score(*run, 0, SOURCE, rows) for run in runs]), SOURCE)
    assert [row[:2] for row in table.rows] == [("", "Undeformed"), ("VoxelMorph", "Ours (SNR-weighted)")]
    assert [len(row) for row in table.rows] == [3, 3]
    assert table.notes == (notes.CORRECTED,)
    measured = corrected(
        Book(ReproduceConfig(), [Score(*runs[0], 0, SOURCE, [rows[0] | {"nll_truth": -2.0}])]), SOURCE
    )
    assert measured.notes == (f"{notes.CORRECTED} {notes.CORRECTED_NOISE}",)


def test_a_slice_that_lacks_one_of_the_measures_is_missing_and_the_papers_number_stands_beside_ours():
    cases = [{"case": "a", "patient": "a", "error": ""}]
    whole = {"case": "a", "patient": "a", "dice_published_2": 0.5}
    whole |= {"hd_published_px_2": 4.0, "asd_published_px_2": 1.0}
    slices = [whole | {"slice": 0}, whole | {"slice": 1, "hd_published_px_2": math.nan}]
    made = Book(ReproduceConfig(), [Score("voxelmorph", "ours", 0, SOURCE, cases, slices)])
    table = tables(made, made.comparisons())["table1-phantom-mri2d"]
    ((*_cells, missing, error),) = table.rows
    assert (missing, error) == (1, "")
    groups = [(c.group, c.heading) for c in table.columns if c.group]
    assert groups == [
        *(("DSC (%)", heading) for heading in ("here", "95 % interval", "paper")),
        *((measure, heading) for measure in ("HD (px)", "ASD (px)") for heading in ("here", "paper")),
    ]


def test_a_tolerance_of_lambda_is_said_where_there_is_one():
    scores = {("voxelmorph", "mse"): {0.01: 0.7, 0.1: 0.8}}
    best = {("voxelmorph", "mse"): 0.1}
    assert "within" not in lambda_table(scores, best).caption
    assert lambda_table(scores, best, 0.005).caption.endswith("; the largest within 0.005 of the best")
