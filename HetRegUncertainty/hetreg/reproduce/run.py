"""`reproduce`: train what is missing, test everything on the same pairs, write tables and figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import TrainConfig
from ..progress import Progress
from ..training.validation import score as validation_score
from . import runs
from .book import Book
from .config import SETTINGS, ReproduceConfig
from .data import Samples, write_splits
from .documents import write_all
from .plan import Job, duration, further, jobs, left_out, sweep_job, sweep_jobs
from .scores import Score
from .scoring import Scorer

Emit = Callable[..., None]
FURTHER = 3  # values of lambda beyond those given


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
    scores: list[Score] = field(default_factory=list)
    tried: dict[tuple[str, str], dict[float, float]] = field(default_factory=dict)

    def train(self, waiting: Sequence[Job], start: float, stop: float) -> None:
        """Train the first of the waiting runs, unless that is done."""
        job = waiting[0]
        if job.config is None or job.name in self.failed:
            return
        if found := runs.done(self.folder, job):
            self.clock.note(job, found["steps"], found["seconds"])
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
        """Train the first of the waiting runs and note its validation score. Raises ValueError."""
        self.train(waiting, start, stop)
        tried = waiting[0]
        if tried.name not in self.failed and tried.config is not None:
            value = best_score(runs.run_folder(self.folder, tried))
            self.tried.setdefault((tried.network, tried.variant), {})[tried.config.smoothness] = value

    def sweep(self, part: float) -> dict[tuple[str, str], float]:
        """Train with every lambda and take, for each method, the one with the best validation score. Where
        that is the smallest or the largest, up to FURTHER more are tried beyond it.

        Raises ValueError if the validation pairs have no labels: losses of different lambda do not compare.
        """
        waiting = sweep_jobs(self.config, self.folder)
        for n in range(len(waiting)):
            self.try_one(waiting[n:], part * n / len(waiting), part * (n + 1) / len(waiting))
        for key, scores in self.tried.items():
            for _ in range(FURTHER):
                value = further(scores)
                if value is None:
                    break
                more = sweep_job(self.config, self.folder, key, value)
                runs.check_folder(self.folder, [more])
                self.try_one([more], part, part)
                if more.name in self.failed:
                    break
        return {key: max(values, key=values.__getitem__) for key, values in self.tried.items()}


def reproduce(
    config: ReproduceConfig,
    folder: str | Path,
    progress: Progress | None = None,
    *,
    emit: Emit | None = None,
) -> dict[str, Path]:
    """Make or go on with the reproduction in `folder`; the files of its results by name.

    What is finished there is not made again. A run that fails is a row with its error. emit(kind, **fields)
    is told of "run" (state started, trained, failed, tested) and "left_out". Raises ValueError or OSError on
    unusable data or another reproduction in the folder, Cancelled and KeyboardInterrupt when stopped.
    """
    work = Work(config, Path(folder), progress or Progress(), emit or _silent, Samples(config))
    work.folder.mkdir(parents=True, exist_ok=True)
    for variant, reason in left_out(config).items():
        work.emit("left_out", variant=variant, reason=reason)
    begin(config, work.folder)
    swept = 0.6 if config.sweep_lambda else 0.0
    lambdas = work.sweep(swept)
    waiting = jobs(config, work.folder, lambdas)
    files: dict[str, Path] = {}
    with Scorer(config, work.folder) as scorer:
        for n, job in enumerate(waiting):
            start, stop = (swept + (0.97 - swept) * k / len(waiting) for k in (n, n + 1))
            middle = start + 0.9 * (stop - start)
            work.train(waiting[n:], start, middle)
            error = work.failed.get(job.name, "")
            for source in config.sources:
                made = scorer.score(job, source, error, work.progress.part(middle, stop))
                work.scores.append(made)
                state = "failed" if made.error else "tested"
                work.emit("run", state=state, run=job.name, source=source, error=made.error)
        files = write_all(Book(config, work.scores), scorer, waiting, work.tried, lambdas)
    work.progress.report(1.0, "Done")
    return files


def begin(config: ReproduceConfig, folder: Path) -> None:
    """Write the splits and reproduce.json, which the next call goes on with. Raises ValueError if the folder
    holds another reproduction."""
    path = folder / SETTINGS
    if path.is_file():
        before = ReproduceConfig.load(path).protocol
        if before != config.protocol and (folder / "runs").is_dir():
            raise ValueError(
                f"{folder.name} holds a reproduction with protocol {before!r}, not {config.protocol!r}: the "
                "same protocol or another output folder is accepted."
            )
    write_splits(config, folder)
    runs.check_folder(folder, [*sweep_jobs(config, folder), *jobs(config, folder)])
    config.save(path)


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
    """All runs with their steps, state, and seconds that they take, measured by a few steps of each kind."""
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
