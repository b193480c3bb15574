"""What a loss is given."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class LossInputs:
    """Named inputs of a loss; images are (B, 1, *spatial) in [0, 1], disp is (B, ndim, *spatial) in voxels.

    log_variance: log of the noise variance. weight: weight map of the data term, detached. mask: 1 where
    voxels count; None: everywhere. velocity: mean of z, log_variance_z: its log-variance, both (B, ndim,
    *spatial / stride) in voxels of that grid. true_disp: as disp, NaN where not known; disp_log_variance:
    log-variance of disp, likewise. fixed_label, moving_label: (B, 1, *spatial), 0 where there are none.
    pairs: (2,) of a part of a batch, how many pairs of the whole have a known displacement, and how many have
    labels, by the number of parts.
    """

    fixed: Tensor
    moved: Tensor
    disp: Tensor
    _: KW_ONLY
    log_variance: Tensor | None = None
    weight: Tensor | None = None
    mask: Tensor | None = None
    velocity: Tensor | None = None
    log_variance_z: Tensor | None = None
    true_disp: Tensor | None = None
    disp_log_variance: Tensor | None = None
    fixed_label: Tensor | None = None
    moving_label: Tensor | None = None
    pairs: Tensor | None = None

    def need(self, name: str) -> Tensor:
        """The optional input of that name. Raises ValueError if the run did not give it."""
        value = getattr(self, name)
        if value is None:
            raise ValueError(f"This loss needs '{name}', which the run does not give.")
        return value


class Loss(nn.Module):
    """forward(x: LossInputs) -> scalar."""

    def forward(self, x: LossInputs) -> Tensor:
        """x: the inputs by name -> scalar."""
        raise NotImplementedError


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of (B, C, *spatial) over the mask (B, 1, *spatial), over everything if the mask is None or empty.
    Each image counts alike, so that the parts of a batch give the mean of the whole."""
    return values.mean() if mask is None else image_mean(values, mask).mean()


def image_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of each (B, C, *spatial) image, over the mask if there is one: (B, 1, 1, ...)."""
    dims = tuple(range(1, values.dim()))
    if mask is None:
        return values.mean(dim=dims, keepdim=True)
    inside = mask.to(values.dtype).expand_as(values)
    total = inside.sum(dim=dims, keepdim=True)
    mean = (values * inside).sum(dim=dims, keepdim=True) / total.clamp(min=1.0)
    return torch.where(total > 0, mean, values.mean(dim=dims, keepdim=True))


def has_gradients(loss: Tensor) -> bool:
    """False for a loss on the CPU that is no finite number: at such positions PyTorch's own backward pass of
    the sampling can end the process (2D). A GPU, which only gives such gradients, is not waited for."""
    return loss.device.type != "cpu" or bool(loss.isfinite())


def from_monai(name: str) -> Any:
    """A loss class of MONAI. Raises ValueError if MONAI is not installed."""
    try:
        return getattr(import_module("monai.losses.image_dissimilarity"), name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"This loss needs the Python package '{error.name}', which is not installed: MONAI 1.4 or later "
            f"is accepted."
        ) from error
