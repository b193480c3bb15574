"""Mirror images and turns of a pair, and the mean of the network's answers to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from builders import pair_2d, tiny_model
from hetreg.config import NetworkConfig, RegisterConfig
from hetreg.model import RegistrationModel
from hetreg.preprocess import to_network_grid
from hetreg.progress import Cancelled, Progress
from hetreg.refine import ANCHOR, KERNEL_SIGMA_VOX, LEARNING_RATE
from hetreg.register import register_pair
from hetreg.spatial import warp
from hetreg.symmetry import View, mean_motion, views

SIZES = {2: (16, 24), 3: (8, 16, 24)}


def random(ndim: int, channels: int = 1) -> torch.Tensor:
    """Smooth numbers in [0, 1], other in every direction."""
    coarse = torch.rand(
        (1, channels, *(n // 4 for n in SIZES[ndim])), generator=torch.Generator().manual_seed(3)
    )
    mode = "bilinear" if ndim == 2 else "trilinear"
    return torch.nn.functional.interpolate(coarse, size=SIZES[ndim], mode=mode)


def uneven_model(ndim: int, **options) -> RegistrationModel:
    """A model of random weights that turns no two views alike, with displacements of about a voxel."""
    torch.manual_seed(0)
    small = {"encoder": (4, 8), "decoder": (8, 4), "tail": (4,)}
    model = RegistrationModel(NetworkConfig(ndim=ndim, **small, **options)).eval()
    torch.nn.init.normal_(model.displacement_net.head.weight[:ndim], 0.0, 0.3)
    return model


@pytest.mark.parametrize("ndim", [2, 3])
def test_views_are_a_group_with_the_identity(ndim):
    image, chosen = random(ndim), views(ndim)
    assert len(chosen) == {2: 8, 3: 4}[ndim]
    assert any(torch.equal(v.apply(image), image) for v in chosen)
    marks = {tuple(v.apply(image).flatten().tolist()) for v in chosen}
    assert len(marks) == len(chosen)
    twice = {tuple(v.apply(w.apply(image)).flatten().tolist()) for v in chosen for w in chosen}
    assert twice == marks


@pytest.mark.parametrize("ndim", [2, 3])
def test_undo_is_the_inverse(ndim):
    image = random(ndim)
    for view in views(ndim):
        assert torch.equal(view.undo(view.apply(image)), image)


def test_a_quarter_turn_by_hand():
    view = View((1, 0), (True, False))  # first axis of the view: columns from the right
    image = torch.tensor([[1.0, 2.0], [3.0, 4.0]])[None, None]
    assert view.apply(image)[0, 0].tolist() == [[2.0, 4.0], [1.0, 3.0]]
    field = torch.ones(1, 2, 2, 2) * torch.tensor([5.0, 7.0]).view(1, 2, 1, 1)
    assert view.undo_field(field)[0, :, 0, 0].tolist() == [7.0, -5.0]
    assert view.undo_field(field, signed=False)[0, :, 0, 0].tolist() == [7.0, 5.0]


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_field_found_in_a_view_moves_the_image_as_it_moved_the_view(ndim):
    image = random(ndim)
    for view in views(ndim):
        seen = view.apply(image)
        field = 3.0 * torch.rand((1, ndim, *seen.shape[2:]), generator=torch.Generator().manual_seed(1)) - 1.5
        moved = warp(image, view.undo_field(field))
        torch.testing.assert_close(view.apply(moved), warp(seen, field), atol=1e-5, rtol=0)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_mean_turns_with_the_pair(ndim):
    model = uneven_model(ndim)
    moving, fixed = random(ndim), random(ndim).flip(2)
    motion = mean_motion(model, moving, fixed)
    with torch.no_grad():
        alone = model.move(moving, fixed).velocity
    assert (motion.velocity - alone).abs().max() > 0.01
    for view in views(ndim):
        other = mean_motion(model, view.apply(moving), view.apply(fixed))
        torch.testing.assert_close(view.undo_field(other.velocity), motion.velocity, atol=1e-5, rtol=0)


def test_the_variance_is_the_mean_of_the_views():
    model = uneven_model(2, sigma_z=True)
    torch.nn.init.normal_(model.displacement_net.head.weight[2:], 0.0, 0.3)
    moving, fixed = random(2), random(2).flip(2)
    motion = mean_motion(model, moving, fixed)
    inner = []
    with torch.no_grad():
        for view in views(2):
            _, log_variance = model.velocity(view.apply(moving), view.apply(fixed))
            inner.append(view.undo_field(log_variance, signed=False).exp())
    assert (inner[0] / inner[-1]).log().abs().max() > 0.01
    torch.testing.assert_close(motion.log_variance_z.exp(), sum(inner) / 8)


def test_the_window_holds_for_every_view():
    model, window = uneven_model(2), torch.ones(1, 1, *SIZES[2])
    window[..., :4] = 0.0
    motion = mean_motion(model, random(2), random(2).flip(2), window=window)
    assert motion.velocity[..., 0].abs().max() == 0
    assert motion.velocity[..., 6:].abs().max() > 0.001


def test_it_stops_when_asked():
    told: list[str] = []
    progress = Progress(lambda f, m: told.append(m), lambda: len(told) >= 3)
    with pytest.raises(Cancelled):
        mean_motion(tiny_model(), random(2), random(2), progress=progress)
    assert told[-1] == "Averaging over turned copies: 3 of 8"


def test_without_refining_the_card_says_over_how_many_copies_the_mean_is():
    model = uneven_model(2)
    fixed, moving = pair_2d()
    pair = to_network_grid(fixed, moving, model.grid, ndim=2, multiple=model.multiple)
    found = {}
    for count in (1, 4):
        model.card = {"views": count} if count > 1 else {}
        told: list[str] = []
        result = register_pair(fixed, moving, model, progress=Progress(lambda f, m, t=told: t.append(m)))
        found[count] = result.disp_lps_mm
        assert (f"Averaging over turned copies: {count} of {count}" in told) == (count > 1)
    assert np.abs(found[4] - found[1]).max() > 0.01
    motion = mean_motion(model, pair.moving, pair.fixed, window=pair.window, count=4)
    inner = [mean_motion(model, v.apply(pair.moving), v.apply(pair.fixed), count=1) for v in views(2)[:4]]
    plain = torch.stack([v.undo_field(m.velocity) for v, m in zip(views(2)[:4], inner, strict=True)]).mean(0)
    small = torch.nn.functional.interpolate(pair.window, plain.shape[2:], mode="bilinear", antialias=True)
    torch.testing.assert_close(motion.velocity, plain * small, atol=1e-5, rtol=0)


def test_refining_starts_from_the_turned_copies_with_the_card_s_anchor_and_sd(monkeypatch):
    model = uneven_model(2, sigma_z=True, spread="displacement")
    given: dict[str, object] = {}

    def optimise(model, moving, fixed, start, options, **rest):
        given.update(start=start, options=options)
        return start

    monkeypatch.setattr("hetreg.register.optimise", optimise)
    fixed, moving = pair_2d()
    told: list[str] = []
    progress = Progress(lambda f, m: told.append(m))
    first = register_pair(fixed, moving, model, RegisterConfig(refine=3), progress)
    assert "Averaging over turned copies: 8 of 8" in told
    assert (given["options"].iterations, given["options"].anchor) == (3, ANCHOR)
    assert given["options"].rate == LEARNING_RATE
    pair = to_network_grid(fixed, moving, model.grid, ndim=2, multiple=model.multiple)
    expected = mean_motion(model, pair.moving, pair.fixed, window=pair.window)
    torch.testing.assert_close(given["start"].velocity, expected.velocity)
    assert given["options"].kernels_vox == (KERNEL_SIGMA_VOX,)
    model.card = {"anchor": 7.0, "rate": 0.4, "refined_sd": 2.0, "kernels_vox": [4, 1.5]}
    second = register_pair(fixed, moving, model, RegisterConfig(refine=3, weight_mode="paper", gamma=0.25))
    assert (given["options"].anchor, given["options"].rate) == (7.0, 0.4)
    assert (given["options"].weight_mode, given["options"].gamma) == ("paper", 0.25)
    assert given["options"].kernels_vox == (4.0, 1.5)
    np.testing.assert_allclose(second.displacement_sd_mm.array, 2 * first.displacement_sd_mm.array, rtol=1e-4)
