"""Tables of numbers as Markdown, CSV and LaTeX, and as text for other forms."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .files import write_whole

ABSENT = "–"
ABOUT = ("case", "patient", "split", "slice", "model", "error", "note")  # an evaluation's columns of text
_MOST_DIGITS = 6  # behind the decimal point; smaller numbers are written with an exponent
_ROWS_OF_A_PAGE, _COLUMNS_OF_A_PAGE, _LETTERS_OF_A_CELL = 40, 8, 80  # in print


@dataclass(frozen=True)
class Spread:
    """A mean with its standard deviation; a cell, "0.85 ± 0.03". CSV has it in two columns."""

    mean: float
    sd: float


@dataclass(frozen=True)
class Interval:
    """A cell, "0.80 to 0.88". CSV has it in two columns."""

    low: float
    high: float


@dataclass(frozen=True)
class Shown:
    """A cell with a text of its own, as where each row has other digits. CSV has the value in its place."""

    text: str
    value: str | float | Interval


Cell = str | int | float | Spread | Interval | Shown | None


@dataclass(frozen=True)
class Column:
    """heading: may hold a unit. digits: behind the decimal point, None for about four significant ones of the
    column's largest number. better: "high" or "low" prints the best number of the column bold. group: a
    heading above several columns, next to each other. p: p-values, "< 0.001" where they are small."""

    heading: str
    digits: int | None = None
    better: str = ""
    group: str = ""
    p: bool = False


@dataclass(frozen=True)
class Table:
    """Columns and rows of cells; None and NaN are shown as a dash. caption and notes: sentences. by_row: each
    row is of one quantity and its numbers have the same digits, for three significant ones; whole ones are
    counts."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    notes: tuple[str, ...] = ()
    by_row: bool = False

    def __post_init__(self) -> None:
        wrong = [len(row) for row in self.rows if len(row) != len(self.columns)]
        if wrong:
            raise ValueError(
                f"A row of {wrong[0]} cells: {len(self.columns)} are accepted, as many as columns."
            )


def number(value: float, digits: int | None = None) -> str:
    """The number as a reader wants it: that many digits, or four significant ones; a dash for NaN."""
    if math.isnan(value):
        return ABSENT
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if digits is None:
        digits = _digits([value], 4)
    return f"{value:.2e}" if digits > _MOST_DIGITS else f"{value:.{digits}f}"


def p_value(p: float) -> str:
    """ "0.034", and "< 0.001" below that."""
    return "< 0.001" if p < 1e-3 else number(p, 3)


def markdown(table: Table) -> str:
    """A pipe table; the groups are in front of the headings."""
    heads = [_escape_markdown(f"{c.group} {c.heading}".strip()) for c in table.columns]
    rules = ["---" if is_text(table, i) else "---:" for i in range(len(heads))]
    body = text_rows(table, _escape_markdown, "**{}**")
    lines = ["| " + " | ".join(row) + " |" for row in (heads, rules, *body)]
    words = [f"**{_escape_markdown(table.caption)}**", ""] if table.caption else []
    notes = [line for note in table.notes for line in ("", _escape_markdown(note))]
    return "\n".join([*words, *lines, *notes]) + "\n"


def csv_text(table: Table) -> str:
    """Numbers in full; nothing for what is absent; a column of `Spread` or `Interval` makes two."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = [
        _csv_column(f"{c.group} {c.heading}".strip(), [row[i] for row in table.rows])
        for i, c in enumerate(table.columns)
    ]
    writer.writerow([head for heads, _ in columns for head in heads])
    for cells in zip(*(cells for _, cells in columns), strict=True):
        writer.writerow(["" if v is None or v != v else v for parts in cells for v in parts])
    return stream.getvalue()


def _csv_column(heading: str, cells: Sequence[Cell]) -> tuple[list[str], list[tuple]]:
    """Its headings and, for each row, as many values."""
    cells = [c.value if isinstance(c, Shown) else c for c in cells]
    if any(isinstance(c, Spread) for c in cells):
        pairs = [(c.mean, c.sd) if isinstance(c, Spread) else (c, None) for c in cells]
        return [heading, f"{heading} SD"], pairs
    if any(isinstance(c, Interval) for c in cells):
        pairs = [(c.low, c.high) if isinstance(c, Interval) else (c, None) for c in cells]
        return [f"{heading} low", f"{heading} high"], pairs
    return [heading], [(c,) for c in cells]


def latex(table: Table, label: str = "") -> str:
    """A `table`, or a `longtable` where a page has no room for the rows, in the style of booktabs, for
    pdfLaTeX too; text is escaped, and a long one cut. Many columns are set small. A caption loses its "Table
    1: ", as LaTeX numbers it."""
    long, wide = len(table.rows) > _ROWS_OF_A_PAGE, len(table.columns) > _COLUMNS_OF_A_PAGE
    packages = ["booktabs", *["longtable"] * long]
    lines = ["% " + "".join(rf"\usepackage{{{name}}}" for name in packages)]
    lines[0] += " and, for a landscape page, pdflscape" if wide else ""
    small = [r"\scriptsize\setlength{\tabcolsep}{3pt}"] if wide else []
    caption = re.sub(r"^(?:Table|Figure) \d+: (.)", lambda found: found[1].upper(), table.caption)
    named = [rf"\caption{{{escape_latex(caption)}}}"] if caption else []
    named += [rf"\label{{{label}}}"] if label else []
    places = "".join("l" if is_text(table, i) else "r" for i in range(len(table.columns)))
    head = _latex_head(table)
    rows = [" & ".join(row) + r" \\" for row in text_rows(table, _short_latex, r"\textbf{{{}}}")]
    notes = [rf"\par\smallskip {escape_latex(note)}" for note in table.notes]
    if long:
        lines += [r"\begingroup", *small, rf"\begin{{longtable}}{{{places}}}"]
        lines += [*named, r"\\"] if named else []
        lines += [*head, r"\endfirsthead", *head, r"\endhead", r"\bottomrule", r"\endfoot"]
        return "\n".join([*lines, *rows, r"\end{longtable}", *notes, r"\endgroup"]) + "\n"
    lines += [r"\begin{table}", r"\centering", *small, *named, rf"\begin{{tabular}}{{{places}}}"]
    lines += [*head, *rows, r"\bottomrule", r"\end{tabular}", *notes, r"\end{table}"]
    return "\n".join(lines) + "\n"


def _latex_head(table: Table) -> list[str]:
    """The rule above, the groups if there are any, and the headings."""
    groups = [rf"\multicolumn{{{n}}}{{c}}{{{escape_latex(name)}}}" for name, n in group_spans(table)]
    above = [" & ".join(groups) + r" \\"] if groups else []
    heads = " & ".join(escape_latex(c.heading) for c in table.columns) + r" \\"
    return [r"\toprule", *above, heads, r"\midrule"]


def write_table(table: Table, stem: Path) -> dict[str, Path]:
    """Write stem.md, stem.csv and stem.tex; the files by ending. Raises OSError."""
    texts = {"md": markdown(table), "csv": csv_text(table), "tex": latex(table, f"tab:{stem.name}")}
    files = {}
    for ending, text in texts.items():
        path = files[ending] = stem.with_name(f"{stem.name}.{ending}")
        write_whole(path, text)
    return files


def _value(cell: Cell) -> float:
    """The number that a cell is compared by; NaN if it has none."""
    if isinstance(cell, Spread):
        return cell.mean
    return float(cell) if isinstance(cell, int | float) else math.nan


def _numbers(cell: Cell) -> tuple[float, ...]:
    """All numbers of a cell."""
    if isinstance(cell, Interval):
        return cell.low, cell.high
    return (cell.mean, cell.sd) if isinstance(cell, Spread) else (_value(cell),)


def _digits(values: Sequence[float], significant: int) -> int:
    """Behind the decimal point, for that many significant ones of the largest; 0 if all are whole."""
    known = [abs(v) for v in values if math.isfinite(v)]
    if all(v == int(v) for v in known):
        return 0
    return max(0, significant - 1 - math.floor(math.log10(max(known))))


def _shown_digits(cells: Sequence[Cell], digits: int | None, significant: int = 4) -> int:
    return _digits([v for c in cells for v in _numbers(c)], significant) if digits is None else digits


def _text(cell: Cell, column: Column, digits: int) -> str:
    if cell is None or isinstance(cell, str | Shown):
        return ABSENT if cell is None else cell if isinstance(cell, str) else cell.text
    if isinstance(cell, Spread | Interval):
        first, second = (number(v, digits) for v in _numbers(cell))
        sign = "±" if isinstance(cell, Spread) else "to"
        return first if second == ABSENT else f"{first} {sign} {second}"
    return p_value(cell) if column.p else number(cell, digits)


def is_text(table: Table, column: int) -> bool:
    """True if the column has a text in it."""
    return any(isinstance(row[column], str | Shown) for row in table.rows)


def group_spans(table: Table) -> list[tuple[str, int]]:
    """(heading, columns below it) from left to right; nothing if no column has one."""
    groups: list[tuple[str, int]] = []
    for column in table.columns:
        if groups and groups[-1][0] == column.group:
            groups[-1] = (column.group, groups[-1][1] + 1)
        else:
            groups.append((column.group, 1))
    return groups if any(name for name, _ in groups) else []


def text_rows(table: Table, escape: Callable[[str], str], bold: str) -> list[list[str]]:
    """The cells as text; the best of a column, as far as its digits show, in bold."""
    shown: list[list[str]] = [[] for _ in table.rows]
    for i, column in enumerate(table.columns):
        cells = [row[i] for row in table.rows]
        digits = _shown_digits(cells, column.digits)
        best = "" if table.by_row else _best(cells, column, digits)
        for row, line in zip(table.rows, shown, strict=True):
            text = _by_row(row, i) if table.by_row else _text(row[i], column, digits)
            line.append(bold.format(escape(text)) if best and text.split(" ± ")[0] == best else escape(text))
    return shown


def _by_row(row: Sequence[Cell], i: int) -> str:
    """A cell with the digits that suit its row."""
    if isinstance(row[i], int):
        return str(row[i])
    measured = [c for c in row if not isinstance(c, int)]
    return _text(row[i], Column(""), _shown_digits(measured, None, 3))


def _best(cells: Sequence[Cell], column: Column, digits: int) -> str:
    values = [v for v in map(_value, cells) if not math.isnan(v)]
    if not column.better or len(values) < 2:
        return ""
    return number(max(values) if column.better == "high" else min(values), digits)


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", text).replace("\n", " ")


_LATEX = {c: rf"\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "∞": r"$\infty$",
    "−": r"$-$",
    "–": "--",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "λ": r"$\lambda$",
    "σ": r"$\sigma$",
    "²": r"$^2$",
    "…": r"\ldots{}",
    "\n": " ",
}


def escape_latex(text: str) -> str:
    """The text as LaTeX prints it, with the few signs beyond ASCII that our tables use."""
    return "".join(_LATEX.get(character, character) for character in text)


def _short_latex(text: str) -> str:
    """`escape_latex` of a cell; what a line has no room for, as the reason of a failure, is cut."""
    if len(text) > _LETTERS_OF_A_CELL:  # between words: half a number would be another one
        text = text[:_LETTERS_OF_A_CELL].rpartition(" ")[0] or text[: _LETTERS_OF_A_CELL - 1]
        text = f"{text.rstrip()}…"
    return escape_latex(text)
