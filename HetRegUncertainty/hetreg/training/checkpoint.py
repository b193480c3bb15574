"""Checkpoints that hold everything needed to go on."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from ..files import check_parts
from ..model import RegistrationModel
from ..weightfile import read_weights, write_weights

_UNFIT = (RuntimeError, LookupError, EOFError, OSError, TypeError, ValueError, AttributeError, OverflowError)


def save_checkpoint(
    path: Path,
    model: RegistrationModel,
    optimisers: dict[str, torch.optim.Optimizer],
    state: dict[str, float],
    *,
    gradients: bool = False,
    start: dict[str, Any] | None = None,
) -> None:
    """Write it, or raise OSError and leave the last good one.

    It is a weight file as well, of these weights.
    state: numbers of the loop, such as the step and the best score. gradients: also those that
    `collaborative_grad` carries to the next step. start: what the run took over from the model that it began
    with (`start.Start`), which may be gone when it goes on.
    """
    content = {
        **model.content(),
        **state,
        "card": card_of_last(model, int(state["step"])),
        "optimisers": {name: o.state_dict() for name, o in optimisers.items()},
        "gradients": {n: p.grad for n, p in model.named_parameters() if gradients and p.grad is not None},
        "start": start or {},
    }
    write_weights(path, content)


def card_of_last(model: RegistrationModel, step: int) -> dict[str, Any]:
    """The card of a run's last weights, after so many steps: the scores are those of the best ones."""
    return {n: v for n, v in model.card.items() if n != "scores"} | {"steps": step}


def is_lost(path: Path) -> bool:
    """True if a weight file that was there is gone or damaged."""
    try:
        read_weights(path)
    except ValueError:
        return True
    return False


def start_in(path: Path) -> dict[str, Any]:
    """What a checkpoint says that its run took over; nothing where it cannot be read, as loading it tells."""
    try:
        check_parts(path)
        return dict(torch.load(path, map_location="cpu", weights_only=True)["start"])
    except (RuntimeError, LookupError, EOFError, OSError, TypeError, ValueError, pickle.UnpicklingError):
        return {}


def load_checkpoint(
    path: Path, model: RegistrationModel, optimisers: dict[str, torch.optim.Optimizer]
) -> dict[str, float]:
    """Put model and optimisers where they were. Returns the loop's numbers. Raises ValueError if it does not
    fit."""
    try:
        check_parts(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        ndim = max(value.ndim for value in content["state"].values()) - 2  # of the convolutions
        if ndim == model.ndim:
            return _restore(content, model, optimisers)
    except _UNFIT as error:
        reason = _first_line(error)
    except pickle.UnpicklingError:
        reason = "not a plain file of tensors"
    else:
        raise ValueError(
            f"{path.name} is of a run on {ndim}D pairs, and these pairs are taken as {model.ndim}D now: "
            f"pairs in {ndim}D or an empty folder are accepted."
        )
    raise ValueError(
        f"{path.name} is damaged or belongs to another run ({reason}): a whole checkpoint is accepted, or an "
        "empty folder and best.pt as the weights to start from."
    )


def _restore(
    content: dict[str, Any], model: RegistrationModel, optimisers: dict[str, torch.optim.Optimizer]
) -> dict[str, float]:
    model.load_state_dict(content["state"])
    for name, optimiser in optimisers.items():
        optimiser.load_state_dict(content["optimisers"][name])
    for name, parameter in model.named_parameters():
        gradient = content["gradients"].get(name)
        parameter.grad = None if gradient is None else gradient.to(parameter.device)
    own = {name for name in content if name not in model.content()}
    numbers = {name: content[name] for name in own if isinstance(content[name], int | float)}
    return {**numbers, "step": int(content["step"]), "best": float(content["best"])}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].split(". ")[0].rstrip(".:") or type(error).__name__
