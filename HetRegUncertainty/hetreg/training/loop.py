"""The training loop: per batch a displacement step, then a variance step (or one joint step); validation,
checkpoint and log in between."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import GridConfig, NetworkConfig, TrainConfig
from ..datasets.base import PairSample
from ..device import made_current, plain_torch, random_state_kept
from ..interrupt import whole_step
from ..model import RegistrationModel
from ..progress import Cancelled, Control, Progress, silent
from . import schedule
from .accelerate import in_float32
from .checkpoint import card_of_last, is_lost
from .checks import behind, check, check_crop, collapsed, fitting_network, notes
from .data import Loaded, batches, dimension_of, divide, load_run
from .distributed import Ranks, join
from .folder import RunFolder
from .start import Start, find_start
from .trainer import Trainer
from .validation import score, validate, write_preview

Emit = Callable[..., None]
LOG_EVERY, EMIT_EVERY_S, MAX_VALIDATION = 20, 0.5, 64
LOADED = 0.05  # of the progress, where the data are read and the steps begin


class Run:
    """A trainer in its folder: what it reports, writes and keeps."""

    def __init__(self, trainer: Trainer, folder: RunFolder, held: Sequence[PairSample], emit: Emit) -> None:
        self.trainer, self.folder, self.emit = trainer, folder, emit
        self.held = held[:: max(1, math.ceil(len(held) / MAX_VALIDATION))]
        self.counts: dict[str, int] = {}
        self._noted: set[str] = set()
        self._emitted, self._clock = 0.0, time.monotonic()
        self._first_step, self._started = trainer.step, self._clock

    def after_step(self, row: dict[str, float]) -> dict[str, float]:
        """Log, report and, when it is time, validate. Returns the row with what validation found."""
        trainer, config = self.trainer, self.trainer.config
        now = time.monotonic()
        trainer.seconds, self._clock = trainer.seconds + now - self._clock, now
        step, last = trainer.step, trainer.step == config.total_steps
        checked = last or step % config.validate_every == 0
        content = {
            "step": step,
            "epoch": schedule.epoch(config, step),
            "phase": schedule.phase(config, step - 1),
            "seconds": round(trainer.seconds, 2),
            "learning_rate": schedule.learning_rate(config, step - 1),
            **row,
        }
        if checked or step % LOG_EVERY == 0:
            self._log("step", content)
            if text := collapsed(row.get("mean_variance", math.nan)):
                self._note_once("variance", text)
        if last or now - self._emitted >= EMIT_EVERY_S:
            self._emitted = now
            pace = (now - self._started) / max(1, step - self._first_step)
            left = pace * (config.total_steps - step)
            self.emit("step", **content, steps=config.total_steps, eta_seconds=round(left, 1))
        return row | self.check(row) if checked else row

    def passed_over(self, seconds: float) -> None:
        """Time that was no training: a pause."""
        self._started, self._clock = self._started + seconds, self._clock + seconds

    def check(self, row: dict[str, float]) -> dict[str, float]:
        """Validate, keep the best model, write the checkpoint, the preview and the log."""
        trainer, config = self.trainer, self.trainer.config
        found = self._scores() if self.held else {"loss": row.get("loss", row.get("variance_loss", math.nan))}
        if trainer.checked < config.warmup + config.variance_warmup <= trainer.step:
            trainer.best = -math.inf  # what came before was half a model
        trainer.check_finite({})
        # a later model of the same score has seen more; without pairs there is nothing to choose by
        if not self.held or score(found) >= trainer.best:
            self._keep_best(found)  # first: a second Ctrl-C may end it
            trainer.best = score(found)
        trainer.checked = trainer.step
        content = self._row(found)
        self._log("validation", content)  # first: what goes on drops rows beyond the checkpoint
        trainer.save(self.folder.last)
        self.emit("validation", **content)
        self.preview()
        self._clock = time.monotonic()
        return {f"val_{name}": value for name, value in found.items()}

    def begin(self) -> None:
        """Show what there is before the first step: a preview and, of a run that starts from a model, what
        that model scores, to compare its successors with."""
        began = time.monotonic()
        if self.held and self.trainer.config.start and self.trainer.step == 0:
            content = self._row(self._scores())
            self._log("validation", content)
            self.emit("validation", **content)
        self.preview()
        self.passed_over(time.monotonic() - began)

    def _scores(self) -> dict[str, float]:
        trainer, crop = self.trainer, self.trainer.config.crop_vox
        found = validate(trainer.model, self.held, crop, trainer.ranks.device, trainer.objective)
        trainer.check_finite(found)
        return found

    def _row(self, found: dict[str, float]) -> dict[str, Any]:
        """The event of a validation."""
        return {"step": self.trainer.step, "dice": None, "mse": None, "folding": None, **found}

    def preview(self) -> None:
        """Show how the first validation pair is registered now, if that can be written."""
        if not self.held:
            return
        trainer, pair, crop = self.trainer, self.held[0].made, self.trainer.config.crop_vox
        try:
            write_preview(trainer.model, pair, crop, trainer.objective, self.folder.preview)
        except OSError as error:
            self._note_once("preview", f"{error} The training goes on.")
        else:
            self.emit("preview", step=trainer.step, folder=str(self.folder.preview))

    def forget_lost_best(self) -> None:
        """Where the best model of a run that goes on is gone or damaged, any later one is better."""
        if self.trainer.best > -math.inf and is_lost(self.folder.best):
            self.trainer.best = -math.inf
            self.emit("note", text="best.pt is missing or damaged: the next validation writes a new one.")

    def leave(self, row: dict[str, float]) -> None:
        """Keep what is needed to go on, and a model even if none was validated yet."""
        if self.trainer.best > -math.inf:
            self.trainer.save(self.folder.last)
        else:
            self.check(row)

    def end(self, event: str, **about: Any) -> None:
        """Tell that the run is over, with a note where it has brought nothing."""
        text = behind(self.trainer.config.start, self.folder.validation_of_start(), self.trainer.best)
        self.emit(event, **about, **({"note": text} if text else {}))

    def _log(self, event: str, content: dict[str, Any]) -> None:
        self.folder.log({"event": event, **content})
        if self.folder.behind:
            self._note_once("csv", "log.csv cannot be written (is it open in another program?): rows follow.")

    def _note_once(self, about: str, text: str) -> None:
        if about not in self._noted:
            self._noted.add(about)
            self.emit("note", text=text)

    def _keep_best(self, found: dict[str, float]) -> None:
        trainer = self.trainer
        trainer.model.card |= {"steps": trainer.step, "scores": found}
        trainer.model.save(self.folder.best)
        self.folder.write_card(trainer.model.card | {"ndim": trainer.model.ndim}, self.counts)


@plain_torch()
def train(
    config: TrainConfig,
    folder: str | Path,
    progress: Progress | None = None,
    *,
    emit: Emit | None = None,
    control: Control | None = None,
    network: NetworkConfig | None = None,
    grid: GridConfig | None = None,
    samples: Sequence[PairSample] | None = None,
) -> RegistrationModel:
    """Train (or go on with the run in `folder`) and return the model. The best one on validation lies in
    best.pt. network, grid: in place of those of the model that `config.start` names, or that the options and
    the pairs say.

    emit(kind, **fields): told of "left_out" (a pair whose voxels cannot be used), "note", "data", "step",
    "validation", "preview", "paused", "resumed", "stopped" and "done". control: pauses and stops. Raises
    ValueError on unusable data or if another training works in the folder, Cancelled when progress asks to
    stop and KeyboardInterrupt on Ctrl-C (after both the checkpoint is written).
    """
    config, progress, folder = TrainConfig.checked(config), progress or Progress(), Path(folder)
    with ExitStack() as stack:
        ranks = join(config.device)
        stack.callback(ranks.close)
        stack.enter_context(made_current(ranks.device))
        stack.enter_context(random_state_kept(ranks.device))
        progress = progress if ranks.first else Progress()
        check(config, ranks)
        begun = find_start(config, folder)
        network, grid = network or begun.network, grid or begun.grid
        begun = replace(begun, network=network, grid=grid)
        check_crop(config, network)
        content = RunFolder(folder, config)
        stack.callback(content.close)
        if ranks.first:
            content.claim()
        cache = folder / "cache" if ranks.first else None
        given = None if samples is None else Loaded(list(samples), grid or GridConfig())
        loaded = given or load_run(config, grid, progress.part(0.0, LOADED), cache)
        network = fitting_network(config, dimension_of(loaded.samples), network)
        run, training = _prepare(content, loaded, network, ranks, emit or silent, begun)
        _work(run, training, progress, control or Control())
        model = in_float32(run.trainer.model).eval()
        model.card = card_of_last(model, run.trainer.step)
        return model


def _prepare(
    folder: RunFolder,
    loaded: Loaded,
    network: NetworkConfig,
    ranks: Ranks,
    emit: Emit,
    begun: Start,
) -> tuple[Run, list[PairSample]]:
    """The run, gone on with if there was one, and its training pairs."""
    folder.check_same()
    config = folder.config
    trainer = Trainer(config, network, loaded.grid, ranks)
    trainer.start = begun.to_dict()
    trainer.model.card = begun.card | {
        "config": config.settled.to_dict() | {"root": "", "split": "", "start": ""}
    }
    trainer.model.run = folder.path.absolute()
    split = folder.split if folder.last.exists() and folder.split.exists() else None
    parts = divide(config, loaded, split)
    if folder.last.exists():
        trainer.load(folder.last)
    else:
        trainer.begin()
    if trainer.step > config.total_steps:
        raise ValueError(
            f"The run in {folder.path.name} is at step {trainer.step}, and {config.total_steps} steps are "
            f"asked for: at least {trainer.step} are accepted."
        )
    if ranks.first:
        folder.open(str(ranks.device))
        folder.write_split(parts.patients)
        folder.write_left_out(loaded.failed)
        folder.forget_after(trainer.step)
    run = Run(trainer, folder, parts.samples["validation"], emit if ranks.first else silent)
    for item in loaded.failed:
        run.emit("left_out", **item.row())
    for text in filter(None, (begun.note, *notes(config, folder, loaded, parts, trainer.model.multiple))):
        run.emit("note", text=text)
    run.counts = {name: len(part) for name, part in parts.samples.items()}
    run.emit("data", **run.counts)
    return run, parts.samples["training"]


def _work(run: Run, training: Sequence[PairSample], progress: Progress, control: Control) -> None:
    """Steps until the end, or until someone stops; a Ctrl-C or a Cancelled leaves the checkpoint."""
    trainer = run.trainer
    if trainer.ranks.first:
        run.forget_lost_best()
        run.begin()
    trainer.model.train()
    try:
        for batch in batches(training, trainer.config, trainer.step, trainer.ranks.device):
            with whole_step():
                row = trainer.one_step(batch)
                row = run.after_step(row) if trainer.ranks.first else row
            if trainer.ranks.first:
                _pause(run, control)
            if trainer.ranks.first_says(control.stopped):
                if trainer.ranks.first:
                    run.leave(row)
                run.end("stopped", step=trainer.step)
                return
            _report(trainer, row, progress)
    except (Cancelled, KeyboardInterrupt):
        if trainer.ranks.first and trainer.whole:  # a second Ctrl-C may come in the middle of a step
            with suppress(ValueError):  # it diverged: the former checkpoint stays
                trainer.save(run.folder.last)
        raise
    if trainer.ranks.first and (trainer.best == -math.inf or trainer.checked < trainer.step):
        run.check(run.folder.last_step())  # lost, or cut off by a Ctrl-C, and no step was left
    run.end("done", model=str(run.folder.best))


def _report(trainer: Trainer, row: dict[str, float], progress: Progress) -> None:
    steps, shown = trainer.config.total_steps, ("loss", "variance_loss", "val_dice", "val_folding")
    text = ", ".join(f"{k} {row[k]:.4g}" for k in shown if k in row)
    progress.step(LOADED + (1 - LOADED) * trainer.step / steps, f"Step {trainer.step} of {steps}: {text}")


def _pause(run: Run, control: Control) -> None:
    if control.paused:
        began = time.monotonic()
        run.emit("paused", step=run.trainer.step)
        control.wait()
        run.emit("resumed", step=run.trainer.step)
        run.passed_over(time.monotonic() - began)
