"""`ReproduceConfig`: what is trained, for how long, and on what it is compared. Torch-free."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path

from ..choices import DECAYS, DEVICES, INTEGRATE, PROTOCOLS
from ..config import DataConfig, TrainConfig
from ..configbase import option
from ..registry import DATASETS, METHODS, NETWORKS, PHANTOMS, SIZES, WEIGHT_MODES
from .variants import VARIANTS

ALL, AUTO = "all", "auto"
CHOICE = {AUTO: "published for the paper's own data, native otherwise", **PROTOCOLS}
PAPERS = {"acdc", "camus"}
SETTINGS = "reproduce.json"  # in the folder of a reproduction
_TRAINING = {f.name: f.metadata["help"] for f in fields(TrainConfig)}  # help of the options of a training


@dataclass(frozen=True)
class ReproduceConfig(DataConfig):
    """All runs of one reproduction. The defaults are the paper's where it states a value and time allows."""

    split: str = option(
        "",
        "JSON file of the patients in training, validation and test (empty: the data set's own parts; those "
        "that it does not name are drawn, 60/20/20)",
    )
    protocol: str = option(
        AUTO,
        "published: 128 x 128 and min-max intensities, per slice; auto: that for acdc and camus alone",
        CHOICE,
    )
    networks: tuple[str, ...] = option(("voxelmorph",), "network architectures", NETWORKS)
    methods: tuple[str, ...] = option((ALL,), "methods, variants and baselines", (ALL, *VARIANTS))
    seeds: int = option(3, "runs of each method, with seeds 0, 1, 2, ...")
    first_seed: int = option(
        0, "the first seed, if not 0: to make further runs, or share them among machines"
    )
    budget: int = option(2000, "training steps of each run (paper: 300 epochs, 30000 by its code)")
    size: str = option("paper", _TRAINING["size"], SIZES)
    integrate: str = option("auto", _TRAINING["integrate"], INTEGRATE)
    batch: int = option(8, _TRAINING["batch"])
    crop: int = option(0, _TRAINING["crop"])
    learning_rate: float = option(1e-4, _TRAINING["learning_rate"])
    decay: str = option("cosine", _TRAINING["decay"], DECAYS)
    smoothness: float = option(0.01, _TRAINING["smoothness"] + "; used where it is not swept")
    lambda_of: tuple[str, ...] = option(
        (), "known lambda of individual methods, as method=value (nll=3); it is not swept for these"
    )
    sweep_lambda: bool = option(False, "choose lambda for each method by the Dice of validation pairs")
    lambdas: tuple[float, ...] = option(
        (0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
        "values of lambda to try (NLL needs larger ones); if the best is at an edge, some beyond it follow",
    )
    tolerance: float = option(0.0, "take the largest lambda whose Dice is at most this below the best (of 1)")
    weight_mode: str = option("paper", _TRAINING["weight_mode"], WEIGHT_MODES)
    augment: bool = option(True, _TRAINING["augment"])
    phantoms: int = option(400, "phantom pairs made for each seed's runs")
    test_phantoms: int = option(40, "phantom pairs of each kind for testing")
    device: str = option("auto", _TRAINING["device"], DEVICES)
    amp: bool = option(False, _TRAINING["amp"])
    compile: bool = option(False, _TRAINING["compile"])
    elastix_python: str = option("", "Python that has itk-elastix (empty: this one)")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_lists()
        self._check_min(
            seeds=1, first_seed=0, budget=1, smoothness=0.0, tolerance=0.0, phantoms=0, test_phantoms=0
        )
        self._training()  # checks the rest
        if not all(isinstance(v, int | float) and 0 <= v < math.inf for v in self.lambdas):
            raise ValueError(f"lambdas are {self.lambdas}: numbers of at least 0 are accepted.")
        self.known_lambdas()

    @property
    def used_protocol(self) -> str:
        """The given protocol, or the one that suits the data."""
        real = set(self.dataset.split("+")) - {"phantom"}
        suits = "published" if real and real <= PAPERS else "native"
        return suits if self.protocol == AUTO else self.protocol

    @property
    def all_seeds(self) -> range:
        """The seeds of the runs."""
        return range(self.first_seed, self.first_seed + self.seeds)

    def _check_lists(self) -> None:
        """Raises ValueError if a list is empty or has a value twice."""
        for name in ("networks", "methods", "lambdas"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(
                    f"{name} are {', '.join(map(str, values)) or 'none'}: each once is accepted."
                )

    def _training(self) -> TrainConfig:
        return TrainConfig(
            dataset=self.dataset,
            kind=self.kind,
            batch=self.batch,
            crop=self.crop,
            learning_rate=self.learning_rate,
        )

    def known_lambdas(self) -> dict[str, float]:
        """`lambda_of` by method or variant. Raises ValueError on one that has no lambda, or two."""
        found: dict[str, float] = {}
        for text in self.lambda_of:
            name, _, value = str(text).partition("=")
            method = VARIANTS[name].method if name in VARIANTS else ""
            try:
                number = float(value)
            except ValueError:
                number = -1.0
            has_one = method and "smoothness" in METHODS[method].options
            if not has_one or name in found or not 0 <= number < math.inf:
                raise ValueError(
                    f"lambda_of has '{text}': each method that has a lambda, once, with a number of at "
                    "least 0 is accepted, as in nll=3."
                )
            found[name] = number
        return found

    @property
    def phantom_size(self) -> int:
        """Voxels per side of the phantoms, in the training and in the test; 0 for that of their kind."""
        return self._training().phantom_size

    @property
    def sources(self) -> tuple[str, ...]:
        """The data sets that are tested one by one; each phantom kind is one: "phantom:mri2d"."""
        names: list[str] = []
        for name in self.dataset.split("+"):
            names += [f"phantom:{k}" for k in self.kind.split("+")] if name == "phantom" else [name]
        return tuple(names)


def source_label(source: str, config: ReproduceConfig) -> str:
    """A source for people."""
    name, _, kind = source.partition(":")
    if kind:
        return f"{DATASETS[name].label}, {PHANTOMS[kind]}"
    return f"Pairs of {Path(config.root).name}" if name == "pairs" else DATASETS[name].label
