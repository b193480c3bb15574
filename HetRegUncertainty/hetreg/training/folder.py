"""The folder of a run: everything that says what it is and how it went."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from .. import __version__
from ..config import TrainConfig
from ..datasets.listing import Rejected
from ..datasets.split import read_split
from ..files import json_lines, patiently, remove_leftovers, unwritten, write_whole
from ..lock import PATIENCE_S, Busy, FolderLock
from ..progress import plain
from ..registry import DATASETS, METHODS, NETWORKS
from ..versions import versions

# What may change when a run goes on: its length, where it runs, where the data lie, how often it looks.
FREE = (
    "steps",
    "epochs",
    "device",
    "amp",
    "compile",
    "accumulate",
    "root",
    "cache",
    "validate_every",
    "workers",
    "graphs",
)
FILES = (
    "run.json",
    "config.json",
    "split.json",
    "left_out.json",
    "log.jsonl",
    "log.csv",
    "last.ckpt",
    "best.pt",
    "model_card.md",
    "curves.svg",
)
_IN_CARD = ("integrate", "learning_rate", "decay", "batch", "warmup", "variance_warmup", "seed")
_VALUES = (
    "seconds",
    "learning_rate",
    "loss",
    "variance_loss",
    "mean_variance",
    "dice",
    "mse",
    "folding",
    "epe",
)
COLUMNS = ("event", "step", "epoch", "phase", *_VALUES)


@cache
def code_version() -> str:
    """SHA-256 of the core's Python files, its first 16 digits: the version of the code without git.

    As they are when this process asks first: what changes on the disk later is not what runs.
    """
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def settings_changed(before: TrainConfig, now: TrainConfig, free: Sequence[str]) -> str:
    """ "seed = 1, not 2" of the first setting that differs and is not free to; "" if there is none."""
    before, now = before.settled, now.settled
    for name in (f.name for f in fields(TrainConfig) if f.name not in free):
        old, new = getattr(before, name), getattr(now, name)
        if old != new:
            return f"{name} = {old!r}, not {new!r}"
    return ""


class RunFolder:
    """config.json, run.json, split.json, log.jsonl, log.csv, last.ckpt, best.pt, model_card.md, preview/;
    left_out.json if pairs had to be left out, tensorboard/ where that is installed, .lock while it is open.
    Others write cache/ (`load_run`) and curves.svg (`commands.train`).
    """

    def __init__(self, path: Path, config: TrainConfig) -> None:
        self.path, self.config = path, config
        self.last, self.best, self.preview = path / "last.ckpt", path / "best.pt", path / "preview"
        self.split = path / "split.json"
        self.note = ""  # what has changed since the run began
        self.behind = False  # log.csv lacks rows, as it cannot be written
        self._begun = False  # log.csv is this process's
        self._board = None
        self._lock = FolderLock(path)

    def open(self, device: str) -> None:
        """Make the folder and say in it what the run is; until `close` it is this training's own. Raises
        ValueError if another one works there. `check_same` comes before."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.claim()
        made_with = {"code": code_version(), **versions()}
        self.write(  # first: by it a run is known as ours
            "run.json", json.dumps({**made_with, "device": device, **self._earlier(made_with)}, indent=2)
        )
        self.write("config.json", json.dumps(self.config.to_dict(), indent=2))
        self._board = _tensorboard(self.path)

    def claim(self) -> None:
        """Keep other trainings out of the folder, if it is there. Raises ValueError if one is in it."""
        if not self.path.is_dir():
            return
        try:
            taken = self._lock.take(PATIENCE_S)
        except OSError as error:
            raise unwritten(self.path) from error
        if not taken:
            raise Busy(f"Another training is using {self.path.name}: another folder is accepted.")
        for folder in (self.path, self.path / "preview", self.path / "cache"):
            remove_leftovers(folder, 0)

    def _earlier(self, made_with: dict[str, str]) -> dict[str, Any]:
        """{"earlier": what run.json said of the parts of a run that goes on}; a note if its code differs."""
        path = self.path / "run.json"
        if not (self.last.exists() and path.exists()):
            return {}
        try:
            before = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError):  # damaged: the run goes on without it
            before = {"code": "unknown"}
        if before.get("code") != made_with["code"]:
            self.note = "The code has changed since this run began: phantoms may differ."
        return {"earlier": [*before.pop("earlier", []), before]}

    def check_same(self) -> None:
        """Raises ValueError if a run of other settings lives here. What it started from is not compared, and
        stays: its checkpoint no longer needs it."""
        path = self.path / "config.json"
        if not (self.last.exists() and path.exists()):
            return
        before = TrainConfig.load(path)
        free = [*FREE, "start"]
        if before.split != self.config.split and self._same_patients(self.config.split):
            free.append("split")
        if changed := settings_changed(before, self.config, free):
            raise ValueError(
                f"The run in {self.path.name} was started with {changed}: the same or an empty folder is "
                "accepted."
            )
        self.config = replace(self.config, start=before.start)

    def _same_patients(self, file: str) -> bool:
        """True if a split file, of another name than before, has each patient in the same part."""
        if not file or not self.split.exists():
            return False
        named, own = read_split(Path(file)), read_split(self.split)
        return all(set(members) <= set(named.get(part, [])) for part, members in own.items())

    def write(self, name: str, text: str) -> None:
        """Write a text file whole or not at all. Raises OSError in one sentence."""
        write_whole(self.path / name, text + "\n")

    def log(self, row: dict[str, Any]) -> None:
        """Append a row to log.jsonl, to log.csv when that can be written, and to TensorBoard where it is
        installed. Raises OSError."""
        row, path = plain(row), self.path / "log.jsonl"
        try:
            patiently(_add, path, json.dumps(row) + "\n")
        except OSError as error:
            raise unwritten(path) from error
        self._to_csv([row])
        if self._board is not None:
            for name in _VALUES:
                if isinstance(row.get(name), int | float):
                    self._board.add_scalar(f"{row['event']}/{name}", row[name], row["step"])

    def _to_csv(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows to log.csv. It is begun anew, with all rows of log.jsonl, by each process and where it
        lacks some, as after another program had it open: it is only a copy for spreadsheets."""
        anew = self.behind or not self._begun
        try:
            rows = json_lines(self.path / "log.jsonl") if anew else rows
            _add(self.path / "log.csv", _table(rows, header=anew), "w" if anew else "a")
            self.behind, self._begun = False, True
        except OSError:
            self.behind = True

    def validation_of_start(self) -> dict[str, float]:
        """What was logged of the validation of the model that the run started from; {} if nothing was, or
        the row is damaged."""
        rows = (row for row in json_lines(self.path / "log.jsonl") if row.get("event") == "validation")
        found = next((row for row in rows if row.get("step") == 0), {})
        found = {name: value for name, value in found.items() if isinstance(value, int | float)}
        return found if {"loss", "folding"} <= found.keys() else {}

    def last_step(self) -> dict[str, Any]:
        """What was logged of the last step; {} if nothing was."""
        steps = (row for row in reversed(json_lines(self.path / "log.jsonl")) if row.get("event") == "step")
        return next(steps, {})

    def forget_after(self, step: int) -> None:
        """Drop what was logged after a step, all that was before the first checkpoint: a killed run was
        further than its last one."""
        path = self.path / "log.jsonl"
        if not path.exists():
            return
        steps = [(row.get("step", 0), row) for row in json_lines(path)]  # in a damaged log not of every row
        kept = [row for at, row in steps if isinstance(at, int | float) and at <= step > 0]
        write_whole(path, "".join(json.dumps(row) + "\n" for row in kept))
        self._to_csv(kept)

    def write_split(self, parts: Mapping[str, Sequence[str]]) -> None:
        """split.json: the patients of each part, as `split` accepts it."""
        self.write(self.split.name, json.dumps({n: sorted(set(p)) for n, p in parts.items()}, indent=1))

    def write_left_out(self, failed: Sequence[Rejected]) -> None:
        """left_out.json: the pairs, or labels, whose voxels turned out unusable, and why."""
        if failed:
            self.write("left_out.json", json.dumps([item.row() for item in failed], indent=1))

    def write_card(self, card: dict[str, Any], counts: dict[str, int]) -> None:
        """model_card.md: what the best model of this run is."""
        config = self.config
        method = METHODS[config.method]
        names = [*method.options, *_IN_CARD]
        settings = ", ".join(f"{name} {getattr(config, name)}" for name in names)
        scores = ", ".join(f"{name} {value:.5g}" for name, value in card["scores"].items())
        chosen = "Scores on the validation pairs, by which this step was chosen"
        if not counts.get("validation"):
            chosen = "No validation pair: the last weights; the last batch of the training"
        size = f"started from {Path(config.start).name}" if config.start else config.size
        data = " + ".join(DATASETS[name].label for name in config.dataset.split("+"))
        lines = [
            f"# {method.label}, {NETWORKS[config.network].label} ({size}), {card['ndim']}D",
            "",
            f"- Method: {config.method}. {method.help}",
            f"- Data: {data}" + (f" ({config.kind})" if "phantom" in config.dataset.split("+") else "") + "; "
            + ", ".join(f"{n} {name} pairs" for name, n in counts.items()) + ". Patients: split.json.",
            f"- Training: {card['steps']} of {config.total_steps} steps; {settings}.",
            f"- {chosen}: {scores}.",
            f"- Code: hetreg {__version__}, {code_version()}; versions: run.json; settings: config.json.",
            "- Use: research only, on images like those of the data; not tested for clinical use.",
        ]  # fmt: skip
        self.write("model_card.md", "\n".join(lines))

    def close(self) -> None:
        """End both logs and leave the folder to others."""
        if self.behind:
            self._to_csv([])
        if self._board is not None:
            self._board.close()
        self._lock.release()


def _table(rows: Sequence[dict[str, Any]], *, header: bool) -> str:
    """Rows of the log as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _add(path: Path, text: str, mode: str = "a") -> None:
    with path.open(mode, encoding="utf-8") as stream:
        stream.write(text)


def _tensorboard(folder: Path) -> Any:
    """A SummaryWriter, or None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))
