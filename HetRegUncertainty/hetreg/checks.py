"""What an image, a pair and labels have to be, each with one sentence that says what is wrong."""

from __future__ import annotations

import numpy as np

from .image import Image
from .reach import reached
from .resample import same_grid

MIN_SIZE = 4
_MAX_INTENSITY = 1e18  # squares still fit into 32-bit floats, with room for a sum
_LEAST_RANGE = 1e-16  # so does the least variance that a network gives, 6e-6 of its square, with all digits
_VOXEL_MM = (1e-9, 1e9)  # squares of displacements fit into 32-bit floats as well
_FAR = 1e9  # voxels; from there on double precision places them to less than a millionth of one
_MAX_LABELS = 256
_GREY = 32  # different values; an image of fewer may well be its own segmentation


def check_image(image: Image, role: str) -> None:
    """Raise ValueError, in one sentence, if the image cannot be registered."""
    if image.array.size == 0 or max(image.array.shape) < 2:
        raise ValueError(
            f"The {role} image has size {_size(image)}: at least {MIN_SIZE} x {MIN_SIZE} is accepted."
        )
    _check_place(image, role)
    if np.issubdtype(image.array.dtype, np.floating):
        bad = int(image.array.size - np.count_nonzero(np.isfinite(image.array)))
        if bad:
            raise ValueError(
                f"The {role} image has {bad} NaN or infinite voxels: only finite numbers are accepted."
            )
    low, high = image.array.min(), image.array.max()
    if max(abs(float(low)), abs(float(high))) > _MAX_INTENSITY:
        raise ValueError(
            f"The {role} image has values from {low:.3g} to {high:.3g}: up to {_MAX_INTENSITY:.0e} are "
            "accepted."
        )
    if low == high:
        raise ValueError(f"The {role} image has the same value ({low}) everywhere: nothing to register.")
    if float(high) - float(low) < _LEAST_RANGE:
        raise ValueError(
            f"The {role} image has values from {low:.3g} to {high:.3g}: a range of {_LEAST_RANGE:.0e} or "
            "more is accepted."
        )


def _check_place(image: Image, role: str) -> None:
    """Raise ValueError, in one sentence, if numbers in mm would lose the voxels or be none."""
    low, high = image.spacing_mm.min(), image.spacing_mm.max()
    if not _VOXEL_MM[0] <= low <= high <= _VOXEL_MM[1]:
        raise ValueError(
            f"The {role} image has voxels of {low:.3g} to {high:.3g} mm: {_VOXEL_MM[0]:.0e} to "
            f"{_VOXEL_MM[1]:.0e} mm are accepted."
        )
    away = np.abs(image.origin_lps).max() + (np.array(image.size_ijk) * image.spacing_mm).max()
    if away > _FAR * low:
        raise ValueError(
            f"The {role} image has voxels of {low:.3g} mm that lie up to {away:.3g} mm from the origin of "
            f"space: at most {_FAR:.0e} times the length of a voxel is accepted."
        )


def _size(image: Image) -> str:
    return " x ".join(str(n) for n in image.size_ijk)


def check_pair(fixed: Image, moving: Image) -> None:
    """Raise ValueError, in one sentence, if the two images cannot be registered to each other."""
    check_image(fixed, "fixed")
    check_image(moving, "moving")
    if same_grid(fixed, moving) and np.array_equal(fixed.array, moving.array):
        raise ValueError(
            "The fixed and the moving image are the same: two different images are accepted, such as "
            "end-systole and end-diastole."
        )


def check_labels(labels: Image, image: Image, role: str) -> None:
    """Raise ValueError, in one sentence, if a segmentation cannot belong to the image."""
    array = labels.array
    whole = array.dtype.kind in "bui" or bool(np.all(np.isfinite(array) & (array == np.rint(array))))
    different = len(np.unique(array))
    if not whole or different > _MAX_LABELS:
        raise ValueError(
            f"The {role} segmentation '{labels.name}' is not a label image: whole numbers, at most "
            f"{_MAX_LABELS} different ones, are accepted."
        )
    if different > _GREY and np.array_equal(array, image.array):
        raise ValueError(
            f"The {role} segmentation '{labels.name}' is the {role} image itself, with {different} different "
            "values: a label image is accepted."
        )
    found = reached(labels, image)
    if not found.inside.any():
        raise ValueError(
            f"The {role} segmentation '{labels.name}' does not overlap the {role} image in space: "
            "labels of that image are accepted."
        )
    if array.any() and not found.array.any():
        raise ValueError(
            f"The {role} segmentation '{labels.name}' has no label inside the {role} image: labels of that "
            "image are accepted."
        )


def check_size(size: tuple[int, ...]) -> None:
    """Raise ValueError if one sample is too small for any network."""
    if min(size) < MIN_SIZE:
        raise ValueError(
            f"The fixed image is {' x '.join(map(str, size[::-1]))} voxels in the registered {len(size)}D "
            f"{'plane' if len(size) == 2 else 'volume'}: at least {MIN_SIZE} along each axis is accepted."
        )
