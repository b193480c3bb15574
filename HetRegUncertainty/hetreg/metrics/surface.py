"""Distances between the surfaces of two masks, in 2D and 3D.

The surface of a mask are its voxels that touch the background with a face; beyond the array is background.
Distances run from voxel centre to voxel centre. Axes of length 1 do not count, so that a (1, J, I) mask is
one of 2D. In "px" every voxel is 1 wide, in mm it has its spacing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import binary_erosion, distance_transform_edt

from .means import nanmean
from .overlap import binarise


def surface_distances(
    truth: np.ndarray, found: np.ndarray, spacing_mm: ArrayLike, policy: str = "corrected"
) -> dict[str, float]:
    """Hausdorff distance (hd), its 95th percentile (hd95) and average surface distance (asd) in px and mm.

    truth: boolean mask. found: mask or linearly warped weights 0 to 1, made a mask as the policy says
    (`overlap.binarise`). spacing_mm: of the array's axes, in their order.
    "as_published": hd_px and asd_px only, the latter from the truth's surface to the found one alone; its
    authors call it slice by slice. "corrected": all six, asd over both surfaces.
    NaN where a mask is empty. Raises ValueError if the shapes differ or the policy is unknown.
    """
    mask = binarise(found, policy)
    there_px, back_px = directed_distances(truth, mask)
    if policy == "as_published":
        return {"hd_px": hausdorff(there_px, back_px), "asd_px": float(nanmean(there_px))}
    values = {}
    for unit, pair in (("px", (there_px, back_px)), ("mm", directed_distances(truth, mask, spacing_mm))):
        values[f"hd_{unit}"] = hausdorff(*pair)
        values[f"hd95_{unit}"] = hausdorff(*pair, percentile=95.0)
        values[f"asd_{unit}"] = average_surface_distance(*pair)
    return values


def directed_distances(
    truth: np.ndarray, found: np.ndarray, spacing: ArrayLike | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each surface voxel of truth to the surface of found, and the other way round.

    truth, found: boolean masks of one shape. spacing: of the axes, default 1. Both (N,), and both empty if
    either mask is. Raises ValueError.
    """
    if truth.shape != found.shape:
        raise ValueError(f"Masks of shapes {truth.shape} and {found.shape}; the same shape is accepted.")
    steps = np.ones(truth.ndim) if spacing is None else np.asarray(spacing, float)
    if steps.shape != (truth.ndim,) or not (steps > 0).all():
        raise ValueError(
            f"Spacing {steps.tolist()}: one positive number per axis is accepted, here {truth.ndim}."
        )
    if not truth.any() or not found.any():
        return np.empty(0), np.empty(0)
    steps = steps[[n > 1 for n in truth.shape]] if max(truth.shape) > 1 else np.ones(1)
    masks = [np.atleast_1d(m.squeeze()) for m in (truth, found)]
    box = _bounding_box(masks[0] | masks[1])  # no voxel outside it matters, and it is small
    edges = [_edge(m[box]) for m in masks]
    to_truth, to_found = (distance_transform_edt(~e, sampling=steps) for e in edges)
    return to_found[edges[0]], to_truth[edges[1]]


def _edge(mask: np.ndarray) -> np.ndarray:
    """The voxels that touch the background with a face."""
    return mask & ~binary_erosion(mask)  # beyond the array is background


def hausdorff(there: np.ndarray, back: np.ndarray, percentile: float = 100.0) -> float:
    """The larger of the two directed distances' percentiles; 100 is the maximum. NaN if empty."""
    if not there.size or not back.size:
        return float("nan")
    return float(max(np.percentile(there, percentile), np.percentile(back, percentile)))


def average_surface_distance(there: np.ndarray, back: np.ndarray) -> float:
    """Mean over the voxels of both surfaces, each counted once. NaN if empty."""
    return float(nanmean(np.concatenate([there, back])))


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    box = []
    for d in range(mask.ndim):
        where = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != d)))
        box.append(slice(int(where[0]), int(where[-1]) + 1))
    return tuple(box)
