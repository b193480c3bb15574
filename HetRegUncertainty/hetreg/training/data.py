"""The pairs of a run, and its batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ..config import GridConfig, TrainConfig
from ..datasets.augment import USUAL, WIDE, Pairs, augment
from ..datasets.base import PairSample, stack, stack_arrays, stack_known, stack_masks
from ..datasets.cache import cached_samples
from ..datasets.listing import Listing, PairFiles, Rejected
from ..datasets.ondemand import OnDemand
from ..datasets.parallel import can_fork, ignore_ctrl_c, processors
from ..datasets.reader import dimension, fitting_grid
from ..datasets.split import patients, read_split, split
from ..losses.supervised import compared
from ..progress import Progress
from ..registry import DATASETS, METHODS, resolve
from .objective import SEEDS, Batch

_KNOWN = {"fixed_label": 0.0, "moving_label": 0.0, "true_disp": np.nan, "true_variance": np.nan}
MOST_WORKERS = 8
CUBIC = 1.5  # the most that the longest edge of a voxel may measure of the shortest
_BATCH, _AUGMENTATION = 1_000_003, 7  # factors that keep the random numbers of steps and pairs apart


def open_datasets(config: TrainConfig) -> list[Any]:
    """The data sets of a run, not yet read. Raises ValueError or FileNotFoundError if one is not there."""
    return [_open(name, config) for name in config.dataset.split("+")]


def _open(name: str, config: TrainConfig) -> Any:
    dataset = resolve(DATASETS, name)
    if name != "phantom":
        return dataset(config.root)
    return dataset(
        config.kind,
        config.phantoms,
        seed=100_000 * (config.seed + 1),
        size=config.phantom_size or None,
        truth=bool(METHODS[config.method].weight == "oracle" or METHODS[config.method].extra),
    )


@dataclass(frozen=True, eq=False)
class Loaded:
    """The pairs of a run. failed: those whose voxels are unusable, or whose labels, and why; lost: the former
    as listed. rejected: the files that the listing refused. misplaced: of all pairs, as of `PairFiles`."""

    samples: list[PairSample]
    grid: GridConfig
    failed: Sequence[Rejected] = ()
    lost: Sequence[PairFiles] = ()
    rejected: Sequence[Rejected] = ()
    misplaced: Sequence[str] = ()


def load_run(
    config: TrainConfig, grid: GridConfig | None, progress: Progress, cache: Path | None = None
) -> Loaded:
    """Read or make the pairs of a run, on the given grid or on one that fits the crop.

    cache: folder of prepared pairs, used if the configuration says so. Raises ValueError if there are no
    pairs that can be used.
    """
    samples: list[PairSample] = []
    sources, kept = open_datasets(config), cache if config.cache else None
    if grid is None:
        grid = fitting_grid([pair for source in sources for pair in source.scan().pairs], config.crop_vox)
    failed: list[Rejected] = []
    lost: list[PairFiles] = []
    rejected: list[Rejected] = []
    misplaced: list[str] = []
    for n, source in enumerate(sources):
        part = progress.part(n / len(sources), (n + 1) / len(sources))
        made = source.samples(grid, part) if kept is None else cached_samples(source, grid, kept, part)
        found, listing = getattr(source, "failed", []), source.scan()
        cases = {item.case for item in found} - {sample.case for sample in made if found}
        samples += made
        failed += found
        lost += [pair for pair in listing.pairs if pair.case in cases]
        rejected += listing.rejected
        misplaced += [pair.misplaced for pair in listing.pairs]
    return Loaded(samples, grid, failed, lost, rejected, misplaced)


def dry_run(config: TrainConfig) -> dict[str, list[dict[str, Any]]]:
    """{"pairs", "rejected"}: a row for each pair, with its part of the split, and each refused file."""
    listing = sum((source.scan() for source in open_datasets(config)), Listing())
    parts = split(listing.pairs, config) if listing.pairs else {}
    part_of = {index: name for name, indices in parts.items() for index in indices}
    dimensions = [dimension(pair) for pair in listing.pairs]
    for n in _fewer(dimensions):
        pair, text = listing.pairs[n], f"{dimensions[n]}D, other pairs are not: one dimension is accepted"
        listing.pairs[n] = replace(pair, note=f"{pair.note}; {text}" if pair.note else text)
    return {
        "pairs": [pair.row(part_of[n]) for n, pair in enumerate(listing.pairs)],
        "rejected": [item.row() for item in listing.rejected],
    }


@dataclass(frozen=True, eq=False)
class Parts:
    """samples: the usable ones of each part. patients: of each part, also those without a usable pair. new:
    patients of the data that a run that goes on did not begin with."""

    samples: dict[str, list[PairSample]]
    patients: dict[str, list[str]]
    new: list[str]


def divide(config: TrainConfig, loaded: Loaded, begun: Path | None) -> Parts:
    """The pairs of each part. begun: split file of a run that goes on, which keeps its parts and takes no new
    patients. Unusable pairs take part in the draw, as in the dry run.

    Raises ValueError if the split does not fit the patients, or if no usable pair is left to train on.
    """
    items: list[PairSample | PairFiles] = [*loaded.samples, *loaded.lost]
    new: list[str] = []
    if begun is not None:
        named = {name for members in read_split(begun).values() for name in members}
        new = sorted({i.patient for i in items if not i.simulated} - named)
        items = [i for i in items if i.patient not in new]
        config = replace(config, split=str(begun))
    parts = split(items, config)
    listed = {name: [items[i] for i in indices] for name, indices in parts.items()}
    samples = {name: [i for i in part if isinstance(i, PairSample)] for name, part in listed.items()}
    if not samples["training"]:
        raise ValueError(
            f"All training pairs are unusable, first of {len(loaded.failed)}: {loaded.failed[0].reason}"
        )
    return Parts(samples, patients(items, parts), new)


def draw_batch(samples: Sequence[PairSample], config: TrainConfig, step: int) -> Batch:
    """The batch of a step; it depends on the seed and the step alone, so a resumed run draws the same."""
    generator = torch.Generator().manual_seed((config.seed * _BATCH + step) % SEEDS)
    picked = [sample.made for sample in _choose(samples, config, generator)]
    most, ndim = config.crop_vox // 8, picked[0].ndim
    offsets = torch.randint(-most, most + 1, (config.batch, ndim), generator=generator).tolist()
    names = ("fixed", "moving")
    images = (stack_arrays([getattr(s, n) for s in picked], config.crop_vox, offsets) for n in names)
    known: dict[str, Any] = {}
    if METHODS[config.method].extra:
        known = {n: stack_known(picked, n, config.crop_vox, offsets, v) for n, v in _KNOWN.items()}
        known |= compared(known["fixed_label"], known["moving_label"], generator)
    elif METHODS[config.method].weight == "oracle":
        known = {"true_variance": stack(picked, "true_variance", config.crop_vox, offsets)}
    known["mask"] = stack_masks(picked, config.crop_vox, offsets)
    pairs = Pairs(*images, **known)
    if config.augment:
        wide = replace(WIDE, any_axis=all(_cubic(sample) for sample in picked))
        reach = replace(wide if config.wide_augment else USUAL, stretch=config.stretch)
        pairs = augment(pairs, generator, extra_noise=config.extra_noise, reach=reach)
    first = (config.seed * _BATCH + step) * _AUGMENTATION * config.batch
    seeds = tuple((first + n) % SEEDS for n in range(config.batch))
    fields = {n: v.contiguous().float() for n, v in vars(pairs).items() if v is not None}
    return Batch(**fields, seeds=seeds)


def _cubic(sample: PairSample) -> bool:
    """True if a volume's voxels are about as long along each axis, so that it may be turned about any."""
    edges = sample.spacing_mm if sample.ndim == 3 else ()
    return bool(edges) and max(edges) < CUBIC * min(edges)


def _choose(
    samples: Sequence[PairSample], config: TrainConfig, generator: torch.Generator
) -> list[PairSample]:
    """The pairs of a batch: all alike, or the wanted share of real ones where there are both kinds."""
    real: list[PairSample] = []
    simulated: list[PairSample] = []
    if config.real_share:
        real, simulated = ([s for s in samples if s.simulated == kind] for kind in (False, True))
    if not real or not simulated:
        chosen = torch.randint(len(samples), (config.batch,), generator=generator).tolist()
        return [samples[i] for i in chosen]
    draws = torch.rand((config.batch, 2), generator=generator, dtype=torch.float64).tolist()
    pools = [real if kind < config.real_share else simulated for kind, _ in draws]
    return [pool[int(place * len(pool))] for pool, (_, place) in zip(pools, draws, strict=True)]


def batches(
    samples: Sequence[PairSample], config: TrainConfig, start: int, device: torch.device | None = None
) -> Iterator[Batch]:
    """The batches from step `start` to the end of the run; each is drawn while others are used, by a thread
    or, where the device computes faster than one draws, by processes. The batches are the same."""
    if start >= config.total_steps:
        return
    on_demand = any(isinstance(s, OnDemand) for s in samples)
    if workers := worker_count(config, device, on_demand=on_demand):
        yield from _by_processes(_Drawn(samples, config, start, workers), workers)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="hetreg-batches") as pool:
        waiting = pool.submit(draw_batch, samples, config, start)
        for step in range(start, config.total_steps):
            batch = waiting.result()
            if step + 1 < config.total_steps:
                waiting = pool.submit(draw_batch, samples, config, step + 1)
            yield batch


def worker_count(config: TrainConfig, device: torch.device | None, *, on_demand: bool = False) -> int:
    """How many processes draw batches, 0 for a thread. on_demand: pairs are made as they are drawn, which
    takes longer than a step on a CPU too."""
    if not can_fork():
        return 0
    if config.workers >= 0:
        return config.workers
    waits = on_demand or (device is not None and device.type == "cuda")
    return min(MOST_WORKERS, max(1, processors() - 1)) if waits else 0


def _by_processes(drawn: _Drawn, workers: int) -> Iterator[Batch]:
    """The batches, by a DataLoader. Raises what drawing one raises, and OSError if a process is ended."""
    loader = DataLoader(
        drawn, None, num_workers=workers, worker_init_fn=drawn.begin, multiprocessing_context="fork"
    )
    found = iter(loader)
    for _ in range(len(drawn)):
        try:
            batch = next(found)
        except RuntimeError as error:
            reason = str(error).splitlines()[0].rstrip(".:")
            raise OSError(
                f"One of {workers} processes that draw batches ended ({reason}): fewer workers (0 is a "
                "thread) or more memory are accepted."
            ) from error
        if isinstance(batch, Exception):
            raise batch
        yield batch


class _Drawn(Dataset[Batch | Exception]):
    """The batches of a run from a step on, for the processes of a DataLoader. An error is handed over as it
    is: a loader would make a text with a traceback of it."""

    def __init__(self, samples: Sequence[PairSample], config: TrainConfig, start: int, workers: int) -> None:
        self._samples, self._config, self._start, self._workers = samples, config, start, workers

    def __len__(self) -> int:
        return self._config.total_steps - self._start

    def __getitem__(self, n: int) -> Batch | Exception:
        try:
            return draw_batch(self._samples, self._config, self._start + n)
        except Exception as error:  # raised again where the batches are used
            return error

    def begin(self, worker: int) -> None:
        """In a process of its own, which shares the memory with the others."""
        ignore_ctrl_c()
        for kept in {s.kept for s in self._samples if isinstance(s, OnDemand)}:
            kept.share(self._workers)


def dimension_of(samples: Sequence[PairSample]) -> int:
    """2 or 3. Raises ValueError if there are no pairs or both kinds."""
    kinds = sorted({(sample.case, sample.ndim) for sample in samples})
    if not kinds:
        raise ValueError("The run has no pairs: at least one pair is accepted.")
    if fewer := _fewer([ndim for _, ndim in kinds]):
        case, ndim = kinds[fewer[0]]
        raise ValueError(
            f"The pairs are 2D and 3D ({ndim}D: {len(fewer)} of {len(kinds)}, the first is {case}): one "
            "dimension is accepted."
        )
    return kinds[0][1]


def _fewer(dimensions: Sequence[int]) -> list[int]:
    """The places of those that are not the most frequent one."""
    most = Counter(dimensions).most_common(1)
    return [n for n, ndim in enumerate(dimensions) if ndim != most[0][0]]


def single(sample: PairSample, crop: int) -> tuple[Batch, np.ndarray | None, np.ndarray | None]:
    """A batch of one pair around its centre, and its labels (1, 1, *spatial) or None."""
    sample, zero = sample.made, [[0] * sample.ndim]
    fixed, moving = (stack_arrays([image], crop, zero) for image in (sample.fixed, sample.moving))
    known: dict[str, Any] = {n: stack_known([sample], n, crop, zero, v) for n, v in _KNOWN.items()}
    labels = (None if known[n] is None else known[n].numpy() for n in ("fixed_label", "moving_label"))
    fixed_label, moving_label = labels
    known |= compared(known["fixed_label"], known["moving_label"], torch.Generator().manual_seed(0))
    return Batch(fixed, moving, stack_masks([sample], crop, zero), **known), fixed_label, moving_label
