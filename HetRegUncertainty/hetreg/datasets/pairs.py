"""A folder of pairs: <case>_ED and <case>_ES images, with <case>_ED_seg and <case>_ES_seg where there are
labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..config import GridConfig
from ..image import Image, read_image
from ..preprocess import choose_dimension, intensity_range, resample_like
from ..progress import Progress
from .base import PairSample

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")


def find_pairs(root: str | Path) -> list[dict[str, Path]]:
    """Pairs in a folder: {"case", "fixed" (ES), "moving" (ED) and, where both exist, "fixed_seg",
    "moving_seg"}.

    Raises ValueError if the folder has none.
    """
    root = Path(root)
    files = {p.name[: -len(e)]: p for e in ENDINGS[::-1] for p in root.glob(f"*{e}")}
    pairs = []
    for stem in sorted(files):
        case = stem.removesuffix("_ED")
        if stem.endswith("_ED") and f"{case}_ES" in files:
            pair = {"case": Path(case), "moving": files[stem], "fixed": files[f"{case}_ES"]}
            if f"{case}_ED_seg" in files and f"{case}_ES_seg" in files:
                pair |= {"moving_seg": files[f"{case}_ED_seg"], "fixed_seg": files[f"{case}_ES_seg"]}
            pairs.append(pair)
    if not pairs:
        raise ValueError(f"{root} has no pairs: files named <case>_ED and <case>_ES are accepted.")
    return pairs


class PairsDataset:
    """All pairs of a folder; stacks give one sample per slice, resolved volumes one per pair."""

    def __init__(self, root: str | Path) -> None:
        self.pairs = find_pairs(root)

    def samples(self, grid: GridConfig, progress: Progress | None = None) -> list[PairSample]:
        """Read all pairs."""
        found: list[PairSample] = []
        for n, pair in enumerate(self.pairs):
            if progress:
                progress.step(n / len(self.pairs), f"Reading {pair['case']}")
            found += _read(pair, grid)
        return found


def _read(pair: dict[str, Path], grid: GridConfig) -> list[PairSample]:
    fixed, moving = read_image(pair["fixed"]), read_image(pair["moving"])
    arrays = [fixed.array.astype(np.float32), resample_like(moving, fixed)[0]]
    low, high = intensity_range(arrays[0], arrays[1], grid)
    arrays = [np.clip((a - low) / (high - low), 0, 1) for a in arrays]
    labels: list[np.ndarray | None] = [None, None]
    if "fixed_seg" in pair:
        labels = [_label(pair["fixed_seg"], fixed), _label(pair["moving_seg"], fixed)]
    axis = choose_dimension(fixed)[1]
    if axis is None:
        return [PairSample(*arrays, *labels, patient=str(pair["case"]))]
    cut = [None if a is None else np.moveaxis(a, axis, 0) for a in (*arrays, *labels)]
    return [
        PairSample(
            *(None if a is None else np.ascontiguousarray(a[k]) for a in cut), patient=str(pair["case"])
        )
        for k in range(cut[0].shape[0])
    ]


def _label(path: Path, fixed: Image) -> np.ndarray:
    return resample_like(read_image(path), fixed, nearest=True)[0].astype(np.uint8)
