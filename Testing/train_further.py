#!/usr/bin/env python3
"""Train the last stage of shipped models alone, from their weights as they are, and write them again:

    PYTHONPATH=HetRegUncertainty python Testing/train_further.py cine-mri-2d --pairs FOLDER_OF_PAIRS
    PYTHONPATH=HetRegUncertainty python Testing/train_further.py echo-2d

For a stage of the variance network alone, when the runs of the stages before it are gone. The displacement
network keeps its very bits. A refinement weighs by the noise: where that changes its errors,
`Testing/calibrate_models.py` measures the displacement's SD again.
"""

from __future__ import annotations

import hetreg  # noqa: F401  # isort: skip  before torch, whose threads then sleep while they wait

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from ship_models import OPTIONS, ROOT, head, stage_line, train_stage, trained_on

from calibrate_models import rewrite
from hetreg import zoo
from hetreg.config import TrainConfig
from hetreg.model import RegistrationModel
from hetreg.training.accelerate import keep_memory
from recipes import RECIPES

LATER = " (later code may"
SCORES = "- Scores on the last"


def write(name: str, stage: str, config: TrainConfig, run: Path, commit: str) -> None:
    """The shipped model with the variance network of the run: weights, checksum and card."""
    card = next(card for card in zoo.list_models() if card.name == name)
    model, trained = RegistrationModel.load(card.path), RegistrationModel.load(run / "best.pt")
    model.variance_net.load_state_dict(trained.variance_net.state_dict())
    steps = trained.card["steps"]
    changed = {
        "options": {**card.options, **{n: getattr(config, n) for n in OPTIONS}},
        "steps": card.steps + steps,
        "scores": {k: round(v, 5) for k, v in trained.card["scores"].items()},
    }
    if seen := trained_on([run]):
        changed["trained_on"] = sorted({*card.trained_on, *seen})
    stages = {**model.card["stages"], stage: replace(config, start="").settled.to_dict()}
    model.card = {**model.card, **changed, "stages": stages}
    line = stage_line(stage, config, steps).removesuffix(".")
    line += ", from the 16-bit weights of the model before."
    rewrite(name, model, changed, lambda lines: _lines(lines, line, stage, commit, changed["scores"]))


def _lines(lines: list[str], line: str, stage: str, commit: str, scores: dict[str, float]) -> list[str]:
    """A card's lines with those of a further stage."""
    found = [
        row.replace(LATER, f", {commit} ({stage}){LATER}") if row.startswith("- Command") else row
        for row in lines
    ]
    words = ", ".join(f"{k} {v:g}" for k, v in scores.items())
    found = [f"{row[: row.index(': ')]}: {words}." if row.startswith(SCORES) else row for row in found]
    last = max(n for n, row in enumerate(found) if row.startswith("- Stage"))
    return [*found[: last + 1], line, *found[last + 1 :]]


def main() -> int:
    """Train and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=[n for n, r in RECIPES.items() if r.stages[-1][1].warmup == 0])
    parser.add_argument("--pairs", type=Path, help="folder of <case>_ED / <case>_ES pairs")
    parser.add_argument("--commit", default=head(), help="the commit whose code trained the run")
    arguments = parser.parse_args()
    recipe = RECIPES[arguments.name]
    stage, config = recipe.stages[-1]
    if "pairs" in config.dataset and arguments.pairs is None:
        parser.error(f"{arguments.name} is trained on real pairs too: --pairs is needed")
    model = RegistrationModel.load(arguments.name)
    if stage in model.card["stages"]:
        parser.error(f"{arguments.name} has stage {stage} already")
    keep_memory()
    run = ROOT / "runs" / arguments.name / stage
    train_stage(recipe, config, run, zoo.locate(arguments.name), arguments.pairs, None)
    write(arguments.name, stage, config, run, arguments.commit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
