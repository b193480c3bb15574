"""The tests as tables and in words: Table 2, the controls, and every comparison of the paper."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..evaluation.case import MYOCARDIUM
from ..registry import NETWORKS
from ..tables import Cell, Column, Interval, Shown, Table, number, p_value
from . import notes
from .book import CONTROL, FIGURE3, MEASURES, Book
from .comparisons import Comparison, tally
from .config import source_label
from .paper import main_table, paper_set, printed_p
from .plan import OURS
from .variants import VARIANTS

LABELS = {2: "left-ventricular myocardium", 3: "left-ventricular cavity"}
_TESTS = (
    Column("Difference"),
    Column("95 % interval"),
    Column("Each seed"),
    Column("p, published way"),
    Column("p, patients (t)"),
    Column("p, patients (Wilcoxon)"),
    Column("p, Holm"),
    Column("p, seeds (t)"),
    Column("Units"),
    Column("Patients"),
    Column("Verdict"),
)
_RAW = (
    "Table",
    "Source",
    "Network",
    "Measure",
    "First",
    "Second",
    "Difference, paper",
    "Difference",
    "Low",
    "High",
    "Each seed",
    "p, published way",
    "p, patients (t)",
    "p, patients (Wilcoxon)",
    "p, Holm",
    "p, seeds (t)",
    "Units",
    "Patients",
    "Verdict",
)


def paired_tests(book: Book, source: str, comparisons: Sequence[Comparison]) -> Table:
    """Table 2: ours against MSE in DSC."""
    data, rows = paper_set(source, book.config), []
    for c in comparisons:
        wanted = (source, "dice", OURS, "mse", main_table(data))
        if (c.claim.source, c.claim.measure, c.claim.first, c.claim.second, c.claim.table) == wanted:
            p = printed_p(data, c.claim.network)
            paper = None if math.isnan(p) else Shown(f"{p:.3g}", p)
            rows.append((NETWORKS[c.claim.network].label, *_tests(c), paper))
    columns = (Column("Network"), *_TESTS, Column("p, paper"))
    caption = f"Table 2: ours against MSE in DSC, {where(book, source)}"
    return Table(columns, tuple(rows), caption, (notes.PAIRED,))


def controls(book: Book, source: str, comparisons: Sequence[Comparison]) -> Table:
    """Does the weight help by its places, or as a constant would? Ours against its controls, and
    our forms of the weight against the baselines."""
    found = [c for c in comparisons if c.claim.table == CONTROL and c.claim.source == source]
    rows = [(*_pair(c), *_tests(c)) for c in found]
    columns = (Column("Network"), Column("Pair"), Column("Measure"), *_TESTS)
    caption = f"Controls that the paper lacks, {where(book, source)}"
    weights = [notes.WEIGHTS[n] for n in dict.fromkeys(c.claim.second for c in found) if n in notes.WEIGHTS]
    return Table(columns, tuple(rows), caption, (*filter(None, [" ".join(weights)]), notes.CONTROLS))


def claims(book: Book, source: str, comparisons: Sequence[Comparison]) -> Table:
    """The paper's own claims: ours against each other method, and all pairs of its Table 5."""
    rows = []
    for c in comparisons:
        claimed = c.claim.first == OURS or c.claim.table == "5"
        if c.claim.source == source and c.claim.table != CONTROL and claimed:
            digits = MEASURES[c.claim.measure].digits
            paper, here = (Shown(number(v, digits), v) for v in (c.claim.paper, c.difference))
            tests = (bounds(c.low, c.high, digits), _seeds(c), _p(c.p_holm), _p(c.p_seeds), c.verdict)
            rows.append((c.claim.table, *_pair(c), paper, here, *tests))
    names = ("Table", "Network", "Pair", "Measure")
    numbers = ("Paper", "Here", "95 % interval", "Each seed", "p, Holm", "p, seeds (t)")
    caption = f"Does the paper's ordering hold? {where(book, source)}"
    other = () if book.label(source) == MYOCARDIUM else (notes.OTHER_STRUCTURE,)
    columns = tuple(Column(head) for head in (*names, *numbers, "Verdict"))
    return Table(columns, tuple(rows), caption, (notes.CLAIMS, *other))


def every_comparison(comparisons: Sequence[Comparison]) -> Table:
    """All comparisons, those with the controls too, with their tests and verdicts, as plain numbers."""
    rows = []
    for c in comparisons:
        names = (c.claim.table, c.claim.source, c.claim.network, c.claim.measure)
        pair = (c.claim.first, c.claim.second, c.claim.paper, c.difference, c.low, c.high)
        tests = (
            _seeds(c),
            c.p_published,
            c.p_patients,
            c.p_wilcoxon,
            c.p_holm,
            c.p_seeds,
            c.units,
            c.patients,
            c.verdict,
        )
        rows.append((*names, *pair, *tests))
    caption = "Every comparison of the paper, and the controls"
    columns = tuple(Column(head, p=head.startswith("p, ")) for head in _RAW)
    return Table(columns, tuple(rows), caption, (notes.ALL_TESTS,))


def verdict_lines(book: Book, comparisons: Sequence[Comparison]) -> list[str]:
    """How many comparisons of each table and network hold, one line each; then those of ours alone."""
    lines = []
    keys = dict.fromkeys((c.claim.source, c.claim.table, c.claim.network) for c in comparisons)
    for source, table, network in keys:
        if table == CONTROL:
            continue
        key = (source, table, network)
        found = [c for c in comparisons if (c.claim.source, c.claim.table, c.claim.network) == key]
        name = f"Table {table}" if table != FIGURE3 else "Figure 3"
        line = f"- {name}, {source_label(source, book.config)}, {NETWORKS[network].label}: {_counts(found)}"
        mine = [c for c in found if c.claim.first == OURS and table != "5"]
        lines.append(line + (f" Of ours alone: {_counts(mine)}" if 0 < len(mine) < len(found) else ""))
    return lines


def _counts(comparisons: Sequence[Comparison]) -> str:
    counts = tally(comparisons)
    parts = ", ".join(f"{word} {n}" for word, n in counts.items() if n)
    total = sum(counts.values())
    return f"{total} comparison{'s' * (total != 1)} ({parts})."


def _pair(c: Comparison) -> tuple[str, str, str]:
    pair = f"{VARIANTS[c.claim.first].label} - {VARIANTS[c.claim.second].label}"
    return NETWORKS[c.claim.network].label, pair, MEASURES[c.claim.measure].label


def _tests(c: Comparison) -> tuple[Cell, ...]:
    digits = MEASURES[c.claim.measure].digits + 1
    tests = [_p(p) for p in (c.p_published, c.p_patients, c.p_wilcoxon, c.p_holm, c.p_seeds)]
    difference = Shown(number(c.difference, digits), c.difference)
    interval = bounds(c.low, c.high, digits)
    return (difference, interval, _seeds(c), *tests, c.units, c.patients, c.verdict)


def _seeds(c: Comparison) -> Shown:
    digits = MEASURES[c.claim.measure].digits
    return Shown(", ".join(number(d, digits) for d in c.seeds), ", ".join(map(str, c.seeds)))


def _p(p: float) -> Shown | None:
    return None if math.isnan(p) else Shown(p_value(p), p)


def bounds(low: float, high: float, digits: int) -> Shown:
    """An interval; no text if there is none."""
    text = "" if math.isnan(low) else f"{number(low, digits)} to {number(high, digits)}"
    return Shown(text, Interval(low, high))


def where(book: Book, source: str) -> str:
    """The data and the structure that a table is about."""
    return f"{source_label(source, book.config)}, {LABELS[book.label(source)]}"
