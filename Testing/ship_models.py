#!/usr/bin/env python3
"""Train the models that come with HetReg and write them, with checksum and card, into the package.

    PYTHONPATH=HetRegUncertainty python Testing/ship_models.py cine-mri-2d --pairs FOLDER_OF_SUNNYBROOK_PAIRS
    PYTHONPATH=HetRegUncertainty python Testing/ship_models.py echo-2d
    PYTHONPATH=HetRegUncertainty python Testing/ship_models.py echo-3d
    PYTHONPATH=HetRegUncertainty python Testing/ship_models.py paper-cine-mri-2d --pairs FOLDER

A model is trained in stages, each from the best weights of the one before; they lie in runs/NAME/STAGE and go
on where they stopped. --pack-only packs the best weights of the last stage so far. --fold N of 3: the stages
that use real pairs without a third of the patients and without those of the variance alone, into
runs/NAME/STAGE-foldN, and nothing is packed: cross-validation (`Testing/benchmarks/accuracy.py`).
"""

from __future__ import annotations

import hetreg  # noqa: F401  # isort: skip  before torch, whose threads then sleep while they wait

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from calibrate_models import CORE, calibrate
from hetreg import zoo
from hetreg.config import TrainConfig
from hetreg.datasets.pairs import PairsDataset
from hetreg.device import resolve_device
from hetreg.model import RegistrationModel
from hetreg.progress import Progress
from hetreg.registry import PHANTOMS
from hetreg.training.accelerate import computes_in_bfloat16, keep_memory
from hetreg.training.loop import train
from recipes import RECIPES, Recipe

ROOT = Path(__file__).resolve().parent.parent

USE = (
    "- Use: research, not diagnosis or treatment decisions. Accuracy, calibration and where it fails: "
    "`docs/results` of the repository."
)
CITE = "to be cited: Radau et al., The MIDAS Journal, 2009 (`docs/data.md`)"
FOLDS, VALIDATION = 3, 4
OPTIONS = ("method", "weight_mode", "variance_residual", "blind_spots")  # of a run that starts from the model


def pack(name: str, recipe: Recipe, runs: list[Path], command: str, commit: str) -> None:
    """Write weights/NAME.pt (16-bit), weights/NAME.md and the entry of models.json. runs: of all stages."""
    model, last = RegistrationModel.load(runs[-1] / "best.pt"), recipe.stages[-1][1]
    card = {
        "name": name,
        "label": recipe.label,
        "ndim": recipe.network.ndim,
        "modality": "echo" if recipe.stages[0][1].kind.startswith("echo") else "mri",
        "file": f"{name}.pt",
        "description": recipe.description,
        "data": recipe.data,
        "licence": "Apache-2.0",
        "steps": sum(RegistrationModel.load(run / "best.pt").card["steps"] for run in runs),
        "command": command,
        "options": {"network": recipe.network.architecture} | {n: getattr(last, n) for n in OPTIONS},
        "scores": {k: round(v, 5) for k, v in model.card["scores"].items()},
    }
    if seen := trained_on(runs):
        card["trained_on"] = seen
    stages = {stage: replace(config, start="").settled.to_dict() for stage, config in recipe.stages}
    model.card = {**card, "commit": commit, "stages": stages, **use_of(recipe)}
    if recipe.network.spread == "displacement":
        calibrate(model)
    zoo.WEIGHTS.mkdir(exist_ok=True)
    path = zoo.WEIGHTS / card["file"]
    card["sha256"] = model.save(path, half=True)
    card["bytes"] = path.stat().st_size
    (zoo.WEIGHTS / f"{name}.md").write_text(card_text(card, recipe, runs, commit), encoding="utf-8")
    listed = json.loads((CORE / "models.json").read_text(encoding="utf-8"))
    entries = {e["name"]: e for e in listed} | {name: card}
    ordered = [entries[n] for n in RECIPES if n in entries]
    (CORE / "models.json").write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")
    print(f"{path.name}: {card['bytes'] / 1e6:.2f} MB, {card['scores']}")


def use_of(recipe: Recipe) -> dict:
    """What a model's card says of its use."""
    return {name: getattr(recipe, name) for name in ("anchor", "rate", "kernels_vox", "views")}


def finish_fold(recipe: Recipe, run: Path) -> None:
    """Let the model of a fold be used as the shipped one is."""
    model = RegistrationModel.load(run / "best.pt")
    model.card = {**model.card, **use_of(recipe)}
    model.save(run / "best.pt")


def held_out(run: Path) -> str:
    """The real patients that the run did not train on, by part."""
    parts = json.loads((run / "split.json").read_text(encoding="utf-8"))
    real = {part: [n for n in names if not n.startswith(tuple(PHANTOMS))] for part, names in parts.items()}
    rest = [f"{part} {', '.join(names)}" for part, names in real.items() if part != "training" and names]
    return "; ".join(rest) or "none (simulated data only)"


def stage_line(stage: str, config: TrainConfig, steps: int) -> str:
    """What a model's card says of a stage of its training, of which so many steps are in the model."""
    pairs = f"{config.batch} pairs" if config.batch > 1 else "1 pair"
    return (
        f"- Stage {stage}: {steps} of {config.total_steps} steps of {pairs} ({config.dataset}), method "
        f"{config.method} ({config.weight_mode}, gamma {config.gamma:g}), lambda {config.smoothness:g}, "
        f"beta {config.beta:g}, Adam {config.learning_rate:g}, seed {config.seed}"
        f"{', `--wide-augment`' if config.wide_augment else ''}"
        f"{f', `--stretch {config.stretch:g}`' if config.stretch != TrainConfig.stretch else ''}"
        f"{f', `--blind-spots {config.blind_spots:g}`' if config.blind_spots else ''}."
    )


def card_text(card: dict, recipe: Recipe, runs: list[Path], commit: str) -> str:
    """The model card as Markdown."""
    lines = [f"# {card['name']}", "", card["description"], ""]
    lines += [f"- Data: {card['data']}.", f"- Licence: {card['licence']}.", USE]
    if seen := card.get("trained_on"):
        lines.append(f"- Trained on {len(seen)} real patients, who are listed in `models.json`; {CITE}.")
    for (stage, config), run in zip(recipe.stages, runs, strict=True):
        lines.append(stage_line(stage, config, RegistrationModel.load(run / "best.pt").card["steps"]))
    scores = ", ".join(f"{k} {v:g}" for k, v in card["scores"].items())
    kernels = ", ".join(f"{v:g}" for v in recipe.kernels_vox)
    lines += [
        f"- Refinement: steps of {recipe.rate:g} voxels, smoothed by Gaussians of {kernels} voxels, weight "
        f"{recipe.anchor:g} of the network's answer.",
        f"- Command: `{card['command']}`, at commit {commit} (later code may split or draw otherwise).",
        f"- Real patients not trained on: {held_out(runs[-1])}.",
        f"- Scores on the last stage's validation split, by which its best step was chosen: {scores}.",
        f"- SHA-256: `{card['sha256']}`",
    ]
    if recipe.views > 1:
        lines.append(f"- Without refinement: the mean over {recipe.views} turned copies of the pair.")
    if recipe.note:
        lines.append(f"- Note: {recipe.note}")
    return "\n".join(lines) + "\n"


def trained_on(runs: list[Path]) -> list[str]:
    """The real patients that any stage trained on."""
    parts = [json.loads((run / "split.json").read_text(encoding="utf-8")) for run in runs]
    seen = {patient for part in parts for patient in part["training"]}
    return sorted(name for name in seen if not name.startswith(tuple(PHANTOMS)))


def head() -> str:
    """The commit that is checked out."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def write_split(folder: Path, path: Path, fold: int | None) -> None:
    """The patients of the real pairs: all but VALIDATION for training; a third for the test in a fold."""
    names = sorted({pair.patient for pair in PairsDataset(folder).scan().pairs})
    test = [] if fold is None else names[fold::FOLDS]
    rest = [name for name in names if name not in test]
    step = max(1, len(rest) // VALIDATION)
    validation = rest[::step][:VALIDATION]
    training = [name for name in rest if name not in validation]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"training": training, "validation": validation, "test": test}, indent=1) + "\n"
    )


def train_stage(
    recipe: Recipe, config: TrainConfig, run: Path, start: Path | None, pairs: Path | None, fold: int | None
) -> None:
    """Train one stage into the folder `run`, from the model `start`, or go on where it stopped."""
    if "pairs" in config.dataset:
        split = run.with_name(f"{run.name}-split.json")
        write_split(pairs, split, fold)
        config = replace(config, root=str(pairs), split=str(split))
    amp = config.amp and computes_in_bfloat16(resolve_device(config.device))
    config = replace(config, amp=amp, start=str(start or ""))
    show = Progress(lambda f, m: print(f"{100 * f:5.1f} % {m}", flush=True))
    train(config, run, show, network=recipe.network, grid=recipe.grid)


def train_stages(name: str, recipe: Recipe, pairs: Path | None, fold: int | None) -> list[Path]:
    """Train what is not finished. Returns the folders of the stages."""
    runs: list[Path] = []
    for stage, config in recipe.stages:
        real = "pairs" in config.dataset
        if fold is not None and real and config.warmup == 0:
            continue  # a fold is for the displacement; a stage of the variance alone does not change it
        run = ROOT / "runs" / name / (f"{stage}-fold{fold}" if fold is not None and real else stage)
        train_stage(recipe, config, run, runs[-1] / "best.pt" if runs else None, pairs, fold)
        runs.append(run)
    return runs


def main() -> int:
    """Train and pack one model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--pairs", type=Path, help="folder of <case>_ED / <case>_ES pairs")
    parser.add_argument("--fold", type=int, choices=range(FOLDS), help="cross-validation: leave out a third")
    parser.add_argument("--commit", default=head(), help="the commit whose code trained the run")
    parser.add_argument("--pack-only", action="store_true", help="pack the best weights of the run so far")
    arguments = parser.parse_args()
    recipe = RECIPES[arguments.name]
    command = f"PYTHONPATH=HetRegUncertainty python Testing/ship_models.py {arguments.name}"
    if any("pairs" in config.dataset for _, config in recipe.stages):
        command += " --pairs sunnybrook"
        if arguments.pairs is None and not arguments.pack_only:
            parser.error(f"{arguments.name} is trained on real pairs too: --pairs is needed")
    keep_memory()
    if arguments.pack_only:
        runs = [ROOT / "runs" / arguments.name / stage for stage, _ in recipe.stages]
    else:
        runs = train_stages(arguments.name, recipe, arguments.pairs, arguments.fold)
    if arguments.fold is None:
        pack(arguments.name, recipe, runs, command, arguments.commit)
    else:
        finish_fold(recipe, runs[-1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
