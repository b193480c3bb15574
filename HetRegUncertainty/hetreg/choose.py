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

_NDIM = {"2d": 2, "3d": 3}  # by the dimension that is asked for


def choose_model(
    model: RegistrationModel | str | Path, fixed: Image, config: RegisterConfig
) -> tuple[RegistrationModel, list[str]]:
    """The model, loaded, and a note of how it was chosen if that was automatic: by the fixed image.

    model: a loaded one, a name, a file or "auto". Raises ValueError or OSError with one sentence if it cannot
    be used.
    """
    notes: list[str] = []
    if model == "auto":
        model, note = automatic(fixed, config)
        notes.append(note)
    if isinstance(model, str | Path):
        model = RegistrationModel.load(model)
    elif not isinstance(model, RegistrationModel):
        raise ValueError(
            f"The model is a {type(model).__name__}: a RegistrationModel, the name of a model or a weight "
            "file is accepted."
        )
    if _NDIM.get(config.dimension, model.ndim) != model.ndim:
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


def automatic(fixed: Image, config: RegisterConfig) -> tuple[str, str]:
    """The name of the model that suits a fixed image, and a note that says why."""
    ndim = _NDIM.get(config.dimension) or choose_dimension(fixed)[0]
    if len(zoo.of_dimension(ndim)) == 1:
        name, reason = zoo.default_model(ndim).name, f"no other {ndim}D model comes with HetReg"
    else:
        kind, seen = modality(fixed, choose_dimension(fixed)[1])
        name = zoo.default_model(ndim, kind).name
        reason = f"the fixed image {seen}; choose another one if that is wrong"
    return name, f"The model '{name}' was chosen automatically: {reason}."
