"""Configurations: checked when made, the same after JSON."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest

from builders import assert_sentence
from hetreg.config import EvaluateConfig, GridConfig, NetworkConfig, RegisterConfig, TrainConfig
from hetreg.reproduce.config import ReproduceConfig
from hetreg.training.folder import settings_changed

ALL = [NetworkConfig, GridConfig, RegisterConfig, TrainConfig]


@pytest.mark.parametrize("kind", ALL)
def test_every_field_has_help_and_defaults_are_accepted(kind):
    config = kind()
    for f in fields(config):
        assert len(f.metadata["help"]) > 5
        assert f.metadata["choices"] is None or getattr(config, f.name) in f.metadata["choices"]


@pytest.mark.parametrize("kind", ALL)
def test_json_gives_the_same_configuration_back(kind, tmp_path):
    config = kind()
    config.save(tmp_path / "config.json")
    assert kind.load(tmp_path / "config.json") == config
    assert kind.from_dict(config.to_dict()) == config


def test_changed_values_survive_json_and_lists_become_tuples(tmp_path):
    config = NetworkConfig(ndim=3, encoder=(4, 8), decoder=(8, 4), tail=(4,), integration_steps=0)
    config.save(tmp_path / "n.json")
    assert NetworkConfig.load(tmp_path / "n.json").encoder == (4, 8)
    assert NetworkConfig.load(tmp_path / "n.json") == config


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        RegisterConfig().refine = 3


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        (NetworkConfig, {"architecture": "resnet"}, ("architecture is 'resnet'", "voxelmorph")),
        (NetworkConfig, {"ndim": 4}, ("ndim is 4", "2 and 3")),
        (NetworkConfig, {"encoder": (4,)}, ("have 1, 4 and 3 levels", "same number of levels")),
        (NetworkConfig, {"tail": ()}, ("tail",)),
        (NetworkConfig, {"tail": (0,)}, ("whole numbers from 1",)),
        (NetworkConfig, {"output_stride": 2, "velocity_stride": 1}, ("is 2 and velocity_stride 1",)),
        (NetworkConfig, {"velocity_stride": 3}, ("velocity_stride 3", "1 and 2")),
        (NetworkConfig, {"variance_tail": (8,)}, ("variance_encoder", "all three")),
        (NetworkConfig, {"variance_encoder": (8, 8)}, ("variance_decoder", "all three")),
        (
            NetworkConfig,
            {"variance_encoder": (8, 8), "variance_decoder": (8,), "variance_tail": (8,)},
            ("same number of levels",),
        ),
        (NetworkConfig, {"integration_steps": -1}, ("integration_steps is -1",)),
        (GridConfig, {"max_size": 3}, ("max_size is 3", "16")),
        (GridConfig, {"low_percentile": 60, "high_percentile": 40}, ("is 60 and high_percentile 40",)),
        (GridConfig, {"min_spacing_mm": 3, "max_spacing_mm": 1}, ("max_spacing_mm 1", "no limit")),
        (GridConfig, {"high_percentile": "all"}, ("high_percentile is 'all'", "a number")),
        (GridConfig, {"high_percentile": 101}, ("at most 100",)),
        (RegisterConfig, {"device": "tpu"}, ("device is 'tpu'", "auto, cpu, cuda, mps")),
        (RegisterConfig, {"device": "cuda:x"}, ("device is 'cuda:x'",)),
        (RegisterConfig, {"model": 3}, ("model is 3", "a text")),
        (NetworkConfig, {"sigma_z": 1}, ("sigma_z is 1", "true or false")),
        (RegisterConfig, {"dimension": "4d"}, ("dimension is '4d'",)),
        (RegisterConfig, {"weight_mode": "best"}, ("robust",)),
        (RegisterConfig, {"refine": -1}, ("refine is -1",)),
        (RegisterConfig, {"refine": 2.5}, ("refine is 2.5", "whole number")),
        (RegisterConfig, {"refine": True}, ("refine is True",)),
        (RegisterConfig, {"gamma": float("nan")}, ("gamma is nan",)),
        (RegisterConfig, {"gamma": float("inf")}, ("gamma is inf",)),
        (RegisterConfig, {"gamma": "a"}, ("gamma is 'a'",)),
        (TrainConfig, {"steps": 0}, ("steps is 0",)),
        (TrainConfig, {"kind": "mri2d+ct"}, ("kind is 'ct'", "echo3d")),
        (TrainConfig, {"dataset": "phantom+mitea"}, ("dataset is 'mitea'", "pairs")),
        (TrainConfig, {"batch": 0}, ("batch is 0",)),
        (TrainConfig, {"method": "l1"}, ("method is 'l1'", "mse")),
        (TrainConfig, {"learning_rate": 0.0}, ("learning_rate is 0.0",)),
        (TrainConfig, {"learning_rate": True}, ("learning_rate is True",)),
        (TrainConfig, {"seed": -3}, ("seed is -3",)),
        (TrainConfig, {"workers": 10**8}, ("workers is 100000000", "at most 256")),
        (TrainConfig, {"batch": 10**30}, ("batch is 1", "at most 4096")),
        (TrainConfig, {"crop": 10**30}, ("crop is 1", "at most 4096")),
        (TrainConfig, {"phantoms": 10**9}, ("phantoms is 1000000000", "at most 1000000")),
        (EvaluateConfig, {"phantoms": 10**9}, ("phantoms is 1000000000", "at most 1000000")),
        (EvaluateConfig, {"phantom_size": 10**6}, ("phantom_size is 1000000", "at most 4096")),
    ],
)
def test_a_bad_value_is_refused_by_name_with_what_is_accepted(kind, values, words):
    with pytest.raises(ValueError, match=next(iter(values))) as caught:
        kind(**values)
    assert_sentence(caught.value, *words)


def test_paths_numbers_of_numpy_and_lists_become_what_json_has(tmp_path):
    assert RegisterConfig(model=tmp_path / "best.pt").model == str(tmp_path / "best.pt")
    config = TrainConfig(
        root=tmp_path, steps=np.int64(3), learning_rate=np.float32(0.5), amp=np.True_, method=np.str_("mse")
    )
    assert config == TrainConfig(root=str(tmp_path), steps=3, learning_rate=0.5, amp=True, method="mse")
    assert [type(getattr(config, n)) for n in ("root", "steps", "learning_rate")] == [str, int, float]
    network = NetworkConfig(encoder=[np.int64(4), 8], decoder=np.array([8, 4]).tolist(), tail=[4])
    assert network == NetworkConfig(encoder=(4, 8), decoder=(8, 4), tail=(4,))
    assert hash(network) == hash(NetworkConfig.from_dict(network.to_dict()))
    for made in (config, network, EvaluateConfig(root=tmp_path), ReproduceConfig(root=tmp_path)):
        made.save(tmp_path / "config.json")
        assert type(made).load(tmp_path / "config.json") == made


def test_any_gpu_can_be_chosen():
    assert RegisterConfig(device="cuda:1").device == "cuda:1"


def test_an_unknown_name_is_refused_with_the_known():
    with pytest.raises(ValueError, match="no itertions") as caught:
        RegisterConfig.from_dict({"itertions": 3})
    assert_sentence(caught.value, "refine")


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '"steps"', "\x00", "[" * 100_000])
def test_a_file_that_is_no_configuration(tmp_path, text):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ValueError, match=r"c\.json") as caught:
        TrainConfig.load(tmp_path / "c.json")
    assert_sentence(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent") as caught:
        TrainConfig.load(tmp_path / "absent.json")
    assert_sentence(caught.value)


@pytest.mark.parametrize(
    ("values", "crop"),
    [
        ({}, 128),
        ({"kind": "echo3d"}, 64),
        ({"kind": "echo3d", "crop": 128}, 128),
        ({"kind": "echo3d", "dataset": "phantom+pairs"}, 128),
    ],
)
def test_the_crop_follows_the_data_unless_it_is_given(values, crop):
    config = TrainConfig(**values)
    assert config.crop_vox == config.settled.crop == crop
    assert TrainConfig.from_dict(config.to_dict()) == config
    for before in (TrainConfig(), TrainConfig(kind="echo3d")):  # also of one that was made for other data
        whole = {"kind": "mri2d", "dataset": "phantom"} | values
        assert replace(before, **whole).crop_vox == crop
        assert TrainConfig.from_dict(before.to_dict() | whole).crop_vox == crop
    assert replace(config.settled, kind="mri2d").crop == crop  # a given one stays


def test_the_protocol_follows_the_data_unless_it_is_given():
    assert replace(ReproduceConfig(), dataset="acdc", root="x").used_protocol == "published"
    assert replace(ReproduceConfig(dataset="acdc", root="x"), dataset="phantom").used_protocol == "native"
    assert ReproduceConfig(dataset="acdc", root="x", protocol="native").used_protocol == "native"


@pytest.mark.parametrize("crop", [15, False, None, 0.0, -1])
def test_a_crop_is_none_or_large_enough(crop):
    with pytest.raises(ValueError, match="crop is") as caught:
        TrainConfig(crop=crop)
    assert_sentence(caught.value, f"at least {16 if crop else 0} is")


def test_a_setting_that_follows_the_data_is_the_same_as_that_value_given():
    """As runs of before have it in config.json."""
    before = TrainConfig(kind="echo3d", crop=64)
    assert settings_changed(before, TrainConfig(kind="echo3d"), ()) == ""
    assert settings_changed(before, TrainConfig(kind="echo3d", crop=48), ()) == "crop = 64, not 48"


def test_a_share_above_one_is_refused():
    with pytest.raises(ValueError, match=r"real_share is 1\.5: at most 1\.0 is accepted\."):
        TrainConfig(real_share=1.5)


@pytest.mark.parametrize("changes", [{"wide_augment": True}, {"stretch": 0.5}, {"extra_noise": 0.05}])
def test_what_augmentation_alone_uses_is_refused_without_it(changes):
    with pytest.raises(ValueError, match=r"without augmentation does not use: augment True is accepted\."):
        TrainConfig(augment=False, **changes)
    with pytest.raises(ValueError, match="without augmentation does not use"):
        TrainConfig.from_dict(TrainConfig(augment=False).to_dict() | changes)
    oracle = TrainConfig(**changes).for_method("oracle_weight")
    assert oracle == TrainConfig(method="oracle_weight", augment=False)


def test_what_the_method_does_not_use_is_refused_in_a_file_as_among_flags():
    with pytest.raises(ValueError, match=r"alpha is 0.001, which method mse does not use"):
        TrainConfig.from_dict(TrainConfig(method="mse").to_dict() | {"alpha": 0.001})


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        (TrainConfig, {"amp": "false"}, ("amp is 'false'", "true or false")),
        (TrainConfig, {"augment": 0}, ("augment is 0", "true or false")),
        (TrainConfig, {"dataset": 5}, ("dataset is 5", "a text")),
        (TrainConfig, {"method": ["ours"]}, ("method is ['ours']", "a text")),
        (TrainConfig, {"root": None}, ("root is None", "a text")),
        (NetworkConfig, {"encoder": 8}, ("encoder is 8", "a list")),
        (TrainConfig, {"steps": "many"}, ("steps is 'many'", "whole number")),
    ],
)
def test_a_value_of_another_kind_in_a_file_is_a_sentence(kind, values, words, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(values), encoding="utf-8-sig")
    with pytest.raises(ValueError, match=words[0].split()[0]) as error:
        kind.load(tmp_path / "config.json")
    assert_sentence(error.value, *words)


def test_both_ways_of_a_pair_are_not_for_a_known_displacement():
    with pytest.raises(ValueError, match="bidirectional") as error:
        TrainConfig(method="supervised", bidirectional=True)
    assert_sentence(error.value, "learns from images alone")
