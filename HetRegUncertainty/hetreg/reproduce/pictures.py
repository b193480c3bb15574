"""Cases to be drawn: which ones, registered once more by the methods that a figure compares."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..evaluation.case import Case
from ..evaluation.cases import list_cases
from ..evaluation.cut import cut
from ..metrics.means import nanmean
from ..metrics.overlap import dice
from .book import Book
from .figures import Picture
from .paper import PUBLISHED
from .plan import OURS, Job
from .scores import series
from .scoring import Scorer, evaluate_config
from .variants import VARIANTS


def middling(book: Book, source: str, network: str, variants: Sequence[str]) -> str:
    """The case whose DSC by ours lies in the middle; where ours has none, by the first of the variants that
    has; "" if none has."""
    found = (_means(book, source, network, (variant,)) for variant in (OURS, *variants))
    means = next((m for m in found if m), {})
    ranked = sorted(means, key=means.__getitem__)
    return ranked[len(ranked) // 2] if ranked else ""


def worst(book: Book, source: str, network: str, variants: Sequence[str]) -> str:
    """The case whose best DSC by any of the methods is lowest: all of them fail on it."""
    means = {v: _means(book, source, network, (v,)) for v in variants}
    cases = dict.fromkeys(case for found in means.values() for case in found)
    best = {case: max(found.get(case, -math.inf) for found in means.values()) for case in cases}
    return min(best, key=best.__getitem__) if best else ""


def _means(book: Book, source: str, network: str, variants: Sequence[str]) -> dict[str, float]:
    """{case: mean DSC over its slices and the seeds}."""
    means: dict[str, list[float]] = {}
    for variant in variants:
        scores = [s for s in book.of(source, network, variant) if s.rows]
        found = series(scores, PUBLISHED["dice"], book.label(source)) if scores else None
        for (_, name), value in zip(found.units, found.over_seeds, strict=True) if found else ():
            means.setdefault(name.rpartition("/")[0], []).append(float(value))
    averaged = {case: float(nanmean(np.array(values))) for case, values in means.items()}
    return {case: value for case, value in averaged.items() if not math.isnan(value)}


def read_case(book: Book, scorer: Scorer, source: str, name: str) -> Case | None:
    """A test case by its name."""
    sources, _ = list_cases(evaluate_config(book.config, scorer.folder, source))
    for item in sources:
        if item.name == name or name.startswith(f"{item.name}_"):
            found = [case for case in item.read() if case.name == name]
            if found:
                return found[0]
    return None


def draw(case: Case, job: Job, scorer: Scorer, label: int) -> Picture:
    """The slice of a case with most of the label, registered by a job. Raises ValueError or OSError."""
    shown = cut(case, scorer.register(job)(case), label)
    truth, found = (
        np.zeros(shown.fixed.shape, bool) if labels is None else labels == label
        for labels in (shown.fixed_label, shown.moved_label)
    )
    span = float(np.ptp(case.fixed.array)) or 1.0
    rows_mm, columns_mm = shown.spacing_mm
    return Picture(
        title=VARIANTS[job.variant].label,
        fixed=shown.fixed,
        moving=shown.moving,
        moved=shown.moved,
        truth=truth,
        found=found,
        noise_sd=None if shown.noise_sd is None else shown.noise_sd / span,
        weight=shown.weight,
        displacement_sd=shown.displacement_sd,
        aspect=rows_mm / columns_mm,
        note=_dice(truth, found),
        case=case.name,
    )


def _dice(truth: np.ndarray, found: np.ndarray) -> str:
    value = dice(truth, found)
    return "" if math.isnan(value) else f"DSC {100 * value:.1f} %"
