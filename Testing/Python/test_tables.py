"""Tables in their forms, numbers and headings."""

from __future__ import annotations

import csv
import io
import math
import re

import pytest

from builders import assert_sentence
from hetreg import tables
from hetreg.measures import metric_column
from hetreg.tables import Column, Interval, Shown, Spread, Table, number, p_value

NAN = float("nan")
TABLE = Table(
    (
        Column("Method"),
        Column("Dice", 2, "high", "MRI"),
        Column("HD (mm)", 1, "low", "MRI"),
        Column("p", p=True, group="MRI"),
    ),
    (
        ("ours & more_of", Spread(0.912, 0.034), 4.04, NAN),
        ("MSE <b>|x|", Spread(0.896, NAN), 3.96, 1.02e-41),
        ("none", None, NAN, 0.0341),
    ),
    "Table 1: 50 % of γ",
    ("One note.",),
)


def test_markdown():
    assert tables.markdown(TABLE).splitlines() == [
        "**Table 1: 50 % of γ**",
        "",
        "| Method | MRI Dice | MRI HD (mm) | MRI p |",
        "| --- | ---: | ---: | ---: |",
        r"| ours & more\_of | **0.91 ± 0.03** | **4.0** | – |",
        r"| MSE \<b\>\|x\| | 0.90 | **4.0** | < 0.001 |".replace("< 0", r"\< 0"),
        "| none | – | – | 0.034 |",
        "",
        "One note.",
    ]


def test_csv_holds_the_numbers_in_full():
    assert "\r" not in tables.csv_text(TABLE)
    rows = list(csv.reader(io.StringIO(tables.csv_text(TABLE))))
    assert rows[0] == ["Method", "MRI Dice", "MRI Dice SD", "MRI HD (mm)", "MRI p"]
    assert rows[1] == ["ours & more_of", "0.912", "0.034", "4.04", ""]
    assert rows[2] == ["MSE <b>|x|", "0.896", "", "3.96", "1.02e-41"]
    assert rows[3] == ["none", "", "", "", "0.0341"]


def test_latex_is_escaped_and_grouped():
    text = tables.latex(TABLE, "tab:one")
    assert r"\caption{50 \% of $\gamma$}" in text  # LaTeX has numbers of its own
    assert r"\label{tab:one}" in text
    assert r"\begin{tabular}{lrrr}" in text
    assert r"\multicolumn{1}{c}{} & \multicolumn{3}{c}{MRI} \\" in text
    assert r"ours \& more\_of & \textbf{0.91 $\pm$ 0.03} & \textbf{4.0} & -- \\" in text
    assert text.count("{") == text.count("}")
    assert text.isascii()


def test_latex_of_a_table_longer_than_a_page_goes_on_on_the_next_and_many_columns_are_small():
    columns = tuple(Column(f"c{n}", group="" if n else "all") for n in range(9))
    rows = tuple(tuple(range(9)) for _ in range(60))
    short, long = (tables.latex(Table(columns, some, "Many", ("One note.",))) for some in (rows[:5], rows))
    assert long.splitlines()[0].startswith(r"% \usepackage{booktabs}\usepackage{longtable}")
    assert r"\begin{longtable}{rrrrrrrrr}" in long
    assert r"\begin{table}" not in long
    assert (
        long.count(r"c0 & c1") == long.count("{all}") == 2
    )  # the headings of the first page and of the next
    assert long.count("0 & 1 & 2") == 60
    assert long.rstrip().endswith(r"\endgroup")
    assert short.splitlines()[0].startswith(r"% \usepackage{booktabs}")
    assert "longtable" not in short
    assert r"\scriptsize" in short
    assert r"\scriptsize" in long
    assert r"\scriptsize" not in tables.latex(Table(columns[:8], tuple(row[:8] for row in rows)))
    assert "longtable" not in tables.latex(Table(columns, rows[:40]))


def test_latex_has_no_cell_that_is_wider_than_a_page():
    reason = "Step 7: the loss is not a finite number, so that nothing more can be learned. " * 2
    table = Table((Column("Error"),), ((reason,), ("Ours",)), "Figure 3: sparsification")
    text = tables.latex(table)
    assert r"\caption{Sparsification}" in text
    assert max(map(len, text.splitlines())) < 100
    assert r"\ldots{} \\" in text
    assert reason[:70] in text
    assert reason in tables.csv_text(table)
    assert reason in tables.markdown(table)


def test_latex_cuts_no_number_in_two():
    seeds = ", ".join(f"0.{n}" for n in range(100, 120))
    text = tables.latex(Table((Column("Each seed"),), ((seeds,), ("-",)), "Seeds"))
    assert r"0.109, 0.110,\ldots{} \\" in text


def _plain(line: str) -> str:
    """A line of LaTeX without what is escaped."""
    return re.sub(r"\\[\\%{}&#$_]", " ", line)


def test_every_latex_table_of_the_results_is_whole(root):
    """No comment but the first line, braces in pairs, and as many cells in each row as columns."""
    files = sorted((root / "docs" / "results").rglob("*.tex"))
    assert len(files) > 100
    for path in files:
        lines = path.read_text(encoding="utf-8").removeprefix("% ").splitlines()
        text = "\n".join(map(_plain, lines))
        assert "%" not in text, path
        assert text.count("{") == text.count("}"), path
        (columns,) = re.findall(r"\\begin\{(?:tabular|longtable)\}\{([lr]+)\}", text)
        for row in (line for line in lines if " & " in line):
            merged = [int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", row)]
            assert _plain(row).count("&") + 1 + sum(merged) == len(columns), (path, row)


def test_latex_signs():
    assert tables.escape_latex(r"\a~b^{#}") == r"\textbackslash{}a\textasciitilde{}b\textasciicircum{}\{\#\}"


def test_a_column_has_the_same_digits_all_over():
    table = Table((Column("x"), Column("n"), Column("small")), ((0.5, 3, 1e-5), (12.3456, 40, 2.5e-5)))
    assert tables.markdown(table).splitlines()[2:] == [
        "| 0.50 | 3 | 1.00e-05 |",
        "| 12.35 | 40 | 2.50e-05 |",
    ]


def test_a_row_of_one_quantity_has_its_own_digits():
    rows = (("Dice", 7, Spread(0.85, 0.0321), Interval(0.8, 0.912)), ("HD", 12, Spread(12.0, 3.25), None))
    heads = tuple(Column(name) for name in ("Number", "cases", "mean", "interval"))
    table = Table(heads, rows, by_row=True)
    assert tables.markdown(table).splitlines()[2:] == [
        "| Dice | 7 | 0.850 ± 0.032 | 0.800 to 0.912 |",
        "| HD | 12 | 12.0 ± 3.2 | – |",
    ]
    assert tables.csv_text(table).splitlines() == [
        "Number,cases,mean,mean SD,interval low,interval high",
        "Dice,7,0.85,0.0321,0.8,0.912",
        "HD,12,12.0,3.25,,",
    ]


def test_a_cell_with_a_text_of_its_own_has_its_numbers_in_csv():
    table = Table((Column("p"), Column("range")), ((Shown("tiny", 1e-9), Shown("wide", Interval(1.0, 9.5))),))
    assert tables.markdown(table).splitlines()[1:] == ["| --- | --- |", "| tiny | wide |"]
    assert tables.csv_text(table).splitlines() == ["p,range low,range high", "1e-09,1.0,9.5"]


def test_numbers():
    assert [number(v) for v in (0.81234, 12.0, 123.46, 0.0, 3e-5, NAN)] == [
        "0.8123",
        "12",
        "123.5",
        "0",
        "3.00e-05",
        "–",
    ]
    assert number(-math.inf) == "−∞"
    assert number(1.26, 1) == "1.3"
    assert [p_value(p) for p in (0.05, 0.0004, NAN)] == ["0.050", "< 0.001", "–"]


def test_headings_come_from_the_registry():
    assert metric_column("hd95_mm_2_before").heading == "HD95 (mm), label 2, before"
    assert metric_column("hd95_mm_2_before").better == "low"
    assert metric_column("dice_published_3").heading == "Dice, published, label 3"
    assert metric_column("dice_3").better == "high"
    assert metric_column("nll_true_variance").heading == "NLL (nats), true variance"
    assert metric_column("coverage95_truth").heading == "Coverage 95 %, simulated noise"
    assert metric_column("peak_memory_mb").heading == "Memory (MB)"
    assert metric_column("slices_left_out_3").heading == "Slices left out, label 3"
    assert metric_column("some_thing").heading == "some thing"


def test_files(tmp_path):
    files = tables.write_table(TABLE, tmp_path / "table1")
    assert {k: f.name for k, f in files.items()} == {k: f"table1.{k}" for k in ("md", "csv", "tex")}
    assert files["md"].read_text(encoding="utf-8") == tables.markdown(TABLE)
    with pytest.raises(OSError, match="table1") as caught:
        tables.write_table(TABLE, tmp_path / "no" / "table1")
    assert_sentence(caught.value, "table1.md could not be written")


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="1 cells: 2 are accepted"):
        Table((Column("a"), Column("b")), ((1,),))
