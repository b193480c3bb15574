"""Model, optimisers and the number of done steps of a run; one step of it."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..config import GridConfig, NetworkConfig, TrainConfig
from ..device import seed
from ..losses.mse import mean_squared_error
from ..model import RegistrationModel, evaluating
from . import schedule
from .accelerate import accelerate
from .blind import draw_spots
from .checkpoint import load_checkpoint, save_checkpoint
from .distributed import Ranks
from .objective import SEEDS, Batch, Objective
from .recording import Recorder
from .start import options_of
from .steps import displacement_step, joint_step, sample_of, variance_step
from .update import Row, Update, numbers


class Trainer:
    """Model, optimisers and the number of done steps of one run."""

    def __init__(self, config: TrainConfig, network: NetworkConfig, grid: GridConfig, ranks: Ranks) -> None:
        self.config, self.ranks, self.step, self.best, self.seconds = config, ranks, 0, -math.inf, 0.0
        self.checked = 0  # step of the last validation
        self.whole = True  # not within a step, nor after one that was ended half done
        self.start: dict[str, Any] = {}  # what the run took over from another model
        seed(config.seed % SEEDS, ranks.device)
        self.model = accelerate(RegistrationModel(network, grid).to(ranks.device), config)
        self.recorder = Recorder() if config.graphs and ranks.device.type == "cuda" else None
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "displacement": torch.optim.Adam(self.model.displacement_net.parameters(), config.learning_rate),
            "variance": torch.optim.Adam(self.model.variance_net.parameters(), config.learning_rate),
        }
        self.objective = Objective.from_config(config)
        self.update = Update(config.accumulate, config.clip, ranks.mean_gradients)

    def begin(self) -> None:
        """Take the weights that the run is to start from, if any. Raises ValueError if they do not fit."""
        if not self.config.start:
            return
        found = RegistrationModel.load(self.config.start)
        if found.network != self.model.network:
            raise ValueError(
                f"{Path(self.config.start).name} holds another network than this run's: accepted are another "
                f"model, or for this one {options_of(found.network)}."
            )
        self.model.load_state_dict(found.state_dict())

    def save(self, path: Path) -> None:
        """Write the checkpoint. Raises ValueError, and leaves the former one, if a weight is no number."""
        self.check_finite({})
        state = {"step": self.step, "best": self.best, "seconds": self.seconds, "checked": self.checked}
        leak = self.config.collaborative_grad
        save_checkpoint(path, self.model, self.optimisers, state, gradients=leak, start=self.start)

    def check_finite(self, found: dict[str, float]) -> None:
        """Raises ValueError if a weight, or one of the numbers that a validation found, is no finite number:
        a run could not go on from here."""
        _check_finite(self.step, {f"validation {name}": value for name, value in found.items()})
        if not all(bool(p.isfinite().all()) for p in self.model.parameters()):
            _check_finite(self.step, {"a weight": math.nan})

    def load(self, path: Path) -> None:
        """Go on where a checkpoint was written."""
        state = load_checkpoint(path, self.model, self.optimisers)
        counts_on = self.ranks.device if self.recorder else torch.device("cpu")
        for held in (held for optimiser in self.optimisers.values() for held in optimiser.state.values()):
            held["step"] = held["step"].to(counts_on)
        self.step, self.best = int(state["step"]), state["best"]
        self.seconds, self.checked = state.get("seconds", 0.0), int(state.get("checked", self.step))

    def _set_rate(self, rate: float) -> None:
        """A recorded step reads the learning rate, and Adam's count of steps, from the GPU."""
        for group in (g for optimiser in self.optimisers.values() for g in optimiser.param_groups):
            group["capturable"] = self.recorder is not None
            if self.recorder is None:
                group["lr"] = rate
            elif isinstance(group["lr"], torch.Tensor) and group["lr"].device.type == self.ranks.device.type:
                group["lr"].fill_(rate)
            else:
                group["lr"] = torch.tensor(float(rate), device=self.ranks.device)

    def one_step(self, batch: Batch) -> dict[str, float]:
        """Train on one batch of all processes. Raises ValueError if the loss is not a number."""
        config, step, self.whole = self.config, self.step, False
        drawn = (config.seed * 1_000_003 + step) * self.ranks.world + self.ranks.rank
        seed(drawn % SEEDS, self.ranks.device)
        self._set_rate(schedule.learning_rate(config, step))
        batch = batch.part(self.ranks.rank, self.ranks.world).to(self.ranks.device)
        if step == config.warmup and not config.start:
            self._start_variance(batch)
        row = self.ranks.mean(numbers(self._train(schedule.phase(config, step), batch)))
        _check_finite(step + 1, row)
        self.step, self.whole = step + 1, True
        return row

    def _train(self, phase: str, batch: Batch) -> Row:
        """The step of a phase; what it draws for each pair is drawn before one that is recorded."""
        if self.recorder is None:
            return _PHASES[phase](self, batch)
        drawn: dict[str, Any] = {"sample": sample_of(self.model, batch)}
        if self.config.blind_spots:
            drawn |= dict(zip(("spots", "near"), draw_spots(batch, self.config.blind_spots), strict=True))
        return self.recorder(phase, partial(_PHASES[phase], self), replace(batch, **drawn))

    def _start_variance(self, batch: Batch) -> None:
        """Let the variance network begin at the mean squared residual, of the whole displacement network:
        which branches a TransMorph left out in the step before, a run that goes on here does not know."""
        with torch.no_grad(), evaluating(self.model):
            moved = self.model.move(batch.moving, batch.fixed).moved
        residual = self.ranks.mean({"mse": float(mean_squared_error(batch.fixed, moved, batch.mask))})
        self.model.variance_net.start_at(residual["mse"])

    def displacement(self, batch: Batch, *, warmup: bool = True) -> Row:
        """The displacement network's step."""
        return displacement_step(
            self.model,
            batch,
            self.optimisers["displacement"],
            self.objective,
            warmup=warmup,
            keep_grad=self.config.collaborative_grad,
            update=self.update,
        )

    def variance(self, batch: Batch, *, leak: bool = False) -> Row:
        """The variance network's step."""
        return variance_step(
            self.model,
            batch,
            self.optimisers["variance"],
            beta=self.objective.beta,
            collaborative_grad=leak,
            blind=self.config.blind_spots,
            update=self.update,
        )

    def both(self, batch: Batch) -> Row:
        """Both networks' steps, or the joint one."""
        if self.objective.joint:
            optimisers = list(self.optimisers.values())
            return joint_step(self.model, batch, optimisers, self.objective, update=self.update)
        row = self.displacement(batch, warmup=False)
        return row | self.variance(batch, leak=self.config.collaborative_grad)


def _check_finite(step: int, found: dict[str, float]) -> None:
    """Raises ValueError, with the names of those that are not."""
    bad = [name for name, value in found.items() if not math.isfinite(value)]
    if bad:
        raise ValueError(
            f"Step {step}: {', '.join(bad)} is not a finite number; the last checkpoint, if any, was kept: "
            "try a smaller learning rate, clip, or another weight_mode."
        )


_PHASES = {"displacement": Trainer.displacement, "variance": Trainer.variance, "both": Trainer.both}
