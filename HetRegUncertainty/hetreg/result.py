"""`RegisterResult`: everything one registration gives, on the grid of the fixed image."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from .image import Image, vector_to_sitk, write_image
from .progress import plain

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
_OTHERS = ("transform.h5", "inverse_transform.h5", "transform_2d.h5", "report.json")


@dataclass(frozen=True, eq=False)
class RegisterResult:
    """Result of `register_pair`. All images lie on the fixed image's grid, shape (K, J, I).

    moved: the moving image at x + disp(x), in its own intensity units.
    disp_vox: (3, K, J, I) float32, voxels, components in array order (k, j, i), pull-back.
    disp_lps_mm: (K, J, I, 3) float64, components x, y, z of LPS.
    inverse_disp_lps_mm: the same for the inverse transform, or None if it was not asked for.
    noise_variance, noise_sd: in the units of the fixed image (squared, and plain).
    snr_weight: in [0, 1]. log_jacobian: log det(I + grad disp); NaN-free, folded voxels at the floor.
    residual: fixed - moved. displacement_mm: length of disp_lps_mm.
    displacement_sd_mm: how far the displacement scatters about the one given, in mm: the root of the summed
    variances of its components under the model's distribution of z, from drawn and integrated velocities
    with a fixed seed (`RegistrationModel.displacement_sd`); 0 where the field is held at zero. None if the
    model does not give it (it is trained without sigma_z).
    moved_seg: the moving segmentation's labels, warped by nearest neighbour, if one was given.
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

    def save(self, folder: str | Path) -> dict[str, Path]:
        """Write every image (.nrrd), the transforms (.h5, ITK, LPS mm) and report.json. Returns the files by
        name.

        All or nothing: what a former result left in the folder stays until all is written, then all of it
        goes. Raises OSError if the folder cannot be written.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
        except OSError as error:
            raise OSError(f"{folder} could not be written: {error.strerror}.") from error
        try:
            written = self._write(partial)
            for name in (*(f"{n}.nrrd" for n in _IMAGES), *_OTHERS):
                (folder / name).unlink(missing_ok=True)
            return {name: path.replace(folder / path.name) for name, path in written.items()}
        except OSError as error:
            raise OSError(str(error).replace(str(partial), str(folder))) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _write(self, folder: Path) -> dict[str, Path]:
        images = {name: getattr(self, name) for name in _IMAGES}
        files = {n: write_image(i, folder / f"{n}.nrrd") for n, i in images.items() if i is not None}
        files["transform"] = _write_transform(self.transform(), folder / "transform.h5")
        if self.inverse_disp_lps_mm is not None:
            files["inverse_transform"] = _write_transform(
                self.transform(inverse=True), folder / "inverse_transform.h5"
            )
        if self.moved.is_2d:
            files["transform_2d"] = _write_transform(self._transform_2d(), folder / "transform_2d.h5")
        content = {"summary": self.summary, "record": self.record}
        files["report"] = _write_json(content, folder / "report.json")
        return files

    def _transform_2d(self) -> sitk.DisplacementFieldTransform:
        field = vector_to_sitk(self.disp_lps_mm, self.moved.ijk_to_lps)
        plane = sitk.Compose(*(sitk.VectorIndexSelectionCast(field[:, :, 0], c) for c in (0, 1)))
        return sitk.DisplacementFieldTransform(sitk.Cast(plane, sitk.sitkVectorFloat64))


def displacement_transform(
    disp_lps_mm: np.ndarray, ijk_to_lps: np.ndarray
) -> sitk.DisplacementFieldTransform:
    """(K, J, I, 3) LPS mm on a grid -> SimpleITK transform. Outside the grid it is the identity."""
    field = vector_to_sitk(np.asarray(disp_lps_mm, dtype=np.float64), ijk_to_lps)
    return sitk.DisplacementFieldTransform(field)


def _write_transform(transform: sitk.Transform, path: Path) -> Path:
    """Raises OSError."""
    need = 8 * len(transform.GetParameters()) + 2**16
    if shutil.disk_usage(path.parent).free < need:  # HDF5 itself would fill the terminal with its error stack
        raise OSError(f"{path} could not be written: the disk has less than {need / 1e6:.1f} MB left.")
    try:
        sitk.WriteTransform(transform, str(path))
    except RuntimeError as error:
        raise OSError(f"{path} could not be written: is the disk full or the folder read-only?") from error
    return path


def _write_json(content: dict[str, Any], path: Path) -> Path:
    """Raises OSError."""
    text = json.dumps(plain(content), indent=2, allow_nan=False)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise OSError(f"{path} could not be written: {error.strerror}.") from error
    return path
