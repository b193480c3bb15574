"""How good the predicted noise variance is.

Intensities are in parts of the images' range (`intensity_range`), so that cases of different units can be
averaged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_closing, binary_fill_holes

from ..config import GridConfig
from ..image import as_float
from ..metrics.calibration import coverage, coverage_curve, ence, gaussian_nll, reliability, spearman
from ..metrics.deformation import similarity
from ..metrics.sparsification import PUBLISHED_BINS, ause_numbers
from ..preprocess import intensity_range
from ..reach import reached
from ..result import RegisterResult
from .case import Case

CURVE_STEPS, RELIABILITY_BINS = 100, 20
_DARK = 0.05  # of the range; darker voxels are content only where they lie inside it
_GAP = 5  # voxels, of dark gaps that are closed

Curves = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Frame:
    """One registered case, intensities divided by `scale`. before: fixed - moving; residual: fixed - moved;
    variance: the predicted one of the residual, None if there is none; mask: where the images show something
    and the moved image has voxels. What the moving image does not cover counts as dark. All (K, J, I)."""

    scale: float
    fixed: np.ndarray
    before: np.ndarray
    residual: np.ndarray
    variance: np.ndarray | None
    mask: np.ndarray


def frame(case: Case, result: RegisterResult) -> Frame:
    """The arrays that the numbers are made of. mask: a phantom's body; else `content`."""
    fixed = as_float(case.fixed.array)
    before, after = reached(case.moving, case.fixed), reached(case.moving, case.fixed, result.disp_vox)
    low, high = intensity_range(fixed, before.array, GridConfig(), before.inside)
    moving, moved = before.filled(low), after.filled(low)
    scale = case.scale or high - low
    variance = result.noise_variance.array / scale**2
    if case.truth is not None:
        mask = case.truth.body.array > 0
    else:
        mask = content((np.maximum(fixed, moving) - low) / scale, case.slice_axis)
    return Frame(
        scale,
        fixed / scale,
        (fixed - moving) / scale,
        (fixed - moved) / scale,
        variance if np.isfinite(variance).all() else None,
        mask & after.inside,
    )


def content(image: np.ndarray, slice_axis: int | None) -> np.ndarray:
    """Boolean (K, J, I): the body, or the sector of an echocardiogram. Voxels above 5 % of the range, with
    holes and gaps of up to 5 voxels closed, slice by slice where there are slices.
    """
    mask = image > _DARK
    planes = [mask] if slice_axis is None else list(np.moveaxis(mask, slice_axis, 0))
    ball = np.ones((_GAP,) * planes[0].ndim, bool)
    closed = [
        binary_fill_holes(binary_closing(np.pad(p, _GAP), ball))[(slice(_GAP, -_GAP),) * p.ndim]
        for p in planes
    ]
    return closed[0] if slice_axis is None else np.stack(closed, axis=slice_axis)


def image_numbers(f: Frame) -> dict[str, float]:
    """mse and ncc of fixed and moving (_before), fixed and moved (_after), over the whole image."""
    numbers: dict[str, float] = {}
    for when, difference in (("before", f.before), ("after", f.residual)):
        numbers |= {f"{n}_{when}": v for n, v in similarity(f.fixed, f.fixed - difference).items()}
    return numbers


def noise_numbers(f: Frame) -> tuple[dict[str, float], Curves]:
    """AUSE in its forms; NLL, coverage and ENCE of the residual, and the rank correlation of its square with
    the variance, in the mask; and the curves that a report draws. Nothing without a variance."""
    if f.variance is None:
        return {}, {}
    squares = f.residual.astype(np.float64) ** 2
    numbers, whole, inside = ause_numbers(squares, f.variance, f.mask)
    calibrated, calibration_curves = calibration(f.residual, f.variance, f.mask)
    numbers |= calibrated
    numbers["spearman_residual"] = spearman(squares, f.variance, f.mask)
    numbers["noise_sd_median"] = (
        float(np.sqrt(np.median(f.variance[f.mask]))) if f.mask.any() else float("nan")
    )
    whole, inside = whole.sampled(PUBLISHED_BINS), inside.sampled(CURVE_STEPS)
    curves = {
        "sparsification": inside.by_uncertainty,
        "oracle": inside.oracle,
        "sparsification_published": whole.by_uncertainty,
        "oracle_published": whole.oracle,
        **calibration_curves,
    }
    return numbers, curves


def calibration(
    residual: np.ndarray, variance: np.ndarray, mask: np.ndarray, of: str = ""
) -> tuple[dict[str, float], Curves]:
    """nll, coverage68, coverage95 and ence; predicted_sd and observed_sd in bins of equal count, and coverage
    at `calibration.LEVELS`. All with a suffix for what they are of."""
    found = reliability(residual, variance, RELIABILITY_BINS, mask)
    numbers = {
        f"nll{of}": gaussian_nll(residual, variance, mask),
        f"coverage68{of}": coverage(residual, variance, 0.68, mask),
        f"coverage95{of}": coverage(residual, variance, 0.95, mask),
        f"ence{of}": ence(found),
    }
    return numbers, {
        f"predicted_sd{of}": found.predicted_sd,
        f"observed_sd{of}": found.observed_sd,
        f"coverage{of}": np.array(coverage_curve(residual, variance, mask=mask)),
    }
