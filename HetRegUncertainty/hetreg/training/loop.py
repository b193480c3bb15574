"""The training loop: data, model, two optimisers; per batch a displacement step, then a variance step."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..config import GridConfig, NetworkConfig, TrainConfig
from ..datasets.base import PairSample, augment_pair, split_by_patient, stack
from ..datasets.pairs import PairsDataset
from ..datasets.simulated import PhantomDataset
from ..device import resolve_device
from ..metrics.overlap import dice
from ..model import RegistrationModel
from ..progress import Progress
from ..spatial import jacobian_determinant, warp
from .checkpoint import load_checkpoint, save_checkpoint
from .steps import Batch, Objective, displacement_step, variance_step

_VALIDATION_FRACTION = 0.15
_MAX_VALIDATION = 64


def load_samples(config: TrainConfig, grid: GridConfig, progress: Progress) -> list[PairSample]:
    """The pairs of a run: phantom, folder of pairs, or both."""
    samples: list[PairSample] = []
    parts = config.dataset.split("+")
    for n, name in enumerate(parts):
        part = progress.part(n / len(parts), (n + 1) / len(parts))
        if name == "phantom":
            size = config.crop if config.kind.endswith("3d") else None
            made = PhantomDataset(config.kind, config.phantoms, seed=100_000 * (config.seed + 1), size=size)
            samples += made.samples(grid, part)
        elif name == "pairs":
            samples += PairsDataset(config.root).samples(grid, part)
        else:
            raise ValueError(f"dataset is '{config.dataset}': accepted are phantom, pairs, phantom+pairs.")
    return samples


def draw_batch(samples: Sequence[PairSample], config: TrainConfig, step: int, device: torch.device) -> Batch:
    """The batch of a step; it depends on the seed and the step alone, so a resumed run draws the same."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    chosen = torch.randint(len(samples), (config.batch,), generator=generator).tolist()
    picked = [samples[i] for i in chosen]
    reach = config.crop // 8
    offsets = torch.randint(
        -reach, reach + 1, (config.batch, picked[0].fixed.ndim), generator=generator
    ).tolist()
    fixed = stack(picked, "fixed", config.crop, offsets).to(device)
    moving = stack(picked, "moving", config.crop, offsets).to(device)
    if config.augment:
        fixed, moving = augment_pair(fixed, moving, generator)
    return Batch(fixed.contiguous(), moving.contiguous())


@torch.no_grad()
def validate(
    model: RegistrationModel, samples: Sequence[PairSample], size: int, device: torch.device
) -> dict[str, float]:
    """Mean over the validation pairs: mse, folding (%), and Dice of LV cavity and myocardium where there are
    labels."""
    was_training = model.training
    model.eval()
    rows: list[dict[str, float]] = []
    for sample in samples:
        zero = [[0] * sample.fixed.ndim]
        fixed, moving = (stack([sample], n, size, zero).to(device) for n in ("fixed", "moving"))
        motion = model.move(moving, fixed)
        row = {
            "mse": float((fixed - motion.moved).square().mean()),
            "folding": 100.0 * float((jacobian_determinant(motion.disp) <= 0).float().mean()),
        }
        if sample.fixed_label is not None and sample.moving_label is not None:
            truth = stack([sample], "fixed_label", size, zero).numpy()
            label = stack([sample], "moving_label", size, zero).float().to(device)
            moved = warp(label, motion.disp, mode="nearest").cpu().numpy()
            scores = [
                dice(truth == v, moved == v) for v in (2, 3) if (truth == v).any() or (moved == v).any()
            ]
            if scores:
                row["dice"] = float(np.mean(scores))
        rows.append(row)
    model.train(was_training)
    names = sorted({n for r in rows for n in r})
    return {n: float(np.mean([r[n] for r in rows if n in r])) for n in names}


def _rate(config: TrainConfig, step: int) -> float:
    if config.decay == "none":
        return config.learning_rate
    return config.learning_rate * max(0.02, 0.5 * (1 + math.cos(math.pi * step / config.total_steps)))


class Run:
    """State of one training run in its folder: model, optimisers, log, checkpoints."""

    def __init__(self, config: TrainConfig, network: NetworkConfig, grid: GridConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        folder.mkdir(parents=True, exist_ok=True)
        config.save(folder / "config.json")
        torch.manual_seed(config.seed)
        self.device = resolve_device(config.device)
        self.model = RegistrationModel(network, grid).to(self.device)
        if network.ndim == 2:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.optimisers = {
            "displacement": torch.optim.Adam(self.model.displacement_net.parameters(), config.learning_rate),
            "variance": torch.optim.Adam(self.model.variance_net.parameters(), config.learning_rate),
        }
        self.objective = Objective.from_config(config)
        self.step, self.best = 0, -math.inf
        self.last = folder / "last.ckpt"
        if self.last.exists():
            state = load_checkpoint(self.last, self.model, self.optimisers)
            self.step, self.best = state["step"], state["best"]

    def log(self, row: dict[str, Any]) -> None:
        """Append one JSON line to the run's log."""
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")

    def write_split(self, training: Sequence[PairSample], validation: Sequence[PairSample]) -> None:
        """Write the patients of each part to split.json."""
        parts = {"training": training, "validation": validation}
        text = json.dumps({name: sorted({s.patient for s in part}) for name, part in parts.items()}, indent=1)
        (self.folder / "split.json").write_text(text + "\n", encoding="utf-8")

    def one_step(self, batch: Batch) -> dict[str, float]:
        """Displacement step, then variance step."""
        config, step = self.config, self.step
        for optimiser in self.optimisers.values():
            optimiser.param_groups[0]["lr"] = _rate(config, step)
        leak = config.collaborative_grad
        row = displacement_step(
            self.model,
            batch,
            self.optimisers["displacement"],
            self.objective,
            warmup=step < config.warmup,
            keep_grad=leak and step > 0,
        )
        if step == config.warmup:
            with torch.no_grad():
                moved = self.model.move(batch.moving, batch.fixed).moved
            self.model.variance_net.start_at(float((batch.fixed - moved).square().mean()))
        if step >= config.warmup:
            optimiser = self.optimisers["variance"]
            row |= variance_step(self.model, batch, optimiser, beta=config.beta, collaborative_grad=leak)
        return row

    def check(self, held: Sequence[PairSample], row: dict[str, float], seconds: float) -> dict[str, float]:
        """Validate, keep the best model, write the checkpoint and the log line."""
        scores = validate(self.model, held, self.config.crop, self.device) if held else {}
        value = scores.get("dice", -scores.get("mse", row["total"])) - (
            10 if scores.get("folding", 0) > 0.5 else 0
        )
        if value > self.best:
            self.best = value
            self.model.card = {
                "steps": self.step,
                "scores": scores,
                "config": self.config.to_dict() | {"root": ""},
            }
            self.model.save(self.folder / "best.pt")
        save_checkpoint(self.last, self.model, self.optimisers, self.step, self.best)
        self.log(
            {
                "step": self.step,
                "seconds": round(seconds, 1),
                **row,
                **{f"val_{k}": v for k, v in scores.items()},
            }
        )
        return scores


def _fitting_network(samples: Sequence[PairSample], network: NetworkConfig | None) -> NetworkConfig:
    """The network's configuration, by default that of the samples' dimension. Raises ValueError."""
    dimensions = sorted({s.fixed.ndim for s in samples})
    if not dimensions:
        raise ValueError("The run has no pairs: at least one pair is accepted.")
    network = network or NetworkConfig(ndim=dimensions[0])
    if dimensions != [network.ndim]:
        found = " and ".join(f"{n}D" for n in dimensions)
        raise ValueError(
            f"The pairs are {found}, the network works in {network.ndim}D: one dimension is accepted."
        )
    return network


def train(
    config: TrainConfig,
    folder: str | Path,
    progress: Progress | None = None,
    *,
    network: NetworkConfig | None = None,
    grid: GridConfig | None = None,
    samples: Sequence[PairSample] | None = None,
) -> RegistrationModel:
    """Train (or go on with the run in `folder`) and return the model. The best one on validation lies in
    best.pt.

    Raises ValueError on unusable data, Cancelled when asked to stop (the last checkpoint stays).
    """
    progress = progress or Progress()
    grid = grid or GridConfig()
    resolve_device(config.device)  # fail before the work
    samples = samples if samples is not None else load_samples(config, grid, progress.part(0.0, 0.05))
    run = Run(config, _fitting_network(samples, network), grid, Path(folder))
    chosen, held = split_by_patient(samples, _VALIDATION_FRACTION, config.seed)
    training, validation = [samples[i] for i in chosen], [samples[i] for i in held]
    run.write_split(training, validation)
    validation = validation[:: max(1, len(validation) // _MAX_VALIDATION)]
    started = time.monotonic()
    steps = config.total_steps
    while run.step < steps:
        batch = draw_batch(training, config, run.step, run.device)
        row = run.one_step(batch)
        run.step += 1
        if run.step % config.validate_every == 0 or run.step == steps:
            scores = run.check(validation, row, time.monotonic() - started)
            row |= scores
        text = ", ".join(
            f"{k} {v:.4g}" for k, v in row.items() if k in ("total", "variance", "dice", "folding")
        )
        progress.step(0.05 + 0.95 * run.step / steps, f"Step {run.step} of {steps}: {text}")
    return run.model.eval()
