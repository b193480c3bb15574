"""What a run takes over from the model that it starts from, beside the weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import GridConfig, NetworkConfig, TrainConfig, network_config
from ..model import RegistrationModel
from ..registry import METHODS
from ..weightfile import to_be_filled
from .checkpoint import start_in

# A card's words on how the model is used best.
_USE = ("anchor", "rate", "kernels_vox", "views", "refined_sd")


@dataclass(frozen=True)
class Start:
    """network, grid: of the run, None where its options and pairs say them. card: what is kept of the
    model's. note: for the user, "" if there is nothing to tell."""

    network: NetworkConfig | None = None
    grid: GridConfig | None = None
    card: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint; empty if nothing is taken over."""
        if self.network is None or self.grid is None:
            return {}
        return {"network": self.network.to_dict(), "grid": self.grid.to_dict(), "card": dict(self.card)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Start:
        """The inverse of `to_dict`."""
        if not values:
            return cls()
        network, grid = NetworkConfig.from_dict(values["network"]), GridConfig.from_dict(values["grid"])
        return cls(network, grid, dict(values["card"]))


def find_start(config: TrainConfig, folder: Path) -> Start:
    """The channels and the grid of the model that `config.start` names, where it is of the asked kind:
    architecture, outputs, inputs and integration. Another kind is told by `Trainer.begin`.

    A run that goes on takes what its checkpoint says. Raises ValueError or OSError if the model cannot be
    read.
    """
    last = folder / "last.ckpt"
    if last.is_file():
        return _in_checkpoint(last)
    if not config.start:
        return Start()
    found = RegistrationModel.load(config.start)
    asked, network = network_config(config, found.ndim), found.network
    if options_of(asked) != options_of(network):
        return Start()
    name = Path(config.start).name
    note = f"The run has the weights, channels and grid of {name}; --size is not used."
    return Start(network, found.grid, {n: found.card[n] for n in _USE if n in found.card}, note)


def _in_checkpoint(last: Path) -> Start:
    """What the checkpoint says. Raises ValueError if that is none, or a network of more weights than the file
    has bytes, before that takes memory."""
    try:
        begun = Start.from_dict(start_in(last))
        if begun.network:
            with to_be_filled(begun.network.architecture, last.stat().st_size):
                RegistrationModel(begun.network)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{last.name} is damaged or of others, as what it says of its start cannot be used ({error}): a "
            "whole checkpoint is accepted, or an empty folder and best.pt as the weights to start from."
        ) from error
    return begun


def options_of(network: NetworkConfig) -> str:
    """The options of a run that give a network of this kind, in words."""
    same = (network.sigma_z, network.spread == "displacement")
    methods = [name for name, method in METHODS.items() if method.kind == same]
    residual = "" if network.variance_residual else "no "
    return (
        f"{network.ndim}D pairs, --network {network.architecture}, --method {' or '.join(methods)}, "
        f"{residual}--variance-residual, --integrate {'yes' if network.integration_steps else 'no'}"
    )
