"""Which model registers a pair: the one that was named, or the one that suits the fixed image."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from . import zoo
from .config import RegisterConfig
from .image import Image
from .modality import modality
from .model import RegistrationModel
from .preprocess import choose_dimension


def choose_model(
    model: RegistrationModel | str | Path, fixed: Image, config: RegisterConfig
) -> tuple[RegistrationModel, list[str]]:
    """The model, loaded, and a note of how it was chosen if that was automatic: by the fixed image.

    model: a loaded one, a name, a file or "auto". Raises ValueError or OSError with one sentence if it cannot
    be used.
    """
    notes: list[str] = []
    wanted = {"2d": 2, "3d": 3}.get(config.dimension)
    if model == "auto":
        card, reason = _automatic(fixed, wanted or choose_dimension(fixed)[0])
        model = RegistrationModel.load(card.name)
        notes.append(f"The model '{card.name}' was chosen automatically: {reason}.")
    elif isinstance(model, str | Path):
        model = RegistrationModel.load(model)
    elif not isinstance(model, RegistrationModel):
        raise ValueError(
            f"The model is a {type(model).__name__}: a RegistrationModel, the name of a model or a weight "
            "file is accepted."
        )
    if wanted and wanted != model.ndim:
        raise ValueError(
            f"The model works in {model.ndim}D, but dimension is '{config.dimension}': choose "
            f"'auto' or another model."
        )
    if (types := {p.dtype for p in model.parameters()}) not in ({torch.float32}, {torch.float64}):
        raise ValueError(
            f"The model's weights are {' and '.join(sorted(map(str, types)))}: torch.float32, which "
            "model.float() makes of them, or torch.float64 is accepted."
        )
    if any(p.is_inference() for p in model.parameters()):  # made in `inference_mode`, of no use outside it
        model = copy.deepcopy(model)
    return model, notes


def _automatic(fixed: Image, ndim: int) -> tuple[zoo.ModelCard, str]:
    """The model for an image, and why."""
    if len(zoo.of_dimension(ndim)) == 1:
        return zoo.default_model(ndim), f"no other {ndim}D model comes with HetReg"
    kind, seen = modality(fixed, choose_dimension(fixed)[1])
    reason = f"the fixed image {seen}; choose another one if that is wrong"
    return zoo.default_model(ndim, kind), reason
