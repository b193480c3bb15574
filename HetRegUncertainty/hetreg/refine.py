"""Optimise one pair: start at the network's velocity, then descend the heteroscedastic loss on a velocity
update."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .losses.base import LossInputs
from .losses.smoothness import mean_squared_gradient
from .losses.snr_weighted import SNRWeightedMSE, data_weight
from .model import Motion, RegistrationModel
from .progress import Progress
from .spatial import resize

SMOOTHNESS = 0.02
LEARNING_RATE = 0.1
KERNEL_SIGMA_VOX = 1.5
REWEIGHT_EVERY = 10


@dataclass(frozen=True)
class RefineOptions:
    """iterations of Adam; weight_mode and gamma of the data term's weight; smoothness: lambda."""

    iterations: int
    weight_mode: str = "robust"
    gamma: float = 0.5
    smoothness: float = SMOOTHNESS


def gaussian_smooth(field: Tensor, sigma_vox: float) -> Tensor:
    """Gaussian smoothing of (B, C, *spatial), replicating the border; sigma in voxels."""
    if sigma_vox <= 0:
        return field
    radius = max(1, round(3 * sigma_vox))
    x = torch.arange(-radius, radius + 1, device=field.device, dtype=field.dtype)
    kernel = torch.exp(-0.5 * (x / sigma_vox) ** 2)
    kernel = kernel / kernel.sum()
    ndim, channels = field.dim() - 2, field.shape[1]
    convolve = F.conv2d if ndim == 2 else F.conv3d
    for d in range(ndim):
        shape, pad = [1] * (ndim + 2), [0] * (2 * ndim)
        shape[d + 2] = kernel.numel()
        pad[2 * (ndim - 1 - d)] = pad[2 * (ndim - 1 - d) + 1] = radius
        weight = kernel.view(shape).expand(channels, 1, *shape[2:])
        field = convolve(F.pad(field, pad, mode="replicate"), weight, groups=channels)
    return field


def optimise(
    model: RegistrationModel,
    moving: Tensor,
    fixed: Tensor,
    start: Tensor,
    options: RefineOptions,
    *,
    window: Tensor | None = None,
    mask: Tensor | None = None,
    progress: Progress | None = None,
) -> Motion:
    """Refined motion of a batch of pairs; each pair is optimised on its own.

    moving, fixed: (B, 1, *spatial) in [0, 1]. start: velocity (B, ndim, *spatial / stride). window, mask:
    (1, 1, *spatial). The model is only read: no gradient ever reaches its weights. The noise variance is
    estimated again every few iterations, from the images as they are moved by then.
    """
    progress = progress or Progress()
    start = start.detach().clone()
    update = torch.zeros_like(start, requires_grad=True)
    small = None if window is None else resize(window, start.shape[2:])
    optimiser = torch.optim.Adam([update], lr=LEARNING_RATE)
    loss, weight = SNRWeightedMSE(), None

    def current() -> Motion:
        step = gaussian_smooth(update, KERNEL_SIGMA_VOX)
        return model.move(moving, fixed, velocity=start + (step if small is None else step * small))

    with torch.enable_grad():
        for n in range(options.iterations):
            progress.step(n / options.iterations, f"Refining: iteration {n + 1} of {options.iterations}")
            motion = current()
            if weight is None or n % REWEIGHT_EVERY == 0:
                weight = _weight(model, motion, fixed, options, mask)
            data = loss(LossInputs(fixed, motion.moved, motion.disp, weight=weight))
            total = data + options.smoothness * mean_squared_gradient(motion.disp)
            (gradient,) = torch.autograd.grad(total * fixed.shape[0], update)
            update.grad = gradient
            optimiser.step()
    with torch.no_grad():
        motion = current()
    return Motion(motion.moved.detach(), motion.disp.detach(), motion.velocity.detach())


def _weight(
    model: RegistrationModel, motion: Motion, fixed: Tensor, options: RefineOptions, mask: Tensor | None
) -> Tensor:
    with torch.no_grad():
        log_variance = model.log_variance(motion.moved, fixed)
        mask = None if mask is None else mask.expand_as(fixed)
        return data_weight(fixed, log_variance, mode=options.weight_mode, gamma=options.gamma, mask=mask)
