"""`reproduce`: train what is missing, test everything on the same pairs, write tables and figures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..config import TrainConfig
from ..device import resolve_device
from ..lock import Busy, FolderLock
from ..progress import Progress
from ..training import accelerate
from ..training.validation import score as validation_score
from . import runs
from .book import Book
from .config import SETTINGS, ReproduceConfig
from .data import Samples, write_splits
from .documents import write_all
from .plan import Job, Lambdas, choose, duration, further, jobs, left_out, sweep_job, sweep_jobs, swept
from .scores import Score
from .scoring import Scorer

Emit = Callable[..., None]
FURTHER = 3  # values of lambda beyond those given
WAIT_S = 2.0


def _silent(kind: str, **fields: Any) -> None:
    """Report nothing."""


@dataclass
class Work:
    """A reproduction that is being made. tried: validation score of each lambda that a sweep tried."""

    config: ReproduceConfig
    folder: Path
    progress: Progress
    emit: Emit
    samples: Samples
    clock: runs.Clock = field(default_factory=runs.Clock)
    failed: dict[str, str] = field(default_factory=dict)
    scores: dict[tuple[str, str], Score] = field(default_factory=dict)  # of a job's name and a source
    tried: dict[tuple[str, str], dict[float, float]] = field(default_factory=dict)

    def train(self, waiting: Sequence[Job], start: float, stop: float) -> None:
        """Train the first of the waiting runs, unless that is done. Its folder is this process's own."""
        job = waiting[0]
        if found := runs.done(self.folder, job):
            self.failed.pop(job.name, None)  # another process could
            self.clock.note(job, found["steps"], found["seconds"])
            return
        if job.config is None or job.name in self.failed:
            return
        self.emit("run", state="started", run=job.name)
        progress = self._told(job, waiting, self.progress.part(start, stop))
        try:
            made = self.samples.of(job, progress)
            error = runs.train_job(job, self.folder, *made, progress)
        except ValueError as unusable:
            error = runs.sentence(unusable)
        if error:
            self.failed[job.name] = error
        elif found := runs.done(self.folder, job):
            self.clock.note(job, found["steps"], found["seconds"])
        seconds = self.clock.left(waiting[1:])
        left = "" if seconds is None else duration(seconds)
        state = "failed" if error else "trained"
        self.emit("run", state=state, run=job.name, error=error, left_to_train=left)

    def _told(self, job: Job, waiting: Sequence[Job], progress: Progress) -> Progress:
        """Progress whose messages name the run and the time that all are going to take."""
        later = self.clock.left(waiting[1:])
        pace = self.clock.pace(job)

        def report(fraction: float, message: str) -> None:
            text = f"{job.label} (1 of {len(waiting)} left): {message}"
            if later is not None and pace is not None and job.config is not None:
                left = later + (1 - fraction) * pace * job.config.total_steps
                text += f"; {duration(left)} left to train"
            progress.report(fraction, text)

        return Progress(report, progress.cancelled)

    def try_one(self, waiting: Sequence[Job], start: float, stop: float) -> None:
        """Train the first of the waiting runs and note its validation score. Raises ValueError, Busy."""
        tried = waiting[0]
        with runs.hold(self.folder, tried):
            self.train(waiting, start, stop)
        if tried.name not in self.failed and tried.config is not None:
            value = best_score(runs.run_folder(self.folder, tried))
            self.tried.setdefault((tried.network, tried.variant), {})[tried.config.smoothness] = value

    def settle(self, waiting: Sequence[Job], scorer: Scorer, start: float, stop: float) -> None:
        """Train the first of the waiting runs and measure it. Raises Busy if another process does."""
        job, middle = waiting[0], start + 0.9 * (stop - start)
        with runs.hold(self.folder, job):
            self.train(waiting, start, middle)
            error = self.failed.get(job.name, "")
            for source in self.config.sources:
                made = scorer.score(job, source, error, self.progress.part(middle, stop))
                self.scores[job.name, source] = made
                state = "failed" if made.error else "tested"
                self.emit("run", state=state, run=job.name, source=source, error=made.error)

    def all(self, items: Iterable[Any], make: Callable[[Any], None], end: float) -> None:
        """make(item) for all items; those that another process works on come last, when it is done. end:
        fraction of the work that is done then."""
        left = list(items)
        while left:
            busy = []
            for item in left:
                try:
                    make(item)
                except Busy:
                    busy.append(item)
            if len(busy) == len(left):
                self.progress.step(end, "Waiting for another process")
                time.sleep(WAIT_S)
            left = busy

    def sweep(self, part: float) -> Lambdas:
        """Train with every lambda and take one for each method, by `choose`. Where the best is the smallest,
        or the one that is taken the largest, up to FURTHER more are tried beyond it.

        Raises ValueError if the validation pairs have no labels: losses of different lambda do not compare.
        """
        waiting = sweep_jobs(self.config, self.folder)

        def one(n: int) -> None:
            self.try_one(waiting[n:], part * n / len(waiting), part * (n + 1) / len(waiting))

        def alone(job: Job) -> None:
            self.try_one([job], part, part)

        self.all(range(len(waiting)), one, part)
        # in the plan's order, whoever was first
        keys = [key for key in swept(self.config) if key in self.tried]
        self.tried = {key: dict(sorted(self.tried[key].items())) for key in keys}
        for key, scores in self.tried.items():
            for _ in range(FURTHER):
                value = further(scores, self.config.tolerance)
                if value is None:
                    break
                more = sweep_job(self.config, self.folder, key, value)
                runs.check_folder(self.folder, [more])
                self.all([more], alone, part)
                if more.name in self.failed:
                    break
        return {key: choose(values, self.config.tolerance) for key, values in self.tried.items()}

    def results(self, lambdas: Lambdas, scorer: Scorer, start: float, stop: float) -> dict[str, Path]:
        """Settle all runs and write tables, figures and README.md; the files by name."""
        waiting = jobs(self.config, self.folder, lambdas)
        ends = [start + (stop - start) * n / len(waiting) for n in range(len(waiting) + 1)]

        def one(n: int) -> None:
            self.settle(waiting[n:], scorer, ends[n], ends[n + 1])

        self.all(range(len(waiting)), one, stop)
        scores = [self.scores[job.name, source] for job in waiting for source in self.config.sources]
        files: dict[str, Path] = {}

        def write(book: Book) -> None:
            with FolderLock(self.folder):
                files.update(write_all(book, scorer, waiting, self.tried, lambdas))

        self.all([Book(self.config, scores)], write, stop)
        return files


def reproduce(
    config: ReproduceConfig,
    folder: str | Path,
    progress: Progress | None = None,
    *,
    emit: Emit | None = None,
) -> dict[str, Path]:
    """Make or go on with the reproduction in `folder`; the files of its results by name.

    What is finished there is not made again, and several processes share the runs. A run that fails is a row
    with its error. emit(kind, **fields) is told of "run" (state started, trained, failed, tested) and
    "left_out". Raises ValueError or OSError on unusable data or another reproduction in the folder, Cancelled
    and KeyboardInterrupt when stopped.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            "reproduce was started by torchrun in several processes: one, or several calls with the same "
            "output folder, which share the runs, are accepted."
        )
    work = Work(config, Path(folder), progress or Progress(), emit or _silent, Samples(config))
    work.folder.mkdir(parents=True, exist_ok=True)
    for variant, reason in left_out(config).items():
        work.emit("left_out", variant=variant, reason=reason)
    begin(config, work.folder)
    tried = 0.6 if config.sweep_lambda else 0.0
    lambdas = work.sweep(tried)
    with Scorer(config, work.folder) as scorer:
        files = work.results(lambdas, scorer, tried, 0.97)
    work.progress.report(1.0, "Done")
    return files


def begin(config: ReproduceConfig, folder: Path) -> None:
    """Write the splits and reproduce.json, which the next call goes on with. Raises ValueError if the folder
    holds another reproduction, or the device has not what is asked for."""
    path, planned = folder / SETTINGS, [*sweep_jobs(config, folder), *jobs(config, folder)]
    for job in planned:  # what is left to train has to be possible here
        if job.config is not None and not runs.done(folder, job):
            accelerate.check(job.config, resolve_device(job.config.device))
    if path.is_file():
        before = ReproduceConfig.load(path).protocol
        if before != config.protocol and any((folder / "runs").glob("*/config.json")):
            raise ValueError(
                f"{folder.name} holds a reproduction with protocol {before!r}, not {config.protocol!r}: the "
                "same protocol or another output folder is accepted."
            )
    write_splits(config, folder)
    runs.check_folder(folder, planned)
    root = str(Path(config.root).absolute()) if config.root else ""  # to go on from any folder
    replace(config, root=root).save(path)


def best_score(path: Path) -> float:
    """The validation score of a run's best model: mean Dice, lowered where it folds. Raises ValueError."""
    rows = runs.log_rows(path, "validation")
    if any(row.get("dice") is None for row in rows) or not rows:
        raise ValueError(
            "The sweep of lambda needs labels on the validation pairs, and these have none: the run "
            "without it is accepted."
        )
    return max(validation_score(row) for row in rows)


def estimate(config: ReproduceConfig, folder: Path, progress: Progress) -> list[dict[str, Any]]:
    """All runs with their steps, state, and seconds that they take, measured by a few steps of each kind.

    Nothing is written where no reproduction has begun.
    """
    if not (folder / SETTINGS).is_file():
        with TemporaryDirectory() as scratch:
            return _estimate(config, Path(scratch) / folder.name, progress)
    return _estimate(config, folder, progress)


def _estimate(config: ReproduceConfig, folder: Path, progress: Progress) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    begin(config, folder)
    planned = {job.name: job for job in [*sweep_jobs(config, folder), *jobs(config, folder)]}
    samples, rows = Samples(config), []
    pace: dict[tuple[str, str], float] = {}
    for n, job in enumerate(planned.values()):
        training: TrainConfig | None = job.config
        finished = runs.done(folder, job) is not None
        row: dict[str, Any] = {"run": job.name, "steps": training.total_steps if training else 0}
        row |= {"seconds": 0.0, "state": "done" if finished else "", "error": ""}
        if training is not None and not finished:
            progress.step(n / len(planned), f"Measuring {job.network}, {job.variant}")
            key = (job.network, job.variant)
            try:
                pace[key] = pace.get(key) or runs.measure_pace(job, *samples.of(job, Progress()))
                row["seconds"] = round(pace[key] * training.total_steps, 1)
            except runs.FAILURES as error:
                row |= {"seconds": None, "state": runs.sentence(error)}
        rows.append(row)
    return rows
