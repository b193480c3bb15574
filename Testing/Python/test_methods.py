"""Every method with every architecture in 2D and 3D: twenty steps on the phantom lower its loss."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch

from builders import TINY
from hetreg.config import GridConfig, NetworkConfig, TrainConfig, network_config
from hetreg.datasets.simulated import PhantomDataset
from hetreg.device import fitting_threads
from hetreg.losses.nll import gaussian_nll
from hetreg.registry import LOSSES, METHODS, NETWORKS, WEIGHTS, method_options
from hetreg.training.data import draw_batch
from hetreg.training.distributed import Ranks
from hetreg.training.objective import Batch, Objective
from hetreg.training.trainer import Trainer

KINDS = {2: "mri2d", 3: "echo3d"}
BASE = TrainConfig(
    size="tiny", crop=32, batch=2, warmup=0, learning_rate=3e-3, decay="none", augment=False, steps=20
)


SIZES = {2: 32, 3: 16}


@cache
def samples(ndim: int):
    """Two small phantoms with their true variance."""
    return PhantomDataset(KINDS[ndim], 2, size=SIZES[ndim], truth=True).samples(GridConfig())


@torch.no_grad()
def nll(trainer: Trainer, batch: Batch) -> float:
    """The plain likelihood: unlike beta-NLL's, its values can be compared while the variance changes."""
    moved = trainer.model.move(batch.moving, batch.fixed).moved
    return gaussian_nll(batch.fixed, moved, trainer.model.log_variance(moved, batch.fixed)).item()


ALL = [(m, n, d) for m in METHODS for n in NETWORKS for d in (2, 3)]
# The pyramid takes long in 3D: one method of each kind there. A method knows nothing of the network.
SOME = [(m, n, d) for m, n, d in ALL if (n, d) != ("pyramid", 3) or m in ("ours", "mi", "supervised")]


@pytest.fixture
def one_thread():
    with fitting_threads(1):
        yield


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("method", "network", "ndim"), SOME)
def test_twenty_steps_are_finite_and_lower_the_loss(method, network, ndim):
    config = BASE.for_method(method)
    config = replace(config, network=network, batch=4 - ndim, crop=SIZES[ndim])
    trainer = Trainer(config, network_config(config, ndim), GridConfig(), Ranks(torch.device("cpu")))
    trainer.model.train()
    batch = draw_batch(samples(ndim), config, 0)
    first = trainer.one_step(batch)  # raises on a number that is not finite
    before = nll(trainer, batch)
    likelihoods = []
    for step in range(2, 21):
        last = trainer.one_step(batch)
        if step in (8, 14, 17, 20):
            likelihoods.append(nll(trainer, batch))
    assert min(likelihoods) < before  # it goes up and down: a drawn z, a motion that is learnt faster
    if method != "beta_nll":  # which is scaled by the variance itself
        assert last["loss"] < first["loss"]
    assert all(p.isfinite().all() for p in trainer.model.parameters())


@pytest.mark.parametrize("name", METHODS)
def test_a_method_names_what_exists_and_its_objective_holds_its_options(name):
    method = METHODS[name]
    assert {method.data_loss, method.regulariser} <= LOSSES.keys()
    assert not method.weight or method.weight in WEIGHTS
    assert method.help.endswith(".")
    config = BASE.for_method(name)
    objective = Objective.from_config(config)
    assert next(iter(objective.terms)) == method.data_loss
    assert objective.joint == method.joint
    assert network_config(config, 2).sigma_z == method.sigma_z
    assert set(method.options) <= set(method_options())
    for option in set(method_options()) - set(method.options):
        value = {
            "weight_mode": "paper",
            "collaborative_grad": True,
            "smoothness_on": "velocity",
            "blind_spots": 0.3,
        }.get(option, 0.7)
        with pytest.raises(ValueError, match=rf"{option} is .* method {name} does not use"):
            TrainConfig.from_dict(config.to_dict() | {option: value})


def test_coefficients_come_from_the_configuration():
    assert Objective.from_config(TrainConfig(smoothness=0.3)).terms == {
        "snr_weighted": 1.0,
        "smoothness": 0.3,
    }
    objective = Objective.from_config(TrainConfig(smoothness_on="velocity", weight_mode="paper"))
    assert "velocity_smoothness" in objective.terms
    assert "smoothness" not in objective.terms
    assert objective.weight_mode == "paper"
    terms = Objective.from_config(TrainConfig(method="ours_sigma_z", alpha=0.2, smoothness=0.3)).terms
    assert terms == {"snr_weighted": 1.0, "velocity_smoothness": 0.3, "displacement_prior": 0.2}
    assert Objective.from_config(TrainConfig(method="voxelmorph_diff")).terms["voxelmorph_kl"] == 0.01
    assert Objective.from_config(TrainConfig(method="nll")).beta == 0
    assert Objective.from_config(TrainConfig(method="beta_nll", beta=0.3)).losses()["beta_nll"].beta == 0.3


def test_the_network_of_a_configuration():
    assert network_config(TrainConfig(), 2) == NetworkConfig()
    tiny = network_config(TrainConfig(size="tiny", method="sigma_z"), 3)
    assert tiny == NetworkConfig(ndim=3, size="tiny", sigma_z=True, **TINY)
    assert network_config(TrainConfig(variance_residual=True), 2) == NetworkConfig(variance_residual=True)
    swin = network_config(TrainConfig(network="transmorph", size="small"), 2)
    assert (swin.architecture, swin.size, swin.integration_steps) == ("transmorph", "small", 0)
