"""Model, optimisers and the number of done steps of a run; one step of it."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from ..config import GridConfig, NetworkConfig, TrainConfig
from ..model import RegistrationModel
from . import schedule
from .accelerate import accelerate
from .checkpoint import load_checkpoint, save_checkpoint
from .distributed import Ranks
from .objective import Batch, Objective
from .steps import Update, displacement_step, joint_step, variance_step


class Trainer:
    """Model, optimisers and the number of done steps of one run."""

    def __init__(self, config: TrainConfig, network: NetworkConfig, grid: GridConfig, ranks: Ranks) -> None:
        self.config, self.ranks, self.step, self.best, self.seconds = config, ranks, 0, -math.inf, 0.0
        self.checked = 0  # step of the last validation
        torch.manual_seed(config.seed)
        self.model = accelerate(_start(RegistrationModel(network, grid), config).to(ranks.device), config)
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "displacement": torch.optim.Adam(self.model.displacement_net.parameters(), config.learning_rate),
            "variance": torch.optim.Adam(self.model.variance_net.parameters(), config.learning_rate),
        }
        self.objective = Objective.from_config(config)
        self.update = Update(config.accumulate, config.clip, ranks.mean_gradients)

    def save(self, path: Path) -> None:
        """Write the checkpoint."""
        state = {"step": self.step, "best": self.best, "seconds": self.seconds, "checked": self.checked}
        save_checkpoint(path, self.model, self.optimisers, state)

    def load(self, path: Path) -> None:
        """Go on where a checkpoint was written."""
        state = load_checkpoint(path, self.model, self.optimisers)
        self.step, self.best = int(state["step"]), state["best"]
        self.seconds, self.checked = state.get("seconds", 0.0), int(state.get("checked", self.step))

    def one_step(self, batch: Batch) -> dict[str, float]:
        """Train on one batch of all processes. Raises ValueError if the loss is not a number."""
        config, step = self.config, self.step
        torch.manual_seed((config.seed * 1_000_003 + step) * self.ranks.world + self.ranks.rank)
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = schedule.learning_rate(config, step)
        batch = batch.part(self.ranks.rank, self.ranks.world).to(self.ranks.device)
        if step == config.warmup and not config.start:
            self._start_variance(batch)
        row = self.ranks.mean(_PHASES[schedule.phase(config, step)](self, batch))
        bad = [name for name, value in row.items() if not math.isfinite(value)]
        if bad:
            raise ValueError(
                f"Step {step + 1}: {', '.join(bad)} is not a finite number. The last checkpoint was kept: "
                "try a smaller learning rate, clip, or another weight_mode."
            )
        self.step += 1
        return row

    def _start_variance(self, batch: Batch) -> None:
        """Let the variance network begin at the mean squared residual."""
        with torch.no_grad():
            moved = self.model.move(batch.moving, batch.fixed).moved
        residual = self.ranks.mean({"mse": float((batch.fixed - moved).square().mean())})
        self.model.variance_net.start_at(residual["mse"])

    def displacement(self, batch: Batch, *, warmup: bool = True) -> dict[str, float]:
        """The displacement network's step."""
        keep = self.config.collaborative_grad and not warmup and self.step > 0
        return displacement_step(
            self.model,
            batch,
            self.optimisers["displacement"],
            self.objective,
            warmup=warmup,
            keep_grad=keep,
            update=self.update,
        )

    def variance(self, batch: Batch, *, leak: bool = False) -> dict[str, float]:
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

    def both(self, batch: Batch) -> dict[str, float]:
        """Both networks' steps, or the joint one."""
        if self.objective.joint:
            optimisers = list(self.optimisers.values())
            return joint_step(self.model, batch, optimisers, self.objective, update=self.update)
        row = self.displacement(batch, warmup=False)
        return row | self.variance(batch, leak=self.config.collaborative_grad)


_PHASES = {"displacement": Trainer.displacement, "variance": Trainer.variance, "both": Trainer.both}


def _start(model: RegistrationModel, config: TrainConfig) -> RegistrationModel:
    """The model with the weights that the run starts from. Raises ValueError if they do not fit it."""
    if config.start:
        found = RegistrationModel.load(config.start)
        if found.network != model.network:
            raise ValueError(
                f"{Path(config.start).name} holds another network than this run's: one of the same "
                f"architecture, dimension, size and method, and the same --variance-residual, is accepted."
            )
        model.load_state_dict(found.state_dict())
    return model
