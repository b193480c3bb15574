"""The training panel's parameter node, its menus out of the core's tables, and the way to TrainConfig."""

import importlib.util
from enum import Enum
from typing import Annotated

from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Decimals, SingleStep, WithinRange, parameterNodeWrapper

from hetreg.config import TrainConfig
from hetreg.registry import DATASETS, METHODS, NETWORKS, PHANTOMS, SIZES

from .parameters import Device, WeightMode, outputParameter

PHANTOM = "phantom"
DEFAULTS = TrainConfig()
# Fields of TrainConfig that not every run uses; the panel has a row for each, shown where it is used.
OPTIONS = ("weight_mode", "gamma", "beta", "smoothness", "alpha", "bidirectional", "collaborative_grad")
MONAI_NETWORKS, MONAI_LOSSES = ("transmorph",), ("ncc", "mutual_information")  # built on that package
NOT_INTEGRATED = ("transmorph",)  # gives the displacement itself: there is no inverse warp


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
}
Dataset = _choices("Dataset", DATASETS)
PhantomKind = _choices("PhantomKind", PHANTOMS)
Network = _choices("Network", NETWORKS)
NetworkSize = _choices("NetworkSize", SIZES)
Method = _choices("Method", METHODS)


class LengthUnit(Enum):
    """What the length of a training is counted in."""

    EPOCHS = "epochs"
    STEPS = "steps"

    def label(self):
        """Text in the menu."""
        return {"epochs": _("epochs of 100 batches"), "steps": _("batches")}[self.value]


@parameterNodeWrapper
class HetRegTrainingParameterNode:
    """Everything that the panel remembers; saved with the scene."""

    dataset: Dataset = Dataset(PHANTOM)
    folder: str = ""
    phantomKind: PhantomKind = PhantomKind(DEFAULTS.kind)
    phantoms: Annotated[int, WithinRange(2, 100000)] = DEFAULTS.phantoms

    network: Network = Network(DEFAULTS.network)
    networkSize: NetworkSize = NetworkSize(DEFAULTS.size)
    method: Method = Method(DEFAULTS.method)
    weightMode: WeightMode = WeightMode(DEFAULTS.weight_mode)
    gamma: Annotated[float, WithinRange(0.0, 2.0), Decimals(2), SingleStep(0.05)] = DEFAULTS.gamma
    beta: Annotated[float, WithinRange(0.0, 1.0), Decimals(2), SingleStep(0.05)] = DEFAULTS.beta
    smoothness: Annotated[float, WithinRange(0.0, 100.0), Decimals(4), SingleStep(0.005)] = (
        DEFAULTS.smoothness
    )
    alpha: Annotated[float, WithinRange(0.0, 100.0), Decimals(4), SingleStep(0.005)] = DEFAULTS.alpha
    bidirectional: bool = DEFAULTS.bidirectional
    collaborativeGrad: bool = DEFAULTS.collaborative_grad

    length: Annotated[int, WithinRange(1, 10000000)] = 20
    lengthUnit: LengthUnit = LengthUnit.EPOCHS
    learningRate: Annotated[float, WithinRange(0.000001, 1.0), Decimals(6), SingleStep(0.0001)] = (
        DEFAULTS.learning_rate
    )
    batch: Annotated[int, WithinRange(1, 1024)] = DEFAULTS.batch
    seed: Annotated[int, WithinRange(0, 1000000)] = DEFAULTS.seed
    device: Device = Device.AUTO
    crop: Annotated[int, WithinRange(16, 1024)] = DEFAULTS.crop
    warmup: Annotated[int, WithinRange(0, 1000000)] = DEFAULTS.warmup
    validateEvery: Annotated[int, WithinRange(1, 1000000)] = DEFAULTS.validate_every
    augment: bool = DEFAULTS.augment

    outputFolder: str = ""
    trainingLayout: bool = True
    formerLayout: int = -1


def usedOptions(parameters):
    """Those of OPTIONS that the chosen method and architecture use."""
    used = METHODS[parameters.method.value].options
    if parameters.network.value not in NOT_INTEGRATED:
        used = (*used, "bidirectional")
    return [name for name in OPTIONS if name in used]


def reasonMissing(parameters):
    """Which Python package the choice needs and does not find, "" if all is there."""
    p = parameters
    needed = p.network.value in MONAI_NETWORKS or METHODS[p.method.value].data_loss in MONAI_LOSSES
    if not needed or importlib.util.find_spec("monai") is not None:
        return ""
    return _(
        "This choice needs the Python package monai: run slicer.util.pip_install('monai') in the Python "
        "console, or choose VoxelMorph and another method."
    )


def trainConfig(parameters):
    """The core's configuration from a parameter node. Raises ValueError with one sentence on bad values."""
    p = parameters
    values = {name: _plain(getattr(p, outputParameter(name))) for name in usedOptions(p)}
    counted = {"epochs": p.length} if p.lengthUnit is LengthUnit.EPOCHS else {"epochs": 0, "steps": p.length}
    source = {"kind": p.phantomKind.value, "phantoms": p.phantoms}
    if p.dataset.value != PHANTOM:
        source = {"root": p.folder}
    return TrainConfig(
        dataset=p.dataset.value,
        network=p.network.value,
        size=p.networkSize.value,
        method=p.method.value,
        learning_rate=p.learningRate,
        batch=p.batch,
        seed=p.seed,
        device=p.device.value,
        crop=p.crop,
        warmup=p.warmup,
        validate_every=p.validateEvery,
        augment=p.augment,
        **source,
        **counted,
        **values,
    )


def _plain(value):
    return value.value if isinstance(value, Enum) else value
