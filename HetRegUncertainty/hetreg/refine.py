"""Optimise one pair: start at the network's velocity, then descend the heteroscedastic loss on a velocity
update."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .losses.base import LossInputs, has_gradients
from .losses.smoothness import mean_squared_gradient
from .losses.snr_weighted import SNRWeightedMSE, data_weight
from .model import Motion, RegistrationModel
from .progress import Progress
from .spatial import resize

SMOOTHNESS = 0.02
ANCHOR = 1.0  # prior and data count alike at every voxel
LEARNING_RATE = 0.1
KERNEL_SIGMA_VOX = 1.5
REWEIGHT_EVERY = 10
NOISE_SIGMA_VOX = 8.0


@dataclass(frozen=True)
class RefineOptions:
    """iterations of Adam, with steps of `rate` voxels; weight_mode and gamma of the data term's weight;
    smoothness: lambda; anchor: weight of the network's own displacement and its variance as a prior, where
    the network gives that variance. kernels_vox: SD of the Gaussians that smooth the update, from coarse to
    fine, each for an equal share of the iterations."""

    iterations: int
    weight_mode: str = "robust"
    gamma: float = 0.5
    smoothness: float = SMOOTHNESS
    anchor: float = ANCHOR
    rate: float = LEARNING_RATE
    kernels_vox: tuple[float, ...] = (KERNEL_SIGMA_VOX,)

    def shares(self) -> list[int]:
        """Iterations with each of the kernels; what does not divide goes to the finest."""
        share = self.iterations // len(self.kernels_vox)
        return [share] * (len(self.kernels_vox) - 1) + [self.iterations - share * (len(self.kernels_vox) - 1)]


def gaussian_smooth(field: Tensor, sigma_vox: float) -> Tensor:
    """Gaussian smoothing of (B, C, *spatial), replicating the border; sigma in voxels."""
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


class AdamStep:
    """The step of Adam (Kingma 2015) with its usual constants, for one tensor.

    By hand because `torch.optim` imports Triton in CUDA builds, which crashes a process in which Mesa's
    software renderer already runs, as it does in Slicer on machines without a GPU driver.
    """

    def __init__(self, like: Tensor, rate: float) -> None:
        self._rate, self._count = rate, 0
        self._mean, self._square = torch.zeros_like(like), torch.zeros_like(like)

    def __call__(self, gradient: Tensor, share: float = 1.0) -> Tensor:
        """What to subtract, given the gradient, with this share of the rate; the shape of the tensor."""
        self._count += 1
        self._mean.lerp_(gradient, 0.1)
        self._square.lerp_(gradient.square(), 0.001)
        mean, square = self._mean / (1 - 0.9**self._count), self._square / (1 - 0.999**self._count)
        return share * self._rate * mean / (square.sqrt() + 1e-8)


def optimise(
    model: RegistrationModel,
    moving: Tensor,
    fixed: Tensor,
    start: Motion,
    options: RefineOptions,
    *,
    window: Tensor | None = None,
    mask: Tensor | None = None,
    progress: Progress | None = None,
) -> Motion:
    """Refined motion of a batch of pairs; each pair is optimised on its own.

    moving, fixed: (B, 1, *spatial) in [0, 1]. start: what the network gave. window, mask: (1, 1, *spatial).
    The model is only read: no gradient ever reaches its weights. The noise variance is estimated again every
    few iterations, from the images as they are moved by then. Where the network gives the variance of its own
    displacement, that displacement and variance are the prior of the refined one. Raises ValueError if the
    iterations lead to what is no finite number.
    """
    log_variance = model.disp_log_variance(start)
    trust = None if log_variance is None else options.anchor * (-log_variance).exp()
    descent = _Descent(model, moving, fixed, start.disp, trust, options, window, mask, progress or Progress())
    velocity = start.velocity.detach()
    for sigma_vox, iterations in zip(options.kernels_vox, options.shares(), strict=True):
        velocity = descent.follow(velocity, sigma_vox, iterations)
    with torch.no_grad():
        motion = model.move(moving, fixed, velocity=velocity)
    if not bool(motion.disp.isfinite().all()):
        raise ValueError(_diverged(options))
    return Motion(motion.moved.detach(), motion.disp.detach(), velocity)


@dataclass
class _Descent:
    """The optimisation of a batch of pairs. prior, trust: displacement and weight of the prior. done:
    iterations so far."""

    model: RegistrationModel
    moving: Tensor
    fixed: Tensor
    prior: Tensor
    trust: Tensor | None
    options: RefineOptions
    window: Tensor | None
    mask: Tensor | None
    progress: Progress
    done: int = 0

    def follow(self, velocity: Tensor, sigma_vox: float, iterations: int) -> Tensor:
        """The velocity after so many iterations on an update that is smoothed by sigma_vox."""
        update = torch.zeros_like(velocity, requires_grad=True)
        small = 1.0 if self.window is None else resize(self.window, velocity.shape[2:])
        descend, weight, noise = AdamStep(velocity, self.options.rate), None, torch.zeros(())
        with torch.enable_grad():
            for n in range(iterations):
                self._tell()
                updated = velocity + small * gaussian_smooth(update, sigma_vox)
                motion = self.model.move(self.moving, self.fixed, velocity=updated)
                if weight is None or n % REWEIGHT_EVERY == 0:
                    weight, noise = _weight(self.model, motion, self.fixed, self.options, self.mask)
                total = self._loss(motion, weight, noise) * self.fixed.shape[0]
                if not has_gradients(total):
                    raise ValueError(_diverged(self.options))
                (gradient,) = torch.autograd.grad(total, update)
                with torch.no_grad():
                    update -= descend(gradient, _decay(n / iterations))
        return velocity + small * gaussian_smooth(update.detach(), sigma_vox)

    def _tell(self) -> None:
        whole, self.done = self.options.iterations, self.done + 1
        self.progress.step((self.done - 1) / whole, f"Refining: iteration {self.done} of {whole}")

    def _loss(self, motion: Motion, weight: Tensor, noise: Tensor) -> Tensor:
        """Data, smoothness and, where the network gives its variance, the prior. A scalar."""
        data = SNRWeightedMSE()(LossInputs(self.fixed, motion.moved, motion.disp, weight=weight))
        total = data + self.options.smoothness * mean_squared_gradient(motion.disp)
        if self.trust is None:
            return total
        return total + (noise * self.trust * (motion.disp - self.prior).square()).mean()


def _diverged(options: RefineOptions) -> str:
    return (
        "The refinement gave a displacement that is not finite (weight mode "
        f"{options.weight_mode}, gamma {options.gamma:g}): a smaller gamma or no refinement is accepted."
    )


def _decay(done: float) -> float:
    """Share of the learning rate: Adam's steps do not shrink by themselves near the best field."""
    return 0.5 * (1.0 + math.cos(math.pi * done))


def _weight(
    model: RegistrationModel, motion: Motion, fixed: Tensor, options: RefineOptions, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The data term's weight, and the size of the data term around each voxel, which makes data and prior
    alike: the noise variance, smoothed. The mean of the image would be that of dark background where there is
    much of it. Of the forms, precision alone changes that size."""
    with torch.no_grad():
        log_variance = model.log_variance(motion.moved, fixed)
        inside = torch.ones_like(fixed) if mask is None else mask.expand_as(fixed)
        mode, gamma = options.weight_mode, options.gamma
        weight = data_weight(fixed, log_variance, mode=mode, gamma=gamma, mask=inside, apart=True)
        weight = weight.nan_to_num(1.0)  # mode "released" has no value for gamma 0 or a constant ratio
        size = log_variance.exp() * (weight if mode == "precision" else 1.0)
        near = gaussian_smooth(inside, NOISE_SIGMA_VOX).clamp(min=1e-6)
        return weight, gaussian_smooth(inside * size, NOISE_SIGMA_VOX) / near
