#!/usr/bin/env python3
"""Calibrate the displacement's SD of shipped models again, after a change of the registration:

    PYTHONPATH=HetRegUncertainty python Testing/calibrate_models.py echo-2d [...]

The weights stay as they are, but for the bias of the displacement's log-variance.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from scipy.stats import chi2

from hetreg import zoo
from hetreg.config import RegisterConfig
from hetreg.datasets.phantom import displacement_lps, make_pair
from hetreg.model import RegistrationModel
from hetreg.register import register_pair

CORE = Path(__file__).resolve().parent.parent / "HetRegUncertainty" / "hetreg"
CALIBRATION, CALIBRATION_SEED, REFINE, MYOCARDIUM = {2: 80, 3: 16}, 80_000, 30, 2


def interval_ratio(model: RegistrationModel, kind: str, refine: int) -> float:
    """The factor of the displacement's SD with which its 95 % interval holds 95 % of the errors in the
    myocardium of CALIBRATION phantoms of a kind, which no training and no benchmark uses."""
    scaled, limit = [], chi2.ppf(0.95, model.ndim)
    for n in range(CALIBRATION[model.ndim]):
        pair = make_pair(kind, CALIBRATION_SEED + n)
        result = register_pair(pair.fixed, pair.moving, model, RegisterConfig(refine=refine, inverse=False))
        wall = pair.fixed_label.array == MYOCARDIUM
        off = (displacement_lps(pair) - result.disp_lps_mm)[wall]
        variance = result.displacement_sd_mm.array[wall] ** 2 / model.ndim
        scaled.append((off**2).sum(1) / variance / limit)
    return float(np.sqrt(np.quantile(np.concatenate(scaled), 0.95)))


def calibrate(model: RegistrationModel, kinds: list[str]) -> None:
    """Shift the network's log-variance of the displacement, and note the factor of refined pairs."""
    ratio = float(np.mean([interval_ratio(model, kind, 0) for kind in kinds]))
    with torch.no_grad():
        model.displacement_net.head.bias[model.ndim :] += 2 * math.log(ratio)
    refined = float(np.mean([interval_ratio(model, kind, REFINE) for kind in kinds]))
    model.card = model.card | {"refined_sd": round(refined, 4)}
    print(f"SD of the displacement: x {ratio:.3f}, refined x {refined:.3f} of that")


def again(name: str) -> None:
    """Calibrate a shipped model and write it, its checksum and its card."""
    entries = json.loads((CORE / "models.json").read_text(encoding="utf-8"))
    card = next(entry for entry in entries if entry["name"] == name)
    model = RegistrationModel.load(zoo.locate(name))
    stages = model.card["stages"]
    calibrate(model, next(iter(stages.values()))["kind"].split("+"))
    text, old = (zoo.WEIGHTS / f"{name}.md"), card["sha256"]
    card["sha256"] = model.save(zoo.WEIGHTS / card["file"], half=True)
    card["bytes"] = (zoo.WEIGHTS / card["file"]).stat().st_size
    text.write_text(text.read_text(encoding="utf-8").replace(old, card["sha256"]), encoding="utf-8")
    (CORE / "models.json").write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for asked in sys.argv[1:]:
        again(asked)
