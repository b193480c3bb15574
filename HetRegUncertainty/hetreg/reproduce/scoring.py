"""One run or baseline measured on one source, by `evaluate`; what was measured is kept as rows."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..config import EvaluateConfig
from ..datasets.headers import COMPANIONS
from ..datasets.listing import Rejected
from ..evaluate import Register, by_model, evaluate
from ..evaluation.case import Case
from ..evaluation.cases import Source, list_cases
from ..files import sha256, write_whole
from ..model import RegistrationModel
from ..progress import Progress, plain
from ..result import RegisterResult
from ..training.folder import code_version
from .baselines import Elastix, undeformed
from .config import ReproduceConfig
from .elastix_worker import SETTINGS
from .plan import Job, split_file
from .runs import run_folder
from .scores import Score

_MEASURED = 3  # one more where real pairs are measured in another way than before: kept scores are made anew
# Why a case failed that the next call may have more luck with: memory, a process, an error of none of ours.
_PASSING = re.compile(
    r"memory|bad_alloc|process ended|could not be started|no space left|^\w+(Error|Exception): ",
    re.IGNORECASE,
)


def evaluate_config(config: ReproduceConfig, folder: Path, source: str) -> EvaluateConfig:
    """The test pairs of a source: the real patients of split.json, or phantoms that no run trains on."""
    name, _, kind = source.partition(":")
    return EvaluateConfig(
        dataset=name,
        kind=kind or EvaluateConfig.kind,
        phantoms=config.test_phantoms,
        phantom_size=config.phantom_size,
        protocol=config.used_protocol,
        device=config.device,
        inverse=False,
        both_ways=False,
        root="" if kind else config.root,
        split_file="" if kind else str(split_file(folder)),
    )


_NO_MATTER = ("device", "split_file", "root", "both_ways")  # to what is measured


class Scorer:
    """Measures jobs; a context manager, since elastix runs in a process that has to end."""

    def __init__(self, config: ReproduceConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self._elastix = Elastix(config.elastix_python)
        self.codes: set[str] = set()  # versions of the code that measured
        self._stamps: dict[str, str] = {}  # of the test pairs of each source

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *error: object) -> None:
        self._elastix.__exit__(*error)

    def score(self, job: Job, source: str, error: str, progress: Progress) -> Score:
        """The rows of a job on a source, from before or made now. error: why its training failed."""
        smoothness = float("nan") if job.config is None else job.config.smoothness
        empty = Score(job.network, job.variant, job.seed, source, error=error, smoothness=smoothness)
        if error:
            return empty
        path = self.folder / "scores" / f"{job.name}--{source.replace(':', '-')}.json"
        key = self._key(job, source)
        kept = _load(path, key)
        if kept is None:
            told = Progress(lambda f, m: progress.report(f, f"{job.label}: {m}"), progress.cancelled)
            try:
                register = self.register(job, told)
            except ValueError as damaged:
                return replace(empty, error=f"{damaged} Remove runs/{job.name} to train it anew.")
            kept, passing = self._measure(register, source, told)
            reasons = Counter(row["error"] for row in kept["rows"])
            if "" not in reasons:
                most = [reason for reason, _ in reasons.most_common(1)]
                return replace(empty, rows=kept["rows"], error="".join(most))
            kept |= {"code": code_version()}
            if not passing:
                _save(path, {"key": key, **kept})
        self.codes.add(kept.get("code", "an earlier version"))
        return replace(empty, rows=kept["rows"], slices=kept["slices"], curves=kept["curves"])

    def register(self, job: Job, progress: Progress | None = None) -> Register:
        """How a job registers a case; progress can cancel it. Raises ValueError if the model is of no use."""
        if job.config is None:
            return self._elastix if job.variant == "elastix" else undeformed
        model = RegistrationModel.load(run_folder(self.folder, job) / "best.pt")
        how = replace(
            evaluate_config(self.config, self.folder, self.config.sources[0]).registration,
            weight_mode=job.config.weight_mode,
            gamma=job.config.gamma,
        )
        return by_model(how, model, progress or Progress())

    def _key(self, job: Job, source: str) -> dict[str, Any]:
        """What the rows depend on."""
        settings = evaluate_config(self.config, self.folder, source).to_dict()
        settings = {k: v for k, v in settings.items() if k not in _NO_MATTER}
        settings["pairs"] = self._stamp(source)
        if ":" not in source:  # phantoms are measured as ever
            settings["measured"] = _MEASURED
        if job.config is not None:
            return {"hetreg": __version__, "evaluate": settings} | {
                "model": sha256(run_folder(self.folder, job) / "best.pt"),
                "weight": [job.config.weight_mode, job.config.gamma],
            }
        return {"hetreg": __version__, "evaluate": settings} | (
            {"elastix": SETTINGS} if job.variant == "elastix" else {}
        )

    def _stamp(self, source: str) -> str:
        """The test pairs as they were when this process first asked."""
        if source not in self._stamps:
            self._stamps[source] = _stamp(list_cases(evaluate_config(self.config, self.folder, source)))
        return self._stamps[source]

    def _measure(self, register: Register, source: str, progress: Progress) -> tuple[dict[str, Any], bool]:
        """What is kept of an evaluation, and whether the next one may have more luck with a case."""
        settings = evaluate_config(self.config, self.folder, source)
        was_read: set[str] = set()

        def noted(case: Case) -> RegisterResult:
            was_read.add(case.name)
            return register(case)

        found = evaluate(settings, progress, register=noted, pictures=False)
        failed = {row["case"]: row["error"] for row in found.rows if row["error"]}
        passing = any(_PASSING.search(reason) for reason in failed.values())
        if unread := failed.keys() - was_read:
            passing = passing or self._readable(source, unread)
        content = {"rows": found.rows, "slices": found.slices, "curves": found.curves}
        return json.loads(json.dumps(plain(content))), passing

    def _readable(self, source: str, unread: Collection[str]) -> bool:
        """Whether one of the cases that could not be read may be read the next time: it is now, or the test
        pairs are not there as at the start, as when a drive has gone."""
        try:
            cases, refused = list_cases(evaluate_config(self.config, self.folder, source))
        except (ValueError, OSError):
            return True
        again = (case for case in cases if case.name in unread)
        return _stamp((cases, refused)) != self._stamp(source) or any(_reads(case) for case in again)


def _stamp(listed: tuple[list[Source], list[Rejected]]) -> str:
    """SHA-256 of test pairs: of their names, of what is in their files and of what is wrong there."""
    digest = hashlib.sha256()
    cases, refused = listed
    for case in cases:
        digest.update(f"{case.name}\0{case.patient}\0".encode())
        for path in case.files:
            digest.update(path.name.encode() + b"\0" + _content(path))
    tested = {case.name for case in cases}
    for item in refused:
        if item.case in tested:
            digest.update(f"{item.case}\0{item.reason}\0".encode() + _content(item.file))
    return digest.hexdigest()


def _reads(case: Source) -> bool:
    try:
        return bool(case.read())
    except (ValueError, OSError, MemoryError):
        return False


def _content(path: Path) -> bytes:
    """The checksum of a file, and of the voxels that lie beside an .mhd; of what cannot be read nothing."""
    found = b""
    for part in (path, *(path.with_suffix(end) for end in COMPANIONS if path.suffix.lower() == ".mhd")):
        with suppress(OSError):
            found += sha256(part).encode()
    return found


def _load(path: Path, key: dict[str, Any]) -> dict[str, Any] | None:
    """What was kept, if it was made of the same."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(content, dict) and {"key", "rows", "slices", "curves"} <= content.keys()
    return content if whole and content["key"] == json.loads(json.dumps(key)) else None


def _save(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(content, allow_nan=False))
