"""Checkpoints that hold everything needed to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..model import RegistrationModel


def save_checkpoint(
    path: Path, model: RegistrationModel, optimisers: dict[str, torch.optim.Optimizer], step: int, best: float
) -> None:
    """Write beside the target and rename: a full disk or a kill leaves the last good one. Raises OSError."""
    content = {
        "step": step,
        "best": best,
        "state": model.state_dict(),
        "optimisers": {name: o.state_dict() for name, o in optimisers.items()},
    }
    partial = path.with_name(f".partial-{path.name}")
    try:
        torch.save(content, partial)
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise OSError(f"{path} could not be written: is the disk full or the folder read-only?") from error


def load_checkpoint(
    path: Path, model: RegistrationModel, optimisers: dict[str, torch.optim.Optimizer]
) -> dict[str, Any]:
    """Put model and optimisers where they were. Returns {"step", "best"}. Raises ValueError if it does not
    fit."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(content["state"])
        for name, optimiser in optimisers.items():
            optimiser.load_state_dict(content["optimisers"][name])
    except (RuntimeError, KeyError, EOFError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path.name} is damaged or belongs to another run ({str(error).splitlines()[0]})."
        ) from error
    return {"step": int(content["step"]), "best": float(content["best"])}
