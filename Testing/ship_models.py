#!/usr/bin/env python3
"""Train the models that come with HetReg and write them, with checksum and card, into the package.

    PYTHONPATH=HetRegUncertainty python Testing/ship_models.py cine-mri-2d --pairs FOLDER_OF_SUNNYBROOK_PAIRS
    PYTHONPATH=HetRegUncertainty python Testing/ship_models.py echo-2d
    PYTHONPATH=HetRegUncertainty python Testing/ship_models.py echo-3d
    PYTHONPATH=HetRegUncertainty python Testing/ship_models.py paper-cine-mri-2d --pairs FOLDER

A model is trained in stages, each from the best weights of the one before; they lie in runs/NAME/STAGE and go
on where they stopped. --pack-only packs the best weights of the last stage so far. --fold N of 3: the stages
that use real pairs without a third of the patients, into runs/NAME/STAGE-foldN, and nothing is packed:
cross-validation (`Testing/benchmarks/accuracy.py`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from calibrate_models import CORE, calibrate

from hetreg import zoo
from hetreg.config import GridConfig, NetworkConfig, TrainConfig
from hetreg.datasets.pairs import PairsDataset
from hetreg.model import RegistrationModel
from hetreg.progress import Progress
from hetreg.refine import ANCHOR, KERNEL_SIGMA_VOX, LEARNING_RATE
from hetreg.registry import PHANTOMS
from hetreg.training.accelerate import keep_memory
from hetreg.training.loop import train

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Recipe:
    """How one shipped model is made, and what its card says. stages: (name, configuration), in order. anchor,
    rate, kernels_vox: of the refinement, weight of the network's answer, size and smoothing of the steps."""

    label: str
    description: str
    data: str
    network: NetworkConfig
    grid: GridConfig
    stages: tuple[tuple[str, TrainConfig], ...]
    note: str = ""
    anchor: float = ANCHOR
    rate: float = LEARNING_RATE
    kernels_vox: tuple[float, ...] = (KERNEL_SIGMA_VOX,)


FOLDS, VALIDATION = 3, 4
FLAT = NetworkConfig(
    architecture="pyramid",
    encoder=(16, 24, 32, 48),
    decoder=(48, 40, 32, 32),
    tail=(32,),
    output_stride=2,
    integration_steps=6,
    sigma_z=True,
    spread="displacement",
    variance_encoder=(16, 24, 32, 48),
    variance_decoder=(48, 32, 24, 16),
    variance_tail=(16,),
    variance_residual=True,
)
DEEP = replace(
    FLAT,
    ndim=3,
    encoder=(12, 24, 32, 32),
    decoder=(32, 32, 24, 16),
    tail=(16,),
    variance_encoder=(8, 16, 24, 32),
    variance_decoder=(32, 24, 16, 8),
    variance_tail=(8,),
)
# Displacement alone, from what the phantom knows; then the real pairs; then the variance alone.
MOTION = TrainConfig(
    method="supervised",
    variance_residual=True,
    learning_rate=1e-3,
    clip=1.0,
    beta=0.0,
    warmup=10**6,
    validate_every=250,
    cache=True,
)
NOISE = replace(MOTION, warmup=0, variance_warmup=10**6, steps=2000, phantoms=1000)
MRI = replace(MOTION, kind="mri2d", extra_noise=0.04)
ECHO = replace(MOTION, kind="echo2d+echo2d_sax", extra_noise=0.05)
SOLID = replace(MOTION, kind="echo3d", extra_noise=0.05, batch=1, crop=48, phantoms=120, validate_every=100)
SOLID_NOISE = replace(SOLID, warmup=0, variance_warmup=10**6)
FINE = {"crop": 64, "phantoms": 300, "seed": 2}
WIDE = FINE | {"seed": 3}
REAL = {"dataset": "phantom+pairs", "real_share": 0.5, "phantoms": 600}

SHORTENED = "the first 1500 steps of stage phantom ran with the learning rates of 4000 (echo: 5000) steps."

RECIPES = {
    "cine-mri-2d": Recipe(
        "Cine MRI, 2D (short axis)",
        "Short-axis cine MRI, slice by slice, in-plane pixels of about 0.9 to 2.2 mm.",
        "Sunnybrook Cardiac Data, ED and ES with LV contours (CC0), and simulated short-axis MRI",
        FLAT,
        GridConfig(min_spacing_mm=0.9, max_spacing_mm=2.2),
        (
            ("phantom", replace(MRI, steps=3600, phantoms=2000)),
            ("real", replace(MRI, steps=600, learning_rate=5e-4, validate_every=100, **REAL)),
            (
                "noise",
                replace(NOISE, kind="mri2d", **REAL | {"real_share": 0.1, "phantoms": 1000}),
            ),
        ),
        anchor=3.0,
    ),
    "echo-2d": Recipe(
        "Echocardiography, 2D",
        "2D echocardiograms, apical or short axis; larger images are resampled to 160 pixels.",
        "Simulated apical and short-axis echocardiograms; no real echo",
        FLAT,
        GridConfig(max_size=160),
        (
            ("phantom", replace(ECHO, steps=3200, phantoms=1600)),
            ("motion-2", replace(ECHO, steps=1500, phantoms=800, learning_rate=5e-4, seed=2)),
            ("noise", replace(NOISE, kind=ECHO.kind)),
            ("wide", replace(ECHO, steps=2400, phantoms=2400, learning_rate=7e-4, seed=3)),
            ("noise-wide", replace(NOISE, kind=ECHO.kind, steps=1200, seed=3)),
        ),
        SHORTENED,
    ),
    "echo-3d": Recipe(
        "Echocardiography, 3D",
        "3D echocardiograms; larger volumes are resampled to 64 voxels. Simulated data only.",
        "Simulated 3D echocardiograms; no real echo",
        DEEP,
        GridConfig(max_size=64, taper_vox=4),
        (
            ("phantom", replace(SOLID, steps=1500)),
            ("noise", replace(SOLID_NOISE, steps=600)),
            ("noise-64", replace(SOLID_NOISE, steps=600, crop=64)),
            ("motion-64", replace(SOLID, steps=2600, validate_every=200, **FINE)),
            ("noise-64-2", replace(SOLID_NOISE, steps=500, validate_every=250, **FINE)),
            ("wide", replace(SOLID, steps=1800, validate_every=200, learning_rate=7e-4, **WIDE)),
            ("noise-wide", replace(SOLID_NOISE, steps=400, validate_every=200, **WIDE)),
        ),
        "stage phantom ran without the residual for the variance network, which began anew in stage noise.",
        anchor=0.1,
        rate=0.2,
        kernels_vox=(4.0, 1.5),
    ),
    "paper-cine-mri-2d": Recipe(
        "Cine MRI, 2D: the paper's configuration",
        "VoxelMorph and the SNR-weighted method as in the paper, for comparison with cine-mri-2d.",
        "Sunnybrook Cardiac Data, end-diastole and end-systole (CC0), and simulated short-axis MRI",
        NetworkConfig(),
        GridConfig(min_spacing_mm=0.9, max_spacing_mm=2.2),
        (("paper", TrainConfig(weight_mode="paper", learning_rate=2e-3, steps=1500, **REAL)),),
    ),
}


def pack(name: str, recipe: Recipe, runs: list[Path], command: str, commit: str) -> None:
    """Write weights/NAME.pt (16-bit), weights/NAME.md and the entry of models.json. runs: of all stages."""
    model = RegistrationModel.load(runs[-1] / "best.pt")
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
        "scores": {k: round(v, 5) for k, v in model.card["scores"].items()},
    }
    stages = {stage: replace(config, start="").to_dict() for stage, config in recipe.stages}
    refinement = {n: getattr(recipe, n) for n in ("anchor", "rate", "kernels_vox")}
    model.card = {**card, "commit": commit, "stages": stages, **refinement}
    if recipe.network.spread == "displacement":
        calibrate(model, recipe.stages[0][1].kind.split("+"))
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


def held_out(run: Path) -> str:
    """The real patients that the run did not train on, by part."""
    parts = json.loads((run / "split.json").read_text(encoding="utf-8"))
    real = {part: [n for n in names if not n.startswith(tuple(PHANTOMS))] for part, names in parts.items()}
    rest = [f"{part} {', '.join(names)}" for part, names in real.items() if part != "training" and names]
    return "; ".join(rest) or "none (simulated data only)"


def card_text(card: dict, recipe: Recipe, runs: list[Path], commit: str) -> str:
    """The model card as Markdown."""
    lines = [f"# {card['name']}", "", card["description"], ""]
    lines += [f"- Data: {card['data']}.", f"- Licence: {card['licence']}."]
    for (stage, config), run in zip(recipe.stages, runs, strict=True):
        steps = RegistrationModel.load(run / "best.pt").card["steps"]
        pairs = f"{config.batch} pairs" if config.batch > 1 else "1 pair"
        lines.append(
            f"- Stage {stage}: {steps} of {config.total_steps} steps of {pairs} ({config.dataset}), method "
            f"{config.method} ({config.weight_mode}, gamma {config.gamma:g}), lambda {config.smoothness:g}, "
            f"beta {config.beta:g}, Adam {config.learning_rate:g}, seed {config.seed}."
        )
    scores = ", ".join(f"{k} {v:g}" for k, v in card["scores"].items())
    kernels = ", ".join(f"{v:g}" for v in recipe.kernels_vox)
    lines += [
        f"- Refinement: steps of {recipe.rate:g} voxels, smoothed by Gaussians of {kernels} voxels, weight "
        f"{recipe.anchor:g} of the network's answer.",
        f"- Command: `{card['command']}`, at commit {commit} (later code may split or draw otherwise).",
        f"- Real patients not trained on: {held_out(runs[-1])}.",
        f"- Scores on the last stage's validation split: {scores}.",
        f"- SHA-256: `{card['sha256']}`",
    ]
    if recipe.note:
        lines.append(f"- Note: {recipe.note}")
    return "\n".join(lines) + "\n"


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


def train_stages(name: str, recipe: Recipe, pairs: Path | None, fold: int | None) -> list[Path]:
    """Train what is not finished. Returns the folders of the stages."""
    runs: list[Path] = []
    for stage, config in recipe.stages:
        real = "pairs" in config.dataset
        if fold is not None and real and config.warmup == 0:
            break  # a fold is for the displacement; the stage of the variance alone does not change it
        run = ROOT / "runs" / name / (f"{stage}-fold{fold}" if fold is not None and real else stage)
        if real:
            write_split(pairs, run.with_name(f"{run.name}-split.json"), fold)
            config = replace(config, root=str(pairs), split=str(run.with_name(f"{run.name}-split.json")))
        if runs:
            config = replace(config, start=str(runs[-1] / "best.pt"))
        show = Progress(lambda f, m: print(f"{100 * f:5.1f} % {m}", flush=True))
        train(config, run, show, network=recipe.network, grid=recipe.grid)
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
