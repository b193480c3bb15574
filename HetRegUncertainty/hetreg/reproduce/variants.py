"""The rows of the reproduced tables: every method, the ablations, the controls, two baselines. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..registry import METHODS, WEIGHT_MODES


@dataclass(frozen=True)
class Variant:
    """A row of the reproduced tables: a method with some of its options changed.

    method: a name in METHODS, or "" for a baseline that trains nothing. options: values of TrainConfig.
    networks: those that "all methods" trains it with; empty: every one.
    """

    label: str
    method: str = ""
    options: tuple[tuple[str, Any], ...] = ()
    networks: tuple[str, ...] = ()


# The paper has the ablations of gamma and of sigma_z with VoxelMorph alone.
_ONE = ("voxelmorph",)
VARIANTS: dict[str, Variant] = {
    "undeformed": Variant("Undeformed"),
    "elastix": Variant("Elastix"),
    **{n: Variant(m.label, n, networks=_ONE if m.sigma_z else ()) for n, m in METHODS.items()},
    **{
        f"gamma_{g:g}": Variant(f"Ours, gamma {g:g}", "ours", (("gamma", g),), _ONE)
        for g in (0.25, 0.75, 1.0)
    },
    **{
        f"{mode}_weight": Variant(f"Ours, {mode} weight", "ours", (("weight_mode", mode),))
        for mode in WEIGHT_MODES
    },
    "precision_residual": Variant(
        "Ours, precision weight, residual shown to the variance network",
        "ours",
        (("weight_mode", "precision"), ("variance_residual", True)),
        _ONE,
    ),
    "precision_blind": Variant(
        "Ours, precision weight, residual shown, blind spots",
        "ours",
        (("weight_mode", "precision"), ("variance_residual", True), ("blind_spots", 0.2)),
        _ONE,
    ),
    "unaugmented": Variant("Ours, data as they are (compare with the oracle)", "ours", (("augment", False),)),
}
