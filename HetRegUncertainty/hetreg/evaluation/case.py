"""One pair of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..datasets.phantom_pair import PhantomPair
from ..image import Image
from ..preprocess import choose_dimension

MYOCARDIUM = 2


@dataclass(frozen=True, eq=False)
class Case:
    """One pair as it is registered: the moving image to the fixed one.

    patient: cases of one patient belong together. fixed_label, moving_label: uint8 on grids of their own; 1
    RV cavity, 2 LV myocardium, 3 LV cavity, 4 left atrium where the data set says so. truth: the phantom that
    the images are of. note: what the user should know; "" if nothing. scale: range of intensities that errors
    are divided by; 0: that of the images, by percentiles. volume: the images are registered as a volume
    whatever their spacing, as the data were before they were resized. turned: the other way round, for the
    inverse consistency alone.
    """

    name: str
    patient: str
    fixed: Image
    moving: Image
    fixed_label: Image | None = None
    moving_label: Image | None = None
    truth: PhantomPair | None = None
    split: str = ""
    note: str = ""
    scale: float = 0.0
    volume: bool = False
    turned: bool = False

    @property
    def slice_axis(self) -> int | None:
        """Array axis of the slices, None for a volume."""
        return None if self.volume else choose_dimension(self.fixed)[1]

    @property
    def swapped(self) -> Case:
        """The same pair the other way round, by another name; what is known of the one way is left out."""
        other = replace(self, fixed_label=self.moving_label, moving_label=self.fixed_label, turned=True)
        return replace(other, name=f"{self.name}, swapped", fixed=self.moving, moving=self.fixed, truth=None)


def main_label(found: Sequence[int]) -> int:
    """The label that matters most: the myocardium where there is one, else the first."""
    return MYOCARDIUM if MYOCARDIUM in found else min(found)


def labels_of(case: Case) -> list[int]:
    """The labels, without 0, in the label images that the case has."""
    images = [label for label in (case.fixed_label, case.moving_label) if label is not None]
    return sorted({int(v) for label in images for v in np.unique(label.array)} - {0})
