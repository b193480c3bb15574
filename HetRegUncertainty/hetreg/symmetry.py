"""The network's mean answer to a pair and turned copies of it, which is more accurate than one answer."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import torch
from torch import Tensor

from .model import Motion, RegistrationModel
from .progress import Progress


@dataclass(frozen=True)
class View:
    """A turn of a pair by right angles, or its mirror image: axis d of the view is axis order[d] of the
    image, reversed where flips[d]."""

    order: tuple[int, ...]
    flips: tuple[bool, ...]

    def apply(self, image: Tensor) -> Tensor:
        """(B, C, *spatial) as the view shows it; the axes of the result are in the view's order."""
        return image.permute(0, 1, *(2 + d for d in self.order)).flip(self._reversed())

    def undo(self, image: Tensor) -> Tensor:
        """The inverse of `apply`."""
        back = [2 + self.order.index(d) for d in range(len(self.order))]
        return image.flip(self._reversed()).permute(0, 1, *back)

    def undo_field(self, field: Tensor, *, signed: bool = True) -> Tensor:
        """`undo` of a field (B, ndim, *spatial), whose components lie along the axes of the view too. Signed:
        vectors; otherwise sizes along the axes, such as variances."""
        places = [self.order.index(d) for d in range(len(self.order))]
        signs = [-1.0 if signed and self.flips[p] else 1.0 for p in places]
        shape = (1, -1, *[1] * len(self.order))
        return self.undo(field)[:, places] * field.new_tensor(signs).view(shape)

    def _reversed(self) -> list[int]:
        return [2 + d for d, flip in enumerate(self.flips) if flip]


def views(ndim: int) -> list[View]:
    """2D: all 8 turns and mirror images of a square, the identity, two mirror images and the half turn first.
    3D: the identity and the half turns about each axis; all 48 would take too long."""
    straight = tuple(range(ndim))
    if ndim == 3:
        return [View(straight, f) for f in product((False, True), repeat=3) if sum(f) % 2 == 0]
    return [
        View(order, flips) for order in permutations(straight) for flips in product((False, True), repeat=2)
    ]


@torch.no_grad()
def mean_motion(
    model: RegistrationModel,
    moving: Tensor,
    fixed: Tensor,
    *,
    window: Tensor | None = None,
    count: int | None = None,
    progress: Progress | None = None,
) -> Motion:
    """The motion of the mean velocity over `views`; images (B, 1, *spatial), window (1, 1, *spatial).

    count: how many views, None for all; with one it is the network's plain answer.

    With sigma_z its variance is the mean of the views' variances: what the mean gains over one answer is left
    to the model's calibration, which is made with as many views. Asks `progress` before each view whether to
    stop.
    """
    progress, chosen = progress or Progress(), views(model.ndim)[:count]
    if len(chosen) == 1:
        return model.move(moving, fixed, window=window)
    velocities, variances = [], []
    for n, view in enumerate(chosen):
        progress.step(n / len(chosen), f"Averaging over turned copies: {n + 1} of {len(chosen)}")
        turned = (view.apply(image) for image in (moving, fixed))
        shown = None if window is None else view.apply(window)
        velocity, log_variance = model.velocity(*turned, window=shown)
        velocities.append(view.undo_field(velocity))
        if log_variance is not None:
            variances.append(view.undo_field(log_variance, signed=False).exp())
    motion = model.move(moving, fixed, velocity=torch.stack(velocities).mean(0))
    if not variances:
        return motion
    return Motion(motion.moved, motion.disp, motion.velocity, torch.stack(variances).mean(0).log())
