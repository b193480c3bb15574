"""What the readers of folders share: a listing by headers, then samples on the network's grid."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ..checks import check_pair
from ..config import GridConfig
from ..image import Image, read_image
from ..imagefile import ENDINGS, ending
from ..preprocess import NetworkPair, choose_dimension, to_network_grid
from ..progress import Progress
from ..resample import resample_like
from ..stack import slice_axis
from .base import PairSample
from .listing import Listing, PairFiles, Rejected


def stray_reason(path: Path, accepted: str) -> str:
    """Why a file that has no role is refused."""
    if path.is_dir() and path.name == path.parent.name:
        nested = f"{path.name} is a folder in one of its own name, as when unpacked twice"
        return f"{nested}: its files are accepted one folder up."
    if path.is_dir():
        return f"{path.name} is a folder: {accepted} are accepted."
    if not ending(path):
        return f"{path.name} is not an image file: accepted endings are {', '.join(ENDINGS)}."
    return f"{path.name} has a name that does not say what it is: {accepted} are accepted."


def fitting_grid(pairs: Sequence[PairFiles], crop: int) -> GridConfig:
    """The default grid; with a size limit of 5/4 of the crop where images are over twice as long as it."""
    longest = max((max(p.size) for p in pairs if p.size and not p.simulated), default=0)
    return GridConfig(max_size=max(16, crop * 5 // 4)) if longest > 2 * crop else GridConfig()


def dimension(pair: PairFiles) -> int:
    """2 or 3: that of the pair's samples, by size and spacing of its fixed image."""
    if pair.simulated:
        return len(pair.size)
    size, spacing = (*pair.size, 1)[:3], (*pair.spacing_mm, 1.0)[:3]
    return 3 if slice_axis(size, spacing) is None else 2


class FolderDataset:
    """A data set in a folder. `scan` looks at the headers and keeps what it found, `samples` reads.

    failed: pairs whose voxels turned out unusable in `samples`, and labels, without which their pair is used;
    with the reason.
    """

    accepted = "a folder of images"

    def __init__(self, root: str | Path) -> None:
        if not str(root):
            raise ValueError(f"No data folder is given: {self.accepted} are accepted.")
        self.root = Path(os.path.expanduser(root)).absolute()  # as it is where there is no such user
        if not self.root.exists():
            raise FileNotFoundError(f"There is no data folder {root}.")
        self.failed: list[Rejected] = []
        self._listing: Listing | None = None

    def scan(self) -> Listing:
        """All pairs and all refused files, by names and headers alone. Raises OSError, ValueError."""
        if self._listing is None:
            try:
                self._listing = self._scan()
            except PermissionError as error:
                raise OSError(f"{error.filename} cannot be read: readable folders are accepted.") from error
            except NotADirectoryError as error:
                raise ValueError(f"{self.root.name} is a file: {self.accepted} are accepted.") from error
        return self._listing

    def _scan(self) -> Listing:
        raise NotImplementedError

    def samples(self, grid: GridConfig, progress: Progress | None = None) -> list[PairSample]:
        """Read all pairs: one sample per slice with content, or per resolved volume.

        Raises ValueError if the folder has no usable pair.
        """
        progress = progress or Progress()
        made: list[PairSample] = []
        pairs, self.failed = self.scan().pairs, []
        for n, pair in enumerate(pairs):
            progress.step(n / len(pairs), f"Reading {pair.case}")
            before = len(self.failed)
            try:
                made += read_samples(pair, grid, self.failed)
            except (ValueError, OSError) as error:
                self.failed.append(_failure(pair.fixed or Path(pair.case), pair, error))
            for item in self.failed[before:]:
                progress.report(n / len(pairs), f"{item.file.name} is left out: {item.reason}")
        if not made:
            refused = [*self.scan().rejected, *self.failed]
            why = f" First of {len(refused)} rejected files: {refused[0].reason}" if refused else ""
            raise ValueError(f"{self.root.name} has no pairs: {self.accepted} are accepted.{why}")
        return made


def _failure(file: Path, pair: PairFiles, error: Exception) -> Rejected:
    return Rejected(file, " ".join(str(error).split()), pair.case, pair.patient, pair.split)


def read_samples(pair: PairFiles, grid: GridConfig, failed: list[Rejected]) -> list[PairSample]:
    """The samples of one pair, as registration would lay them on the grid. Raises ValueError.

    failed: labels that cannot be used are put there, and the samples are made without them."""
    if pair.fixed is None or pair.moving is None:
        raise ValueError(f"{pair.case} has no files: a pair of image files is accepted.")
    fixed, moving = read_image(pair.fixed), read_image(pair.moving)
    check_pair(fixed, moving)
    laid = to_network_grid(fixed, moving, grid, ndim=choose_dimension(fixed)[0], multiple=1)
    labels: list[np.ndarray | None] = []
    for path in (pair.fixed_label, pair.moving_label):
        try:
            labels.append(read_label(path, fixed, laid, pair))
        except (ValueError, OSError) as error:
            labels.append(None)
            failed.append(_failure(path or pair.fixed, pair, error))
    arrays = [laid.crop(t)[:, 0].numpy() for t in (laid.fixed, laid.moving)]
    made = []
    for k in range(arrays[0].shape[0]):
        images = [np.ascontiguousarray(a[k]) for a in arrays]
        if all(np.ptp(image) > 0 for image in images):
            cut = [None if a is None else np.ascontiguousarray(a[k]) for a in labels]
            made.append(_sample(images, cut, pair, _spacing(fixed, laid)))
    if not made:
        raise ValueError(f"{pair.case} has no slice with content in both images.")
    return made


def _sample(
    images: list[np.ndarray], labels: list[np.ndarray | None], pair: PairFiles, spacing: tuple[float, ...]
) -> PairSample:
    (fixed, moving), (fixed_label, moving_label) = images, labels
    return PairSample(
        fixed,
        moving,
        fixed_label,
        moving_label,
        patient=pair.patient,
        spacing_mm=spacing,
        case=pair.case,
        split=pair.split,
    )


def _spacing(fixed: Image, laid: NetworkPair) -> tuple[float, ...]:
    """Voxel size on the network's grid, in array order."""
    layout = laid.plan
    native = fixed.spacing_mm[::-1][list(layout.axes)]
    sizes = zip(native, layout.image_size, layout.network_size, strict=True)
    return tuple(float(s * old / new) for s, old, new in sizes)


def label_image(path: Path, label_map: Sequence[tuple[int, int]] = ()) -> Image:
    """A label file on its own grid, uint8, translated by `PairFiles.label_map`. Raises ValueError."""
    image = read_image(path)
    values = image.array.astype(np.float32)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise ValueError(f"{path.name} has values beyond 0 to 255: labels are accepted.")
    if np.any(broken := values != np.rint(values)):
        raise ValueError(
            f"{path.name} has {np.count_nonzero(broken)} voxels that are not whole numbers, such as "
            f"{values[broken][0]:g}: labels are accepted."
        )
    table = np.arange(256, dtype=np.uint8)
    for old, new in label_map:
        table[old] = new
    return image.like(table[values.astype(np.uint8)], image.name)


def read_label(path: Path | None, fixed: Image, laid: NetworkPair, pair: PairFiles) -> np.ndarray | None:
    """(B, *network_size) uint8, or None where there is no label file. Raises ValueError."""
    if path is None:
        return None
    labels = label_image(path, pair.label_map)
    array = resample_like(labels, fixed, labels=True)
    if labels.array.any() and not array.any():
        raise ValueError(f"{path.name} has no label inside {fixed.name}: labels of that image are accepted.")
    samples = laid.map_samples(array)
    if tuple(samples.shape[2:]) != laid.plan.network_size:
        samples = F.interpolate(samples, size=laid.plan.network_size, mode="nearest-exact")
    return samples[:, 0].to(torch.uint8).numpy()
