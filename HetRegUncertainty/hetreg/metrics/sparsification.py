"""Does the uncertainty find the errors? Voxels are taken away from the most to the least uncertain, and the
mean squared error of the rest is watched (paper, section 5.3).

Exact: every voxel is a step, by cumulative sums. Voxels of equal uncertainty share their mean error, which
is what removing them in random order gives on average; a constant uncertainty is then a flat line. A value
that is not finite makes every number NaN: it is not passed over in silence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .means import sorted_by

PUBLISHED_BINS = 50


@dataclass(frozen=True, eq=False)
class Curve:
    """Mean squared error of what is left when a fraction of the voxels is gone; three arrays (N,).

    fraction: 0, 1/N .. (N-1)/N. by_uncertainty: the most uncertain go first. oracle: those of the largest
    error go first, the best that is possible. Both begin with the error of all, which is also what removal
    at random keeps.
    """

    fraction: np.ndarray
    by_uncertainty: np.ndarray
    oracle: np.ndarray

    def sampled(self, bins: int) -> Curve:
        """The curve at the fractions 0, 1/bins .. (bins-1)/bins, where floor(fraction N) voxels are gone."""
        fraction = np.arange(bins) / bins
        if not self.fraction.size:
            nothing = np.full(bins, np.nan)
            return Curve(fraction, nothing, nothing)
        at = np.arange(bins) * self.fraction.size // bins
        return Curve(fraction, self.by_uncertainty[at], self.oracle[at])

    def area(self, *, normalised: bool = False) -> float:
        """AUSE: mean of by_uncertainty - oracle over the fractions, 0 for a perfect order.

        normalised: in parts of the error of all, which makes images of different error comparable. NaN if
        there is nothing, or nothing to divide by.
        """
        if not self.fraction.size:
            return float("nan")
        area, whole = float(np.mean(self.by_uncertainty - self.oracle)), float(self.oracle[0])
        if not normalised:
            return area
        return area / whole if whole > 0 else float("nan")


def sparsification(
    squared_error: np.ndarray, uncertainty: np.ndarray, mask: np.ndarray | None = None
) -> Curve:
    """The exact curve of the voxels in the mask (boolean, default all). Arrays of one shape.

    An empty mask gives an empty curve. Raises ValueError if the shapes differ.
    """
    if squared_error.shape != uncertainty.shape or (mask is not None and mask.shape != uncertainty.shape):
        shapes = [a.shape for a in (squared_error, uncertainty, mask) if a is not None]
        raise ValueError(f"sparsification: shapes {', '.join(map(str, shapes))}; the same shape is accepted.")
    chosen = slice(None) if mask is None else mask
    error = squared_error[chosen].ravel().astype(np.float64)
    order = uncertainty[chosen].ravel()
    fraction = np.arange(error.size) / error.size
    if not (np.isfinite(error).all() and np.isfinite(order).all()):
        nothing = np.full(error.size, np.nan)
        return Curve(fraction, nothing, nothing)
    return Curve(fraction, _mean_of_rest(sorted_by(order, error)), _mean_of_rest(np.sort(error)))


def _mean_of_rest(ascending: np.ndarray) -> np.ndarray:
    """Means of all, of all but the last, .. of the first alone."""
    return (np.cumsum(ascending) / np.arange(1, ascending.size + 1))[::-1]


def ause(
    squared_error: np.ndarray,
    uncertainty: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    normalised: bool = False,
) -> float:
    """Area under the sparsification error, see `Curve.area`."""
    return sparsification(squared_error, uncertainty, mask).area(normalised=normalised)


def ause_numbers(
    squared_error: np.ndarray, uncertainty: np.ndarray, mask: np.ndarray
) -> tuple[dict[str, float], Curve, Curve]:
    """All AUSE numbers that a report gives, and the curves of the whole image and inside the mask.

    ause_published: whole image, 50 bins, plain (the paper's figure 3). ause_whole: whole image, exact,
    normalised; an empty background lowers it. ause_mask, ause_mask_normalised: in the mask, exact.
    """
    whole, inside = (sparsification(squared_error, uncertainty, m) for m in (None, mask))
    numbers = {
        "ause_published": whole.sampled(PUBLISHED_BINS).area(),
        "ause_whole": whole.area(normalised=True),
        "ause_mask": inside.area(),
        "ause_mask_normalised": inside.area(normalised=True),
    }
    return numbers, whole, inside
