"""`RegisterResult`: everything one registration gives, on the grid of the fixed image."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike

from .files import unwritten, whole_folder, write_whole
from .image import Image, as_array, as_image, write_image
from .progress import plain
from .resample import displacement_transform, resampled

_IMAGES = (
    "moved",
    "noise_variance",
    "noise_sd",
    "snr_weight",
    "log_jacobian",
    "residual",
    "displacement_mm",
    "displacement_sd_mm",
    "moved_seg",
)
_OTHERS = (
    "transform.h5",
    "inverse_transform.h5",
    "transform_2d.h5",
    "inverse_transform_2d.h5",
    "report.json",
)
FILES = (*(f"{name}.nrrd" for name in _IMAGES), *_OTHERS)
_BLOCK = 2**16  # bytes that are written at a time to see whether a file fits, and room for its header


@dataclass(frozen=True, eq=False)
class RegisterResult:
    """Result of `register_pair`. All images lie on the fixed image's grid, shape (K, J, I).

    moved: the moving image at x + disp(x), in its own intensity units; 0 where it has no voxels.
    disp_vox: (3, K, J, I) float32, voxels, components in array order (k, j, i), pull-back.
    disp_lps_mm: (K, J, I, 3) float64, components x, y, z of LPS.
    inverse_disp_lps_mm: the same for the inverse transform, or None if it was not asked for.
    noise_variance, noise_sd: of the noise in fixed - moved, that of both images, in the units of the fixed
    image (squared, and plain).
    snr_weight: in [0, 1]. log_jacobian: log det(I + grad disp); NaN-free, folded voxels at the floor.
    residual: fixed - moved, where moved has no voxels with the lower end of the intensities in their place.
    displacement_mm: length of disp_lps_mm.
    displacement_sd_mm: how far the displacement scatters about the one given, in mm: the root of the summed
    variances of its components, as the network gives them or, of a model that gives those of a velocity, from
    drawn and integrated velocities with a fixed seed (`RegistrationModel.displacement_sd`); 0 where the field
    is held at zero. None if the model does not give it (it is trained without sigma_z).
    moved_seg: the moving segmentation's labels, warped, if one was given.
    summary: numbers for people (see `register_pair`). record: model, checksum, config, versions, device,
    seconds.
    """

    moved: Image
    disp_vox: np.ndarray
    disp_lps_mm: np.ndarray
    inverse_disp_lps_mm: np.ndarray | None
    noise_variance: Image
    noise_sd: Image
    snr_weight: Image
    log_jacobian: Image
    residual: Image
    displacement_mm: Image
    displacement_sd_mm: Image | None = None
    moved_seg: Image | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)

    def transform(self, *, inverse: bool = False) -> sitk.DisplacementFieldTransform:
        """The transform as SimpleITK has it: points of the fixed space to the moving space (inverse: back).

        Resampling the moving image with it on the fixed grid gives `moved`. Raises ValueError if the inverse
        was not computed.
        """
        field = self.inverse_disp_lps_mm if inverse else self.disp_lps_mm
        if field is None:
            raise ValueError("The inverse transform was not computed: set RegisterConfig(inverse=True).")
        return displacement_transform(field, self.moved.ijk_to_lps)

    def apply(
        self,
        image: Image | str | Path,
        *,
        labels: bool = False,
        inverse: bool = False,
        grid: Image | str | Path | None = None,
    ) -> Image:
        """Carry an image that lies on the moving one, or labels, onto the fixed one, as `moved` was.

        labels: at each voxel the label of the largest linear weight, in their own type; otherwise linear,
        float32 or, where that loses digits, float64. Zero where the image has no voxels. inverse: carry what
        lies on the fixed image onto the moving one. grid: an image whose grid the result is given on, default
        the fixed one's. Raises ValueError if the inverse was not computed or one of the images is none.
        """
        image = as_image(image, "image to carry along")
        grid = self.moved if grid is None else as_image(grid, "grid")
        array = resampled(image, grid, self.transform(inverse=inverse), labels=labels)
        return grid.like(array, f"{image.name} moved")

    def apply_to_points(self, points_lps: ArrayLike, *, inverse: bool = False) -> np.ndarray:
        """Carry points, such as landmarks, from the moving image onto the fixed one: (N, 3) LPS mm.

        They go the way that `apply` carries an image. Of a 2D image they may be (N, 2). inverse: from the
        fixed onto the moving image. Raises ValueError if the inverse, which the way onto the fixed image
        takes, was not computed, or if the points are none.
        """
        points = as_array(points_lps, "The list of points").astype(np.float64)
        ndim = points.shape[1] if points.ndim == 2 else 0
        if ndim != 3 and not (ndim == 2 and self.moved.is_2d):
            raise ValueError(
                f"The points have shape {points.shape}: (N, 3), or (N, 2) of a 2D image, is accepted."
            )
        transform = self.transform(inverse=not inverse)
        if ndim == 2:
            transform = _in_plane(transform)
        moved = [transform.TransformPoint(point) for point in points.tolist()]
        return np.array(moved, dtype=np.float64).reshape(points.shape)

    def save(self, folder: str | Path) -> dict[str, Path]:
        """Write every image (.nrrd), the transforms (.h5, ITK, LPS mm) and report.json. Returns the files by
        name.

        All or nothing: what a former result left in the folder stays until all is written, then all of it
        goes. Raises OSError if the folder cannot be written.
        """
        folder = Path(folder)
        with whole_folder(folder, FILES) as partial:
            written = self._write(partial)
        return {name: folder / path.name for name, path in written.items()}

    def _write(self, folder: Path) -> dict[str, Path]:
        images = {name: getattr(self, name) for name in _IMAGES}
        files = {n: write_image(i, folder / f"{n}.nrrd") for n, i in images.items() if i is not None}
        transforms = {"transform": self.transform()}
        if self.inverse_disp_lps_mm is not None:
            transforms["inverse_transform"] = self.transform(inverse=True)
        if self.moved.is_2d:
            transforms |= {f"{name}_2d": _in_plane(transform) for name, transform in transforms.items()}
        files |= {name: _write_transform(t, folder / f"{name}.h5") for name, t in transforms.items()}
        content = {"summary": self.summary, "record": self.record}
        files["report"] = folder / "report.json"
        write_whole(files["report"], json.dumps(plain(content), indent=2, allow_nan=False) + "\n")
        return files


def _in_plane(transform: sitk.DisplacementFieldTransform) -> sitk.DisplacementFieldTransform:
    """The transform of a 2D image in two dimensions."""
    field = transform.GetDisplacementField()
    plane = sitk.Compose(*(sitk.VectorIndexSelectionCast(field[:, :, 0], c) for c in (0, 1)))
    return sitk.DisplacementFieldTransform(sitk.Cast(plane, sitk.sitkVectorFloat64))


def _write_transform(transform: sitk.Transform, path: Path) -> Path:
    """Raises OSError."""
    need = 8 * transform.GetNumberOfParameters() + _BLOCK
    # HDF5 itself fills the terminal with its error stack, and may end the process, where it cannot write.
    if shutil.disk_usage(path.parent).free < need:
        raise OSError(f"{path} could not be written: the disk has less than {need / 1e6:.1f} MB left.")
    try:
        with path.open("wb") as file:  # a quota or a limit of the size
            for _ in range(need // _BLOCK + 1):
                file.write(bytes(_BLOCK))
        sitk.WriteTransform(transform, str(path))
    except (OSError, RuntimeError) as error:
        raise unwritten(path) from error
    return path
