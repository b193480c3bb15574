"""The configurations: registration, training, evaluation; those of a model from `modelconfig`. Torch-free."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from . import choices
from .configbase import Config, option
from .modelconfig import GridConfig as GridConfig
from .modelconfig import NetworkConfig as NetworkConfig
from .registry import (
    DATASETS,
    METHODS,
    NETWORKS,
    PHANTOMS,
    SCATTERERS,
    SIZES,
    WEIGHT_MODES,
    method_options,
    phantom_ndim,
)

_WEIGHT_FORM = (
    "form of the signal-to-noise weight; robust: relative to the image; precision: by the noise alone; "
    "paper: as printed in the paper; released: as in the paper's code"
)


@dataclass(frozen=True)
class RegisterConfig(Config):
    """One registration."""

    model: str = option("auto", "name of a model (see `hetreg models`) or a weight file; auto: by the image")
    dimension: str = option(
        "auto", "2d: slice by slice; 3d: as a volume; auto: by spacing and size", choices.DIMENSIONS
    )
    device: str = option("auto", "where to compute; cuda:1 is the second GPU", choices.DEVICES)
    refine: int = option(0, "iterations of optimisation on this pair (0: none)")
    weight_mode: str = option("robust", _WEIGHT_FORM, WEIGHT_MODES)
    gamma: float = option(0.5, "exponent of the relative signal-to-noise ratio")
    inverse: bool = option(True, "also compute the inverse transform")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_min(refine=0, gamma=0.0)


@dataclass(frozen=True)
class DataConfig(Config):
    """Where pairs come from."""

    dataset: str = option(
        "phantom", "source of the pairs: phantom, acdc, camus, pairs; several are joined by +"
    )
    root: str = option("", "folder of the data, or a CSV list of pairs")
    kind: str = option("mri2d", f"phantom kind, or several joined by +: {', '.join(PHANTOMS)}")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, table in (("dataset", DATASETS), ("kind", PHANTOMS)):
            if unknown := [n for n in getattr(self, name).split("+") if n not in table]:
                raise ValueError(
                    f"{name} is '{unknown[0]}': accepted are {', '.join(table)}, or several joined by +."
                )

    @property
    def solid(self) -> bool:
        """True if all phantoms are 3D."""
        return all(phantom_ndim(kind) == 3 for kind in self.kind.split("+"))

    @property
    def noise_known(self) -> bool:
        """True if the variance of the noise of all pairs is known."""
        return self.dataset == "phantom" and not any(k.endswith(SCATTERERS) for k in self.kind.split("+"))


@dataclass(frozen=True)
class TrainConfig(DataConfig):
    """One training run. Options that the method does not use keep their default (`for_method` sees to it)."""

    network: str = option("voxelmorph", "network architecture", NETWORKS)
    size: str = option("paper", "size of the networks", SIZES)
    variance_residual: bool = option(False, "the variance network also sees the mean squared residual nearby")
    integrate: str = option("auto", "integrate the output, so that nothing folds", choices.INTEGRATE)
    method: str = option("ours", "training method", METHODS)
    weight_mode: str = option("robust", _WEIGHT_FORM, WEIGHT_MODES)
    gamma: float = option(0.5, "exponent of the relative signal-to-noise ratio")
    beta: float = option(0.5, "beta of the variance network's loss")
    smoothness: float = option(
        0.01, "lambda, coefficient of the smoothness term, a mean that is 1/4 (in 3D 1/9) of the paper's sum"
    )
    smoothness_on: str = option("displacement", "field that the smoothness term applies to", choices.SMOOTH)
    alpha: float = option(0.0001, "coefficient of the prior on the displacement's variance")
    displacement_error: float = option(0.02, "coefficient of the distance to the known displacement")
    label_overlap: float = option(0.05, "coefficient of 1 - Dice of the labels")
    displacement_nll: float = option(0.002, "coefficient of the likelihood of the displacement's error")
    collaborative_grad: bool = option(False, "let the variance step change the displacement network too")
    blind_spots: float = option(0.0, "share of voxels that are hidden from the variance network (0: none)")
    bidirectional: bool = option(False, "average the loss with that of the inverse warp")
    steps: int = option(2000, "number of steps, unless epochs are given")
    epochs: int = option(0, "number of epochs (0: the number of steps counts)")
    steps_per_epoch: int = option(100, "random batches that make an epoch")
    warmup: int = option(100, "steps of the displacement network alone, with weight 1")
    variance_warmup: int = option(0, "steps of the variance network alone, after the warm-up")
    batch: int = option(8, "pairs per step")
    accumulate: int = option(1, "parts that a batch is computed in, to save memory")
    clip: float = option(0.0, "largest norm of a network's gradient (0: no limit)")
    crop: int = option(0, "pixels per side of a training crop (0: 64 for 3D phantoms alone, else 128)")
    learning_rate: float = option(1e-4, "Adam learning rate of both networks")
    decay: str = option("cosine", "how the learning rate falls", choices.DECAYS)
    augment: bool = option(True, "flips, small affine transforms and intensity changes of the pairs")
    wide_augment: bool = option(
        False, "augment for other scanners: gamma, size, bias field, gain of one image; in 3D any rotation"
    )
    stretch: float = option(
        0.2, "largest stretch of either axis, as a natural logarithm; 0.5 also teaches non-square pixels"
    )
    extra_noise: float = option(0.0, "largest SD of added noise, for images in [0, 1]; twice that in patches")
    real_share: float = option(0.0, "share of real pairs in a batch beside phantoms (0: by their number)")
    start: str = option("", "model or weight file to start from (empty: random weights)")
    phantoms: int = option(400, "phantom pairs made for the run")
    validate_every: int = option(250, "steps between validations")
    seed: int = option(0, "seed of the split by patient and of all random choices")
    device: str = option("auto", "where to compute; cuda:1 is the second GPU", choices.DEVICES)
    amp: bool = option(False, "bfloat16 in the networks (NVIDIA GPU; CPU with AMX or AVX512-BF16)")
    compile: bool = option(False, "torch.compile the networks (NVIDIA GPU)")
    graphs: bool = option(False, "record a step once and replay it (NVIDIA GPU, one process; experimental)")
    split: str = option("", "JSON file of the patients in training, validation and test (empty: by seed)")
    cache: bool = option(False, "keep the prepared pairs on disk in the run folder")
    workers: int = option(
        -1,
        "processes that prepare batches, on Linux (0: a thread; -1: some with an NVIDIA GPU, or for "
        "phantoms that do not fit into the memory)",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_min(smoothness=0.0, gamma=0.0, beta=0.0, alpha=0.0, clip=0.0)
        self._check_min(steps=1, epochs=0, steps_per_epoch=1, warmup=0, variance_warmup=0, batch=1)
        self._check_min(displacement_error=0.0, label_overlap=0.0, displacement_nll=0.0)
        self._check_min(stretch=0.0, extra_noise=0.0, real_share=0.0, blind_spots=0.0, workers=-1)
        self._check_max(real_share=1.0, blind_spots=choices.MOST_BLIND)
        self._check_min(accumulate=1, crop=16 if self.crop else 0, phantoms=0, validate_every=1, seed=0)
        # more is a slip, or a stranger's file
        self._check_max(batch=4096, crop=4096, phantoms=choices.MOST_PHANTOMS, workers=256)
        if type(self.learning_rate) not in (int, float) or not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate is {self.learning_rate!r}: a positive number is accepted.")
        if self.batch % self.accumulate:
            raise ValueError(
                f"accumulate is {self.accumulate} and batch {self.batch}: a divisor of the batch is accepted."
            )
        self._check_method()

    def _check_method(self) -> None:
        """Refuse an option that was set and that the method, or a run without augmentation, does not use.
        Raises ValueError."""
        used, special = METHODS[self.method].options, set(method_options())
        for name, default in _defaults(self).items():
            value = getattr(self, name)
            if value == default:
                continue
            if name in special and name not in used:
                raise ValueError(
                    f"{name} is {value!r}, which method {self.method} does not use: accepted are "
                    f"{', '.join(used)}."
                )
            if name in AUGMENTATION and not self.augment:
                raise ValueError(
                    f"{name} is {value!r}, which a run without augmentation does not use: augment True is "
                    "accepted."
                )
        if self.bidirectional and (not self.integrated or METHODS[self.method].extra):
            raise ValueError(
                "bidirectional needs an integrated velocity and a method that learns from images alone: "
                "integrate yes and another method than supervised are accepted."
            )
        if METHODS[self.method].weight == "oracle" and not self.noise_known:
            raise ValueError(
                "method oracle_weight needs the true variance of the noise: dataset phantom, without a kind "
                "of point scatterers, is accepted."
            )
        if METHODS[self.method].weight == "oracle" and self.augment:
            raise ValueError(
                "augment would change the true variance that method oracle_weight needs: False is accepted."
            )

    def for_method(self, method: str) -> TrainConfig:
        """The same run by another method; options that it does not use go back to their default."""
        if method not in METHODS:
            raise ValueError(f"method is '{method}': accepted are {', '.join(METHODS)}.")
        unknown = set(method_options()) - set(METHODS[method].options)
        unused = {name: default for name, default in _defaults(self).items() if name in unknown}
        augment = self.augment and METHODS[method].weight != "oracle"
        if not augment:
            unused |= {name: default for name, default in _defaults(self).items() if name in AUGMENTATION}
        return replace(self, method=method, augment=augment, **unused)

    @property
    def integrated(self) -> bool:
        """True if the displacement network gives a velocity."""
        return self.network != "transmorph" if self.integrate == "auto" else self.integrate == "yes"

    @property
    def crop_vox(self) -> int:
        """Voxels per side of a training crop: the given number, or the one that suits the data."""
        return self.crop or (64 if self.dataset == "phantom" and self.solid else 128)

    @property
    def settled(self) -> TrainConfig:
        """The same run with nothing left to follow from other fields."""
        return replace(self, crop=self.crop_vox)

    @property
    def phantom_size(self) -> int:
        """Voxels per side of its phantoms: in 3D they fill the crop; 0, that of their kind, in 2D."""
        return self.crop_vox if self.solid else 0

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_per_epoch if self.epochs else self.steps


AUGMENTATION = ("wide_augment", "stretch", "extra_noise")  # what a run without it does not use


def _defaults(config: Any) -> dict[str, Any]:
    return {f.name: f.default for f in fields(config)}


# Channels of VoxelMorph's networks by size; "paper" is NetworkConfig's default.
_WIDTHS: dict[str, dict[str, tuple[int, ...]]] = {
    "paper": {},
    "small": {"encoder": (8, 16, 16, 16), "decoder": (16, 16, 16, 16), "tail": (16, 8, 8)},
    "tiny": {"encoder": (4, 8), "decoder": (8, 4), "tail": (4,)},
}


def network_config(config: TrainConfig, ndim: int) -> NetworkConfig:
    """The networks of a run: by architecture, size and method."""
    shape: dict[str, Any] = dict(_WIDTHS[config.size])
    if config.network == "transmorph":
        shape["velocity_stride"] = 1
    if not config.integrated:
        shape["integration_steps"] = 0
    return NetworkConfig(
        architecture=config.network,
        ndim=ndim,
        size=config.size,
        sigma_z=METHODS[config.method].sigma_z,
        variance_residual=config.variance_residual,
        spread="displacement" if METHODS[config.method].extra else "velocity",
        **shape,
    )


@dataclass(frozen=True)
class EvaluateConfig(DataConfig, RegisterConfig):
    """One evaluation: which pairs, prepared how, and how they are registered (`registration`).

    Phantoms are as they are made in both protocols.
    """

    phantoms: int = option(20, "phantom pairs that are made, unless the split file names some")
    first_seed: int = option(50_000, "seed of the first phantom; training draws its own from 100000 on")
    phantom_size: int = option(
        0, "voxels per side of a phantom (0: 128; in 3D as the model was trained, else 64)"
    )
    split: str = option(
        "test", "patients that are evaluated; phantoms count as test patients", choices.SPLITS
    )
    split_file: str = option("", "JSON file of the patients in each part (empty: the one beside the model)")
    seed: int = option(0, "seed of the split by patient, as in a training, where no file defines the split")
    protocol: str = option(
        "native", "published: 128 x 128 and min-max intensities, per slice", choices.PROTOCOLS
    )
    labels: str = option("", "labels to measure, the main one first, joined by + (empty: all, 2 first)")
    both_ways: bool = option(True, "also register each pair the other way round, for the inverse consistency")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_min(phantoms=0, first_seed=0, phantom_size=0, seed=0)
        self._check_max(phantoms=choices.MOST_PHANTOMS, phantom_size=4096)
        if not all(n.isdecimal() and 0 < int(n) < 256 for n in self.labels.split("+") if self.labels):
            raise ValueError(f"labels is '{self.labels}': numbers from 1 to 255 joined by + are accepted.")

    @property
    def chosen_labels(self) -> tuple[int, ...]:
        """The labels to measure, () for all."""
        return tuple(int(n) for n in self.labels.split("+")) if self.labels else ()

    @property
    def registration(self) -> RegisterConfig:
        """How each pair is registered."""
        return RegisterConfig(**{f.name: getattr(self, f.name) for f in fields(RegisterConfig)})
