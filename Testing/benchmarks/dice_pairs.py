#!/usr/bin/env python3
"""Dice of a label before and after registration, per patient, on a folder of <case>_ED / <case>_ES pairs.

    PYTHONPATH=HetRegUncertainty python Testing/benchmarks/dice_pairs.py FOLDER [--label 3] [--refine N]
    [--output FILE]

Every case is a row; one that fails is a row with its error, counted as Dice 0 after. Cases that the model was
selected or trained on are not told apart here: the model's card names its data.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from hetreg.config import RegisterConfig
from hetreg.datasets.pairs import find_pairs
from hetreg.image import read_image
from hetreg.model import RegistrationModel
from hetreg.preprocess import choose_dimension
from hetreg.register import register_pair
from hetreg.zoo import default_model, locate


def row(
    pair: dict[str, Path], model: RegistrationModel, config: RegisterConfig, label: int
) -> dict[str, object]:
    """One case: Dice before and after, folding, seconds; or its error."""
    images = {n: read_image(pair[n]) for n in ("fixed", "moving", "fixed_seg", "moving_seg")}
    try:
        result = register_pair(
            images["fixed"], images["moving"], model, config,
            moving_seg=images["moving_seg"], fixed_seg=images["fixed_seg"],
        )  # fmt: skip
    except (ValueError, RuntimeError) as error:
        return {"case": str(pair["case"]), "before": 0.0, "after": 0.0, "error": str(error)}
    summary, key = result.summary, str(label)
    return {
        "case": str(pair["case"]),
        "before": summary["dice_before"][key],
        "after": summary["dice_after"][key],
        "folded": summary["folded_percent"],
        "seconds": summary["seconds"],
    }


def table(rows: list[dict[str, object]]) -> str:
    """Markdown table with the means."""
    lines = ["| case | Dice before | Dice after | folded % | seconds |", "|---|---|---|---|---|"]
    for r in rows:
        tail = f"{r['folded']:.4f} | {r['seconds']:.2f}" if "error" not in r else f"{r['error']} | "
        lines.append(f"| {r['case']} | {r['before']:.3f} | {r['after']:.3f} | {tail} |")
    before, after = ([r[k] for r in rows] for k in ("before", "after"))
    done = [r for r in rows if "error" not in r]
    better = sum(a > b for a, b in zip(after, before, strict=True))
    lines.append(
        f"| mean of {len(rows)} | {statistics.mean(before):.3f} | {statistics.mean(after):.3f} | "
        f"{statistics.mean(r['folded'] for r in done):.4f} | "
        f"{statistics.mean(r['seconds'] for r in done):.2f} |"
    )
    lines.append(f"\nBetter after on {better} of {len(rows)}; {len(rows) - len(done)} failed.")
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--label", type=int, default=3)
    parser.add_argument("--refine", type=int, default=0)
    parser.add_argument("--model", default="")
    parser.add_argument("--output", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    pairs = [p for p in find_pairs(arguments.folder) if "fixed_seg" in p]
    if not pairs:
        parser.error(f"{arguments.folder} has no pairs with labels")
    name = arguments.model or default_model(choose_dimension(read_image(pairs[0]["fixed"]))[0]).name
    model = RegistrationModel.load(locate(name))
    config = RegisterConfig(refine=arguments.refine)
    text = table([row(p, model, config, arguments.label) for p in pairs])
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
