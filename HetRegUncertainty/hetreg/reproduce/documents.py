"""What a reproduction leaves behind: tables, figures, and one README.md that says what holds."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..configbase import command_line
from ..device import describe_device, physical_memory_gb, resolve_device
from ..evaluation.published import pair_of
from ..files import write_whole
from ..registry import DATASETS, NETWORKS
from ..tables import Table, csv_text, markdown, write_table
from ..training.folder import code_version
from ..versions import versions
from .book import Book
from .comparisons import Comparison
from .config import ALL, ReproduceConfig, source_label
from .data import left_out_pairs, misplaced_labels
from .gallery import draw_all
from .parts import part_lines
from .plan import Job, Lambdas, duration, left_out, sweep_job
from .runs import collapse, done, run_folder
from .scoring import Scorer
from .sheets import every_patient, lambda_table, tables
from .variants import VARIANTS
from .verdicts import verdict_lines

_OURS = re.compile(
    r"((table|figure)\d|ause|corrected|controls|verdicts|comparisons|lambda|training)"
    rf"(-({'|'.join(DATASETS)})(-\w+)?)?\.(md|csv|tex|png)"
)
Tried = Mapping[tuple[str, str], Mapping[float, float]]


def write_all(
    book: Book, scorer: Scorer, planned: Sequence[Job], tried: Tried, lambdas: Lambdas
) -> dict[str, Path]:
    """Write tables/, figures/ and README.md into the scorer's folder; the files by name. Raises OSError."""
    folder, compared = scorer.folder, book.comparisons()
    made = tables(book, compared)
    if tried:
        made["lambda"] = lambda_table(tried, lambdas, book.config.tolerance, book.config.first_seed)
    (folder / "tables").mkdir(exist_ok=True)
    files = {}
    for name, table in made.items():
        for ending, path in write_table(table, folder / "tables" / name).items():
            files[f"{name}.{ending}"] = path
    drawn, notes = draw_all(book, scorer, planned)
    files["patients.csv"] = folder / "tables" / "patients.csv"
    write_whole(files["patients.csv"], csv_text(every_patient(book)))
    _remove_others(folder / "tables", set(files.values()))
    _remove_others(folder / "figures", set(drawn))
    notes += [f"pair {case}: {why} No run trains on it." for case, why in left_out_pairs(folder).items()]
    notes += misplaced_labels(book.config)
    ends = {job.name: collapse(run_folder(folder, job)) for job in planned}
    notes += [f"run {name}: {text}" for name, text in ends.items() if text]
    how = _made_how(book.config, _cost(book, folder, planned, tried) + _measured(scorer))
    if divided := part_lines(book.config, folder):
        how += ["", *divided]
    text = readme(book, compared, made, drawn, notes, how)
    path = folder / "README.md"
    write_whole(path, text)
    return {**files, **{p.name: p for p in drawn}, "README": path}


def _remove_others(folder: Path, kept: set[Path]) -> None:
    """Remove the tables or figures of an earlier call that are not of this one; no other files."""
    for path in folder.glob("*"):
        if _OURS.fullmatch(path.name) and path not in kept:
            path.unlink()


def _measured(scorer: Scorer) -> str:
    """Which other code measured; "" if none did."""
    others = sorted(scorer.codes - {code_version()})
    return f" Some measurements were made by code {', '.join(others)}." if others else ""


def _cost(book: Book, folder: Path, planned: Sequence[Job], tried: Tried) -> str:
    """Of all runs, those that only served to choose lambda too."""
    swept = [sweep_job(book.config, folder, key, value) for key, values in tried.items() for value in values]
    every = {job.name: job for job in [*swept, *planned]}
    finished = [found for job in every.values() if (found := done(folder, job))]
    seconds = sum(found["seconds"] for found in finished)
    return f"{len(finished)} finished runs, {duration(seconds)} of training."


def readme(
    book: Book,
    compared: Sequence[Comparison],
    made: Mapping[str, Table],
    drawn: Mapping[Path, str],
    notes: Sequence[str],
    how: Sequence[str],
) -> str:
    """README.md: how it was made, what holds, the tables, the figures."""
    lines = [title(book.config), "", *how, ""]
    lines += ["## Does the paper's ordering hold?", ""]
    lines += [
        "A comparison of two methods *holds* if it has the paper's sign and p < 0.05 over patients (paired "
        "t, Holm), *does not hold* if it has the other sign and p < 0.05, *seeds disagree* if p < 0.05 but "
        "not all seeds have that sign, *not significant* otherwise.",
        "",
        *(verdict_lines(book, compared) or ["Nothing could be compared."]),
        "",
    ]
    wrong = [*_failed_runs(book), *_failed_cases(book), *_unlabelled(book), *(f"- {note}" for note in notes)]
    if wrong:
        lines += ["## What failed or was left out", "", *wrong, ""]
    lines += [
        "## Tables",
        "",
        "Each table is also a file in `tables/` (Markdown, CSV, LaTeX). `comparisons` there has every test, "
        "`patients.csv` each patient's mean of every run, for tests of your own.",
        "",
    ]
    lines += [text for name, table in made.items() if name != "comparisons" for text in (markdown(table), "")]
    lines += ["## Figures", ""] if drawn else []
    for path, caption in drawn.items():
        lines += [f"![{caption}](figures/{path.name})", "", f"*{caption}*", ""]
    return "\n".join(lines).rstrip() + "\n"


def title(config: ReproduceConfig) -> str:
    """The heading of README.md: what tells this reproduction from others comes first."""
    networks = " and ".join(NETWORKS[name].label for name in config.networks)
    integrated = {"yes": ", integrated", "no": ", not integrated"}.get(config.integrate, "")
    count = sum(bool(VARIANTS[name].method) for name in config.methods if name != ALL)
    methods = "all methods" if ALL in config.methods else f"{count} method{'s' * (count != 1)}"
    how = f"lambda {config.smoothness:g}"
    if config.sweep_lambda:
        within = f"largest lambda within {config.tolerance:g} of the best"
        how = within if config.tolerance else "lambda swept"
    if config.lambda_of:
        how += f" ({', '.join(text.replace('=', ' ') for text in config.lambda_of)})"
    if config.first_seed:
        how += f", {_seeds(config).lower()}"
    trained = f"{networks} ({config.size}{integrated}), {config.budget:,} steps, {methods}, {how}"
    if not count and ALL not in config.methods:
        trained = "Baselines alone"
    data = "; ".join(source_label(source, config) for source in config.sources)
    return f"# {trained}: {data} (reproduction of Zhang et al., MICCAI 2024)"


def _seeds(config: ReproduceConfig) -> str:
    first, *more = config.all_seeds
    return f"Seeds {first} to {more[-1]}" if more else f"Seed {first}"


def _failed_runs(book: Book) -> list[str]:
    """A line for each run that could not be made or measured, and for each variant that was left out."""
    failed = [s for s in book.scores if s.error]
    return [
        *(f"- {s.network or 'baseline'} {s.variant}, seed {s.seed}, {s.source}: {s.error}" for s in failed),
        *(f"- {variant}: {reason}." for variant, reason in left_out(book.config).items()),
    ]


def _failed_cases(book: Book) -> list[str]:
    """A line for each test case that failed, and for how many of the runs and baselines; what a whole run
    failed of is in the line of the run."""
    found: dict[tuple[str, str, str], int] = {}
    for score in book.scores:
        for row in score.rows:
            if row.get("error") not in (None, "", score.error):
                key = (score.source, row["case"], row["error"])
                found[key] = found.get(key, 0) + 1
    of = {source: sum(s.source == source for s in book.scores) for source in book.config.sources}
    return [f"- test case {c} of {s}, {n} of {of[s]} times: {why}" for (s, c, why), n in found.items()]


def _unlabelled(book: Book) -> list[str]:
    """A line for each source with test pairs that have no row in the tables of the contours, as one image or
    both have no labels, or neither has the structure."""
    lines, published = [], book.config.used_protocol == "published"
    for source in book.config.sources:
        keys = {f"{name}_{book.label(source)}" for name in ("dice_published", "slices_left_out")}
        found: dict[str, bool] = {}  # pairs with no failure: whether they are measured
        for row in (row for s in book.scores if s.source == source for row in s.rows if not row.get("error")):
            pair = pair_of(row["case"], published)
            found[pair] = found.get(pair, False) or not keys.isdisjoint(row)
        if lost := [pair for pair, measured in found.items() if not measured]:
            lines.append(
                f"- test pairs of {source} without DSC, HD and ASD, as the two images do not both have "
                f"labels of the structure: {len(lost)} of {len(found)} ({', '.join(lost)})."
            )
    return lines


def _made_how(config: ReproduceConfig, cost: str) -> list[str]:
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))
    found = versions()
    own, python = found.pop("hetreg"), found.pop("python")
    packages = ", ".join(f"{name} {version}" for name, version in found.items())
    total = physical_memory_gb()
    memory = f"{total:.0f} GB, " if total else ""
    device = describe_device(resolve_device(config.device))
    given = config.to_dict() | {"root": Path(config.root).name}
    given["elastix_python"] = "PYTHON" if config.elastix_python else ""  # no path of this computer
    default = ReproduceConfig().to_dict()
    idle = () if config.sweep_lambda else ("lambdas", "tolerance")  # the command refuses them
    flags = [_flag(n, v) for n, v in given.items() if v != default[n] and n not in idle]
    return [
        "```",
        f"hetreg reproduce {' '.join(flags)} --output FOLDER",
        "```",
        "",
        f"hetreg {own} (code {code_version()}), Python {python}, {packages}; "
        f"{device}, {os.cpu_count()} processors ({platform.machine()}), {memory}"
        f"{threads} thread{'s' * (threads != '1')}. {_seeds(config)}. {cost}",
    ]


def _flag(name: str, value: Any) -> str:
    """An option as the command line takes it."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    return f"--{flag} {command_line(value if isinstance(value, list) else [value])}"
