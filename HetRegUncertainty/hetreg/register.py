"""`register_pair`: two images in, displacement, noise variance, weight and numbers out."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .assemble import (
    Maps,
    add_segmentation,
    assemble,
    inverse_field,
    pair_notes,
    result_notes,
)
from .checks import check_labels, check_pair
from .choose import choose_model
from .config import RegisterConfig
from .device import describe_device, fitting_threads, plain_torch, resolve_device
from .errors import is_out_of_memory
from .image import Image, as_image
from .losses.snr_weighted import snr_weight
from .model import Motion, RegistrationModel, evaluating
from .modelconfig import UseConfig
from .preprocess import NetworkPair, to_network_grid
from .progress import Progress
from .refine import RefineOptions, optimise
from .result import RegisterResult
from .symmetry import mean_motion
from .versions import versions

_CHUNK_VOXELS = 2**19  # per forward pass; slices beyond it go in several, a volume in one


@plain_torch()  # the refinement needs gradients
def register_pair(
    fixed: Image | str | Path,
    moving: Image | str | Path,
    model: RegistrationModel | str | Path | None = None,
    config: RegisterConfig | None = None,
    progress: Progress | None = None,
    *,
    moving_seg: Image | str | Path | None = None,
    fixed_seg: Image | str | Path | None = None,
) -> RegisterResult:
    """Register moving to fixed, with maps of the noise and of the displacement's error.

    fixed, moving: images or files. model: a loaded model, a name or a file; None: `config.model`.
    moving_seg: labels to carry along; with fixed_seg the summary has their Dice before and after.

    The summary has mse_before / mse_after and ncc_before / ncc_after (fixed units), folded_percent,
    displacement_mean_mm / _p95_mm / _max_mm, log_jacobian_min / _max, inverse_error_p99_mm / _max_mm,
    noise_sd_median, displacement_sd_median_mm (where the model gives it), seconds, device, dimension, model,
    notes.

    Raises ValueError or OSError with one sentence on bad input, Cancelled when asked to stop.
    """
    started = time.perf_counter()
    config, progress = checked_config(config), progress or Progress()
    progress.step(0.0, "Checking the images")
    fixed, moving = as_image(fixed, "fixed image"), as_image(moving, "moving image")
    check_pair(fixed, moving)
    moving_seg, fixed_seg = _segmentations(moving_seg, fixed_seg, moving, fixed)
    device = resolve_device(config.device)
    model, notes = choose_model(config.model if model is None else model, fixed, config)
    pair = to_network_grid(fixed, moving, model.grid, ndim=model.ndim, multiple=model.multiple)
    maps, device = _run_networks(model, pair, config, device, progress.part(0.05, 0.85), notes)
    progress.step(0.87, "Moving the image")
    result = assemble(fixed, moving, pair, maps)
    if moving_seg is not None:
        result = add_segmentation(result, fixed, moving_seg, fixed_seg, moving)
    summary = result.summary | what_ran(model, device, time.perf_counter() - started)
    summary["notes"] = notes + result.summary.get("notes", [])
    summary["notes"] += result_notes(result, fixed, moving, pair) + pair_notes(fixed, pair)
    summary["notes"] += _plane_note(fixed, moving)
    progress.step(1.0, "Done")
    return replace(result, summary=summary, record=run_record(model, config, summary, fixed, moving))


def checked_config(given: RegisterConfig | None) -> RegisterConfig:
    """The configuration, the default one for None. Raises ValueError for anything else."""
    return RegisterConfig() if given is None else RegisterConfig.checked(given)


def _plane_note(fixed: Image, moving: Image) -> list[str]:
    """Where most of the moving image is left out, as that of CAMUS' sequences, whose third axis is time."""
    if min(fixed.size_ijk) > 1 or min(moving.size_ijk) == 1:
        return []
    return [
        f"The fixed image is a plane, the moving image a volume ({' x '.join(map(str, moving.size_ijk))}): "
        "only what lies in that plane is moved, and of slices that are frames in time hetreg sequence "
        "registers all."
    ]


def what_ran(model: RegistrationModel, device: torch.device, seconds: float) -> dict[str, Any]:
    """Of a summary: seconds, device, dimension and model."""
    ran = {"device": describe_device(device), "dimension": f"{model.ndim}d", "model": model.name}
    return {"seconds": round(seconds, 3), **ran}


def _segmentations(
    moving_seg: Image | str | Path | None, fixed_seg: Image | str | Path | None, moving: Image, fixed: Image
) -> tuple[Image | None, Image | None]:
    if moving_seg is None and fixed_seg is not None:
        raise ValueError("fixed_seg is given without moving_seg: both are needed for the Dice.")
    return _labels(moving_seg, moving, "moving"), _labels(fixed_seg, fixed, "fixed")


def _labels(given: Image | str | Path | None, image: Image, role: str) -> Image | None:
    if given is None:
        return None
    labels = as_image(given, f"{role} segmentation")
    check_labels(labels, image, role)
    return labels


def _run_networks(
    model: RegistrationModel,
    pair: NetworkPair,
    config: RegisterConfig,
    device: torch.device,
    progress: Progress,
    notes: list[str],
) -> tuple[Maps, torch.device]:
    """`_compute` on the device, or on the CPU if its memory is not enough. The modes of the model and its
    parts, and its device, are left as they were; 2D weights stay channels-last, which changes no number."""
    first, cpu = next(model.parameters()), torch.device("cpu")
    home = first.device
    if device.type == "mps" and first.dtype is torch.float64:
        notes.append("An Apple GPU has no numbers of 64 bits, as this model: computed on the CPU instead.")
        device = cpu
    with evaluating(model), fitting_threads(pair.fixed.numel()):
        try:
            return _compute(model, pair, config, device, progress), device
        except RuntimeError as error:
            if device.type == "cpu" or not is_out_of_memory(error):
                raise
            name = describe_device(device)
            notes.append(f"The memory of {name} was too small: computed on the CPU instead.")
            return _compute(model, pair, config, cpu, progress), cpu
        finally:
            model.to(home)


class _Part(NamedTuple):
    """Both networks' results of some slices, on the CPU; back: first guess of the inverse; disp_sd: SD of
    disp. Either is None for all slices of a pair or for none."""

    disp: Tensor
    back: Tensor | None
    log_variance: Tensor
    weight: Tensor
    disp_sd: Tensor | None


def _compute(
    model: RegistrationModel,
    pair: NetworkPair,
    config: RegisterConfig,
    device: torch.device,
    progress: Progress,
) -> Maps:
    """Both networks and the refinement, in chunks of slices; everything back on the image grid."""
    model.to(device)
    if model.ndim == 2:
        # half the time on the CPU; torch's stubs do not have this form of `to`
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    samples, voxels = pair.fixed.shape[0], pair.fixed[0].numel()
    count = max(1, _CHUNK_VOXELS // voxels)
    parts: list[_Part] = []
    for start in range(0, samples, count):
        stop = min(start + count, samples)
        chunk = progress.part(start / samples, stop / samples)
        parts.append(_forward(model, pair, slice(start, stop), config, device, chunk))
    progress.step(1.0, "Making the maps")
    field = pair.field_to_image(torch.cat([p.disp for p in parts])) * pair.image_window()
    inverse = None
    if back := [p.back for p in parts if p.back is not None]:
        inverse = inverse_field(field, pair.field_to_image(torch.cat(back)), pair)
    variance = np.exp(pair.map_to_image(torch.cat([p.log_variance for p in parts]))) * pair.scale**2
    weight = pair.map_to_image(torch.cat([p.weight for p in parts]))
    spread = [p.disp_sd for p in parts if p.disp_sd is not None]
    sd = pair.field_to_image(torch.cat(spread)) * pair.image_window() if spread else None
    return Maps(field, inverse, variance, weight, sd)


@torch.no_grad()
def _forward(
    model: RegistrationModel,
    pair: NetworkPair,
    part: slice,
    config: RegisterConfig,
    device: torch.device,
    progress: Progress,
) -> _Part:
    """The networks and the refinement on some slices."""
    dtype = next(model.parameters()).dtype
    fixed, moving = (image[part].to(device, dtype) for image in (pair.fixed, pair.moving))
    window, mask = pair.window.to(device, dtype), pair.mask.to(device, dtype)
    progress.step(0.0, f"Estimating the displacement ({describe_device(device)})")
    if config.refine:
        motion = _refined(model, moving, fixed, window, mask, config, progress.part(0.0, 0.8))
    else:
        # the card says with how many turned copies the model and its displacement SD are best
        count, first = UseConfig.from_card(model.card).views or 1, progress.part(0.0, 0.5)
        motion = mean_motion(model, moving, fixed, window=window, count=count, progress=first)
    _check_numbers(model, "displacements", motion.velocity, motion.disp)
    progress.step(0.8 if config.refine else 0.5, "Estimating the noise variance")
    log_variance = model.log_variance(motion.moved, fixed)
    _check_numbers(model, "noise variances", log_variance)
    # beside the sector of an echocardiogram every ratio is the same: with most of an image black, all of the
    # sector would be far above the median; a slice that is black everywhere is all that it has
    seen = mask * (fixed > 0)
    inside = torch.where(seen.flatten(1).any(1).view(-1, *[1] * model.ndim, 1), seen, mask)
    mode, gamma = config.weight_mode, config.gamma
    weight = snr_weight(fixed, log_variance, mode=mode, gamma=gamma, mask=inside, apart=True).nan_to_num(0.5)
    back = model.displacement(-motion.velocity, moving.shape[2:]) if config.inverse else None
    sd = model.displacement_sd(motion, progress=progress.part(0.85, 1.0))
    return _Part(*(_home(t) for t in (motion.disp, back, log_variance, weight, sd)))  # type: ignore[arg-type]


def _home(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.float().cpu()


def _check_numbers(model: RegistrationModel, what: str, *found: Tensor) -> None:
    if not all(bool(values.isfinite().all()) for values in found):
        raise ValueError(
            f"The model '{model.name}' gives {what} that are not finite numbers for this pair: another "
            "model is accepted."
        )


def _refined(
    model: RegistrationModel,
    moving: Tensor,
    fixed: Tensor,
    window: Tensor,
    mask: Tensor,
    config: RegisterConfig,
    progress: Progress,
) -> Motion:
    """The mean over turned copies, optimised on this pair; with the SD of the displacement that was measured
    for refined pairs. The model's card has that (`refined_sd`) and the `anchor`, `rate` and `kernels_vox`
    that suit it."""
    start = mean_motion(model, moving, fixed, window=window, progress=progress.part(0.0, 0.5))
    _check_numbers(model, "displacements", start.velocity)
    use = UseConfig.from_card(model.card)
    own: dict[str, Any] = {n: v for n in ("anchor", "rate", "kernels_vox") if (v := getattr(use, n))}
    options = RefineOptions(config.refine, config.weight_mode, config.gamma, **own)
    rest = progress.part(0.5, 1.0)
    motion = optimise(model, moving, fixed, start, options, window=window, mask=mask, progress=rest)
    spread = start.log_variance_z  # the network's, kept around the refined velocity
    if spread is not None:
        spread = spread + 2 * math.log(use.refined_sd or 1.0)
    return replace(motion, log_variance_z=spread)


def run_record(
    model: RegistrationModel, config: RegisterConfig, summary: dict[str, Any], fixed: Image, moving: Image
) -> dict[str, Any]:
    """The run record that travels with the result: what was run, on what, with which versions."""
    return {
        "model": {"name": summary["model"], "sha256": model.checksum},
        "config": config.to_dict(),
        "fixed": {"name": fixed.name, "size_ijk": list(fixed.size_ijk)},
        "moving": {"name": moving.name, "size_ijk": list(moving.size_ijk)},
        "device": summary["device"],
        "seconds": summary["seconds"],
        "versions": versions(),
    }
