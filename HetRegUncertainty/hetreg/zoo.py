"""The models that come with HetReg: listed, found by name, checked. Torch-free."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import sha256

_HERE = Path(__file__).parent
WEIGHTS = _HERE / "weights"


@dataclass(frozen=True)
class ModelCard:
    """One entry of models.json. modality: "mri" or "echo". bytes: size of the file. data, licence, command,
    scores: how it came to be. options: fields of a TrainConfig whose run may start from it. trained_on: real
    patients that it has seen."""

    name: str
    label: str
    ndim: int
    modality: str
    file: str
    sha256: str
    bytes: int
    description: str
    data: str
    licence: str
    steps: int
    command: str
    options: dict[str, Any]
    scores: dict[str, float]
    trained_on: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The weight file."""
        return WEIGHTS / self.file


def list_models() -> list[ModelCard]:
    """All models, in the order of the menu."""
    entries = json.loads((_HERE / "models.json").read_text(encoding="utf-8"))
    return [ModelCard(**entry) for entry in entries]


def of_dimension(ndim: int) -> list[ModelCard]:
    """The models of that dimension."""
    return [card for card in list_models() if card.ndim == ndim]


def options_from(name: str) -> dict[str, Any]:
    """The options of a run that starts from the model of that name; empty if no model has it."""
    return next((dict(card.options) for card in list_models() if card.name == name), {})


def default_model(ndim: int, modality: str = "") -> ModelCard:
    """The first model of that dimension and modality, or of that dimension if there is none of the modality.

    Raises ValueError if there is none of the dimension.
    """
    cards = of_dimension(ndim)
    if not cards:
        raise ValueError(f"No {ndim}D model comes with this version: name a weight file.")
    return next((card for card in cards if card.modality == modality), cards[0])


def locate(name_or_path: str | Path) -> Path:
    """The weight file of a model's name, checked against its checksum, or the given file itself.

    Raises ValueError on an unknown name or a wrong checksum, FileNotFoundError if the file is missing.
    """
    if not isinstance(name_or_path, str | Path):
        raise ValueError(
            f"The model is a {type(name_or_path).__name__}: the name of a model or a weight file is accepted."
        )
    cards = {card.name: card for card in list_models()}
    card = cards.get(str(name_or_path))
    if card is None:
        path = Path(name_or_path)
        if path.is_file():
            return path
        if name_or_path and (path.suffix or path.exists()):
            raise FileNotFoundError(f"There is no weight file {path}.")
        raise ValueError(
            f"There is no model '{name_or_path}': accepted are {', '.join(cards)}, or a weight file."
        )
    if not card.path.is_file():
        raise FileNotFoundError(
            f"The weight file {card.file} of model '{card.name}' is missing: reinstall HetReg."
        )
    if sha256(card.path) != card.sha256:
        raise ValueError(
            f"The weight file {card.file} of model '{card.name}' is damaged: its checksum is wrong."
        )
    return card.path
