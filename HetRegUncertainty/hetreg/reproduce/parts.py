"""What a reproduction uses of the data: how many patients and pairs each part has and who divided them, lines
for its README, and what is told at its start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..datasets.split import PARTS, parts_by_seed, read_split
from ..evaluation.cases import Source
from .config import ReproduceConfig, source_label
from .data import TEST, VALIDATION, left_out_pairs, listed, misplaced_labels, without_labels
from .plan import left_out, split_file

UNLABELLED = "none of its {} patients has labels on both images"


def tell_start(config: ReproduceConfig, folder: Path, emit: Callable[..., None]) -> None:
    """Which variants and which part of the data are not used, and why ("left_out"), and a "note" on labels
    that lie elsewhere than their image. Raises ValueError or OSError."""
    for variant, reason in left_out(config).items():
        emit("left_out", variant=variant, reason=reason)
    if unlabelled := without_labels(config, folder):
        emit("left_out", part="the data set's own test part", reason=UNLABELLED.format(len(unlabelled)))
    for text in misplaced_labels(config):
        emit("note", text=text)


def part_lines(config: ReproduceConfig, folder: Path) -> list[str]:
    """A line for each real source; for data that can no longer be listed one that says why."""
    names = [name for name in config.sources if ":" not in name]
    try:
        found = {name: listed(config, name) for name in names}
        parts = read_split(split_file(folder)) if names else {}
        every = [case for cases in found.values() for case in cases]
        who = _divided_by(config, parts, every, len(without_labels(config, folder)) if names else 0)
    except (ValueError, OSError) as error:
        return [f"- The parts of the data are not known: {error}"]
    lost = left_out_pairs(folder)
    lines = []
    for name, cases in found.items():
        told = ", ".join(_counted(cases, part, parts.get(part, []), lost) for part in PARTS)
        lines.append(f"- {source_label(name, config)}, patients (pairs): {told}; {who}.")
    return lines


def _counted(cases: Sequence[Source], part: str, members: Sequence[str], lost: Mapping[str, str]) -> str:
    """ "80 (80) in training"; in the test also the pairs that fail, which are rows there."""
    own = [case for case in cases if case.patient in members and (part == "test" or case.name not in lost)]
    return f"{len({case.patient for case in own})} ({len(own)}) in {part}"


def _divided_by(
    config: ReproduceConfig, parts: Mapping[str, Sequence[str]], cases: Sequence[Source], unlabelled: int
) -> str:
    """Who says which patient is in which part, as the first call of the reproduction found it. unlabelled:
    how many patients are left out by that. ValueError."""
    if config.split:
        return f"by the file {Path(config.split).name}"
    known = {patient for members in parts.values() for patient in members}
    cases = [replace(c, split="") if unlabelled else c for c in cases if c.patient in known]
    part_of = parts_by_seed(cases, 0, validation=VALIDATION, test=TEST)
    if any(part_of.get(p, "training") != part for part, members in parts.items() for p in members):
        return "by the split.json of an earlier call"
    own = [part for part in PARTS if any(case.split == part for case in cases)]
    drawn = [part for part in ("validation", "test") if part not in own]
    if not own:
        without = f", without the data set's own test part: {UNLABELLED.format(unlabelled)}"
        return "all drawn (60/20/20)" + (without if unlabelled else "")
    return f"{', '.join(own)} by the data set" + (f", {' and '.join(drawn)} drawn" if drawn else "")
