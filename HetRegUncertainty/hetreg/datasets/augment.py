"""Random changes of a batch of pairs; what is known about a pair is carried along."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..spatial import ALIGN_CORNERS, invert

SWAP, JITTER = 0.3, 0.05
PATCHES, PATCHED = 4, 0.5  # regions per side of noise that differs from place to place; how often it is added
BIAS_NODES, DARKER_SHARE = 3, 0.4  # of the bias field, per side; of the pairs with one darker image


@dataclass(frozen=True)
class Reach:
    """How far a pair is changed, as natural logarithms: gamma of both images, size, size along each axis, a
    smooth bias field over both, the gain of one of them alone. any_axis: a volume is turned about any axis;
    otherwise, as its slices may be thick, only within them."""

    gamma: float = 0.4
    zoom: float = 0.25
    stretch: float = 0.2
    bias: float = 0.0
    darker: float = 0.0
    any_axis: bool = False


USUAL, WIDE = Reach(), Reach(gamma=0.8, zoom=0.4, bias=0.8, darker=0.5)


@dataclass(frozen=True, eq=False)
class Pairs:
    """A batch: images (B, 1, *spatial) in [0, 1]; labels (B, 1, *spatial), 0 where there are none, or None;
    true_disp (B, ndim, *spatial) voxels and true_variance (B, 1, *spatial), NaN where not known, or None;
    mask (B, 1, *spatial), 0 in the padding, or None."""

    fixed: Tensor
    moving: Tensor
    fixed_label: Tensor | None = None
    moving_label: Tensor | None = None
    true_disp: Tensor | None = None
    true_variance: Tensor | None = None
    mask: Tensor | None = None


def augment(
    pairs: Pairs,
    generator: torch.Generator,
    *,
    swap: float = SWAP,
    extra_noise: float = 0.0,
    reach: Reach = USUAL,
) -> Pairs:
    """The same random flip, rotation, scaling, stretch, shift, gamma and bias field on both images, a little
    gain on each, extra noise of up to that SD; sometimes the two change places.

    Half of the pairs with a known variance are only flipped and turned by right angles, which keeps it true;
    of the others it is no longer known. Half of the former get extra noise that differs from place to place
    in the fixed image, of up to twice that SD, by which their variance grows.
    """
    batch, ndim = len(pairs.fixed), pairs.fixed.dim() - 2
    exact = _exact(batch, pairs.true_variance, generator)
    theta = torch.stack(
        [
            _right_angles(ndim, generator, reach) if e else _random_affine(ndim, generator, reach)
            for e in exact.tolist()
        ]
    )
    grid = F.affine_grid(theta, [batch, 1, *pairs.fixed.shape[2:]], align_corners=ALIGN_CORNERS)
    turned = _turn(pairs, theta, grid)
    free = ~exact.view(-1, *[1] * (ndim + 1))
    images = _intensities(turned.fixed, turned.moving, free, generator, extra_noise, reach)
    exchange = (torch.rand(batch, generator=generator) < swap) & ~exact
    turned = replace(turned, fixed=images[0], moving=images[1])
    if turned.true_variance is not None:
        turned = replace(turned, true_variance=turned.true_variance.masked_fill(free, torch.nan))
    if turned.true_variance is not None and extra_noise:
        fixed, variance = _patched_noise(turned.fixed, turned.true_variance, generator, 2 * extra_noise)
        turned = replace(turned, fixed=fixed, true_variance=variance)
    return _exchange(turned, exchange)


def _exact(count: int, true_variance: Tensor | None, generator: torch.Generator) -> Tensor:
    """Which pairs keep their voxels: (B,) booleans."""
    if true_variance is None:
        return torch.zeros(count, dtype=torch.bool)
    drawn = torch.rand(count, generator=generator) < 0.5
    return drawn & true_variance.flatten(1).isfinite().all(1)


def _turn(pairs: Pairs, theta: Tensor, grid: Tensor) -> Pairs:
    """Everything at the places of the grid; a field's values turn with it."""
    images = torch.cat((pairs.fixed, pairs.moving), 1)
    fixed, moving = F.grid_sample(images, grid, align_corners=ALIGN_CORNERS).chunk(2, 1)

    def nearest(image: Tensor | None) -> Tensor | None:
        if image is None:
            return None
        return F.grid_sample(image.float(), grid, mode="nearest", align_corners=ALIGN_CORNERS)

    disp = None if pairs.true_disp is None else _turn_field(pairs.true_disp, theta, grid)
    labels = (nearest(pairs.fixed_label), nearest(pairs.moving_label))
    return Pairs(fixed, moving, *labels, disp, nearest(pairs.true_variance), nearest(pairs.mask))


def _turn_field(disp: Tensor, theta: Tensor, grid: Tensor) -> Tensor:
    """The field of images that are sampled at A p + b: A^-1 disp(A p + b), in normalised coordinates."""
    sizes = disp.shape[2:]
    scale = torch.tensor([2.0 / n for n in sizes]).view(1, -1, *[1] * len(sizes))
    sampled = F.grid_sample(disp * scale, grid, padding_mode="border", align_corners=ALIGN_CORNERS)
    inverse = torch.linalg.inv(theta[:, :, :-1]).flip(1, 2)  # x, y, z -> array order
    return torch.einsum("bij,bj...->bi...", inverse, sampled) / scale


def _intensities(
    fixed: Tensor, moving: Tensor, free: Tensor, generator: torch.Generator, extra_noise: float, reach: Reach
) -> list[Tensor]:
    """Gamma and bias field of both, gain of each, noise of each, where `free`."""
    shape = (len(fixed), *[1] * (fixed.dim() - 1))

    def uniform(most: float) -> Tensor:
        return torch.empty(shape).uniform_(-most, most, generator=generator)

    gamma, changed = uniform(reach.gamma), []
    level = extra_noise * torch.rand(shape, generator=generator)
    bias = _bias(fixed, generator, reach.bias) if reach.bias else torch.zeros(())
    darker = _darker(shape, generator, reach.darker) if reach.darker else (torch.zeros(()),) * 2
    for image, dark in zip((fixed, moving), darker, strict=True):
        image = image.clamp(0.0, 1.0)
        new = image ** (gamma + uniform(JITTER)).exp() * (uniform(JITTER) + bias - dark).exp()
        if extra_noise:
            new = new + level * torch.randn(image.shape, generator=generator)
        changed.append(torch.where(free, new.clamp(0.0, 1.0), image))
    return changed


def _bias(image: Tensor, generator: torch.Generator, most: float) -> Tensor:
    """Logarithm of a bias field (B, 1, *spatial), up to a random share of `most`."""
    field = _smooth(image, BIAS_NODES, generator) * 2 - 1
    return most * torch.rand((len(image), *[1] * (image.dim() - 1)), generator=generator) * field


def _smooth(image: Tensor, nodes: int, generator: torch.Generator) -> Tensor:
    """Random values from 0 to 1 that vary smoothly over an image (B, 1, *spatial), from so many per side."""
    size = image.shape[2:]
    coarse = torch.rand((len(image), 1, *[nodes] * len(size)), generator=generator)
    mode = "bilinear" if len(size) == 2 else "trilinear"
    return F.interpolate(coarse, size=size, mode=mode, align_corners=ALIGN_CORNERS)


def _darker(shape: tuple[int, ...], generator: torch.Generator, most: float) -> tuple[Tensor, Tensor]:
    """How much darker the fixed and the moving images are, as logarithms of `shape`: in some pairs one of
    them."""
    some, share, which = (torch.rand(shape, generator=generator) for _ in range(3))
    dark = most * share * (some < DARKER_SHARE)
    return dark * (which < 0.5), dark * (which >= 0.5)


def _patched_noise(
    fixed: Tensor, true_variance: Tensor, generator: torch.Generator, largest_sd: float
) -> tuple[Tensor, Tensor]:
    """Noise of a smoothly varying SD in some of the images, and its variance added to the true one; where
    that is not known nothing changes."""
    batch, pattern = len(fixed), _smooth(fixed, PATCHES, generator).square()
    level = torch.rand(batch, generator=generator) * (torch.rand(batch, generator=generator) < PATCHED)
    known = true_variance.isfinite().flatten(1).any(1)
    sd = pattern * (largest_sd * level * known).view(-1, *[1] * (fixed.dim() - 1))
    sd = torch.minimum(sd, 0.5 * torch.minimum(fixed, 1 - fixed).clamp(min=0.0))  # nothing to clip at 0 or 1
    return fixed + sd * torch.randn(fixed.shape, generator=generator), true_variance + sd.square()


def _exchange(pairs: Pairs, chosen: Tensor) -> Pairs:
    """Fixed and moving change places in the chosen pairs; the known field becomes its inverse."""
    if not bool(chosen.any()):
        return pairs
    where = chosen.view(-1, *[1] * (pairs.fixed.dim() - 1))
    both = torch.where(where, pairs.moving, pairs.fixed), torch.where(where, pairs.fixed, pairs.moving)
    labels = pairs.fixed_label, pairs.moving_label
    there = next((label for label in labels if label is not None), None)
    if there is not None:  # 0: no label
        fixed, moving = (torch.zeros_like(there) if label is None else label for label in labels)
        labels = torch.where(where, moving, fixed), torch.where(where, fixed, moving)
    disp = pairs.true_disp
    if disp is not None:
        disp = disp.clone()
        inverse, _ = invert(disp[chosen].nan_to_num(0.0), tolerance=0.01, iterations=6)
        disp[chosen] = torch.where(disp[chosen].isfinite(), inverse, torch.nan)
    return Pairs(*both, *labels, disp, pairs.true_variance, pairs.mask)


def _order(ndim: int, generator: torch.Generator, reach: Reach) -> tuple[int, ...]:
    """A random order of the axes x, y, z; z stays the last unless the reach says otherwise."""
    orders = list(permutations(range(ndim))) if ndim == 2 or reach.any_axis else [(0, 1, 2), (1, 0, 2)]
    return orders[int(torch.randint(len(orders), (1,), generator=generator))]


def _right_angles(ndim: int, generator: torch.Generator, reach: Reach) -> Tensor:
    """(ndim, ndim + 1) matrix for `affine_grid` that permutes and flips the axes."""
    order = _order(ndim, generator, reach)
    signs = torch.where(torch.rand(ndim, generator=generator) < 0.5, -1.0, 1.0)
    matrix = torch.zeros(ndim, ndim + 1)
    for row, column in enumerate(order):
        matrix[row, column] = signs[row]
    return matrix


def _random_affine(ndim: int, generator: torch.Generator, reach: Reach) -> Tensor:
    """(ndim, ndim + 1) matrix for `affine_grid`: rotation in the last two axes of the array or, where the
    reach allows it, in any two, flips, scaling by up to the reach's zoom, stretch, shift."""
    draw = torch.rand(8 + ndim, generator=generator)
    angle = (draw[0] * 2 - 1) * torch.pi
    rotation = torch.eye(ndim)
    rotation[0, 0] = rotation[1, 1] = torch.cos(angle)
    rotation[0, 1], rotation[1, 0] = -torch.sin(angle), torch.sin(angle)
    if reach.any_axis:
        order = list(_order(ndim, generator, reach))
        rotation = rotation[order][:, order]
    flips = torch.where(draw[1 : 1 + ndim] < 0.5, -1.0, 1.0)
    stretch = torch.exp((draw[8:] * 2 - 1) * reach.stretch)
    scale = torch.exp((draw[4] * 2 - 1) * reach.zoom) * stretch
    shift = (draw[5 : 5 + ndim] * 2 - 1) * 0.1
    return torch.cat((rotation * flips * scale[:, None], shift[:, None]), dim=1)
