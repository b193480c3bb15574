"""The pairs of an evaluation: listed by headers, read one by one, never dropped."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..checks import check_labels
from ..choices import SPLITS
from ..config import EvaluateConfig
from ..datasets.listing import Listing, PairFiles, Rejected
from ..datasets.phantom import make_pair
from ..datasets.reader import label_image
from ..datasets.split import parts_by_seed, read_split
from ..image import Image, read_image
from ..registry import DATASETS, PHANTOMS, phantom_ndim, resolve
from .case import Case
from .published import prepare

_PHANTOM = re.compile(rf"({'|'.join(PHANTOMS)})-(\d+)$")


@dataclass(frozen=True, eq=False)
class Source:
    """What is known of a case before it is read. read: its cases, several if the protocol takes it apart by
    slices; raises ValueError, OSError or MemoryError if it cannot be used. split: its part, "" if unknown.
    files: what it is read from. labelled: both images have labels. misplaced: as of `PairFiles`."""

    name: str
    patient: str
    read: Callable[[], list[Case]]
    split: str = ""
    simulated: bool = False
    files: tuple[Path, ...] = ()
    labelled: bool = False
    misplaced: str = ""


def list_cases(
    config: EvaluateConfig, solid_size: int = 0, run: Path | None = None
) -> tuple[list[Source], list[Rejected]]:
    """The cases of the chosen part, and all files that are refused, those that cost no case too. solid_size:
    voxels per side of 3D phantoms where the configuration has none; 0, that of their kind. run: folder of the
    training that the model is from; None, that of the file `config.model`.

    A pair that the headers show to be unusable, or to have a wrong label, is listed too; its `read` raises
    why. Raises ValueError or OSError if the data or the split file cannot be used, or if no case is in the
    part.
    """
    sources: list[Source] = []
    names = config.dataset.split("+")
    found = [resolve(DATASETS, name)(config.root).scan() for name in names if name != "phantom"]
    for listing in found:
        sources += _of_listing(listing, config)
    file = _split_file(config, sources, run)
    named = read_split(file) if file else None
    refused = sum(found, Listing()).rejected
    if sources and config.split != "all":
        pairs = [pair for listing in found for pair in listing.pairs]
        sources = _part(sources, pairs, config, named)
    if "phantom" in names:
        sources += _phantoms(config, named, solid_size)
    if not sources:
        raise ValueError(_nothing(config, refused))
    part_of = {p: part for part, members in (named or {}).items() for p in members}
    return [_in_part(s, part_of.get(s.patient, s.split)) for s in sources], refused


def _nothing(config: EvaluateConfig, refused: Sequence[Rejected]) -> str:
    where = f" of {Path(config.root).name}" if config.root else ""
    why = f" First of {len(refused)} rejected files: {refused[0].reason}" if refused else ""
    return f"No case{where} is in split '{config.split}': at least one is accepted.{why}"


def _of_listing(listing: Listing, config: EvaluateConfig) -> list[Source]:
    """A source for each pair and for each case that is lost by its files."""
    faults: dict[str, Rejected] = {}
    for item in listing.rejected:
        if item.case:
            faults.setdefault(item.case, item)
    sources = []
    for pair in listing.pairs:
        fault = faults.pop(pair.case, None)
        read = partial(_read, pair, config, fault.reason if fault else "")
        files = (pair.fixed, pair.moving, pair.fixed_label, pair.moving_label)
        there = tuple(path for path in files if path is not None)
        found = Source(pair.case, pair.patient, read, pair.split, files=there, misplaced=pair.misplaced)
        sources.append(replace(found, labelled=pair.labels == "both"))
    for case, item in faults.items():
        sources.append(Source(case, item.patient, partial(_refuse, item.reason), item.split))
    return sources


def _refuse(reason: str) -> list[Case]:
    raise ValueError(reason)


def _split_file(config: EvaluateConfig, sources: Sequence[Source], run: Path | None) -> Path | None:
    """The file that names the parts: the given one, or that of the model's run, if its patients are these."""
    if config.split_file:
        return Path(config.split_file)
    if run is None and Path(config.model).is_file():
        run = Path(config.model).parent
    if config.split == "all" or run is None or not (own := run / "split.json").is_file():
        return None
    named = {name for members in read_split(own).values() for name in members}
    return own if named & {source.patient for source in sources} else None


def _part(
    sources: list[Source],
    pairs: Sequence[PairFiles],
    config: EvaluateConfig,
    named: dict[str, list[str]] | None,
) -> list[Source]:
    """The sources in the chosen part: by the split file, else as in a training on these data alone with this
    seed, which draws from the pairs that can be read by their headers. A patient of no such pair is in the
    part that it would have as one of all."""
    part = SPLITS[config.split]
    if named is None:
        part_of = parts_by_seed(sources, config.seed)
        part_of |= dict.fromkeys((pair.patient for pair in pairs), "training")
        part_of |= parts_by_seed(pairs, config.seed)
        return [_in_part(s, part) for s in sources if part_of.get(s.patient, "training") == part]
    patients = {p for p in named.get(part, []) if not _PHANTOM.match(p)}
    if missing := sorted(patients - {s.patient for s in sources}):
        raise ValueError(
            f"The split names {len(missing)} {part} patients that the data do not have "
            f"({', '.join(missing[:5])}): the split of these data is accepted."
        )
    patients |= _lost(sources, pairs, part, patients, named)
    return [_in_part(s, part) for s in sources if s.patient in patients]


def _in_part(source: Source, part: str) -> Source:
    """The source, and the cases that are read, in a part."""
    if part == source.split:
        return source
    return replace(source, split=part, read=lambda: [replace(case, split=part) for case in source.read()])


def _lost(
    sources: Sequence[Source],
    pairs: Sequence[PairFiles],
    part: str,
    patients: set[str],
    named: dict[str, list[str]],
) -> set[str]:
    """Patients without a pair that can be read, whom the split file of a training does not name therefore, in
    the part by the data set itself. Nobody if the file has other patients in the part than the data set."""
    readable = {pair.patient for pair in pairs}
    if {pair.patient for pair in pairs if pair.split == part} != patients & readable:
        return set()
    known = readable.union(*named.values())
    return {s.patient for s in sources if s.split == part} - known


def _phantoms(config: EvaluateConfig, named: dict[str, list[str]] | None, solid_size: int) -> list[Source]:
    """The phantoms that the split file names; otherwise new ones, which are all for testing."""
    parts = [SPLITS[config.split]] if SPLITS[config.split] else list(named or {})
    wanted = [m for part in parts for p in (named or {}).get(part, []) if (m := _PHANTOM.match(p))]
    drawn = [(m[1], int(m[2])) for m in wanted]
    if not drawn and config.split in ("test", "all"):
        kinds = config.kind.split("+")
        drawn = [(kinds[n % len(kinds)], config.first_seed + n) for n in range(config.phantoms)]
    own = {kind: solid_size if phantom_ndim(kind) == 3 else 0 for kind, _ in drawn}
    return [_phantom(kind, seed, config.phantom_size or own[kind] or None) for kind, seed in drawn]


def _phantom(kind: str, seed: int, size: int | None) -> Source:
    name = f"{kind}-{seed}"

    def read() -> list[Case]:
        pair = make_pair(kind, seed, size=size)
        images = (pair.fixed, pair.moving, pair.fixed_label, pair.moving_label)
        return [Case(name, name, *images, truth=pair, split="test")]

    return Source(name, name, read, "test", simulated=True, labelled=True)


def _read(pair: PairFiles, config: EvaluateConfig, fault: str) -> list[Case]:
    """The case of a pair of files, or its slices. Raises ValueError or OSError."""
    if fault or pair.fixed is None or pair.moving is None:
        raise ValueError(fault or f"{pair.case} has no files: a pair of image files is accepted.")
    fixed, moving = read_image(pair.fixed), read_image(pair.moving)
    fixed_label = _labels(pair.fixed_label, pair, fixed, "fixed")
    moving_label = _labels(pair.moving_label, pair, moving, "moving")
    labels = ((pair.fixed_label, fixed_label), (pair.moving_label, moving_label))
    empty = [path.name for path, label in labels if path and label and not label.array.any()]
    case = Case(
        pair.case,
        pair.patient,
        fixed,
        moving,
        fixed_label,
        moving_label,
        split=pair.split,
        note="; ".join(n for n in (pair.note, *(f"{name} has no label in it" for name in empty)) if n),
    )
    return [case] if config.protocol == "native" else prepare(case, config.chosen_labels)


def _labels(path: Path | None, pair: PairFiles, image: Image, role: str) -> Image | None:
    if path is None:
        return None
    labels = label_image(path, pair.label_map)
    check_labels(labels, image, role)
    return labels
