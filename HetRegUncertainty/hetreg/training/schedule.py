"""What a step trains, and how fast."""

from __future__ import annotations

import math

from ..config import TrainConfig

LOWEST = 0.02  # of the learning rate, at the end of the cosine


def phase(config: TrainConfig, step: int) -> str:
    """The networks that the step with this number (from 0) trains: "displacement", "variance" or "both"."""
    if step < config.warmup:
        return "displacement"
    return "variance" if step < config.warmup + config.variance_warmup else "both"


def epoch(config: TrainConfig, step: int) -> int:
    """The epoch, from 1, that a number of done steps lies in."""
    return max(1, -(-step // config.steps_per_epoch))


def learning_rate(config: TrainConfig, step: int) -> float:
    """The learning rate of a step (from 0). "poly" is TransMorph's (1 - e / E)^0.9, e the epoch from 0."""
    return config.learning_rate * _FACTORS[config.decay](config, step)


def _cosine(config: TrainConfig, step: int) -> float:
    return max(LOWEST, 0.5 * (1 + math.cos(math.pi * step / config.total_steps)))


def _poly(config: TrainConfig, step: int) -> float:
    epochs = math.ceil(config.total_steps / config.steps_per_epoch)
    return (1 - min(step // config.steps_per_epoch, epochs - 1) / epochs) ** 0.9


_FACTORS = {"cosine": _cosine, "poly": _poly, "none": lambda config, step: 1.0}
