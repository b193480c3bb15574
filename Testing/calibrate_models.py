#!/usr/bin/env python3
"""Calibrate the displacement's SD of shipped models again, after a change of the registration:

    PYTHONPATH=HetRegUncertainty python Testing/calibrate_models.py echo-2d [...]

The weights stay as they are, but for those of the last convolution that give the displacement's log-variance.
The grid is that of the recipe.
"""

from __future__ import annotations

import hetreg  # noqa: F401  # isort: skip  before torch, whose threads then sleep while they wait

import argparse
import bisect
import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fit_spread import LEVEL, MYOCARDIUM, cases, fit
from scipy.stats import chi2

from hetreg import zoo
from hetreg.config import RegisterConfig
from hetreg.datasets.phantom import displacement_lps, make_pair
from hetreg.model import RegistrationModel
from hetreg.register import register_pair
from recipes import RECIPES

CORE = Path(__file__).resolve().parent.parent / "HetRegUncertainty" / "hetreg"
REFINE = 30
AGAIN = "- The displacement's SD was calibrated again, later, by `Testing/calibrate_models.py`."
CROP = {2: 128, 3: 64}
# Phantoms of each kind that no training and no benchmark uses: where the SD is large, and how large it is.
FITTED, FIT_SEED = {2: 300, 3: 60}, 81_000
MEASURED, MEASURE_SEED = {2: 200, 3: 100}, 80_000


def scaled_errors(model: RegistrationModel, kind: str, refine: int) -> Iterator[np.ndarray]:
    """For each phantom, the squared errors of the displacement in the myocardium, in units of the largest
    that the 95 % interval holds."""
    limit = chi2.ppf(LEVEL, model.ndim)
    for n in range(MEASURED[model.ndim]):
        pair = make_pair(kind, MEASURE_SEED + n, with_truth=False)
        result = register_pair(pair.fixed, pair.moving, model, RegisterConfig(refine=refine, inverse=False))
        wall = pair.fixed_label.array == MYOCARDIUM
        off = (displacement_lps(pair) - result.disp_lps_mm)[wall]
        yield (off**2).sum(1) / (result.displacement_sd_mm.array[wall] ** 2 / model.ndim) / limit


def interval_ratio(kinds: Iterable[Iterable[np.ndarray]], level: float = LEVEL) -> float:
    """The factor of the SD with which the share of the errors that the interval holds, mean over the pairs of
    a kind that have any, lies as far above the level in the best kind as it lies below in the worst."""
    found = [[np.sort(values) for values in scaled if len(values)] for scaled in kinds]
    limits = np.sort(np.concatenate([values for kind in found for values in kind]))

    def held(limit: float) -> float:
        means = [np.mean([np.searchsorted(q, limit, "right") / len(q) for q in kind]) for kind in found]
        return float(max(means) + min(means)) / 2

    return float(np.sqrt(limits[bisect.bisect_left(limits, level, key=held)]))


def calibrate(model: RegistrationModel) -> None:
    """Fit the network's log-variance of the displacement to the kinds of phantom that the model was trained
    on, and note the factor of refined pairs."""
    stages = model.card["stages"].values()
    kinds = list(dict.fromkeys(kind for stage in stages for kind in stage["kind"].split("+")))

    def ratio(refine: int) -> float:
        return interval_ratio([scaled_errors(model, kind, refine) for kind in kinds])

    seen = list(cases(model, kinds, FIT_SEED, FITTED[model.ndim], CROP[model.ndim]))
    losses = fit(model, seen)
    print(f"fit of the displacement's SD: loss {losses[0]:.4f}, {losses[-1]:.4f} at the end")
    plain = ratio(0)
    with torch.no_grad():
        model.displacement_net.head.bias[model.ndim :] += 2 * math.log(plain)
    model.card = {**model.card, "refined_sd": 1.0}  # not a former one on top
    refined = ratio(REFINE)
    model.card["refined_sd"] = round(refined, 4)
    print(f"SD of the displacement: x {plain:.3f}, refined x {refined:.3f} of that")


def rewrite(
    name: str, model: RegistrationModel, changed: dict[str, Any], edit: Callable[[list[str]], list[str]]
) -> None:
    """Write a shipped model, checksum and card again. changed: of its entry; edit: the card's lines."""
    entries = json.loads((CORE / "models.json").read_text(encoding="utf-8"))
    entry = next(entry for entry in entries if entry["name"] == name)
    path, text, old = zoo.WEIGHTS / entry["file"], zoo.WEIGHTS / f"{name}.md", entry["sha256"]
    entry |= changed
    entry["sha256"] = model.save(path, half=True)
    entry["bytes"] = path.stat().st_size
    lines = text.read_text(encoding="utf-8").replace(old, entry["sha256"]).splitlines()
    text.write_text("\n".join(edit(lines)) + "\n", encoding="utf-8")
    (CORE / "models.json").write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


def again(name: str) -> None:
    """Calibrate a shipped model, from what it has learnt so far, and write it."""
    model = RegistrationModel.load(zoo.locate(name))
    model.grid = RECIPES[name].grid
    calibrate(model)

    def told(lines: list[str]) -> list[str]:
        last = next(n for n, line in enumerate(lines) if line.startswith("- SHA-256"))
        return lines if AGAIN in lines else [*lines[:last], AGAIN, *lines[last:]]

    rewrite(name, model, {}, told)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    spread = [name for name, recipe in RECIPES.items() if recipe.network.spread == "displacement"]
    parser.add_argument("names", nargs="+", choices=spread, metavar="name", help=", ".join(spread))
    for asked in parser.parse_args().names:
        again(asked)
