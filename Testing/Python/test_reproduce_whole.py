"""Reproductions that make the tables and figures which the other tests' small ones lack."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import TINY_REPRODUCTION
from hetreg.reproduce.run import reproduce


@pytest.mark.slow
def test_3d_and_displacements_with_a_variance_give_tables_3_to_5_and_figures_4_to_6(tmp_path):
    spread = ("gamma_1", "ours_sigma_z", "sigma_z", "voxelmorph_diff")
    config = replace(TINY_REPRODUCTION, crop=32, budget=2, test_phantoms=1)
    found: set[str] = set()
    for kind, methods in (("mri2d", spread), ("echo3d", ())):
        files = reproduce(replace(config, kind=kind, methods=("mse", "ours", *methods)), tmp_path / kind)
        found |= {path.name for path in files.values()}
        assert all(path.stat().st_size > 0 for path in files.values())
    assert {f"table{n}-phantom-mri2d.md" for n in (1, 2, 4, 5)} <= found
    assert "table3-phantom-echo3d.md" in found
    figures = {int(name[6]) for name in found if name.startswith("figure")}
    assert figures == {2, 3, 4, 5, 6, 7}
