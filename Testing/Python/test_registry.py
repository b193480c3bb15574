"""Tables of names: every entry resolves and says what it is."""

from __future__ import annotations

import pytest
import torch

from builders import assert_sentence
from hetreg import cli, registry
from hetreg.config import NetworkConfig, RegisterConfig, TrainConfig
from hetreg.losses.base import Loss, LossInputs
from hetreg.losses.snr_weighted import snr_weight
from hetreg.networks.base import PairNetwork
from hetreg.training.objective import Objective

TABLES = {n: t for n, t in vars(registry).items() if isinstance(t, dict) and n.isupper()}
ENTRIES = [(t, name) for t, table in TABLES.items() for name, e in table.items() if hasattr(e, "target")]


@pytest.mark.parametrize(("table", "name"), ENTRIES)
def test_every_entry_resolves(table, name):
    entry = TABLES[table][name]
    assert callable(registry.resolve(TABLES[table], name))
    assert entry.label
    assert entry.help.endswith(".")


@pytest.mark.parametrize("name", registry.LOSSES)
def test_losses_are_losses(name):
    assert issubclass(registry.resolve(registry.LOSSES, name), Loss)


@pytest.mark.parametrize("name", registry.NETWORKS)
def test_networks_are_networks(name):
    assert issubclass(registry.resolve(registry.NETWORKS, name), PairNetwork)


@pytest.mark.parametrize("name", registry.METRICS)
def test_metrics_say_which_direction_is_better(name):
    entry = registry.METRICS[name]
    words = {"high": "higher is better", "low": "lower is better", "": ""}[entry.better]
    assert words in entry.help
    assert ("better" in entry.help) == bool(entry.better)
    for unit in ("mm", "px", "vox"):
        assert name.endswith(f"_{unit}") == entry.label.endswith(f"({unit})")


def test_an_unknown_name_is_refused_with_the_known():
    with pytest.raises(ValueError, match="'l1'") as caught:
        registry.resolve(registry.LOSSES, "l1")
    assert_sentence(caught.value, *registry.LOSSES)


class MeanAbsolute(Loss):
    """A loss of somebody's own."""

    def forward(self, x: LossInputs) -> torch.Tensor:
        return (x.fixed - x.moved).abs().mean()


def test_a_program_can_add_lines_of_its_own(monkeypatch):
    entry = registry.Entry(f"{__name__}:MeanAbsolute", "L1", "Mean absolute difference.")
    monkeypatch.setitem(registry.LOSSES, "l1", entry)
    method = registry.Method("L1", "Mean absolute difference.", "l1", options=("smoothness",))
    monkeypatch.setitem(registry.METHODS, "l1", method)
    monkeypatch.setitem(registry.NETWORKS, "mine", registry.NETWORKS["voxelmorph"])
    config = TrainConfig(method="l1", network="mine", smoothness=0.3)
    losses = Objective.from_config(config).losses()
    assert isinstance(losses["l1"], MeanAbsolute)
    assert set(losses) == {"l1", "smoothness"}
    assert NetworkConfig(architecture="mine").architecture == "mine"
    assert cli.parser().parse_args(["train", "--method", "l1"]).method == "l1"
    monkeypatch.undo()
    with pytest.raises(ValueError, match="'l1'"):
        TrainConfig(method="l1")


def test_the_tables_agree_with_the_code_that_knows_the_names():
    one = torch.ones((1, 1, 4, 4))
    for mode in registry.WEIGHT_MODES:
        assert snr_weight(one, one, mode=mode).shape == one.shape
    assert RegisterConfig().weight_mode in registry.WEIGHT_MODES
    assert TrainConfig().method in registry.METHODS
