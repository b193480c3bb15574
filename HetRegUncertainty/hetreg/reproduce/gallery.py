"""The paper's figures 2 to 7 and the training curves, of the runs of a reproduction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import sentence
from ..metrics.means import nanmean
from ..registry import NETWORKS
from . import figures
from .book import Book
from .config import source_label
from .paper import paper_set, printed
from .pictures import draw, middling, read_case, worst
from .plan import OURS, Job
from .runs import done, log_rows, run_folder
from .scoring import Scorer
from .variants import VARIANTS

NOISE, SPREADS = ("nll", "beta_nll", OURS), ("ours_sigma_z", "sigma_z", "voxelmorph_diff")
MOST = 6  # pictures beside each other that can still be told apart
Ready = dict[tuple[str, str], Job]  # (network, variant) -> its run with the first seed, finished


def draw_all(book: Book, scorer: Scorer, planned: Sequence[Job]) -> tuple[dict[Path, str], list[str]]:
    """({figure: caption}, notes): the paper's figures 2 to 7 as far as their runs are there, training curves.

    A figure that cannot be drawn is a note.
    """
    if find_spec("matplotlib") is None:
        return {}, ["The figures need matplotlib, which is not installed."]
    first = book.config.first_seed
    trained = {
        (j.network, j.variant): j
        for j in planned
        if (j.config is None or j.seed == first) and _is_ready(j, scorer)
    }
    makers: tuple[Callable[[Book, Scorer, Ready], dict[Path, str]], ...]
    makers = (_training, _contours, _noise, _spread, _failure)
    drawn: dict[Path, str] = {}
    notes = []
    for maker in makers:
        try:
            drawn |= maker(book, scorer, trained)
        except Exception as error:  # the tables are there; a picture is no reason to lose them
            notes.append(f"A figure was not drawn: {sentence(error)}")
    return drawn, notes


def _is_ready(job: Job, scorer: Scorer) -> bool:
    if job.config is None:
        return True
    try:
        return done(scorer.folder, job) is not None and bool(scorer.register(job))
    except ValueError:  # the error of its run, and no reason to lose the pictures of others
        return False


def _path(scorer: Scorer, name: str) -> Path:
    return scorer.folder / "figures" / f"{name}.png"


def _shown_variants(network: str, ready: Ready) -> list[str]:
    """The methods of Table 1 that have a model, in its order, then what else has one, up to MOST."""
    found = [v for v in printed("1", "acdc", network) if (network, v) in ready]
    others = [v for n, v in ready if n == network and v not in found]
    return found + others[: max(0, MOST - len(found))]


def _training(book: Book, scorer: Scorer, ready: Ready) -> dict[Path, str]:
    panels: dict[str, list[figures.Curve]] = {}
    for network in book.config.networks:
        curves = []
        for variant in _shown_variants(network, ready):
            rows = log_rows(run_folder(scorer.folder, ready[network, variant]), "validation")
            points = [(row["step"], row["dice"]) for row in rows if row.get("dice") is not None]
            if points:
                x, y = np.array(points, float).T
                curves.append(figures.Curve(VARIANTS[variant].label, x, 100 * y))
        if curves:
            panels[NETWORKS[network].label] = curves
    if not panels:
        return {}
    path = figures.training(panels, _path(scorer, "training"))
    return {path: f"Dice of the validation pairs during training, seed {book.config.first_seed}."}


def _contours(book: Book, scorer: Scorer, ready: Ready) -> dict[Path, str]:
    """Figure 2; Figure 5 for 3D echo."""
    names = {"echo3d": "figure5"}
    return _methods(book, scorer, ready, names, "figure2", middling, "a typical test case")


def _failure(book: Book, scorer: Scorer, ready: Ready) -> dict[Path, str]:
    """Figure 7."""
    what = "the test case on which even the best method has the lowest DSC"
    return _methods(book, scorer, ready, {}, "figure7", worst, what)


def _methods(
    book: Book,
    scorer: Scorer,
    ready: Ready,
    names: Mapping[str, str],
    otherwise: str,
    choose: Callable[[Book, str, str, Sequence[str]], str],
    what: str,
) -> dict[Path, str]:
    """One figure per source: a row for each network, a column for each method that is shown."""
    drawn = {}
    for source in book.config.sources:
        rows: dict[str, list[figures.Picture]] = {}
        for network in book.config.networks:
            shown = _shown_variants(network, ready)
            case = _case(book, scorer, source, choose(book, source, network, shown))
            if case is not None:
                variants = [("", "undeformed"), *((network, v) for v in shown)]
                jobs = [ready[key] for key in variants if key in ready]
                rows[NETWORKS[network].label] = [draw(case, j, scorer, book.label(source)) for j in jobs]
        if rows:
            name = names.get(paper_set(source, book.config), otherwise)
            path = figures.contours(rows, _path(scorer, f"{name}-{source.replace(':', '-')}"))
            where = source_label(source, book.config)
            drawn[path] = (
                f"Figure {name[-1]}: moved images of {what}, {where}, seed {book.config.first_seed}. "
                "Yellow: the structure in the fixed image; blue, dashed: the moved one."
            )
    return drawn


def _noise(book: Book, scorer: Scorer, ready: Ready) -> dict[Path, str]:
    """Figure 3; Figure 6 for 3D echo: of ours, or of the last method that has a model, after baselines."""
    trained = [key for key in ready if key[0]]
    if not trained:
        return {}
    parts: dict[str, dict[str, Any]] = {}
    network, variant = next((key for key in trained if key[1] == OURS), trained[-1])
    for source in book.config.sources:
        case = _case(book, scorer, source, middling(book, source, network, (variant,)))
        if case is not None:
            name = "figure6" if paper_set(source, book.config) == "echo3d" else "figure3"
            picture = draw(case, ready[network, variant], scorer, book.label(source))
            label = source_label(source, book.config).replace(", ", "\n")
            compared = dict.fromkeys((*NOISE, variant, *_shown_variants(network, ready)))
            curves = _sparsification(book, source, network, compared)
            parts.setdefault(name, {})[label] = (picture, curves)
    whose = "ours" if variant == OURS else VARIANTS[variant].label
    return {
        figures.noise(rows, _path(scorer, name)): (
            f"Figure {name[-1]}: noise SD and weight of {whose} on a typical test case, seed "
            f"{book.config.first_seed}, and the mean sparsification curves of all test cases and seeds; "
            "dashed: the best that is possible."
        )
        for name, rows in parts.items()
    }


def _sparsification(book: Book, source: str, network: str, variants: Iterable[str]) -> list[figures.Curve]:
    lines = []
    for variant in variants:
        found = [s.curves["sparsification_published"] for s in book.of(source, network, variant) if s.curves]
        if found:
            x = np.array(found[0]["fraction"])
            for name, label, dashed in (("by_uncertainty", variant, False), ("oracle", "", True)):
                y = nanmean(np.array([f[name] for f in found]), axis=0)
                lines.append(figures.Curve(label and VARIANTS[label].label, x, y, dashed))
    return lines


def _spread(book: Book, scorer: Scorer, ready: Ready) -> dict[Path, str]:
    """Figure 4."""
    rows: dict[str, list[figures.Picture]] = {}
    network = book.config.networks[0]
    variants = [v for v in SPREADS if (network, v) in ready]
    for source in book.config.sources if variants else ():
        case = _case(book, scorer, source, middling(book, source, network, variants))
        if case is not None:
            pictures = [draw(case, ready[network, v], scorer, book.label(source)) for v in variants]
            rows[source_label(source, book.config).replace(", ", "\n")] = pictures
    if not rows:
        return {}
    path = figures.displacement_sd(rows, _path(scorer, "figure4"))
    caption = f"Figure 4: SD of the displacement, seed {book.config.first_seed}; each map has its own scale."
    return {path: caption}


def _case(book: Book, scorer: Scorer, source: str, name: str) -> Any:
    return read_case(book, scorer, source, name) if name else None
