"""Tables of names: every entry resolves."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from builders import assert_sentence
from hetreg import cli, registry
from hetreg.config import NetworkConfig, RegisterConfig, TrainConfig
from hetreg.losses.base import Loss, LossInputs
from hetreg.losses.snr_weighted import snr_weight
from hetreg.networks.base import PairNetwork
from hetreg.training.objective import Objective

LABELLED = [(t, name) for t in ("NETWORKS", "DATASETS") for name in getattr(registry, t)]
ENTRIES = LABELLED + [(t, name) for t in ("LOSSES", "WEIGHTS") for name in getattr(registry, t)]


@pytest.mark.parametrize(("table", "name"), ENTRIES)
def test_every_entry_resolves(table, name):
    assert callable(registry.resolve(getattr(registry, table), name))
    assert (table, name) not in LABELLED or getattr(registry, table)[name].label


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
    monkeypatch.setitem(registry.LOSSES, "l1", f"{__name__}:MeanAbsolute")
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
    text = next(f.metadata["help"] for f in fields(TrainConfig) if f.name == "weight_mode")
    assert all(mode in text for mode in registry.WEIGHT_MODES)  # says what each is
    assert TrainConfig().method in registry.METHODS
