"""The pairs of a reproduction: one split of the patients for all runs, samples made once per seed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..config import EvaluateConfig, GridConfig, TrainConfig
from ..datasets.base import PairSample
from ..datasets.listing import Rejected, misplaced_note
from ..datasets.split import patients, read_split, split
from ..evaluation.case import Case
from ..evaluation.cases import Source, list_cases
from ..evaluation.published import pair_of
from ..files import write_whole
from ..progress import Progress
from ..registry import METHODS
from ..training.data import Loaded, load_run, open_datasets
from .config import ReproduceConfig
from .plan import Job, split_file

LEFT_OUT = "left_out.json"  # in the folder of a reproduction
VALIDATION, TEST = 0.2, 0.2  # of the patients (paper: 60/20/20)


def write_splits(config: ReproduceConfig, folder: Path) -> None:
    """split.json (the real patients) and split-seedN.json (the usable of them and that seed's phantoms).

    split.json also has the patients whose files are broken: in the test each is a row with its error. It
    stays where it is there, so that a reproduction goes on with the same patients. Raises ValueError if there
    is nothing to train on or to test, or if another split file is named than before.
    """
    parts: dict[str, list[str]] = {"training": [], "validation": [], "test": []}
    usable: set[str] = set()
    if dataset := _real(config):
        found = open_datasets(_training(config, dataset))
        usable = {p.patient for s in found for p in s.scan().pairs}
        if not usable:
            found[0].samples(GridConfig())  # raises why: what was accepted, and what was found
        parts = _real_parts(config, dataset, split_file(folder), usable)
        _write(split_file(folder), parts)
    for seed in config.all_seeds:
        simulated = _phantom_parts(config, seed)
        known = {name: [p for p in members if p in usable] for name, members in parts.items()}
        _write(split_file(folder, seed), {name: known[name] + simulated.get(name, []) for name in parts})


def _real(config: ReproduceConfig) -> str:
    return "+".join(name for name in config.dataset.split("+") if name != "phantom")


def _training(config: ReproduceConfig, dataset: str, split: str = "") -> TrainConfig:
    return TrainConfig(dataset=dataset, root=config.root, seed=0, split=split)


def _real_parts(config: ReproduceConfig, dataset: str, kept: Path, usable: set[str]) -> dict[str, list[str]]:
    file = str(kept) if kept.is_file() else config.split
    found = listed(config, dataset) if file else _testable(listed(config, dataset))
    if file:
        named = {p for members in read_split(Path(file)).values() for p in members}
        known = named if kept.is_file() else named | usable  # who came later is left out
        there, found = found, [s for s in found if s.patient in known]
        if kept.is_file() and not found:
            raise ValueError(
                f"{kept.parent.name} holds a reproduction of other patients, as {min(named)}, than "
                f"{Path(config.root).name} has, as {there[0].patient}: the same data or another output "
                "folder is accepted."
            )
    training = _training(config, dataset, file)
    parts = patients(found, split(found, training, validation=VALIDATION, test=TEST))
    if kept.is_file() and config.split:
        _check_same(Path(config.split), parts, usable, kept)
    if not parts["test"]:
        count = sum(map(len, parts.values()))
        raise ValueError(
            f"The {count} patients of {Path(config.root).name} leave none to test on: three or more, or a "
            "split file with a test part, are accepted."
        )
    if not kept.is_file() and dataset == config.dataset:  # phantoms have labels
        _check_labels(config, [s for s in found if s.patient in parts["test"]])
    return parts


def listed(config: ReproduceConfig, dataset: str) -> list[Source]:
    """All cases of real data. Raises ValueError or OSError."""
    return list_cases(EvaluateConfig(dataset=dataset, root=config.root, split="all"))[0]


def misplaced_labels(config: ReproduceConfig) -> list[str]:
    """A note where pairs have labels that lie elsewhere than their image; none if the data are gone."""
    with suppress(ValueError, OSError):
        return misplaced_note([s.misplaced for s in listed(config, _real(config))] if _real(config) else [])
    return []


def _testable(found: list[Source]) -> list[Source]:
    """The cases without those that the data set keeps for the test, where none of these has labels on both
    images and others have (older copies of CAMUS); the parts are then to be drawn from the others."""
    kept = [s for s in found if s.split == "test" and s.files]
    others = [replace(s, split="") for s in found if s.split != "test"]
    mute = bool(kept) and not any(s.labelled for s in kept)
    return others if mute and any(s.labelled for s in others) else found


def without_labels(config: ReproduceConfig, folder: Path) -> set[str]:
    """The patients that the data set keeps for the test and the reproduction leaves out, as none of them has
    labels. Raises ValueError or OSError."""
    dataset = _real(config)
    if not dataset or config.split:
        return set()
    found = listed(config, dataset)
    named = {p for members in read_split(split_file(folder)).values() for p in members}
    return {s.patient for s in found} - {s.patient for s in _testable(found)} - named


def _check_labels(config: ReproduceConfig, tested: Sequence[Source]) -> None:
    """Raises ValueError if nothing of what is tested could be compared."""
    if all(s.files and not s.labelled for s in tested):
        count = len({s.patient for s in tested})
        raise ValueError(
            f"None of the {count} test patients of {Path(config.root).name} has labels on both images: "
            "one or more with labels, or a split file that tests such, are accepted."
        )


def _check_same(path: Path, parts: dict[str, list[str]], usable: set[str], kept: Path) -> None:
    """Raises ValueError if the file has other patients in a part than the reproduction began with."""
    named = read_split(path)
    for name, members in parts.items():
        if usable & (set(named.get(name, [])) ^ set(members)):
            raise ValueError(
                f"{kept.parent.name} was begun with other {name} patients than {path.name} names: the same "
                "split or another output folder is accepted."
            )


def _phantom_parts(config: ReproduceConfig, seed: int) -> dict[str, list[str]]:
    """Training and validation phantoms of a seed; those that are tested on are made apart."""
    if "phantom" not in config.dataset.split("+"):
        return {}
    training = TrainConfig(dataset="phantom", kind=config.kind, phantoms=config.phantoms, seed=seed)
    pairs = [pair for source in open_datasets(training) for pair in source.scan().pairs]
    return patients(pairs, split(pairs, training, validation=VALIDATION, test=0.0)) if pairs else {}


def _write(path: Path, parts: Mapping[str, list[str] | str]) -> None:
    write_whole(path, json.dumps(parts, indent=1) + "\n")


class Samples:
    """The training samples of the last seed that was asked for, prepared as the test pairs are."""

    def __init__(self, config: ReproduceConfig) -> None:
        self._config = config
        self._key: tuple[int, bool] | None = None
        self._made: tuple[list[PairSample], GridConfig] = ([], GridConfig())

    def of(self, job: Job, progress: Progress) -> tuple[list[PairSample], GridConfig]:
        """The samples of a run and their grid. Raises ValueError if there are no usable pairs."""
        if job.config is None:
            raise ValueError(f"{job.name} trains nothing.")
        method = METHODS[job.config.method]
        key = (job.seed, method.weight == "oracle" or bool(method.extra))  # the phantoms' truth takes time
        if key != self._key:
            self._key, self._made = None, ([], GridConfig())  # not two sets at once in memory
            published = self._config.used_protocol == "published" and bool(_real(self._config))
            load = _load_published if published else load_run
            loaded = load(job.config, None, progress)
            samples, late = _of_the_split(Path(job.config.split), loaded.samples, published)
            self._made = samples, loaded.grid
            there = {pair_of(sample.case, published) for sample in samples}
            folder = Path(job.config.split).parent
            known = without_labels(self._config, folder)
            lost = [i for i in (*loaded.failed, *loaded.rejected, *late) if i.patient not in known]
            _note_left_out(folder, there, lost)
            self._key = key
        _only_known(Path(job.config.split), self._made[0])  # each time: another process may have begun anew
        return self._made


def _of_the_split(
    path: Path, samples: Sequence[PairSample], published: bool
) -> tuple[list[PairSample], list[Rejected]]:
    """The samples of the patients that the reproduction began with, and the pairs of those who came later."""
    files = [path] + ([real] if (real := split_file(path.parent)).is_file() else [])
    named = {p for file in files for members in read_split(file).values() for p in members}
    late = {pair_of(s.case, published): s.patient for s in samples if s.patient not in named}
    why = "It was not there when the reproduction began."
    return (
        [sample for sample in samples if sample.patient in named],
        [Rejected(Path(), why, case, patient) for case, patient in late.items()],
    )


def _only_known(path: Path, samples: list[PairSample]) -> None:
    """Take the patients out of a split file whose files turned out unusable."""
    known = {sample.patient for sample in samples}
    parts = json.loads(path.read_text(encoding="utf-8"))
    _write(path, {name: [p for p in members if p in known] for name, members in parts.items()})


def _note_left_out(folder: Path, there: set[str], refused: Sequence[Rejected]) -> None:
    """left_out.json: the pairs that no run could be given, and why, without those that are `there` by now.
    Those of the test are rows with their error already."""
    path, before = split_file(folder), left_out_pairs(folder)
    tested = read_split(path).get("test", []) if path.is_file() else []
    lost = [item for item in refused if item.case and item.patient not in tested]
    found = {item.case: item.reason for item in lost}
    found = {case: why for case, why in (before | found).items() if case not in there}
    if found or before:
        _write(folder / LEFT_OUT, found)


def left_out_pairs(folder: Path) -> dict[str, str]:
    """{pair: why} of those that no run could train on or validate with."""
    path = folder / LEFT_OUT
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _load_published(config: TrainConfig, grid: GridConfig | None, progress: Progress) -> Loaded:
    """The pairs as the paper prepares them (`evaluation.published`); phantoms as they are.

    The images are in [0, 1] already: the grid takes them as they are. Raises ValueError.
    """
    grid = grid or GridConfig(low_percentile=0.0, high_percentile=100.0)
    names = config.dataset.split("+")
    dataset = "+".join(name for name in names if name != "phantom")
    settings = EvaluateConfig(dataset=dataset, root=config.root, split="all", protocol="published")
    sources, _ = list_cases(settings)
    samples: list[PairSample] = []
    failed: list[Rejected] = []
    for n, source in enumerate(sources):
        progress.step(n / len(sources), f"Reading {source.name}")
        try:
            samples += [_sample(case) for case in source.read()]
        except (ValueError, OSError) as error:
            failed.append(Rejected(Path(), str(error), source.name, source.patient))
    if "phantom" in names:
        samples += load_run(replace(config, dataset="phantom"), grid, progress).samples
    if not samples:
        raise ValueError(f"{Path(config.root).name} has no usable pair: at least one pair is accepted.")
    return Loaded(samples, grid, failed)


def _sample(case: Case) -> PairSample:
    """A prepared case as a training sample: a plane, or a volume."""
    axis = case.slice_axis

    def cut(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array if axis is None else array.take(0, axis))

    spacing = [float(s) for d, s in enumerate(case.fixed.spacing_mm[::-1]) if d != axis]
    pair = (case.fixed_label, case.moving_label)
    fixed_label, moving_label = (None if s is None else cut(s.array.astype(np.uint8)) for s in pair)
    return PairSample(
        cut(case.fixed.array.astype(np.float32)),
        cut(case.moving.array.astype(np.float32)),
        fixed_label,
        moving_label,
        patient=case.patient,
        spacing_mm=tuple(spacing),
        case=case.name,
        split=case.split,
    )
