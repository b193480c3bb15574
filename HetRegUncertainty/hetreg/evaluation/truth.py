"""On a phantom: how near the displacement and the variance are to the true ones."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from ..datasets.phantom_pair import PhantomPair
from ..datasets.phantom_truth import Interpolator
from ..metrics.calibration import expected_coverage, gaussian_divergence, spearman
from ..metrics.deformation import end_point_error
from ..metrics.sparsification import ause
from ..result import RegisterResult
from .case import MYOCARDIUM, Case
from .noise import Curves, Frame, calibration

_LEAST_SD = 1e-3  # of the intensity range


def truth_numbers(case: Case, result: RegisterResult, f: Frame) -> tuple[dict[str, float], Curves]:
    """End-point errors in the myocardium and the body, and the variances against the true noise.

    The true noise is fixed - moving(x + true displacement), of which `residual_variance` is the variance.
    nll_truth, coverage95_truth, ause_mask_normalised_truth ..: of the predicted variance on it;
    nll_true_variance ..: of its own. A map that repeats a residual has a lower AUSE than the true variance.
    divergence_truth: their difference in the mean over all noise; that on the noise which the network saw is
    smaller, as a variance that is estimated from a residual fits that residual. coverage95_expected: the
    share of all noise in the predicted interval, for the same reason smaller too. spearman_truth: rank
    correlation of both variances; spearman_noise: of the predicted one with the variance of the noise in the
    fixed image alone. All in the body without what is too bright for the simulated scanner, where clipping
    leaves no noise. displacement_coverage: with a displacement SD, the errors in the myocardium that lie
    inside their 68 and 95 % region. Nothing for a case that is no phantom.
    """
    truth = case.truth
    if truth is None:
        return {}, {}
    numbers = _end_point_errors(truth, result)
    numbers |= _displacement_coverage(truth, result)
    if f.variance is None or truth.residual_variance is None or truth.noise_variance is None:
        return numbers, {}
    moved = Interpolator(truth.disp_vox).mean(case.moving.array.astype(np.float64))
    noise, true = f.fixed - moved / f.scale, truth.residual_variance.array / f.scale**2
    inside = f.mask & (true > _LEAST_SD**2)
    of_truth, curves = calibration(noise, f.variance, inside, "_truth")
    numbers |= of_truth | calibration(noise, true, inside, "_true_variance")[0]
    squares = noise.astype(np.float64) ** 2
    for of, variance in (("truth", f.variance), ("true_variance", true)):
        numbers[f"ause_mask_normalised_{of}"] = ause(squares, variance, inside, normalised=True)
    numbers["divergence_truth"] = gaussian_divergence(true, f.variance, inside)
    numbers["coverage95_expected"] = expected_coverage(true, f.variance, 0.95, inside)
    numbers["spearman_truth"] = spearman(f.variance, true, inside)
    numbers["spearman_noise"] = spearman(f.variance, truth.noise_variance.array, inside)
    return numbers, curves


def _regions(truth: PhantomPair) -> dict[str, np.ndarray]:
    return {"myocardium": truth.fixed_label.array == MYOCARDIUM, "body": truth.body.array > 0}


def _end_point_errors(truth: PhantomPair, result: RegisterResult) -> dict[str, float]:
    """epe_vox_myocardium, epe_mm_body, .. and the same _before, of no displacement."""
    spacing, still = truth.fixed.spacing_mm[::-1].tolist(), np.zeros_like(truth.disp_vox)
    numbers = {}
    for region, mask in _regions(truth).items():
        for when, disp in (("", result.disp_vox), ("_before", still)):
            for unit, steps in (("vox", None), ("mm", spacing)):
                error = end_point_error(disp, truth.disp_vox, mask, steps)
                numbers[f"epe_{unit}_{region}{when}"] = error
    return numbers


def _displacement_coverage(truth: PhantomPair, result: RegisterResult) -> dict[str, float]:
    """Percentage of the errors inside their region if the SD's parts along the axes are equal."""
    mask = _regions(truth)["myocardium"]
    if result.displacement_sd_mm is None or not mask.any():
        return {}
    spacing = truth.fixed.spacing_mm[::-1].reshape(3, 1, 1, 1)
    error = np.sqrt((((result.disp_vox - truth.disp_vox) * spacing) ** 2).sum(axis=0))[mask]
    sd = result.displacement_sd_mm.array[mask]
    ndim = 2 if not truth.disp_vox[0].any() else 3
    score = ndim * (error / np.maximum(sd, 1e-9)) ** 2
    inside = {p: 100.0 * float(np.mean(score <= chi2.ppf(p / 100, ndim))) for p in (68, 95)}
    return {f"displacement_coverage{p}": v for p, v in inside.items()} | {
        "displacement_sd_mm": float(sd.mean()),
        "displacement_spearman": spearman(error, sd),
    }
