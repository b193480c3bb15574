"""`evaluate`: every pair of a data set registered and measured, each a row, the failed ones too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .choose import automatic
from .config import EvaluateConfig, RegisterConfig
from .device import peak_memory_mb, reset_peak_memory
from .errors import sentence
from .evaluation.case import Case, main_label
from .evaluation.cases import Source, list_cases
from .evaluation.noise import Curves
from .evaluation.results import Evaluation, Picture
from .evaluation.results import write as write
from .evaluation.scores import Row
from .evaluation.scores import score as score
from .evaluation.summary import label_notes, mean_curves, patient_rows, statistics, values
from .model import CHANGED, RegistrationModel
from .modelconfig import UseConfig
from .progress import Cancelled, Progress, silent
from .register import register_pair
from .result import RegisterResult
from .versions import versions
from .zoo import list_models

Register = Callable[[Case], RegisterResult]
Emit = Callable[..., None]


class _Raised(Cancelled):
    """What the caller's `cancelled` raised within a case, which did not fail by that."""


@contextmanager
def _callers_errors() -> Iterator[None]:
    """Raise what was raised by the caller's `cancelled`."""
    try:
        yield
    except _Raised as found:
        raise found.args[0] from None


def evaluate(
    config: EvaluateConfig,
    progress: Progress | None = None,
    *,
    model: RegistrationModel | str | Path | None = None,
    register: Register | None = None,
    emit: Emit | None = None,
    pictures: bool = True,
) -> Evaluation:
    """Register and measure every case of `config`.

    model: a loaded one, a name or a file in place of `config.model`. register: any other tool in place of
    `register_pair`; it is given a `Case`, with `both_ways` also the swapped one, and gives a `RegisterResult`
    (`assemble.result_from_field` makes one of a field), with summary["seconds"] if the time of the call is
    not that of the tool. emit: called as emit("case", **row) after each case. pictures: register the best,
    the median and the worst case once more and keep the images.

    A case that cannot be read, or whose registration or measurement raises, is a row with its "error". Raises
    ValueError or OSError if there is nothing to evaluate or the model cannot be used, Cancelled, and what the
    callbacks raise.
    """
    config, progress = EvaluateConfig.checked(config), progress or Progress()
    loaded = _loaded(config, model) if register is None else None
    sources, refused = list_cases(config, _solid_size(loaded), loaded.run if loaded else None)
    register = register or by_model(config.registration, loaded, progress)
    run = _Run(config, register, emit or silent)
    with _callers_errors():
        for n, source in enumerate(sources):
            progress.step(0.95 * n / len(sources), f"Case {n + 1} of {len(sources)}: {source.name}")
            run.add(source)
        label = _label(config, run.rows)
        ranked_by = f"dice_{label}" if label else "ncc_after"
        shown = _pictures(run, ranked_by, progress) if pictures else []
    patients = patient_rows(run.rows)
    curves = mean_curves(run.curves)
    run.note_missing_labels()
    run.note_trained_on()
    run.note_unknown_training(loaded)
    summary = _summary(config, run, patients, [r.row() for r in refused], label)
    progress.step(1.0, "Done")
    return Evaluation(config, run.rows, run.slices, patients, summary, curves, shown, label, ranked_by)


def _loaded(config: EvaluateConfig, model: RegistrationModel | str | Path | None) -> RegistrationModel | None:
    """The model, None where each case has its own, by its fixed image. Raises ValueError or OSError."""
    given = config.model if model is None else model
    if isinstance(given, RegistrationModel):
        return given
    return None if given == "auto" else RegistrationModel.load(given)


def _solid_size(model: RegistrationModel | None) -> int:
    """Voxels per side of the 3D phantoms that the model was trained on, 0 if on none."""
    trained = UseConfig.from_card({} if model is None or model.ndim == 2 else model.card)
    return trained.crop if "phantom" in trained.dataset.split("+") else 0


def by_model(how: RegisterConfig, model: RegistrationModel | None, progress: Progress) -> Register:
    """`register_pair` with the model, or with the one that suits each fixed image, which is loaded once; it
    can be cancelled and reports nothing."""

    def asked() -> bool:
        try:
            return progress.cancelled()
        except Exception as error:
            raise _Raised(error) from error

    quiet, load = Progress(cancelled=asked), cache(RegistrationModel.load)

    def register(case: Case) -> RegisterResult:
        own = replace(how, inverse=False) if case.turned else how  # which nobody would read
        if model is not None:
            return register_pair(case.fixed, case.moving, model, own, quiet)
        own = replace(own, dimension="3d") if case.volume and how.dimension == "auto" else own
        name, note = automatic(case.fixed, own)
        result = register_pair(case.fixed, case.moving, load(name), own, quiet)
        return replace(result, summary=result.summary | {"notes": [note, *result.summary["notes"]]})

    return register


class _Run:
    """The cases that were done."""

    def __init__(self, config: EvaluateConfig, register: Register, emit: Emit) -> None:
        self.config, self.register, self.emit = config, register, emit
        self.rows: list[Row] = []
        self.sources: list[Source] = []  # of each row
        self.slices: list[Row] = []
        self.curves: list[Curves] = []
        self.models: dict[str, str] = {}
        self.about: dict[str, list[Any]] = {"device": [], "notes": []}

    def add(self, source: Source) -> None:
        """Register and measure the cases of a source; each is a row, also if it fails."""
        try:
            cases = source.read()
        except Exception as error:  # whatever is wrong with one case must not end the others
            self._done(source, _failed(source, error))
            return
        for case in cases:
            try:
                row = self._measured(case)
            except Cancelled:
                raise
            except Exception as error:
                row = _failed(case, error)
            self._done(source, row)

    def _measured(self, case: Case) -> Row:
        reset_peak_memory()
        started = time.perf_counter()
        result = self.register(case)
        seconds, memory = time.perf_counter() - started, peak_memory_mb()
        found = score(case, result, self.config.chosen_labels, self._back(case))
        cost = {"seconds": result.summary.get("seconds", round(seconds, 3)), "peak_memory_mb": memory}
        self.slices += found.slices
        self.curves.append(found.curves)
        named = {"model": result.summary["model"]} if "model" in result.summary else {}
        self.models |= {name: result.record.get("model", {}).get("sha256", "") for name in named.values()}
        self._note("device", [result.summary["device"]] if "device" in result.summary else [])
        self._note("notes", result.summary.get("notes", []))
        return _about(case) | named | found.row | cost

    def _back(self, case: Case) -> RegisterResult | None:
        """The pair registered the other way round, None if that fails or is not wanted."""
        if not self.config.both_ways:
            return None
        try:
            return self.register(case.swapped)
        except Cancelled:
            raise
        except Exception as error:  # its other numbers are there
            self.note(f"{case.name} could not be registered the other way round: {sentence(error)}")
            return None

    def note_missing_labels(self) -> None:
        """Notes for cases without labels or with misplaced ones, and for each chosen label no case has."""
        self._note("notes", label_notes(self.rows, self.sources, self.config.chosen_labels))

    def note_trained_on(self) -> None:
        """A note for each shipped model that has seen some of the patients in its training."""
        for card in list_models():
            names = (card.name, CHANGED + card.name)
            own = {str(row["patient"]) for row in self.rows if row.get("model") in names}
            if seen := sorted(own & set(card.trained_on)):
                shown = ", ".join(seen[:5]) + (" and others" if len(seen) > 5 else "")
                self.note(
                    f"{card.name} was trained on {len(seen)} of the {len(own)} patients ({shown}): of these, "
                    "its numbers are no test."
                )

    def note_unknown_training(self, model: RegistrationModel | None) -> None:
        """A note where nothing tells the patients in a model's training from the others."""
        shipped = {card.name for card in list_models()}  # whose patients are known
        if model is None or self.config.split_file or model.name.removeprefix(CHANGED) in shipped:
            return
        trained_on = {*UseConfig.from_card(model.card).dataset.split("+")} - {"", "phantom"}
        known = model.run is not None and (model.run / "split.json").is_file()
        if trained_on and not known and any(not source.simulated for source in self.sources):
            self.note(
                f"{model.name} has no split.json beside it, which names the patients in its training: some "
                "of those measured here may be among them, and of these its numbers are no test."
            )

    def note(self, text: str) -> None:
        """A note for the report."""
        self._note("notes", [text])

    def _note(self, name: str, found: Sequence[Any]) -> None:
        self.about[name] += [value for value in found if value not in self.about[name]]

    def _done(self, source: Source, row: Row) -> None:
        self.rows.append(row)
        self.sources.append(source)
        self.emit("case", **row)


def _about(of: Case | Source) -> Row:
    note = of.note if isinstance(of, Case) else ""
    return {"case": of.name, "patient": of.patient, "split": of.split, "error": "", "note": note}


def _failed(of: Case | Source, error: Exception) -> Row:
    return _about(of) | {"error": sentence(error)}


def _label(config: EvaluateConfig, rows: Sequence[Row]) -> int:
    """The label that leads: the first chosen one, else the main one that was measured; 0 without labels."""
    if config.chosen_labels:
        return config.chosen_labels[0]
    found = {
        int(name[5:]) for row in rows for name in row if name.startswith("dice_") and name[5:].isdecimal()
    }
    return main_label(sorted(found)) if found else 0


def _pictures(run: _Run, by: str, progress: Progress) -> list[Picture]:
    """The best, the median and the worst case, registered once more; one that now fails is a note."""
    ranks = values(run.rows, by)
    order = [int(n) for n in np.argsort(-ranks) if np.isfinite(ranks[n])]
    if not order:
        return []
    ends = {"best": order[0], "worst": order[-1], "median": order[len(order) // 2]}
    roles = {n: role for role, n in reversed(ends.items())}  # of few cases, an end goes before the middle
    made = []
    for n in sorted(roles, key=order.index):
        progress.step(0.96, f"The {roles[n]} case: {run.rows[n]['case']}")
        picture = _again(run, n, roles[n])
        made += [] if picture is None else [picture]
    return made


def _again(run: _Run, n: int, role: str) -> Picture | None:
    row = run.rows[n]
    try:
        case = next(c for c in run.sources[n].read() if c.name == row["case"])
        return Picture(role, row, case, run.register(case))
    except Cancelled:
        raise
    except Exception as error:  # its numbers are there; a picture is no reason to lose the others
        run.note(f"The {role} case, {row['case']}, could not be drawn: {sentence(error)}")
        return None


def _summary(
    config: EvaluateConfig, run: _Run, patients: Sequence[Row], refused: list[dict[str, str]], label: int
) -> dict[str, Any]:
    failed = [{"case": row["case"], "error": row["error"]} for row in run.rows if row["error"]]
    tables = {"cases": run.rows, "slices": run.slices, "patients": list(patients)}
    return {
        "config": config.to_dict(),
        "versions": versions(),
        "models": run.models,
        **run.about,
        "label": label,
        "counts": {
            "cases": len(run.rows),
            "failed": len(failed),
            "patients": len(patients),
            "slices": len(run.slices),
            "refused": len(refused),
        },
        "failed": failed,
        "refused": refused,
        **{name: statistics(rows, [row["patient"] for row in rows]) for name, rows in tables.items()},
    }
