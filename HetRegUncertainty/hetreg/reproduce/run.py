"""`reproduce`: train what is missing, test everything on the same pairs, write tables and figures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..config import TrainConfig
from ..device import resolve_device
from ..errors import sentence
from ..files import remove_leftovers
from ..lock import FolderLock, when_free
from ..progress import Progress, silent
from ..training import accelerate
from ..training.validation import score as validation_score
from . import runs
from .book import Book
from .config import SETTINGS, ReproduceConfig
from .data import Samples, write_splits
from .documents import write_all
from .parts import tell_start
from .plan import (
    FURTHER,
    Job,
    Lambdas,
    choose,
    duration,
    further,
    jobs,
    sweep_job,
    sweep_jobs,
    swept,
)
from .scores import Score
from .scoring import Scorer

Emit = Callable[..., None]
WAIT_S = 2.0


@dataclass(frozen=True)
class Task:
    """A run to be made. later: those after it, for the time that is left; progress: its part of the work."""

    job: Job
    later: Sequence[Job]
    progress: Progress


def tasks(planned: Sequence[Job], progress: Progress) -> list[Task]:
    """The runs in their order, each with the same part of the work."""
    count = len(planned)
    return [
        Task(job, planned[n + 1 :], progress.part(n / count, (n + 1) / count))
        for n, job in enumerate(planned)
    ]


@dataclass
class Work:
    """A reproduction that is being made. tried: validation score of each lambda that a sweep tried."""

    config: ReproduceConfig
    folder: Path
    emit: Emit
    samples: Samples
    clock: runs.Clock = field(default_factory=runs.Clock)
    failed: dict[str, str] = field(default_factory=dict)
    scores: dict[tuple[str, str], Score] = field(default_factory=dict)  # of a job's name and a source
    tried: dict[tuple[str, str], dict[float, float]] = field(default_factory=dict)

    def _train(self, task: Task) -> None:
        """Train the run, unless that is done. Its folder is this process's own."""
        job = task.job
        if found := runs.done(self.folder, job):
            self.failed.pop(job.name, None)  # another process could
            self.clock.note(job, found["steps"], found["seconds"])
            return
        if job.config is None or job.name in self.failed:
            return
        self.emit("run", state="started", run=job.name)
        progress = self._told(task)
        try:
            made = self.samples.of(job, progress)
            error = runs.train_job(job, self.folder, *made, progress)
        except ValueError as unusable:
            error = sentence(unusable)
        if error:
            self.failed[job.name] = error
        elif found := runs.done(self.folder, job):
            self.clock.note(job, found["steps"], found["seconds"])
        seconds = self.clock.left(task.later)
        left = "" if seconds is None else duration(seconds)
        state = "failed" if error else "trained"
        note = runs.collapse(runs.run_folder(self.folder, job))
        self.emit("run", state=state, run=job.name, error=error, note=note, left_to_train=left)

    def _told(self, task: Task) -> Progress:
        """Progress whose messages name the run and the time that all are going to take."""
        job, later, pace = task.job, self.clock.left(task.later), self.clock.pace(task.job)

        def report(fraction: float, message: str) -> None:
            text = f"{job.label} (1 of {1 + len(task.later)} left): {message}"
            if later is not None and pace is not None and job.config is not None:
                left = later + (1 - fraction) * pace * job.config.total_steps
                text += f"; {duration(left)} left to train"
            task.progress.report(fraction, text)

        return Progress(report, task.progress.cancelled)

    def try_one(self, task: Task) -> None:
        """Train the run and note its validation score. Raises ValueError; Busy if another process does."""
        job = task.job
        with runs.hold(self.folder, job):
            self._train(task)
        if job.name not in self.failed and job.config is not None:
            value = best_score(runs.run_folder(self.folder, job))
            self.tried.setdefault((job.network, job.variant), {})[job.config.smoothness] = value

    def settle(self, task: Task, scorer: Scorer) -> None:
        """Train the run and measure it. Raises Busy if another process does."""
        job = task.job
        with runs.hold(self.folder, job):
            self._train(replace(task, progress=task.progress.part(0.0, 0.9)))
            error = self.failed.get(job.name, "")
            for source in self.config.sources:
                made = scorer.score(job, source, error, task.progress.part(0.9, 1.0))
                self.scores[job.name, source] = made
                state = "failed" if made.error else "tested"
                self.emit("run", state=state, run=job.name, source=source, error=made.error)

    def sweep(self, progress: Progress) -> Lambdas:
        """Train with every lambda and take one for each method, by `choose`. Where the best is the smallest,
        or the one that is taken the largest, up to FURTHER more are tried beyond it.

        Raises ValueError if the validation pairs have no labels: losses of different lambda do not compare.
        """
        end = progress.part(1.0, 1.0)
        when_free(tasks(sweep_jobs(self.config, self.folder), progress), self.try_one, waiting(end))
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
                when_free([Task(more, (), end)], self.try_one, waiting(end))
                if more.name in self.failed:
                    break
        return {key: choose(values, self.config.tolerance) for key, values in self.tried.items()}

    def results(self, lambdas: Lambdas, scorer: Scorer, progress: Progress) -> dict[str, Path]:
        """Settle all runs and write tables, figures and README.md; the files by name."""
        planned = jobs(self.config, self.folder, lambdas)
        wait = waiting(progress.part(1.0, 1.0))
        when_free(tasks(planned, progress), lambda task: self.settle(task, scorer), wait)
        scores = [self.scores[job.name, source] for job in planned for source in self.config.sources]
        files: dict[str, Path] = {}

        def write(book: Book) -> None:
            with FolderLock(self.folder):
                for name in ("", "scores", "tables", "figures"):
                    remove_leftovers(self.folder / name)
                files.update(write_all(book, scorer, planned, self.tried, lambdas))

        when_free([Book(self.config, scores)], write, wait)
        return files


def waiting(progress: Progress) -> Callable[[], None]:
    """What to do while other processes work on all that is left; it can be cancelled."""

    def wait() -> None:
        progress.step(1.0, "Waiting for another process")
        time.sleep(WAIT_S)

    return wait


def reproduce(
    config: ReproduceConfig,
    folder: str | Path,
    progress: Progress | None = None,
    *,
    emit: Emit | None = None,
) -> dict[str, Path]:
    """Make or go on with the reproduction in `folder`; the files of its results by name.

    What is finished there is not made again, and several processes share the runs. A run that fails is a row
    with its error. emit(kind, **fields) is told of "run" (state started, trained, failed, tested),
    and at the start of "left_out" and "note". Raises ValueError or OSError on unusable data or another
    reproduction in the folder, Cancelled and KeyboardInterrupt when stopped.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            "reproduce was started by torchrun in several processes: one, or several calls with the same "
            "output folder, which share the runs, are accepted."
        )
    config, progress = ReproduceConfig.checked(config), progress or Progress()
    work = Work(config, Path(folder), emit or silent, Samples(config))
    work.folder.mkdir(parents=True, exist_ok=True)
    begin(config, work.folder)
    tell_start(config, work.folder, work.emit)
    tried = 0.6 if config.sweep_lambda else 0.0
    lambdas = work.sweep(progress.part(0.0, tried))
    with Scorer(config, work.folder) as scorer:
        files = work.results(lambdas, scorer, progress.part(tried, 0.97))
    progress.report(1.0, "Done")
    return files


def begin(config: ReproduceConfig, folder: Path) -> None:
    """Write the splits and reproduce.json, which the next call goes on with. Raises ValueError if the folder
    holds another reproduction, or the device has not what is asked for."""
    path, planned = folder / SETTINGS, [*sweep_jobs(config, folder), *jobs(config, folder)]
    for job in planned:  # what is left to train has to be possible here
        if job.config is not None and not runs.done(folder, job):
            accelerate.check(job.config, resolve_device(job.config.device))
    if path.is_file():
        before, trained = ReproduceConfig.load(path), any((folder / "runs").glob("*/config.json"))
        for name in ("dataset", *["used_protocol"] * trained):
            was, now, what = getattr(before, name), getattr(config, name), name.removeprefix("used_")
            if was != now:
                raise ValueError(
                    f"{folder.name} holds a reproduction with {what} {was!r}, not {now!r}: the same {what} "
                    "or another output folder is accepted."
                )
    write_splits(config, folder)
    runs.check_folder(folder, planned)
    root = str(Path(config.root).absolute()) if config.root else ""  # to go on from any folder
    replace(config, root=root).save(path)


def best_score(path: Path) -> float:
    """The validation score of a run's best model: mean Dice, lowered where it folds. Raises ValueError."""
    rows = runs.log_rows(path, "validation")
    if not rows:
        raise ValueError(
            f"runs/{path.name} has no validation in its log.jsonl: remove that folder to train the run anew."
        )
    if any(row.get("dice") is None for row in rows):
        raise ValueError(
            "The sweep of lambda needs labels on the validation pairs, and these have none: the run "
            "without it is accepted."
        )
    return max(validation_score(row) for row in rows)


def estimate(
    config: ReproduceConfig, folder: Path, progress: Progress, *, emit: Emit | None = None
) -> Iterator[dict[str, Any]]:
    """All runs with their steps, state, and seconds that they take, measured by a few steps of each kind.

    Nothing is written where no reproduction has begun. emit is told of "left_out" and "note".
    """
    begun = (folder / SETTINGS).is_file()
    with nullcontext(folder) if begun else TemporaryDirectory() as used:
        begin(config, Path(used))
        tell_start(config, Path(used), emit or silent)
        yield from _estimate(config, Path(used), progress)


def _estimate(config: ReproduceConfig, folder: Path, progress: Progress) -> Iterator[dict[str, Any]]:
    planned = {job.name: job for job in [*sweep_jobs(config, folder), *jobs(config, folder)]}
    samples = Samples(config)
    pace: dict[tuple[Any, ...], float] = {}
    for n, job in enumerate(planned.values()):
        training: TrainConfig | None = job.config
        finished = runs.done(folder, job) is not None
        row: dict[str, Any] = {"run": job.name, "steps": training.total_steps if training else 0}
        row |= {"seconds": 0.0, "state": "done" if finished else "", "error": ""}
        if training is not None and not finished:
            progress.step(n / len(planned), f"Measuring {job.network}, {job.variant}")
            try:
                if job.kind not in pace:
                    pace[job.kind] = runs.measure_pace(job, *samples.of(job, Progress()))
                row["seconds"] = round(pace[job.kind] * training.total_steps, 1)
            except runs.FAILURES as error:
                row |= {"seconds": None, "state": sentence(error)}
        yield row
