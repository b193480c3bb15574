"""How good a model is on held-out pairs, and a picture of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..datasets.base import PairSample
from ..files import unwritten
from ..image import Image, write_image
from ..losses.base import masked_mean
from ..losses.mse import mean_squared_error
from ..metrics.overlap import dice
from ..model import RegistrationModel, evaluating
from ..spatial import jacobian_determinant, warp
from .data import single
from .objective import Objective
from .steps import displacement_loss, weight_map

LABELS = (2, 3)  # LV myocardium and cavity; where no pair has one of them, all labels
FOLDING_LIMIT, FOLDING_PENALTY = 0.5, 10.0  # percent; no Dice makes up for it


@torch.no_grad()
def validate(
    model: RegistrationModel,
    samples: Sequence[PairSample],
    crop: int,
    device: torch.device,
    objective: Objective,
) -> dict[str, float]:
    """Mean over the pairs, without their padding: mse, folding (%), loss, Dice of LV
    cavity and myocardium where both frames have them (of all labels in data that have neither), and epe,
    the end-point error in the heart (voxels), where the displacement is known."""
    labels = _labels(samples)
    with evaluating(model):
        rows = [_scores(model, sample, crop, device, objective, labels) for sample in samples]
    names = sorted({n for r in rows for n in r})
    return {n: float(np.mean([r[n] for r in rows if n in r])) for n in names}


def _labels(samples: Sequence[PairSample]) -> list[int]:
    """The labels that count."""
    there = {
        int(v)
        for s in samples
        for label in (s.fixed_label, s.moving_label)
        if label is not None
        for v in np.unique(label)
    }
    return sorted(there & set(LABELS) or there - {0})


def _scores(
    model: RegistrationModel,
    sample: PairSample,
    crop: int,
    device: torch.device,
    objective: Objective,
    labels: Sequence[int],
) -> dict[str, float]:
    batch, truth, label = single(sample, crop)
    batch = batch.to(device)
    motion = model.move(batch.moving, batch.fixed)
    row = {
        "mse": float(mean_squared_error(batch.fixed, motion.moved, batch.mask)),
        "folding": 100.0 * float(masked_mean((jacobian_determinant(motion.disp) <= 0).float(), batch.mask)),
        "loss": float(displacement_loss(model, batch, objective, motion=motion)[0]),
    }
    if batch.true_disp is not None and truth is not None:
        heart = torch.from_numpy(truth).to(device) > 0
        heart &= batch.true_disp.isfinite().all(1, keepdim=True)  # NaN: not known
        off = (motion.disp - batch.true_disp).square().sum(1, keepdim=True).sqrt()[heart]
        if off.numel():
            row["epe"] = float(off.mean())
    if truth is not None and label is not None:
        # on the CPU: Apple's GPUs have no nearest neighbour in 3D
        moved = warp(torch.from_numpy(label).float(), motion.disp.cpu(), mode="nearest").numpy()
        found = [dice(truth == v, moved == v) for v in labels if (truth == v).any() and (label == v).any()]
        if found:
            row["dice"] = float(np.mean(found))
    return row


def score(scores: dict[str, float]) -> float:
    """What the best model has most of: Dice where there are labels, else minus the loss; folding costs."""
    value = scores["dice"] if "dice" in scores else -scores["loss"]
    return value - (FOLDING_PENALTY if scores.get("folding", 0.0) > FOLDING_LIMIT else 0.0)


@torch.no_grad()
def write_preview(
    model: RegistrationModel, sample: PairSample, crop: int, objective: Objective, folder: Path
) -> None:
    """Write fixed, moved, noise_sd and weight of one pair as NRRD, each whole or not at all. Raises OSError,
    also where the folder above is gone: of a run that was moved no other one is begun."""
    batch, _, _ = single(sample, crop)
    batch = batch.to(next(model.parameters()).device)
    shown = replace(objective, weight=objective.weight or "snr")
    with evaluating(model):
        moved = model.move(batch.moving, batch.fixed).moved
        weight, log_variance = weight_map(model, batch, moved, shown)
    images = {
        "fixed": batch.fixed,
        "moved": moved,
        "noise_sd": (0.5 * log_variance).exp(),
        "weight": weight,
    }
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise unwritten(folder) from error
    for name, image in images.items():
        write_image(_image(image, sample.spacing_mm, name), folder / f"{name}.nrrd")


def _image(tensor: Tensor, spacing_mm: tuple[float, ...], name: str) -> Image:
    """(1, 1, *spatial) as an image with this pixel size (array order; 1 mm where not known)."""
    array = tensor[0, 0].float().cpu().numpy()
    sizes = spacing_mm or (1.0,) * array.ndim
    array = array if array.ndim == 3 else array[None]
    matrix = np.diag([*sizes[::-1], *[1.0] * (3 - len(sizes)), 1.0])
    return Image(np.ascontiguousarray(array, dtype=np.float32), matrix, name)
