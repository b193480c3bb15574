"""What a table says of one comparison, and what it leaves out."""

from __future__ import annotations

import math
from dataclasses import replace

from hetreg.reproduce import notes
from hetreg.reproduce.book import CONTROL, Book
from hetreg.reproduce.comparisons import HOLDS, Claim, Comparison
from hetreg.reproduce.config import ReproduceConfig
from hetreg.reproduce.scores import Score
from hetreg.reproduce.sheets import corrected
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
