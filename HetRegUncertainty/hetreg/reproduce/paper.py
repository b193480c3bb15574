"""The numbers that the paper printed (paper.json), and which of them a data set is to be compared with."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

from .config import ReproduceConfig
from .scores import Measure

# What the columns DSC, HD and ASD of the paper are here: its own policy, slice by slice (METRICS).
PUBLISHED = {
    "dice": Measure("DSC (%)", "dice_published_{label}", True, 100.0, slices=True),
    "hd": Measure("HD (px)", "hd_published_px_{label}", slices=True),
    "asd": Measure("ASD (px)", "asd_published_px_{label}", slices=True),
}
AUSE = Measure("AUSE", "ause_published", digits=6)
_SETS = {
    "acdc": "acdc",
    "camus": "camus",
    "mri2d": "acdc",
    "echo2d": "camus",
    "echo2d_sax": "camus",
    "echo3d": "echo3d",
    "echo2d_scatterers": "camus",
    "echo2d_sax_scatterers": "camus",
}
SET_LABELS = {"acdc": "ACDC", "camus": "CAMUS", "echo3d": "private 3D echo"}


@cache
def _content() -> dict[str, Any]:
    return json.loads(Path(__file__).with_name("paper.json").read_text(encoding="utf-8"))


def paper_set(source: str, config: ReproduceConfig) -> str:
    """The paper's data set that a source is shown beside: its own, or the one of the same kind of image."""
    name, _, kind = source.partition(":")
    return _SETS[name if name in _SETS else kind or config.kind.split("+")[0]]


def is_own(source: str) -> bool:
    """True if the source is one of the paper's data sets, not one like it."""
    return source in ("acdc", "camus")


def main_table(data: str) -> str:
    """Number of the table that has all methods on this data set: 1, or 3 for the 3D echo."""
    return next(number for number in ("1", "3") if data in _content()["tables"][number])


def printed(table: str, data: str, network: str) -> dict[str, dict[str, float]]:
    """{variant: {"dice", "hd", "asd"}} in the paper's order; {} if the table has no such part."""
    rows = _content()["tables"][table].get(data, {}).get(network, {})
    return {name: dict(zip(PUBLISHED, values, strict=True)) for name, values in rows.items()}


def printed_p(data: str, network: str) -> float:
    """p of the paired t-test of ours against MSE (Table 2); NaN if the paper has none."""
    return _content()["p_dice_ours_against_mse"].get(data, {}).get(network, math.nan)


def printed_ause(data: str, network: str) -> dict[str, float]:
    """{variant: AUSE} of Figure 3."""
    return dict(_content()["ause"].get(data, {}).get(network, {}))
