"""The training panel's parameter node, its menus out of the core's tables, and the way to TrainConfig."""

from dataclasses import fields
from enum import Enum
from typing import Annotated

from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from hetreg.choices import DECAYS, INTEGRATE, MOST_BLIND, SMOOTH
from hetreg.config import AUGMENTATION, TrainConfig
from hetreg.registry import DATASETS, METHODS, NETWORKS, PHANTOMS, SIZES

from . import gpu
from .parameters import Device, WeightMode, outputParameter

PHANTOM, PAIRS = "phantom", "pairs"
DEFAULTS = TrainConfig()
# Fields of TrainConfig that not every run uses; the panel has a row for each, shown where it is used.
OPTIONS = ("weight_mode", "gamma", "beta", "smoothness", "alpha", "bidirectional", "collaborative_grad")
OPTIONS += ("displacement_error", "label_overlap", "displacement_nll", "smoothness_on", "blind_spots")
# Fields that need hardware: each with the function that says why a device does not have it.
HARDWARE = {"amp": gpu.reasonWithoutBfloat16, "compile": gpu.reasonWithout}
# Fields that have another name in the panel. dataset is also made of addPhantoms, length of its unit.
RENAMED = {
    "root": "folder",
    "kind": "phantomKind",
    "size": "networkSize",
    "steps": "length",
    "epochs": "length",
    "split": "splitFile",
    "start": "startFile",
}
ABSENT = {  # fields that the panel leaves at their default, each with the reason
    "workers": "the number of processes that suits the device is chosen by itself",
    "graphs": "experimental: for the command line until it has been seen on a GPU",
}
MONAI_NETWORKS, MONAI_LOSSES = ("transmorph",), ("ncc", "mutual_information")  # built on that package


class _Named(Enum):
    """A choice out of one of the core's tables; the value is the name in the table."""

    def label(self):
        """Text in the menu."""
        entry = _TABLES[type(self).__name__][self.value]
        return getattr(entry, "label", entry)


def _choices(name, table):
    return _Named(name, {key.upper(): key for key in table}, module=__name__)


_TABLES = {
    "Dataset": DATASETS,
    "PhantomKind": PHANTOMS,
    "Network": NETWORKS,
    "NetworkSize": SIZES,
    "Method": METHODS,
    "Decay": DECAYS,
    "SmoothnessOn": SMOOTH,
    "Integrate": INTEGRATE,
}
Dataset = _choices("Dataset", DATASETS)
PhantomKind = _choices("PhantomKind", PHANTOMS)
Network = _choices("Network", NETWORKS)
NetworkSize = _choices("NetworkSize", SIZES)
Method = _choices("Method", METHODS)
Decay = _choices("Decay", DECAYS)
SmoothnessOn = _choices("SmoothnessOn", SMOOTH)
Integrate = _choices("Integrate", INTEGRATE)


class LengthUnit(Enum):
    """What the length of a training is counted in."""

    EPOCHS = "epochs"
    STEPS = "steps"

    def label(self):
        """Text in the menu."""
        return {"epochs": _("epochs"), "steps": _("steps")}[self.value]


@parameterNodeWrapper
class HetRegTrainingParameterNode:
    """Everything that the panel remembers; saved with the scene."""

    dataset: Dataset = Dataset(PHANTOM)
    folder: str = ""
    addPhantoms: bool = False
    phantomKind: PhantomKind = PhantomKind(DEFAULTS.kind)
    phantoms: Annotated[int, WithinRange(2, 100000)] = DEFAULTS.phantoms

    network: Network = Network(DEFAULTS.network)
    networkSize: NetworkSize = NetworkSize(DEFAULTS.size)
    integrate: Integrate = Integrate(DEFAULTS.integrate)
    method: Method = Method(DEFAULTS.method)
    weightMode: WeightMode = WeightMode(DEFAULTS.weight_mode)
    gamma: Annotated[float, WithinRange(0.0, 2.0)] = DEFAULTS.gamma
    beta: Annotated[float, WithinRange(0.0, 1.0)] = DEFAULTS.beta
    smoothness: Annotated[float, WithinRange(0.0, 100.0)] = DEFAULTS.smoothness
    alpha: Annotated[float, WithinRange(0.0, 100.0)] = DEFAULTS.alpha
    displacementError: Annotated[float, WithinRange(0.0, 100.0)] = DEFAULTS.displacement_error
    labelOverlap: Annotated[float, WithinRange(0.0, 100.0)] = DEFAULTS.label_overlap
    displacementNll: Annotated[float, WithinRange(0.0, 100.0)] = DEFAULTS.displacement_nll
    bidirectional: bool = DEFAULTS.bidirectional
    collaborativeGrad: bool = DEFAULTS.collaborative_grad

    length: Annotated[int, WithinRange(1, 10000000)] = 20
    lengthUnit: LengthUnit = LengthUnit.EPOCHS
    learningRate: Annotated[float, WithinRange(0.000001, 1.0)] = DEFAULTS.learning_rate
    batch: Annotated[int, WithinRange(1, 1024)] = DEFAULTS.batch
    seed: Annotated[int, WithinRange(0, 1000000)] = DEFAULTS.seed
    device: Device = Device.AUTO
    crop: Annotated[int, WithinRange(0, 1024)] = 0  # by the data
    warmup: Annotated[int, WithinRange(0, 1000000)] = DEFAULTS.warmup
    varianceWarmup: Annotated[int, WithinRange(0, 1000000)] = DEFAULTS.variance_warmup
    validateEvery: Annotated[int, WithinRange(1, 1000000)] = DEFAULTS.validate_every
    stepsPerEpoch: Annotated[int, WithinRange(1, 1000000)] = DEFAULTS.steps_per_epoch
    decay: Decay = Decay(DEFAULTS.decay)
    clip: Annotated[float, WithinRange(0.0, 1000000.0)] = DEFAULTS.clip
    accumulate: Annotated[int, WithinRange(1, 1024)] = DEFAULTS.accumulate
    augment: bool = DEFAULTS.augment
    wideAugment: bool = DEFAULTS.wide_augment
    cache: bool = DEFAULTS.cache
    amp: bool = DEFAULTS.amp
    compile: bool = DEFAULTS.compile
    splitFile: str = ""
    startFile: str = ""
    smoothnessOn: SmoothnessOn = SmoothnessOn(DEFAULTS.smoothness_on)
    stretch: Annotated[float, WithinRange(0.0, 1.0)] = DEFAULTS.stretch
    extraNoise: Annotated[float, WithinRange(0.0, 1.0)] = DEFAULTS.extra_noise
    varianceResidual: bool = DEFAULTS.variance_residual
    blindSpots: Annotated[float, WithinRange(0.0, MOST_BLIND)] = DEFAULTS.blind_spots
    realShare: Annotated[float, WithinRange(0.0, 1.0)] = DEFAULTS.real_share

    outputFolder: str = ""
    trainingLayout: bool = True
    formerLayout: int = -1


def usedOptions(parameters):
    """Those of OPTIONS that the chosen method and architecture use."""
    method = METHODS[parameters.method.value]
    used = method.options
    network = TrainConfig(network=parameters.network.value, integrate=parameters.integrate.value)
    if network.integrated and not method.extra:  # else there is no inverse warp, or no loss for it
        used = (*used, "bidirectional")
    return [name for name in OPTIONS if name in used]


def parameterOf(field):
    """Name of the parameter that holds a field of TrainConfig: learning_rate -> learningRate."""
    return RENAMED.get(field, outputParameter(field))


def usesPhantoms(parameters):
    """True if simulated pairs are trained on, alone or beside others."""
    return parameters.dataset.value == PHANTOM or parameters.addPhantoms


def isMixed(parameters):
    """True if simulated pairs are trained on beside others."""
    return parameters.addPhantoms and parameters.dataset.value != PHANTOM


def unusedFields(parameters):
    """The fields of TrainConfig that this choice does not use: they keep their default."""
    p = parameters
    unused = {name for name in OPTIONS if name not in usedOptions(p)} | set(ABSENT)
    unused |= {"steps"} if p.lengthUnit is LengthUnit.EPOCHS else {"epochs", "steps_per_epoch"}
    unused |= set() if usesPhantoms(p) else {"kind", "phantoms"}
    unused |= {"root"} if p.dataset.value == PHANTOM else set()
    unused |= set() if isMixed(p) else {"real_share"}
    unused |= set() if p.augment else set(AUGMENTATION)
    return unused | {name for name, reason in HARDWARE.items() if reason(p.device.value)}


def neededPackages(parameters):
    """Names of the Python packages that the choice needs beside PyTorch."""
    p = parameters
    needed = p.network.value in MONAI_NETWORKS or METHODS[p.method.value].data_loss in MONAI_LOSSES
    return ["monai"] if needed else []


def formValues(parameters):
    """{field of TrainConfig: value} of what the form shows."""
    p, unused = parameters, unusedFields(parameters)
    names = [f.name for f in fields(TrainConfig) if f.name not in unused]
    values = {name: plain(getattr(p, parameterOf(name))) for name in names}
    if isMixed(p):
        values["dataset"] += f"+{PHANTOM}"
    return values


def trainConfig(parameters):
    """The core's configuration from a parameter node. Raises ValueError with one sentence on bad values."""
    return TrainConfig(**formValues(parameters))


def plain(value):
    """What stands in a TrainConfig for a value of the form."""
    return value.value if isinstance(value, Enum) else value
