"""The paper's Tables 1 to 5 with this reproduction's numbers beside the printed ones, and those it lacks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..metrics.statistics import bootstrap_interval, cluster_means
from ..registry import NETWORKS
from ..tables import Cell, Column, Spread, Table
from ..training.validation import FOLDING_LIMIT, FOLDING_PENALTY
from . import notes
from .book import EXTRA, MEASURES, Book
from .comparisons import Comparison
from .paper import (
    AUSE,
    PUBLISHED,
    SET_LABELS,
    is_own,
    main_table,
    paper_set,
    printed,
    printed_ause,
)
from .plan import OURS, Lambdas
from .scores import Measure, Score, Series, patient_of, series
from .variants import VARIANTS
from .verdicts import bounds, claims, controls, every_comparison, paired_tests, where


def tables(book: Book, comparisons: Sequence[Comparison]) -> dict[str, Table]:
    """{file name: table} of everything that was run; a table without rows is left out."""
    made: dict[str, Table] = {}
    for source in book.config.sources:
        data, end = paper_set(source, book.config), source.replace(":", "-")
        made |= {
            f"table{main_table(data)}-{end}": main(book, source),
            f"table2-{end}": paired_tests(book, source, comparisons),
            f"table4-{end}": gamma(book, source),
            f"table5-{end}": displacement(book, source),
            f"ause-{end}": ause(book, source),
            f"corrected-{end}": corrected(book, source),
            f"controls-{end}": controls(book, source, comparisons),
            f"verdicts-{end}": claims(book, source, comparisons),
        }
    made["comparisons"] = every_comparison(comparisons)
    return {name: table for name, table in made.items() if table.rows}


def main(book: Book, source: str) -> Table:
    """Table 1 (Table 3 for 3D echo): all methods of each network."""
    data = paper_set(source, book.config)
    rows = [("", name) for name in book.variants(source, "", ("undeformed", "elastix"))]
    for network in book.config.networks:
        names = printed("1", "acdc", network)  # the same methods in all of them
        rows += [(network, name) for name in book.variants(source, network, list(names))]
    numbers = {network: printed(main_table(data), data, network) for network in ("", *book.config.networks)}
    number_of = main_table(data)
    return _beside(book, source, rows, numbers, f"Table {number_of}: contour metrics of all methods")


def gamma(book: Book, source: str) -> Table:
    """Table 4: the exponent gamma."""
    return _one_network(book, source, "4", "Table 4: the exponent gamma")


def displacement(book: Book, source: str) -> Table:
    """Table 5: uncertainty of the displacement and of the image."""
    return _one_network(book, source, "5", "Table 5: with and without the displacement's uncertainty")


def _one_network(book: Book, source: str, table: str, caption: str) -> Table:
    data = paper_set(source, book.config)
    names = list(printed(table, "acdc", "voxelmorph"))
    rows = [(n, v) for n in book.config.networks for v in book.variants(source, n, names)]
    if {v for _, v in rows} <= {OURS, "mse"}:
        rows = []  # they are in Table 1 already
    numbers = {n: printed(table, data, n) for n in book.config.networks}
    return _beside(book, source, rows, numbers, caption)


def _beside(
    book: Book,
    source: str,
    rows: Sequence[tuple[str, str]],
    numbers: Mapping[str, Mapping[str, Mapping[str, float]]],
    caption: str,
) -> Table:
    """Rows of (network, variant): each published measure here, its interval for DSC, and the paper's."""
    columns = [Column("Network"), Column("Method"), Column("Lambda"), Column("Runs")]
    for name, measure in PUBLISHED.items():
        columns.append(_column(measure, "here", group=measure.label))
        if name == "dice":
            columns.append(Column("95 % interval", group=measure.label))
        columns.append(Column("paper", measure.digits, group=measure.label))
    columns += [Column("Missing"), Column("Error")]
    made = []
    for network, variant in rows:
        cells: list[Cell] = [*names_of(network, variant), *_runs(book, source, network, variant)]
        missing = 0
        for name in PUBLISHED:
            found = book.series(source, network, variant, name)
            cells.append(spread(found))
            missing = max(missing, found.missing if found else 0)
            if name == "dice":
                cells.append(interval(found))
            cells.append(numbers.get(network, {}).get(variant, {}).get(name))
        missing += sum(score.left_out(book.label(source)) for score in book.of(source, network, variant))
        made.append((*cells, missing, errors(book.of(source, network, variant))))
    return Table(tuple(columns), tuple(made), f"{caption}, {where(book, source)}", _notes(book, source))


def ause(book: Book, source: str) -> Table:
    """The numbers of Figure 3: area under the sparsification error."""
    data, rows = paper_set(source, book.config), []
    for network in book.config.networks:
        paper = printed_ause(data, network)
        for variant in book.variants(source, network, ("nll", "beta_nll", OURS)):
            found = [book.series(source, network, variant, name) for name in ("ause", "ause_mask")]
            rows.append((*names_of(network, variant), *map(spread, found), paper.get(variant)))
    columns = (
        Column("Network"),
        Column("Method"),
        Column("AUSE, published way", AUSE.digits, "low"),
        Column("AUSE in the mask, of 1", 4, "low"),
        Column("AUSE, paper", 5),
    )
    return Table(columns, tuple(rows), f"Figure 3: sparsification, {where(book, source)}", (notes.AUSE,))


def corrected(book: Book, source: str) -> Table:
    """What the paper does not measure: masks from 0.5, millimetres, folding, true displacement and noise."""
    names = [name for name in EXTRA if _anywhere(book, source, name)]
    columns = [Column("Network"), Column("Method"), *(_column(EXTRA[n], EXTRA[n].label) for n in names)]
    rows = []
    for network in ("", *book.config.networks):
        for variant in book.variants(source, network, list(VARIANTS)):
            if bool(network) == bool(VARIANTS[variant].method):
                found = [book.series(source, network, variant, name) for name in names]
                rows.append((*names_of(network, variant), *map(spread, found)))
    said = f"{notes.CORRECTED} {notes.CORRECTED_NOISE}" if "nll" in names else notes.CORRECTED
    caption = f"Corrected and further metrics, {where(book, source)}"
    return Table(tuple(columns), tuple(rows), caption, (said,))


def lambda_table(
    scores: Mapping[tuple[str, str], Mapping[float, float]],
    best: Lambdas,
    tolerance: float = 0.0,
    seed: int = 0,
) -> Table:
    """All values of lambda that were tried: the validation score of each, and the one that was taken."""
    values = sorted({v for tried in scores.values() for v in tried})
    columns = (Column("Network"), Column("Method"), *(Column(f"{v:g}", 4) for v in values), Column("Taken"))
    rows = [
        (*names_of(*key), *(tried.get(v) for v in values), f"{best[key]:g}" if key in best else None)
        for key, tried in scores.items()
    ]
    edge = [VARIANTS[k[1]].label for k, t in best.items() if t in (min(scores[k]), max(scores[k]))]
    at = (f"At the edge of what was tried, so perhaps not the best: {', '.join(edge)}.",) if edge else ()
    limit = (
        f"{FOLDING_PENALTY:g} is subtracted where more than {FOLDING_LIMIT:g} % of the voxels fold, so that "
        "such a lambda is never taken"
    )
    caption = f"Dice of the validation pairs for each lambda, seed {seed} ({limit})"
    if tolerance:
        caption += f"; the largest within {tolerance:g} of the best"
    return Table(columns, tuple(rows), caption, at)


def every_patient(book: Book) -> Table:
    """What the tests over patients start from: a row for each patient of each run, with the mean of each
    measure over the patient's cases (published measures: slices), empty where there is none; a run that
    failed as a whole is a row without a patient."""
    heads = ("Source", "Network", "Method", "Lambda", "Seed", "Patient", "Cases", "Failed", "Error")
    rows: list[tuple[Cell, ...]] = []
    for score in book.scores:
        names = (score.source, score.network, score.variant, score.smoothness, score.seed)
        label = book.label(score.source)
        found = {name: _by_patient(series([score], m, label)) for name, m in MEASURES.items()}
        cases: dict[str, list[str]] = {} if score.rows else {"": [score.error]}
        for row in score.rows:
            cases.setdefault(patient_of(row), []).append(row.get("error", ""))
        for patient, errors_of in cases.items():
            failed = [error for error in errors_of if error]
            numbers = (values.get(patient) for values in found.values())
            rows.append((*names, patient, len(errors_of), len(failed), " ".join(failed[:1]), *numbers))
    columns = tuple(Column(head) for head in (*heads, *(m.label for m in MEASURES.values())))
    return Table(columns, tuple(rows))


def _by_patient(found: Series) -> dict[str, float]:
    """{patient: the mean over the units} of one run."""
    means = cluster_means(found.over_seeds, found.patients)
    return dict(zip(dict.fromkeys(found.patients), means.tolist(), strict=True))


def _anywhere(book: Book, source: str, measure: str) -> bool:
    for score in book.scores:
        found = book.series(source, score.network, score.variant, measure) if score.source == source else None
        if found is not None and not math.isnan(found.mean):
            return True
    return False


def names_of(network: str, variant: str) -> tuple[str, str]:
    """Network, "" for a baseline, and variant as people read them."""
    return (NETWORKS[network].label if network else "", VARIANTS[variant].label)


def _runs(book: Book, source: str, network: str, variant: str) -> tuple[str, str]:
    """Lambda, and how many of the runs gave numbers."""
    scores = book.of(source, network, variant)
    values = sorted({s.smoothness for s in scores if not math.isnan(s.smoothness)})
    return ", ".join(f"{v:g}" for v in values), f"{sum(bool(s.rows) for s in scores)} of {len(scores)}"


def spread(found: Series | None) -> Cell:
    """The mean over all units, with the SD over seeds where there are several."""
    if found is None:
        return None
    return found.mean if math.isnan(found.seed_sd) else Spread(found.mean, found.seed_sd)


def interval(found: Series | None) -> Cell:
    """95 % interval of the mean over all units, for other patients."""
    if found is None:
        return None
    return bounds(*bootstrap_interval(found.over_seeds, found.patients, pooled=True), 2)


def errors(scores: Sequence[Score]) -> str:
    """Why runs failed."""
    return " ".join(dict.fromkeys(s.error for s in scores if s.error))


def _column(measure: Measure, heading: str, group: str = "") -> Column:
    return Column(heading, measure.digits, {True: "high", False: "low", None: ""}[measure.higher], group)


def _notes(book: Book, source: str) -> tuple[str, ...]:
    if is_own(source):
        return notes.PUBLISHED
    data = SET_LABELS[paper_set(source, book.config)]
    return (*notes.PUBLISHED, notes.OTHER_IMAGES.format(data=data))
