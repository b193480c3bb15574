"""One run of a reproduction in its folder: trained once, gone on with after a kill, its time measured."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..config import GridConfig, TrainConfig, network_config
from ..datasets.base import PairSample
from ..errors import sentence
from ..files import json_lines, write_whole
from ..lock import FolderLock
from ..progress import Progress
from ..training.checks import collapsed
from ..training.data import dimension_of, draw_batch
from ..training.distributed import join
from ..training.folder import settings_changed
from ..training.loop import train
from ..training.trainer import Trainer
from .plan import Job

DONE = "done.json"
# What a method may end in without ending the others: no number, no memory, a package that is missing.
FAILURES = (ValueError, RuntimeError, MemoryError, ImportError)
_ENOUGH_S = 1.0  # of measuring, where a step is slow
_FREE = ("device", "amp", "compile", "split", "root")  # a run goes on also elsewhere


def run_folder(folder: Path, job: Job) -> Path:
    """Where a run lies."""
    return folder / "runs" / job.name


def done(folder: Path, job: Job) -> dict[str, float] | None:
    """{"steps", "seconds"} of a finished run, None if it is not finished or its file is damaged."""
    path = run_folder(folder, job)
    if not ((path / DONE).is_file() and (path / "best.pt").is_file()):
        return None
    try:
        found = json.loads((path / DONE).read_text(encoding="utf-8"))
        return {name: float(found[name]) for name in ("steps", "seconds")}
    except (ValueError, TypeError, KeyError):
        return None


def hold(folder: Path, job: Job) -> FolderLock:
    """The lock on a run's or a baseline's folder; entering it raises Busy if another process works there."""
    path = run_folder(folder, job)
    path.mkdir(parents=True, exist_ok=True)
    return FolderLock(path)


def check_folder(folder: Path, jobs: Sequence[Job]) -> None:
    """Raises ValueError if a run of other settings lies in the folder of one of the jobs."""
    for job in jobs:
        path = run_folder(folder, job) / "config.json"
        if job.config is None or not path.is_file():
            continue
        try:
            former = TrainConfig.load(path)
        except ValueError as error:
            raise ValueError(f"runs/{job.name}: {error}") from error
        if changed := settings_changed(former, job.config, _FREE):
            raise ValueError(
                f"{folder.name} holds the run {job.name} with {changed}: the same settings or another output "
                "folder is accepted."
            )


def train_job(
    job: Job, folder: Path, samples: Sequence[PairSample], grid: GridConfig, progress: Progress
) -> str:
    """Train one run, or go on with it. Returns "" or why it failed; Cancelled and Ctrl-C go through.

    A finished run keeps its best model but not the checkpoint, which is three times as large.
    """
    if job.config is None:
        return ""
    path, started = run_folder(folder, job), time.monotonic()
    try:
        train(job.config, path, progress, samples=samples, grid=grid)
    except FAILURES as error:
        return sentence(error)
    content = {"steps": job.config.total_steps, "seconds": _seconds(path, time.monotonic() - started)}
    write_whole(path / DONE, json.dumps(content) + "\n")
    with suppress(OSError):  # none, or open in another program
        (path / "last.ckpt").unlink()
    return ""


def log_rows(path: Path, event: str) -> list[dict[str, float]]:
    """The rows of a run's log of one kind: "step" or "validation"."""
    return [row for row in json_lines(path / "log.jsonl") if row.get("event") == event]


def collapse(path: Path) -> str:
    """Since when the variance network of a run is at a limit, and what that means; "" if it is not."""
    rows = log_rows(path, "step")
    found = [row.get("mean_variance") for row in rows]
    said = [collapsed(v if isinstance(v, float) else math.nan) for v in found]
    if not said or not said[-1]:
        return ""
    whole = next((n for n, text in enumerate(reversed(said)) if not text), len(said))
    return f"From step {rows[-whole]['step']} on: {said[-1]}"


def _seconds(path: Path, otherwise: float) -> float:
    """Seconds that a run trained, all its parts together."""
    rows = log_rows(path, "step")
    return float(rows[-1]["seconds"]) if rows else round(otherwise, 2)


def measure_pace(job: Job, samples: Sequence[PairSample], grid: GridConfig, *, steps: int = 3) -> float:
    """Seconds of one step of both networks, the first step not counted; of one alone where steps are slow."""
    if job.config is None:
        return 0.0
    config = replace(job.config, steps=steps + 1, epochs=0, warmup=0, variance_warmup=0)
    ranks = join(config.device)
    trainer = Trainer(config, network_config(config, dimension_of(samples)), grid, ranks)
    trainer.model.train()
    trainer.one_step(draw_batch(samples, config, 0))
    started = time.perf_counter()
    for step in range(1, steps + 1):
        trainer.one_step(draw_batch(samples, config, step))
        taken = time.perf_counter() - started
        if taken > _ENOUGH_S:
            break
    return taken / step


class Clock:
    """How long the runs that are left take, by the pace of those that were made."""

    def __init__(self) -> None:
        self._pace: dict[tuple[str, str], float] = {}

    def note(self, job: Job, steps: float, seconds: float) -> None:
        """A run made so many steps in so many seconds."""
        if steps > 0:
            self._pace[job.network, job.variant] = seconds / steps

    def pace(self, job: Job) -> float | None:
        """Seconds per step: of the same variant, else the mean of the same network, else of all."""
        if not self._pace:
            return None
        same = [p for (network, _), p in self._pace.items() if network == job.network]
        found = same or list(self._pace.values())
        return self._pace.get((job.network, job.variant), sum(found) / len(found))

    def left(self, jobs: Sequence[Job]) -> float | None:
        """Seconds that training these takes from their start; None if nothing is known."""
        parts = [(self.pace(job), job.config.total_steps) for job in jobs if job.config is not None]
        known = [pace * steps for pace, steps in parts if pace is not None]
        return sum(known) if len(known) == len(parts) else None
