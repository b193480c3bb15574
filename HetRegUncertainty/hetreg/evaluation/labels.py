"""How well the warped labels lie on those of the fixed image: overlap and surface distances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..image import Image
from ..metrics.means import nanmean
from ..metrics.overlap import binarise, dice
from ..metrics.surface import surface_distances
from ..resample import resample_like
from ..result import RegisterResult
from .case import Case, labels_of

MOST_LABELS = 32
_NO_WEIGHT = 1e-5  # a mask that does not move must not grow by rounding


class Masks(NamedTuple):
    """One label on the fixed grid, (K, J, I). truth: where the fixed image has it; moved, before: weights of
    the moving label, 0 to 1, warped and as it was."""

    truth: np.ndarray
    moved: np.ndarray
    before: np.ndarray

    def in_both(self) -> bool:
        """True if both frames have the label, the moving one before or after it is warped."""
        return bool(self.truth.any() and (self.moved.any() or self.before.any()))

    def cut(self, k: int, axis: int) -> Masks:
        """One slice, of thickness one."""
        return Masks(*(m.take([k], axis) for m in self))


def label_numbers(
    case: Case, result: RegisterResult, labels: Sequence[int] = ()
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """(numbers of the whole case, a row for each slice), with keys such as dice_2 and hd95_mm_2_before.

    A label's mask is warped linearly and made a mask by both policies of `metrics.overlap.POLICIES`. A plane
    or a resolved volume is one slice. Of a stack the case's Dice and distances in mm are those of the volume;
    px, and the published numbers, are taken slice by slice where both frames have the label. The case has
    their means, slices_2, slices_left_out_2, where one frame lacks the label, and slices_lost_2, where the
    warped label lies outside the image: these have Dice 0 and no distance. A label that one frame lacks
    altogether, as without a label image, has no numbers but slices_left_out_2, 1 for a single slice. No
    labels on either: {}, [].
    Raises ValueError if there are more than MOST_LABELS and none are chosen; on one image alone: {}, [].
    """
    there = labels_of(case)
    if not there:
        return {}, []
    if not labels and len(there) > MOST_LABELS:
        if case.fixed_label is None or case.moving_label is None:
            return {}, []
        raise ValueError(
            f"{case.name} has {len(there)} labels: at most {MOST_LABELS}, or a choice, are accepted."
        )
    axis, spacing = case.slice_axis, case.fixed.spacing_mm[::-1].tolist()
    fixed, moving = _given(case.fixed_label, case.fixed), _given(case.moving_label, case.moving)
    truth = resample_like(fixed, case.fixed, labels=True)
    whole: dict[str, float] = {}
    rows: list[dict[str, Any]] = [{"slice": k} for k in range(1 if axis is None else truth.shape[axis])]
    for label in labels or there:
        masks = Masks(truth == label, *_weights(case, moving, result, label))
        if len(rows) > 1:
            whole |= _of_stack(masks, spacing, int(axis or 0), label, rows)
        elif masks.in_both():
            numbers = _keyed(_numbers(masks, spacing) | _both(masks, _published), label)
            rows[0] |= numbers
            whole |= numbers
        elif any(m.any() for m in masks):
            whole |= _keyed({"slices_left_out": 1}, label)
    return whole, [row for row in rows if len(row) > 1]


def _given(labels: Image | None, image: Image) -> Image:
    """The labels of an image; none in it where there are none."""
    return image.like(np.zeros(image.array.shape, np.uint8), "no labels") if labels is None else labels


def _weights(case: Case, labels: Image, result: RegisterResult, label: int) -> tuple[np.ndarray, np.ndarray]:
    """A moving label's mask on the fixed grid, linearly interpolated: warped, and as it was."""
    mask = labels.like((labels.array == label).astype(np.float32), "mask")
    moved = result.apply(mask).array
    before = resample_like(mask, case.fixed)
    return np.where(moved < _NO_WEIGHT, 0.0, moved), np.where(before < _NO_WEIGHT, 0.0, before)


def _of_stack(
    masks: Masks, spacing: Sequence[float], axis: int, label: int, rows: list[dict[str, Any]]
) -> dict[str, float]:
    """The numbers of a stack's volume; those of its slices are added to their rows."""
    made, left_out = [], 0
    for k, row in enumerate(rows):
        cut = masks.cut(k, axis)
        both = cut.truth.any() and (cut.before > 0).any()
        left_out += not both and any((m > 0).any() for m in cut)
        if both:
            numbers = _numbers(cut, spacing) | _both(cut, _published)
            made.append({n: v for n, v in numbers.items() if "_px" in n or n.startswith("dice_published")})
            row |= _keyed(numbers, label)
    numbers = _numbers(masks, spacing) if masks.in_both() else {}
    volume = {n: v for n, v in numbers.items() if "_px" not in n}
    means = {n: float(nanmean([m[n] for m in made])) for n in made[0]} if made else {}
    lost = sum(bool(np.isnan(m["hd_published_px"])) for m in made)
    counts = {"slices": len(made), "slices_left_out": left_out, "slices_lost": lost}
    return _keyed(volume | means | counts, label)


def _both(masks: Masks, measure: Callable[[np.ndarray, np.ndarray], dict[str, float]]) -> dict[str, float]:
    """The numbers of the warped label, and the same "_before" of the label as it was."""
    was = measure(masks.truth, masks.before)
    return measure(masks.truth, masks.moved) | {f"{n}_before": v for n, v in was.items()}


def _numbers(masks: Masks, spacing: Sequence[float]) -> dict[str, float]:
    """By the corrected policy."""

    def measure(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
        return {"dice": dice(truth, binarise(found)), **surface_distances(truth, found, spacing)}

    return _both(masks, measure)


def _published(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    distances = surface_distances(truth, found, (1.0,) * truth.ndim, "as_published")
    return {
        "dice_published": dice(truth, binarise(found, "as_published")),
        "hd_published_px": distances["hd_px"],
        "asd_published_px": distances["asd_px"],
    }


def _keyed(numbers: dict[str, float], label: int) -> dict[str, float]:
    """dice -> dice_2, dice_before -> dice_2_before."""
    return {
        f"{n.removesuffix('_before')}_{label}{'_before' if n.endswith('_before') else ''}": v
        for n, v in numbers.items()
    }
