"""The configurations that a model is saved with: its networks, and the grid that it works on. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from . import choices
from .configbase import Config, option
from .registry import NETWORKS, SIZES

_TRAINED = ("dataset", "crop")  # these a card has in its "config"
_MOST_LEVELS = 10  # images are padded to multiples of 2 to that power


@dataclass(frozen=True)
class NetworkConfig(Config):
    """Both networks of a model and how the displacement is made from the first one's output.

    The defaults are the VoxelMorph configuration of Zhang et al., MICCAI 2024: 109,170 / 109,025 parameters
    in 2D.
    """

    architecture: str = option("voxelmorph", "network architecture", NETWORKS)
    ndim: int = option(2, "2 or 3 spatial dimensions")
    encoder: tuple[int, ...] = option((16, 32, 32, 32), "channels of the encoder's levels")
    decoder: tuple[int, ...] = option((32, 32, 32, 32), "channels of the decoder's levels")
    tail: tuple[int, ...] = option((32, 16, 16), "channels of the last convolutions")
    output_stride: int = option(1, "1: the last convolutions run at full resolution; 2: at half")
    velocity_stride: int = option(2, "resolution of the velocity field: 1 full, 2 half")
    integration_steps: int = option(7, "scaling-and-squaring steps; 0: the output is the displacement itself")
    size: str = option("paper", "size of a transformer; a U-Net's are its channels", SIZES)
    sigma_z: bool = option(False, "the displacement network also gives the log-variance of its output")
    spread: str = option("velocity", "what that log-variance is of", choices.SPREADS)
    variance_encoder: tuple[int, ...] = option((), "encoder of the variance network (none: the same three)")
    variance_decoder: tuple[int, ...] = option((), "decoder of the variance network")
    variance_tail: tuple[int, ...] = option((), "last convolutions of the variance network")
    variance_residual: bool = option(False, "the variance network also sees the mean squared residual nearby")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ndim not in (2, 3):
            raise ValueError(f"ndim is {self.ndim}: accepted are 2 and 3.")
        if not 1 <= self.output_stride <= self.velocity_stride <= 2:
            raise ValueError(
                f"output_stride is {self.output_stride} and velocity_stride {self.velocity_stride}: accepted "
                "are 1 and 2, the velocity not finer than the output."
            )
        if len(self.encoder) != len(self.decoder) or not self.encoder or not self.tail:
            raise ValueError(
                f"encoder, decoder and tail have {len(self.encoder)}, {len(self.decoder)} and "
                f"{len(self.tail)} levels: the same number of levels in the first two, and one or more in "
                "each, are accepted."
            )
        own = (self.variance_encoder, self.variance_decoder, self.variance_tail)
        if any(own) and (len(own[0]) != len(own[1]) or not all(own)):
            raise ValueError(
                "variance_encoder, variance_decoder and variance_tail belong together: none of them, or all "
                "three, the first two with the same number of levels, are accepted."
            )
        channels = (*self.encoder, *self.decoder, *self.tail, *own[0], *own[1], *own[2])
        if not all(isinstance(n, int) and n > 0 for n in channels):
            raise ValueError(
                "encoder, decoder and tail, also those of the variance network, are lists of channels: whole "
                "numbers from 1 are accepted."
            )
        self._check_min(integration_steps=0)
        self._check_max(integration_steps=20)
        if (most := max(map(len, (self.encoder, self.tail, *own)))) > _MOST_LEVELS:
            raise ValueError(
                f"The longest of encoder, decoder and tail, of both networks, has {most} levels: at most "
                f"{_MOST_LEVELS} levels are accepted."
            )


@dataclass(frozen=True)
class GridConfig(Config):
    """The grid and the intensities that a model works on."""

    min_spacing_mm: float = option(0.0, "finer images are resampled to this voxel size (0: no limit)")
    max_spacing_mm: float = option(0.0, "coarser images are resampled to this voxel size (0: no limit)")
    isotropic: bool = option(False, "resample an image whose voxels are not square (cubic) to such as are")
    max_size: int = option(512, "longest side in voxels; longer images are resampled to it")
    spare_margins: bool = option(
        False, "max_size is that of the image without dark margins; with them up to four times as many voxels"
    )
    min_size: int = option(1, "least of the longest side in voxels; smaller images are enlarged to it")
    depth_axis: int = option(-1, "array axis that the depth of a 3D sector is turned to (-1: as it comes)")
    changed_only: bool = option(False, "voxels that are the same in both images count in no percentile")
    low_percentile: float = option(0.5, "percentile of both images together that becomes 0")
    high_percentile: float = option(99.5, "percentile of both images together that becomes 1")
    bright_limit: float = option(
        0.0, "at most so many times the 90th percentile becomes 1, black borders not counted (0: no limit)"
    )
    taper_vox: int = option(8, "width of the border over which the field falls to zero")
    margin_vox: int = option(0, "width by which the network sees the outermost voxels repeated beyond them")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_min(min_spacing_mm=0.0, max_spacing_mm=0.0, max_size=16, taper_vox=0, margin_vox=0)
        self._check_min(min_size=1, depth_axis=-1)
        self._check_max(max_size=4096, margin_vox=256)
        if self.max_size < self.min_size:
            raise ValueError(
                f"min_size is {self.min_size} and max_size {self.max_size}: the first must not be larger."
            )
        if self.depth_axis > 2:
            raise ValueError(f"depth_axis is {self.depth_axis}: accepted are -1, 0, 1 and 2.")
        self._check_min(low_percentile=0.0, high_percentile=0.0, bright_limit=0.0)
        if 0 < self.max_spacing_mm < self.min_spacing_mm:
            raise ValueError(
                f"min_spacing_mm is {self.min_spacing_mm:g} and max_spacing_mm {self.max_spacing_mm:g}: the "
                "first has to be the smaller one, or the second 0 (no limit)."
            )
        if not self.low_percentile < self.high_percentile <= 100:
            raise ValueError(
                f"low_percentile is {self.low_percentile:g} and high_percentile {self.high_percentile:g}: "
                "the first has to be the smaller one, and the second at most 100."
            )


@dataclass(frozen=True)
class UseConfig(Config):
    """What a model's card says on how it is used best; what it does not say is 0 or empty here."""

    anchor: float = option(0.0, "weight of the network's own displacement as a prior of the refinement")
    rate: float = option(0.0, "step of the refinement in voxels")
    kernels_vox: tuple[float, ...] = option((), "SD of the Gaussians that smooth the refinement, in voxels")
    views: int = option(0, "turned copies that the answer is the mean of")
    refined_sd: float = option(0.0, "factor of the displacement SD of a refined pair")
    dataset: str = option("", "data that it was trained on, joined by +")
    crop: int = option(0, "voxels per side of its training's phantoms")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_min(anchor=0.0, rate=0.0, views=0, refined_sd=0.0, crop=0)
        if not all(isinstance(n, int | float) and 0 < n <= 64 for n in self.kernels_vox):
            raise ValueError(
                f"kernels_vox is {list(self.kernels_vox)}: numbers above 0, up to 64, are accepted."
            )

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> UseConfig:
        """What the card says. Raises ValueError if a value is of another kind."""
        trained = card.get("config")
        trained = {} if trained is None else trained
        if not isinstance(trained, dict):
            raise ValueError(f"config is {trained!r}: a dictionary is accepted.")
        said = {f.name: (trained if f.name in _TRAINED else card).get(f.name) for f in fields(cls)}
        return cls(**{name: value for name, value in said.items() if value is not None})
