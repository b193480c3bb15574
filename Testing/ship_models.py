#!/usr/bin/env python3
"""Train the models that come with HetReg and write them, with checksum and card, into the package.

    PYTHONPATH=HetRegUncertainty python Testing/ship_models.py cine-mri-2d --pairs FOLDER_OF_SUNNYBROOK_PAIRS
    PYTHONPATH=HetRegUncertainty python Testing/ship_models.py echo-2d
    PYTHONPATH=HetRegUncertainty python Testing/ship_models.py echo-3d

A run lies in runs/NAME and goes on where it stopped. --pack-only packs the best weights of a run so far.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from hetreg import zoo
from hetreg.config import GridConfig, NetworkConfig, TrainConfig
from hetreg.model import RegistrationModel
from hetreg.progress import Progress
from hetreg.registry import PHANTOMS
from hetreg.training.loop import train

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "HetRegUncertainty" / "hetreg"


@dataclass(frozen=True)
class Recipe:
    """How one shipped model is made, and what its card says."""

    label: str
    description: str
    data: str
    network: NetworkConfig
    grid: GridConfig
    train: TrainConfig


FLAT = NetworkConfig(
    encoder=(16, 32, 48, 64), decoder=(64, 48, 48, 32), tail=(32, 32), output_stride=2, integration_steps=6
)
DEEP = replace(FLAT, ndim=3, encoder=(8, 16, 32, 32), decoder=(32, 32, 32, 16), tail=(16, 16))
BASE = TrainConfig(learning_rate=1e-3, smoothness=0.02, warmup=150, validate_every=150)

RECIPES = {
    "cine-mri-2d": Recipe(
        "Cine MRI, 2D (short axis)",
        "Short-axis cine MRI, slice by slice, in-plane pixels of about 0.9 to 2.2 mm.",
        "Sunnybrook Cardiac Data, end-diastole and end-systole (CC0), and simulated short-axis MRI",
        FLAT,
        GridConfig(min_spacing_mm=0.9, max_spacing_mm=2.2),
        replace(BASE, dataset="phantom+pairs", kind="mri2d", phantoms=300, steps=1500),
    ),
    "echo-2d": Recipe(
        "Echocardiography, 2D",
        "2D echocardiograms, apical or short axis; larger images are resampled to 160 pixels.",
        "Simulated apical and short-axis echocardiograms; no real echo",
        FLAT,
        GridConfig(max_size=160),
        replace(BASE, kind="echo2d+echo2d_sax", phantoms=400, steps=1500, smoothness=0.03),
    ),
    "echo-3d": Recipe(
        "Echocardiography, 3D",
        "3D echocardiograms; larger volumes are resampled to 96 voxels. Simulated data only.",
        "Simulated 3D echocardiograms; no real echo",
        DEEP,
        GridConfig(max_size=96, taper_vox=4),
        replace(
            BASE,
            kind="echo3d",
            phantoms=50,
            steps=400,
            batch=1,
            crop=64,
            smoothness=0.03,
            warmup=100,
            validate_every=100,
        ),
    ),
}


def pack(name: str, recipe: Recipe, run: Path, command: str, commit: str) -> None:
    """Write weights/NAME.pt (16-bit), weights/NAME.md and the entry of models.json."""
    model = RegistrationModel.load(run / "best.pt")
    trained = model.card
    card = {
        "name": name,
        "label": recipe.label,
        "ndim": recipe.network.ndim,
        "file": f"{name}.pt",
        "description": recipe.description,
        "data": recipe.data,
        "licence": "Apache-2.0",
        "steps": trained["steps"],
        "command": command,
        "scores": {k: round(v, 5) for k, v in trained["scores"].items()},
    }
    model.card = {**card, "commit": commit, "config": recipe.train.to_dict()}
    zoo.WEIGHTS.mkdir(exist_ok=True)
    path = zoo.WEIGHTS / card["file"]
    card["sha256"] = model.save(path, half=True)
    card["bytes"] = path.stat().st_size
    (zoo.WEIGHTS / f"{name}.md").write_text(card_text(card, recipe, held_out(run), commit), encoding="utf-8")
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


def card_text(card: dict, recipe: Recipe, held: str, commit: str) -> str:
    """The model card as Markdown."""
    config = recipe.train
    scores = ", ".join(f"{k} {v:g}" for k, v in card["scores"].items())
    pairs = f"{config.batch} pairs" if config.batch > 1 else "1 pair"
    return (
        f"# {card['name']}\n\n{card['description']}\n\n"
        f"- Data: {card['data']}.\n- Licence: {card['licence']}.\n"
        f"- Training: {card['steps']} steps of {pairs}, method {config.method} "
        f"({config.weight_mode}, gamma {config.gamma:g}), lambda {config.smoothness:g}, "
        f"beta {config.beta:g}, Adam {config.learning_rate:g}, seed {config.seed}.\n"
        f"- Command: `{card['command']}`, at commit {commit} (later code may split or draw otherwise).\n"
        f"- Real patients not trained on: {held}.\n"
        f"- Scores on the run's validation split, simulated pairs included, by which the step was picked: "
        f"{scores}.\n"
        f"- SHA-256: `{card['sha256']}`\n"
    )


def head() -> str:
    """The commit that is checked out."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def main() -> int:
    """Train and pack one model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--pairs", type=Path, help="folder of <case>_ED / <case>_ES pairs")
    parser.add_argument("--commit", default=head(), help="the commit whose code trained the run")
    parser.add_argument("--pack-only", action="store_true", help="pack the best weights of the run so far")
    arguments = parser.parse_args()
    recipe, run = RECIPES[arguments.name], ROOT / "runs" / arguments.name
    command = f"PYTHONPATH=HetRegUncertainty python Testing/ship_models.py {arguments.name}"
    if recipe.train.dataset != "phantom":
        command += " --pairs sunnybrook"
        if arguments.pairs is None and not arguments.pack_only:
            parser.error(f"{arguments.name} is trained on real pairs too: --pairs is needed")
    if not arguments.pack_only:
        config = replace(recipe.train, root=str(arguments.pairs or ""))
        train(
            config,
            run,
            Progress(lambda f, m: print(f"{100 * f:5.1f} % {m}", flush=True)),
            network=recipe.network,
            grid=recipe.grid,
        )
    pack(arguments.name, recipe, run, command, arguments.commit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
