"""Weight files of strangers: refused before they take memory, and in one sentence; weights that changed."""

from __future__ import annotations

import copy
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from builders import assert_sentence, tiny_model
from hetreg.config import NetworkConfig, TrainConfig, network_config
from hetreg.model import RegistrationModel
from hetreg.modelconfig import UseConfig
from hetreg.networks.unet import UNet
from hetreg.registry import NETWORKS, Entry
from hetreg.training.checkpoint import load_checkpoint, start_in

WIDE = {"encoder": [40_000] * 2, "decoder": [40_000] * 2, "tail": [8]}


def refused(path: Path) -> ValueError:
    with pytest.raises(ValueError, match=path.name) as caught:
        RegistrationModel.load(path)
    assert_sentence(caught.value)
    return caught.value


def changed(folder: Path, **change) -> Path:
    """A weight file of which some parts are others."""
    torch.save(tiny_model().content() | change, folder / "m.pt")
    return folder / "m.pt"


@pytest.fixture
def packed(tmp_path) -> Path:
    """A weight file, compressed."""
    source, target = changed(tmp_path), tmp_path / "packed.pt"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, old.read(part))
    return target


def test_a_network_that_the_weights_are_not_of_is_never_built(tmp_path):
    """It would take 58 GB for each of its layers."""
    network = tiny_model().network.to_dict()
    error = refused(changed(tmp_path, network=network | WIDE))
    assert_sentence(error, "no model", "fewer weights")


def test_weights_that_repeat_one_number_do_not_take_more_memory_than_their_file(tmp_path):
    network = NetworkConfig(encoder=(4000,), decoder=(4000,), tail=(8,))
    with torch.device("meta"):
        names = RegistrationModel(network).state_dict()
    state = {name: torch.zeros(()).expand(value.shape) for name, value in names.items()}
    assert_sentence(refused(changed(tmp_path, network=network.to_dict(), state=state)), "repeat")


def test_a_compressed_file_is_refused_before_it_is_unpacked(packed, monkeypatch):
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    monkeypatch.setattr(torch, "load", None)
    refused(packed)
    with pytest.raises(ValueError, match="compressed") as caught:
        load_checkpoint(packed, tiny_model(), {})
    assert_sentence(caught.value)
    assert start_in(packed) == {}


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_loaded_as_it_was_saved(tmp_path, name, ndim):
    if name == "transmorph":
        pytest.importorskip("monai")
    network = network_config(TrainConfig(network=name, size="tiny", method="sigma_z"), ndim)
    model = RegistrationModel(network).eval()
    model.save(tmp_path / "m.pt")
    loaded = RegistrationModel.load(tmp_path / "m.pt")
    pair = (torch.rand(1, 1, *[model.multiple] * ndim) for _ in range(2))
    moving, fixed = pair
    assert torch.equal(loaded.velocity(moving, fixed)[0], model.velocity(moving, fixed)[0])


class Own(UNet):
    """A network of somebody's own, with a table that is not kept in the file."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("table", torch.zeros(1000, 1000), persistent=False)


def test_a_network_of_ones_own_may_have_more_than_its_weights(tmp_path, monkeypatch):
    monkeypatch.setitem(NETWORKS, "own", Entry(f"{__name__}:Own", "Own"))
    model = RegistrationModel(replace(tiny_model().network, architecture="own"))
    model.save(tmp_path / "m.pt")
    assert isinstance(RegistrationModel.load(tmp_path / "m.pt").displacement_net, Own)


def test_a_card_may_say_nothing_and_have_words_of_its_own():
    card = {"anchor": None, "views": None, "dataset": ["acdc", "camus"], "crop": [96, 96]}
    assert UseConfig.from_card(card) == UseConfig.from_card({"config": None}) == UseConfig()
    assert UseConfig.from_card({"views": 4, "config": {"crop": 64}}) == UseConfig(views=4, crop=64)


@pytest.mark.parametrize(
    ("part", "values", "said"),
    [
        ("network", {"integration_steps": 10**8}, "integration_steps is 100000000: at most 20"),
        ("network", {"encoder": [4] * 11, "decoder": [4] * 11}, "has 11 levels: at most 10 levels"),
        ("grid", {"max_size": 60_000}, "max_size is 60000: at most 4096"),
        ("grid", {"margin_vox": 20_000}, "margin_vox is 20000: at most 256"),
        ("card", {"views": "many"}, "views is 'many': a whole number"),
        ("card", {"anchor": float("nan")}, "anchor is nan: a number"),
        ("card", {"refined_sd": -1}, "refined_sd is -1"),
        ("card", {"kernels_vox": "abc"}, "kernels_vox is 'abc': a list"),
        ("card", {"kernels_vox": [1e9]}, "numbers above 0, up to 64"),
        ("card", {"config": "abc"}, "config is 'abc': a dictionary"),
        ("card", {"config": {"dataset": 3}}, "dataset is 3: a text"),
        ("card", {"config": {"dataset": "phantom", "crop": "large"}}, "crop is 'large'"),
    ],
    ids=str,
)
def test_a_value_that_makes_no_sense_is_told_with_the_file(tmp_path, part, values, said):
    content = tiny_model().content()
    assert said in str(refused(changed(tmp_path, **{part: content[part] | values})))


def test_a_model_whose_weights_have_changed_has_another_name_and_no_checksum(tmp_path):
    checksum = tiny_model(3, rough=0.3).save(tmp_path / "m.pt")
    loaded = RegistrationModel.load(tmp_path / "m.pt")
    name, weight = loaded.name, loaded.displacement_net.head.weight
    for same in (copy.deepcopy(loaded), loaded.double(), loaded.to(memory_format=torch.channels_last_3d)):
        assert (same.name, same.checksum) == (name, checksum)
    before = weight.detach().clone()
    for change in (lambda w: w.mul(1.01), lambda w: w.flip(0, 2)):
        weight.data.copy_(change(before))
        assert (loaded.name, loaded.checksum) == (f"changed from {name}", "")
    weight.data.copy_(before)
    assert (loaded.name, loaded.checksum) == (name, checksum)
