"""`Image`: a scalar array with its place in space; reading and writing through SimpleITK."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike

from .files import in_utf8, whole_file
from .imagefile import read_file

_LOST = 1e-4  # of the range: steps of 32-bit floats that an image would show
_ROUNDING = 0.02  # what the length of a direction of few decimals may lack
_TWO_FILES = (".mhd", ".nhdr", ".hdr", ".img", ".img.gz")


@dataclass(frozen=True, eq=False)
class Image:
    """A scalar image.

    array: (K, J, I), always three axes; a 2D image has K == 1.
    ijk_to_lps: (4, 4) float64, maps the voxel index (i, j, k, 1) to LPS mm.
    is_2d: the file (or its source) had two dimensions.

    `Image.from_array` makes one from an array and its spacing. Anything that NumPy takes as an array is one
    here, such as a list or a tensor on the CPU.
    """

    array: np.ndarray
    ijk_to_lps: np.ndarray
    name: str = "image"
    is_2d: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "array", as_array(self.array, f"Image '{self.name}'"))
        matrix = _finite(self.ijk_to_lps)
        if self.array.ndim != 3:
            raise ValueError(
                f"Image '{self.name}' has {self.array.ndim} axes (shape {self.array.shape}): a "
                "scalar image with three axes (K, J, I) is accepted, and a 2D one by Image.from_array."
            )
        if matrix.shape != (4, 4):
            given = " ".join(str(self.ijk_to_lps).split())
            raise ValueError(
                f"Image '{self.name}': ijk_to_lps is {given}: a 4 x 4 matrix of finite numbers is accepted."
            )
        object.__setattr__(self, "ijk_to_lps", matrix.copy())
        if not self.spacing_mm.all() or abs(np.linalg.det(self.direction)) < 1e-6:
            raise ValueError(
                f"Image '{self.name}': ijk_to_lps gives voxels without volume: three independent axes are "
                "accepted."
            )

    @classmethod
    def from_array(
        cls,
        array: ArrayLike,
        spacing_mm: ArrayLike,
        *,
        origin_lps: ArrayLike | None = None,
        direction: ArrayLike | None = None,
        name: str = "image",
    ) -> Image:
        """Image from a volume (K, J, I) or a plane (J, I), which becomes a 2D image.

        spacing_mm: voxel size along i, j (and k), that is along the array's axes from the last to the first,
        as SimpleITK and NIfTI have it. origin_lps: position of the first voxel's centre, default zero.
        direction: matrix whose columns are the directions of i, j (and k) in LPS, default the identity; the
        columns of rounded ones are made unit vectors. All have as many axes as the array. Raises ValueError
        if something does not fit.
        """
        array = as_array(array, f"Image '{name}'")
        ndim = array.ndim
        if ndim not in (2, 3):
            raise ValueError(f"Image '{name}' has shape {array.shape}: (J, I) or (K, J, I) is accepted.")
        spacing = _fitting(spacing_mm, "spacing_mm", (ndim,), name)
        origin = np.zeros(ndim) if origin_lps is None else _fitting(origin_lps, "origin_lps", (ndim,), name)
        axes = np.eye(ndim) if direction is None else _fitting(direction, "direction", (ndim, ndim), name)
        if (spacing <= 0).any():
            raise ValueError(
                f"Image '{name}': spacing_mm is {spacing.tolist()}: lengths above 0 are accepted."
            )
        return _placed(array, origin, spacing, _unit(axes, name), name)

    @property
    def spacing_mm(self) -> np.ndarray:
        """(3,) voxel size along i, j, k."""
        return np.linalg.norm(self.ijk_to_lps[:3, :3], axis=0)

    @property
    def direction(self) -> np.ndarray:
        """(3, 3) unit column vectors of the i, j, k axes in LPS."""
        return self.ijk_to_lps[:3, :3] / self.spacing_mm

    @property
    def origin_lps(self) -> np.ndarray:
        """(3,) position of the first voxel's centre, LPS mm."""
        return self.ijk_to_lps[:3, 3]

    @property
    def size_ijk(self) -> tuple[int, int, int]:
        """Number of voxels along i, j, k."""
        k, j, i = self.array.shape
        return i, j, k

    def like(self, array: np.ndarray, name: str) -> Image:
        """Another array of the same shape on this image's grid."""
        if array.shape != self.array.shape:
            raise ValueError(f"'{name}' has shape {array.shape}: '{self.name}' has {self.array.shape}.")
        return replace(self, array=array, name=name)

    def to_sitk(self) -> sitk.Image:
        """The image as SimpleITK has it (three dimensions)."""
        return _place(sitk.GetImageFromArray(_itk_type(self.array)), self.ijk_to_lps)


def as_array(given: object, whose: str) -> np.ndarray:
    """What NumPy takes as an array of real numbers. Raises ValueError for anything else."""
    try:
        array = np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:  # the last one: a tensor that requires a gradient
        raise ValueError(
            f"{whose} has a {type(given).__name__} that is no array of real numbers: lists, arrays and "
            "detached tensors on the CPU are accepted."
        ) from error
    if array.dtype.kind not in "buif":
        raise ValueError(
            f"{whose} has a {type(given).__name__} of type {array.dtype} in place of real numbers."
        )
    return array


def as_float(array: np.ndarray) -> np.ndarray:
    """A copy as float32, or as float64 where 32 bits are too few for what the image shows, as with an offset
    that is large beside its range."""
    single = array.astype(np.float32)
    if np.can_cast(array.dtype, np.float32) or not array.size:
        return single
    low, high = float(array.min()), float(array.max())
    step = float(np.spacing(np.float32(max(abs(low), abs(high)))))
    return array.astype(np.float64) if 0 < _LOST * (high - low) < step else single


def _finite(given: object) -> np.ndarray:
    """float64, or an empty array in place of what has something else than finite numbers in it."""
    try:
        array = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        return np.empty(0)
    return array if np.isfinite(array).all() else np.empty(0)


def _fitting(given: ArrayLike, what: str, shape: tuple[int, ...], name: str) -> np.ndarray:
    values = _finite(given)
    if values.shape != shape:
        raise ValueError(
            f"Image '{name}': {what} has to be finite numbers of shape {shape}: the array has "
            f"{shape[0]} axes."
        )
    return values


def _unit(axes: np.ndarray, name: str) -> np.ndarray:
    lengths = np.linalg.norm(axes, axis=0)
    if np.abs(lengths - 1).max() > _ROUNDING:  # an affine, which holds the spacing already
        raise ValueError(
            f"Image '{name}': the columns of direction have lengths {lengths.tolist()}: unit vectors are "
            "accepted."
        )
    return axes / lengths


def _placed(array: np.ndarray, origin: np.ndarray, spacing: np.ndarray, axes: np.ndarray, name: str) -> Image:
    """The image of a volume, or of a plane with two of each."""
    if array.ndim == 3:
        return Image(array, geometry(origin, spacing, axes), name)
    full = np.eye(3)
    full[:2, :2] = axes
    thickness = float(np.sqrt(spacing[0] * spacing[1]))
    matrix = geometry(np.append(origin, 0.0), np.append(spacing, thickness), full)
    return Image(array[None], matrix, name, is_2d=True)


def geometry(origin: np.ndarray, spacing: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """(4, 4) ijk_to_lps from origin (3,), spacing (3,) and direction (3, 3)."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.asarray(direction).reshape(3, 3) * np.asarray(spacing)
    matrix[:3, 3] = origin
    return matrix


_ITK_TYPES = {np.dtype("bool"): "u1", np.dtype("f2"): "f4", np.dtype(np.longdouble): "f8"}


def _itk_type(array: np.ndarray) -> np.ndarray:
    """The array in memory order and in a type that ITK has (bool and float16, for example, it has not)."""
    native = array.dtype.newbyteorder("=")
    return np.ascontiguousarray(array, dtype=_ITK_TYPES.get(native, native))


def _place(image: sitk.Image, ijk_to_lps: np.ndarray) -> sitk.Image:
    spacing = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((ijk_to_lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(ijk_to_lps[:3, 3].tolist())
    return image


def vector_to_sitk(vectors: np.ndarray, ijk_to_lps: np.ndarray) -> sitk.Image:
    """Vector image from (K, J, I, 3) on the grid of ijk_to_lps."""
    return _place(sitk.GetImageFromArray(np.ascontiguousarray(vectors), isVector=True), ijk_to_lps)


def from_sitk(image: sitk.Image, name: str = "image") -> Image:
    """Image from SimpleITK, two- or three-dimensional, scalar.

    Raises ValueError if it has channels or another number of dimensions.
    """
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise ValueError(
            f"'{name}' has {image.GetNumberOfComponentsPerPixel()} channels per voxel (a colour or vector "
            "image): one scalar per voxel is accepted, so convert it to that first."
        )
    ndim = image.GetDimension()
    if ndim == 4 and image.GetSize()[3] == 1:
        image, ndim = image[..., 0], 3
    if ndim not in (2, 3):
        raise ValueError(
            f"'{name}' has {ndim} dimensions, size {image.GetSize()}: two or three are accepted, such as one "
            "frame of the sequence (hetreg sequence takes them all)."
        )
    axes = np.reshape(image.GetDirection(), (ndim, ndim))  # of a MetaImage of any length, which ITK counts in
    origin, spacing = np.array(image.GetOrigin()), np.array(image.GetSpacing())
    return _placed(sitk.GetArrayFromImage(image), origin, spacing, axes, name)


def as_image(given: Image | str | Path, role: str) -> Image:
    """The image, read if it is a file. Raises ValueError for anything else, and what `read_image` does."""
    if isinstance(given, Image):
        return given
    if not isinstance(given, str | Path):
        raise ValueError(
            f"The {role} is a {type(given).__name__}: a file or a hetreg.Image is accepted, which "
            "Image.from_array makes from an array."
        )
    return read_image(given)


def read_image(path: str | Path) -> Image:
    """Read any scalar image file that SimpleITK reads.

    Raises FileNotFoundError if there is none, ValueError if it cannot be read or is not scalar, or if a file
    of NIfTI (in one file), NRRD or MetaImage is cut off or, compressed, damaged; of other formats ITK may
    fill up what is missing.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no image file {path}.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder: one image file is accepted.")
    return from_sitk(read_file(path), path.name.split(".")[0])


def write_sitk(image: sitk.Image, path: str | Path) -> Path:
    """Write beside the target and rename, so that a full disk leaves no broken file. Raises OSError, and
    ValueError for a format of two files, of which one names the other, and for a path that is not UTF-8."""
    path = Path(path)
    if path.name.lower().endswith(_TWO_FILES):
        raise ValueError(f"{path.name} would be two files: .nrrd, .nii.gz or .mha, for example, is accepted.")
    in_utf8(path)
    with whole_file(path) as partial:
        sitk.WriteImage(image, str(partial), useCompression=True)
    return path


def write_image(image: Image, path: str | Path) -> Path:
    """Write an image file; the format follows from the ending. Raises OSError, and ValueError for a format of
    two files."""
    return write_sitk(image.to_sitk(), path)
