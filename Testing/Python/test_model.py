"""The one forward path, and the weight file."""

from __future__ import annotations

import os
import warnings

import pytest
import torch

from builders import assert_sentence, tiny_model
from hetreg import zoo
from hetreg.config import GridConfig, NetworkConfig
from hetreg.files import sha256
from hetreg.model import RegistrationModel
from hetreg.spatial import edge_window, integrate, warp

SIZE = {2: (16, 24), 3: (8, 12, 16)}


def images(ndim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Seeded noise: (moving, fixed)."""
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.rand((2, 1, *SIZE[ndim]), generator=generator) for _ in range(2))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("strides", [(1, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("steps", [0, 7])
def test_zero_weights_are_the_identity(ndim, strides, steps):
    network = {"output_stride": strides[0], "velocity_stride": strides[1], "integration_steps": steps}
    moving, fixed = images(ndim)
    motion = tiny_model(ndim, **network).move(moving, fixed)
    assert motion.disp.shape == (2, ndim, *SIZE[ndim])
    assert motion.velocity.shape == (2, ndim, *(n // strides[1] for n in SIZE[ndim]))
    assert motion.disp.abs().max() == 0
    torch.testing.assert_close(motion.moved, moving)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("strides", [(1, 1), (1, 2), (2, 2)])
def test_a_constant_output_is_a_translation_in_voxels_of_the_image(ndim, strides):
    moving, fixed = images(ndim)
    model = tiny_model(ndim, shift=(2.0,) * ndim, output_stride=strides[0], velocity_stride=strides[1])
    motion = model.move(moving, fixed)
    expected = 2.0 * strides[0]  # the network counts in voxels of its own output
    torch.testing.assert_close(motion.disp, torch.full_like(motion.disp, expected))
    torch.testing.assert_close(motion.moved, warp(moving, motion.disp))


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_path_is_velocity_integration_warp(ndim):
    moving, fixed = images(ndim)
    model = tiny_model(ndim, rough=0.5, velocity_stride=1)
    motion = model.move(moving, fixed)
    assert motion.disp.abs().max() > 0.1
    torch.testing.assert_close(motion.velocity, model.displacement_net(moving, fixed))
    torch.testing.assert_close(motion.disp, integrate(motion.velocity, 7))
    again = model.move(moving, fixed, velocity=motion.velocity)
    assert torch.equal(again.moved, motion.moved)


def test_half_precision_outputs_are_integrated_in_single():
    model = tiny_model(rough=0.5)
    whole = model.move(*images(2))
    model.displacement_net.register_forward_hook(lambda *call: call[-1].bfloat16())
    motion = model.move(*images(2))
    assert motion.velocity.dtype == motion.disp.dtype == torch.float32
    torch.testing.assert_close(motion.disp, whole.disp, atol=0.05, rtol=0.01)


def test_the_shipped_weights_load_as_they_were():
    for card in zoo.list_models():
        model = RegistrationModel.load(zoo.locate(card.name))
        assert model.network.size == "paper"
        assert model.ndim == card.ndim
        if model.network.sigma_z:
            assert model.network.spread == "displacement"
            assert 0.3 < model.card["refined_sd"] < 3


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_window_makes_the_field_vanish_at_the_border(ndim):
    moving, fixed = images(ndim)
    window = edge_window(SIZE[ndim], 4)
    model = tiny_model(ndim, shift=(1.0,) * ndim, velocity_stride=1)
    disp = model.move(moving, fixed, window=window).disp
    for axis in range(2, 2 + ndim):
        ends = disp.index_select(axis, torch.tensor([0, disp.shape[axis] - 1]))
        assert ends.abs().max() < 1e-6
    assert disp.max() > 0.5


def test_log_variance_is_the_variance_network():
    moving, fixed = images(2)
    model = tiny_model()
    assert torch.equal(model.log_variance(moving, fixed), model.variance_net(moving, fixed))


def test_the_model_says_what_sizes_it_takes():
    assert tiny_model().multiple == 4
    assert RegistrationModel().multiple == 16
    assert RegistrationModel(NetworkConfig(ndim=3)).ndim == 3


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("half", [False, True])
def test_a_saved_model_gives_the_same_output(tmp_path, ndim, half):
    model = tiny_model(ndim, rough=0.3, grid=GridConfig(max_size=99))
    checksum = model.save(tmp_path / "m.pt", half=half)
    assert checksum == sha256(tmp_path / "m.pt")
    loaded = RegistrationModel.load(tmp_path / "m.pt")
    assert (loaded.network, loaded.grid, loaded.card) == (model.network, model.grid, model.card)
    assert loaded.checksum == checksum
    assert not loaded.training
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    ours, theirs = model.move(*images(ndim)).disp, loaded.move(*images(ndim)).disp
    torch.testing.assert_close(theirs, ours, atol=0.02 if half else 0, rtol=0)


def test_a_shipped_model_is_loaded_by_its_name_and_an_unknown_name_is_told():
    assert RegistrationModel.load("cine-mri-2d").card["name"] == "cine-mri-2d"
    with pytest.raises(ValueError, match="'cine-mri-9d'") as caught:
        RegistrationModel.load("cine-mri-9d")
    assert_sentence(caught.value, "cine-mri-2d", "weight file")


def test_loading_leaves_the_random_numbers_of_the_caller_alone(tmp_path):
    tiny_model().save(tmp_path / "m.pt")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    RegistrationModel.load(tmp_path / "m.pt")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("moving", "fixed", "words"),
    [
        (torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), ("(1, 3, 8, 8)", "(B, 1, J, I)")),
        (torch.zeros(1, 8, 8), torch.zeros(1, 8, 8), ("(1, 8, 8)", "(B, 1, J, I)")),
        (torch.zeros(1, 1, 8, 8, 8), torch.zeros(1, 1, 8, 8, 8), ("(1, 1, 8, 8, 8)",)),
        (torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 12), ("(1, 1, 8, 12)", "both the same")),
        (torch.zeros(1, 1, 9, 8), torch.zeros(1, 1, 9, 8), ("(1, 1, 9, 8)", "multiples of 4")),
        (torch.zeros(1, 1, 8, 8).double(), torch.zeros(1, 1, 8, 8), ("torch.float64", "torch.float32")),
    ],
)
def test_tensors_that_do_not_fit_are_one_sentence(moving, fixed, words):
    with pytest.raises(ValueError, match="is accepted") as caught:
        tiny_model().move(moving, fixed)
    assert_sentence(str(caught.value).replace("is accepted, both", "are accepted, both"), *words)


class Harm:
    """Pickled, it makes a folder when it is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_code_in_a_weight_file_is_not_run(tmp_path):
    torch.save({"format": 1, "state": Harm(tmp_path / "harm")}, tmp_path / "evil.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"evil\.pt") as caught:
            RegistrationModel.load(tmp_path / "evil.pt")
    assert_sentence(str(caught.value).split(". ")[0] + ".", "code", "nothing in it was run")
    assert not (tmp_path / "harm").exists()
    torch.load(tmp_path / "evil.pt", weights_only=False)  # the file would have done it
    assert (tmp_path / "harm").exists()


@pytest.mark.parametrize("keep", [0, 1, 100, 5000, -1, -200])
def test_a_truncated_weight_file_is_refused(tmp_path, keep):
    tiny_model().save(tmp_path / "m.pt")
    content = (tmp_path / "m.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[:keep])
    with pytest.raises(ValueError, match=r"cut\.pt") as caught:
        RegistrationModel.load(tmp_path / "cut.pt")
    assert_sentence(str(caught.value).split(". ")[0] + ".")


def test_a_weight_file_with_changed_bytes_is_refused(tmp_path):
    model = tiny_model()
    model.save(tmp_path / "m.pt")
    content = (tmp_path / "m.pt").read_bytes()
    weights = max(model.state_dict().values(), key=torch.numel).numpy().tobytes()
    assert weights in content
    changed = bytes(255 - b for b in weights[:4]) + weights[4:]
    (tmp_path / "m.pt").write_bytes(content.replace(weights, changed))
    torch.load(tmp_path / "m.pt", weights_only=True)  # does not notice
    with pytest.raises(ValueError, match=r"m\.pt") as caught:
        RegistrationModel.load(tmp_path / "m.pt")
    assert_sentence(caught.value, "damaged")


@pytest.mark.parametrize("content", [b"hello", b"\x80\x02}.", b"\x00" * 1000, b"PK\x03\x04rest"])
def test_another_kind_of_file_is_refused(tmp_path, content):
    (tmp_path / "other.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.pt"):
        RegistrationModel.load(tmp_path / "other.pt")


@pytest.mark.parametrize(
    "change",
    [
        {"network": {"ndim": 3}},
        {"network": {"ndim": 2, "encoder": [4, 4], "decoder": [8, 4], "tail": [4]}},
        {"network": {"architecture": "resnet"}},
        {"network": {"encoder": 3}},
        {"network": {"encoder": ["a", "b"]}},
        {"network": {"encoder": [0, 8], "decoder": [8, 4], "tail": [4]}},
        {"network": None},
        {"grid": {"max_size": "large"}},
        {"grid": []},
        {"card": ["not", "a", "dictionary"]},
        {"state": {}},
        {"state": {"a": 1}},
        {"state": None},
        {"format": 99},
    ],
    ids=str,
)
def test_a_file_of_another_architecture_or_make_is_refused(tmp_path, change):
    tiny_model().save(tmp_path / "m.pt")
    content = torch.load(tmp_path / "m.pt", weights_only=True)
    torch.save(content | change, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt") as caught:
        RegistrationModel.load(tmp_path / "other.pt")
    assert_sentence(caught.value)


def test_bare_weights_and_weights_that_are_not_numbers_are_refused(tmp_path):
    model = tiny_model()
    torch.save(model.state_dict(), tmp_path / "bare.pt")
    with pytest.raises(ValueError, match="format none") as caught:
        RegistrationModel.load(tmp_path / "bare.pt")
    assert_sentence(caught.value)
    torch.nn.init.constant_(model.displacement_net.head.bias, float("nan"))
    model.save(tmp_path / "nan.pt")
    with pytest.raises(ValueError, match="finite") as caught:
        RegistrationModel.load(tmp_path / "nan.pt")
    assert_sentence(caught.value)


def test_a_missing_file_or_a_folder_is_named(tmp_path):
    for path in (tmp_path / "absent.pt", tmp_path):
        with pytest.raises(FileNotFoundError, match="weight file") as caught:
            RegistrationModel.load(path)
        assert_sentence(caught.value)


def test_a_failed_save_leaves_the_former_file(tmp_path, monkeypatch):
    model = tiny_model()
    checksum = model.save(tmp_path / "m.pt")

    def full(content, path):
        path.write_bytes(b"half")
        raise RuntimeError("no space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="disk full") as caught:
        model.save(tmp_path / "m.pt")
    assert_sentence(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["m.pt"]
    assert sha256(tmp_path / "m.pt") == checksum


def test_an_interrupted_save_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(content, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tiny_model().save(tmp_path / "m.pt")
    assert not list(tmp_path.iterdir())
