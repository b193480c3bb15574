"""What is checked before a run begins, and what its user is told then."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import torch

from ..config import GridConfig, NetworkConfig, TrainConfig, network_config
from ..datasets.listing import misplaced_note
from ..datasets.ondemand import OnDemand
from ..model import RegistrationModel
from ..networks.variance import LOG_VARIANCE_RANGE
from . import accelerate, recording
from .data import Loaded, Parts
from .distributed import Ranks
from .folder import RunFolder
from .validation import score


def check(config: TrainConfig, ranks: Ranks) -> None:
    """Raises ValueError if the run cannot be done here."""
    if (usual := torch.get_default_dtype()) != torch.float32:
        raise ValueError(
            f"torch's default type is {usual}: a training needs torch.float32, by torch.set_default_dtype."
        )
    accelerate.check(config, ranks.device)
    recording.check(config, ranks.device, grouped=ranks.grouped)
    shares = config.accumulate * ranks.world
    if config.batch % shares:
        raise ValueError(
            f"batch is {config.batch}, to be shared by {ranks.world} processes in {config.accumulate} parts: "
            f"a multiple of {shares} is accepted."
        )
    if shares > 1 and config.weight_mode == "released":
        raise ValueError(
            f"weight_mode released depends on the whole batch, which is computed in {shares} parts: one "
            "process with accumulate 1 is accepted, or robust, precision or paper."
        )


def check_crop(config: TrainConfig, network: NetworkConfig | None) -> None:
    """Raises ValueError, before any data are made, if the crop does not divide by what the networks need."""
    with torch.device("meta"):
        multiple = RegistrationModel(network or network_config(config, 2), GridConfig()).multiple
    if config.crop_vox % multiple:
        raise ValueError(
            f"crop is {config.crop_vox}: for {config.network} of size {config.size} a multiple of {multiple} "
            "is accepted."
        )


def fitting_network(config: TrainConfig, ndim: int, network: NetworkConfig | None) -> NetworkConfig:
    """The given networks, or those of the configuration. Raises ValueError if their dimension is not that of
    the pairs."""
    if network is not None and network.ndim != ndim:
        raise ValueError(
            f"The pairs are {ndim}D, the network works in {network.ndim}D: one dimension is accepted."
        )
    return network or network_config(config, ndim)


def notes(
    config: TrainConfig, folder: RunFolder, loaded: Loaded, parts: Parts, multiple: int
) -> Iterator[str]:
    """What the user should know at the start. multiple: what a crop has to divide by."""
    if folder.note:
        yield folder.note
    yield from misplaced_note(loaded.misplaced)
    if parts.new:
        yield (
            f"{len(parts.new)} patients were not there when this run began, and are left out: "
            f"{', '.join(parts.new[:5])}{' and others' if len(parts.new) > 5 else ''}."
        )
    if config.total_steps <= config.warmup:
        yield f"All {config.total_steps} steps are warm-up: the variance network is not trained."
    if not parts.samples["validation"]:
        yield "There is no pair for validation: the last weights are kept as the best, unmeasured."
    if text := _small(config, parts, multiple):
        yield text


def collapsed(variance: float) -> str:
    """What the user should know where the mean of the predicted variance, and so all of it, is at a limit of
    the network, beyond which it has no gradient; "" otherwise."""
    least, most = (math.exp(value) for value in LOG_VARIANCE_RANGE)
    if not math.isfinite(variance) or 1.001 * least < variance < 0.999 * most:
        return ""
    return (
        f"The predicted noise variance is {variance:.1e} everywhere, the limit of the network. It has "
        "collapsed and does not recover: the noise map of this run is of no use. Try clip 1 (the largest "
        "norm of a gradient), another seed or a smaller learning rate."
    )


def behind(start: str, was: dict[str, float], best: float) -> str:
    """What the user should know where the best model is not as good as the one that the run started from; ""
    otherwise. was: the validation of that one, {} if there is none. best: the score of the best model."""
    if not was or best >= score(was):
        return ""
    measure = "dice" if "dice" in was else "loss"
    model = "/".join(Path(start).parts[-2:])  # with its folder: it is mostly another run's best.pt
    return (
        f"On the validation pairs best.pt is not as good as {model}, which the run started from "
        f"({measure} {was[measure]:.4g}, folding {was['folding']:.2g} % at step 0): use that one, or try a "
        "smaller learning rate, other settings or more pairs."
    )


def _small(config: TrainConfig, parts: Parts, multiple: int) -> str:
    """A sentence if no image of the data reaches far into the crop; "" otherwise."""
    sides = [
        n
        for part in ("training", "validation")
        for s in parts.samples[part]
        if not isinstance(s, OnDemand)  # looked at, it would be made
        for n in s.fixed.shape
    ]
    longest = max(sides, default=config.crop_vox)
    enough = max(16, -(-longest // multiple) * multiple)
    if enough >= config.crop_vox:
        return ""
    return (
        f"No image is longer than {longest} voxels and the crop is {config.crop_vox}: the rest of each batch "
        f"is padding, which takes time and teaches nothing; a crop of {enough} is enough."
    )
