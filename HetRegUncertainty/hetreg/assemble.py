"""From the arrays that the networks gave to a `RegisterResult` on the fixed grid, with its numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from .checks import check_pair
from .config import GridConfig
from .image import Image, as_float
from .metrics.deformation import JACOBIAN_FLOOR, folding_percent, similarity
from .metrics.overlap import dice_per_label
from .placement import misplaced
from .preprocess import NetworkPair, choose_dimension, to_network_grid
from .reach import reached
from .resample import resample_like
from .result import RegisterResult
from .spatial import compose, disp_to_lps_mm, invert, jacobian_determinant, resize, thinning

_LITTLE_COVER = 0.5
_AROUND_VOX = {2: 4.0, 3: 2.0}  # of the image: some hundred voxels
# What the correlation lacks to 1 grows by a tenth, and by more than the 0.001 of images that differ by little
# noise alone. With the right model it fell on 195 pairs; the true fields of echo phantoms, where speckle
# changes, let it grow by up to a tenth, and echo-3d on Sunnybrook by more than that on 8 of 11.
_LESS_ALIKE, _LEAST_DROP = 1.1, 0.002
_SCALE_SHARE, _SCALE_COLUMNS = 0.5, 64
_SMALL_MM, _LARGE_MM = 50.0, 1000.0  # longest edge of an image; hearts of people are seen in 100 to 500 mm
_LEAST_VARIANCE = 1e-6  # of images in [0, 1]: keeps the ratio finite where both images are constant


@dataclass(frozen=True, eq=False)
class Maps:
    """What the networks gave, on the image grid.

    disp, inverse: (3, K, J, I) voxels, components k, j, i. variance: fixed units squared, of the image as the
    networks saw it; weight: [0, 1]; both (K, J, I). disp_sd: SD of each component of disp, as disp, or None
    if the model does not give it.
    """

    disp: np.ndarray
    inverse: np.ndarray | None
    variance: np.ndarray
    weight: np.ndarray
    disp_sd: np.ndarray | None = None


def on_image_grid(variance: np.ndarray, residual: np.ndarray, pair: NetworkPair) -> np.ndarray:
    """The variance of the residual's own voxels where the networks saw a resampled image: (K, J, I).

    Resampling averages voxels, and so their noise: what the networks saw has less of it. The pattern stays
    theirs, its level is set by the mean square of the residual around each place (Gaussian, SD
    `_AROUND_VOX`). variance: theirs, resized to the image grid; returned as it is if nothing was resampled.
    """
    layout = pair.plan
    if layout.network_size == layout.image_size:
        return variance
    around = _AROUND_VOX[layout.ndim]
    width = [around * new / old for new, old in zip(layout.network_size, layout.image_size, strict=True)]
    square, seen = (
        gaussian_filter(resize(pair.map_samples(array), layout.network_size).numpy(), (0, 0, *width))
        for array in (residual**2 / pair.scale**2, variance / pair.scale**2)
    )
    ratio = (square + _LEAST_VARIANCE) / (seen + _LEAST_VARIANCE)
    return variance * pair.samples_to_map(resize(torch.from_numpy(ratio), layout.image_size))


def inverse_field(field: np.ndarray, guess: np.ndarray, pair: NetworkPair) -> np.ndarray:
    """The true inverse of the field on the image grid, from a first guess. All fields (3, K, J, I) voxels."""
    disp, start = pair.field_samples(field), pair.field_samples(guess)
    inverse, _error = invert(disp, start=start, tolerance=1e-2)
    return pair.samples_to_field(inverse)


def there_and_back_mm(field: np.ndarray, inverse: np.ndarray, pair: NetworkPair, fixed: Image) -> np.ndarray:
    """How far the fixed image's voxels end from where they were when one field follows the other: (2, B,
    *image_size), for both orders. Both fields (3, K, J, I) voxels."""
    both = pair.field_samples(field), pair.field_samples(inverse)
    mm = torch.from_numpy(fixed.ijk_to_lps[:3, [2 - d for d in pair.plan.axes]]).float()
    square = (torch.einsum("xc,bc...->bx...", mm, compose(*f)).square_().sum(1) for f in (both, both[::-1]))
    return np.stack([s.sqrt_().numpy() for s in square])  # `norm` takes 40 times as long


def assemble(fixed: Image, moving: Image, pair: NetworkPair, maps: Maps) -> RegisterResult:
    """Moved image, maps and numbers. `moved` is the moving image through the very transform that is given
    out; in residual, variance and numbers what it does not cover counts as the darkest there is."""
    disp_mm = disp_to_lps_mm(maps.disp, fixed.ijk_to_lps)
    length = np.sqrt(np.einsum("...c,...c->...", disp_mm, disp_mm)).astype(np.float32)
    jacobian = pair.samples_to_map(jacobian_determinant(pair.field_samples(maps.disp)))
    log_jacobian = np.log(np.maximum(jacobian, JACOBIAN_FLOOR))
    before, after = reached(moving, fixed), reached(moving, fixed, maps.disp)
    seen, moved = as_float(fixed.array), after.filled(pair.low)
    residual = (seen - moved).astype(np.float32, copy=False)
    variance = on_image_grid(maps.variance, residual, pair)
    summary = {
        **_similarity(seen, before.filled(pair.low), moved),
        "folded_percent": folding_percent(jacobian),
        **_ranges(length, log_jacobian),
        "noise_sd_median": float(np.sqrt(np.median(variance))),
    }
    result = RegisterResult(
        moved=fixed.like(after.array, f"{moving.name} moved"),
        disp_vox=maps.disp,
        disp_lps_mm=disp_mm,
        inverse_disp_lps_mm=None,
        noise_variance=fixed.like(variance, f"{fixed.name} noise variance"),
        noise_sd=fixed.like(np.sqrt(variance), f"{fixed.name} noise SD"),
        snr_weight=fixed.like(maps.weight, f"{fixed.name} SNR weight"),
        log_jacobian=fixed.like(log_jacobian, f"{fixed.name} log-Jacobian"),
        residual=fixed.like(residual, f"{fixed.name} residual"),
        displacement_mm=fixed.like(length, f"{fixed.name} displacement"),
        summary=summary,
    )
    return _add_displacement_sd(_add_inverse(result, maps, fixed, pair), maps, fixed)


def result_from_field(
    fixed: Image,
    moving: Image,
    disp_vox: np.ndarray,
    *,
    name: str = "",
    seconds: float | None = None,
) -> RegisterResult:
    """The result of a tool that gives a field alone, for `evaluation.scores.score`: the variance and the
    weight are NaN.

    disp_vox: (3, K, J, I) voxels of the fixed image, components k, j, i; pull-back. A field with nothing
    along the slices' axis counts as registered slice by slice. name: of the tool. Raises ValueError if the
    images are no pair, or if the field does not lie on the fixed grid or is not finite.
    """
    if disp_vox.shape != (3, *fixed.array.shape) or not np.isfinite(disp_vox).all():
        raise ValueError(
            f"The field has shape {disp_vox.shape}: finite numbers of shape "
            f"{(3, *fixed.array.shape)}, on the grid of the fixed image, are accepted."
        )
    check_pair(fixed, moving)
    ndim, axis = choose_dimension(fixed)
    flat = axis is not None and not disp_vox[axis].any()
    pair = to_network_grid(fixed, moving, GridConfig(), ndim=ndim if flat else 3, multiple=1)
    nothing = np.full(fixed.array.shape, np.nan, np.float32)
    result = assemble(fixed, moving, pair, Maps(disp_vox.astype(np.float32), None, nothing, nothing))
    about = {"model": name or "unnamed"} | ({} if seconds is None else {"seconds": seconds})
    return replace(result, summary=result.summary | about)


def displacement_sd_mm(disp_sd: np.ndarray, fixed: Image) -> np.ndarray:
    """Root of the summed variances of the components, independent of each other: (K, J, I) float32, mm.

    disp_sd: (3, K, J, I) voxels, components k, j, i.
    """
    pairs = zip(disp_sd, fixed.spacing_mm[::-1], strict=True)
    return np.sqrt(sum(np.multiply(sd, mm, dtype=np.float64) ** 2 for sd, mm in pairs)).astype(np.float32)


def _add_inverse(result: RegisterResult, maps: Maps, fixed: Image, pair: NetworkPair) -> RegisterResult:
    if maps.inverse is None:
        return result
    error = there_and_back_mm(maps.disp, maps.inverse, pair, fixed)
    summary = result.summary | {"inverse_error_p99_mm": float(np.percentile(error, 99))}
    summary["inverse_error_max_mm"] = float(error.max())
    inverse_mm = disp_to_lps_mm(maps.inverse, fixed.ijk_to_lps)
    return replace(result, inverse_disp_lps_mm=inverse_mm, summary=summary)


def _add_displacement_sd(result: RegisterResult, maps: Maps, fixed: Image) -> RegisterResult:
    if maps.disp_sd is None:
        return result
    array = displacement_sd_mm(maps.disp_sd, fixed)
    summary = result.summary | {"displacement_sd_median_mm": float(np.median(array))}
    sd = fixed.like(array, f"{fixed.name} displacement SD")
    return replace(result, displacement_sd_mm=sd, summary=summary)


def _similarity(fixed: np.ndarray, before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for when, array in (("before", before), ("after", after)):
        numbers |= {f"{name}_{when}": value for name, value in similarity(fixed, array).items()}
    return numbers


def _ranges(length_mm: np.ndarray, log_jacobian: np.ndarray) -> dict[str, float]:
    return {
        "displacement_mean_mm": float(length_mm.mean()),
        "displacement_p95_mm": float(np.percentile(length_mm, 95)),
        "displacement_max_mm": float(length_mm.max()),
        "log_jacobian_min": float(log_jacobian.min()),
        "log_jacobian_max": float(log_jacobian.max()),
    }


def add_segmentation(
    result: RegisterResult,
    fixed: Image,
    moving_seg: Image,
    fixed_seg: Image | None,
    moving: Image | None = None,
) -> RegisterResult:
    """The result with the moving labels warped, their Dice before and after if the fixed labels are given,
    and a note where there was no label to carry, one was lost on the way, or labels lie elsewhere than their
    image. moving: the image of moving_seg; None if they are known to share a grid."""
    moved = result.apply(moving_seg, labels=True)
    notes = _segmentation_notes(moving_seg, moved) + _place_note(moving_seg, moving, "moving")
    summary: dict[str, Any] = result.summary | {"notes": [*result.summary.get("notes", []), *notes]}
    if fixed_seg is not None:
        summary["notes"] += _place_note(fixed_seg, fixed, "fixed")
        truth = resample_like(fixed_seg, fixed, labels=True)
        before = resample_like(moving_seg, fixed, labels=True)
        for when, array in (("before", before), ("after", moved.array)):
            summary[f"dice_{when}"] = {str(k): round(v, 5) for k, v in dice_per_label(truth, array).items()}
    return replace(result, moved_seg=moved, summary=summary)


def _segmentation_notes(moving_seg: Image, moved_seg: Image) -> list[str]:
    given, moved = (np.unique(image.array[image.array != 0]) for image in (moving_seg, moved_seg))
    name = f"moving segmentation '{moving_seg.name}'"
    if not given.size:
        return [f"The {name} is empty: there was nothing to carry along."]
    lost = ", ".join(str(int(label)) for label in np.setdiff1d(given, moved))
    return [f"Nothing is left of label {lost} of the {name} in the fixed image."] if lost else []


def _place_note(labels: Image, image: Image | None, role: str) -> list[str]:
    name = f"The {role} segmentation '{labels.name}'"
    text = "" if image is None else misplaced(labels, image, name, f"the {role} image")
    return [f"{text}."] if text else []


def less_alike(numbers: dict[str, Any]) -> bool:
    """True if "ncc_after" lies clearly below "ncc_before"."""
    before, after = numbers["ncc_before"], numbers["ncc_after"]
    return bool(1 - after > max(_LESS_ALIKE * (1 - before), 1 - before + _LEAST_DROP))


def result_notes(result: RegisterResult, fixed: Image, moving: Image, pair: NetworkPair) -> list[str]:
    """Where the registration has made the images less alike, also in the range of intensities that the
    networks see: a few voxels that outshine all others do not count."""
    if not less_alike(result.summary):
        return []
    images = fixed.array, reached(moving, fixed).filled(pair.low), fixed.array - result.residual.array
    if not less_alike(_similarity(*(np.clip(a, pair.low, pair.low + pair.scale) for a in images))):
        return []
    return [
        f"The images are less alike after the registration than before (correlation "
        f"{result.summary['ncc_after']:.3f}, before {result.summary['ncc_before']:.3f}): do not trust this "
        "result."
    ]


def _scale_note(pair: NetworkPair) -> list[str]:
    """Where one image takes a small part of the range of intensities of both, in the region of both."""
    step = thinning(pair.plan.network_size[-1], _SCALE_COLUMNS)
    covered = resize(pair.map_samples(pair.covered), pair.plan.network_size)[..., ::step] > 0.5
    if not covered.any():
        return []
    seen = (pair.crop(image)[..., ::step][covered].numpy() for image in (pair.fixed, pair.moving))
    ends = np.array([np.percentile(values, (1, 99)) for values in seen])
    width = np.ptp(ends, axis=1)
    if width.min() >= _SCALE_SHARE * width.max() and width.max() >= _SCALE_SHARE * np.ptp(ends):
        return []
    fixed, moving = (f"{low:.4g} to {high:.4g}" for low, high in pair.low + pair.scale * ends)
    return [
        f"The fixed image has intensities from {fixed}, the moving image from {moving}. They are compared as "
        "they are: bring both to one scale."
    ]


def _extent_note(fixed: Image) -> list[str]:
    """Where the image is too small or too large for a heart, as if its spacing were not in mm."""
    longest = float(np.max(fixed.size_ijk * fixed.spacing_mm))
    if _SMALL_MM <= longest <= _LARGE_MM:
        return []
    return [
        f"The longest edge of the fixed image measures {longest:.3g} mm by its spacing: check that the "
        "spacing is in mm. The models were trained on human hearts."
    ]


def pair_notes(fixed: Image, pair: NetworkPair) -> list[str]:
    """What is odd about the size of the image, how the images' intensities differ, how little they overlap,
    and where the field does not vanish at the border of the fixed grid."""
    notes = _extent_note(fixed) + _scale_note(pair)
    if pair.cover < _LITTLE_COVER:
        notes.append(
            f"The moving image covers {100 * pair.cover:.0f} % of the fixed image: check that they show the "
            "same region."
        )
    axis = pair.plan.slice_axis
    if axis is not None and fixed.array.shape[axis] > 1:
        notes.append(
            "The field lies in the slices and is zero at their borders; beyond the first and the last slice "
            "ITK takes it as zero and Slicer as that of the nearest slice."
        )
    if min(pair.plan.image_size) < 5:
        notes.append("The image is too small for the field to fall to zero at its border.")
    return notes
