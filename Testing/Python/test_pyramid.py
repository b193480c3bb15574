"""The coarse-to-fine network: its parts by hand, and that it learns a shift."""

from __future__ import annotations

import pytest
import torch

from hetreg.config import NetworkConfig
from hetreg.model import RegistrationModel
from hetreg.networks.pyramid import Pyramid, local_correlation, space_to_depth


def test_space_to_depth_by_hand():
    image = torch.arange(16.0).view(1, 1, 4, 4)
    out = space_to_depth(image)
    assert out.shape == (1, 4, 2, 2)
    assert out[0, :, 0, 0].tolist() == [0.0, 1.0, 4.0, 5.0]
    assert out[0, :, 1, 0].tolist() == [8.0, 9.0, 12.0, 13.0]
    volume = space_to_depth(torch.rand(2, 3, 4, 6, 8))
    assert volume.shape == (2, 24, 2, 3, 4)


@pytest.mark.parametrize("ndim", [2, 3])
def test_local_correlation_is_one_at_the_offset_of_the_match(ndim):
    first = torch.randn((1, 12, *[7] * ndim), generator=torch.Generator().manual_seed(0))
    second = torch.roll(first, 1, dims=-1)  # first(x) = second(x + 1) along the last axis
    found = local_correlation(first, second, 1)
    assert found.shape == (1, 3**ndim, *[7] * ndim)
    middle = (0, slice(None), *[3] * ndim)
    centre = 3**ndim // 2
    assert found[middle].argmax() == centre + 1
    assert found[middle].max().item() == pytest.approx(1.0, abs=1e-4)
    edge = (0, centre + 1, *[3] * (ndim - 1), 6)
    assert found[edge] == 0  # beyond the image


@pytest.mark.parametrize(("ndim", "stride"), [(2, 1), (2, 2), (3, 2)])
def test_it_is_the_sum_of_its_levels_in_voxels_of_its_own_grid(ndim, stride):
    """Heads that each give one voxel of their own level add up to 1 + 2 + 4 ... voxels of the last."""
    network = Pyramid(
        ndim=ndim, out_channels=ndim, encoder=(4, 4), decoder=(4, 4), tail=(4,), output_stride=stride
    )
    for head in (*network.heads, network.head):
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.ones_(head.bias)
    images = torch.rand(2, 1, 1, *[16] * ndim)
    out = network(*images)
    assert out.shape[2:] == (16 // stride,) * ndim
    levels = 2 + (stride == 1)
    torch.testing.assert_close(out, torch.full_like(out, float(2**levels - 1)))


def test_both_images_go_through_one_encoder():
    network = Pyramid(ndim=2, out_channels=2, encoder=(4, 8), decoder=(8, 4), tail=(4,))
    image = torch.rand(1, 1, 16, 16)
    levels = network._features(torch.cat((image, image)))
    for level in levels:
        torch.testing.assert_close(*level.chunk(2))


def test_it_learns_a_shift_from_the_known_displacement():
    torch.manual_seed(0)
    model = RegistrationModel(
        NetworkConfig(
            architecture="pyramid",
            encoder=(8, 8),
            decoder=(8, 8),
            tail=(8,),
            output_stride=2,
            integration_steps=3,
        )
    )
    optimiser = torch.optim.Adam(model.displacement_net.parameters(), 3e-3)
    errors = []
    for _ in range(60):
        moving = torch.nn.functional.interpolate(torch.rand(4, 1, 16, 16), (32, 32), mode="bicubic")
        fixed = torch.roll(moving, -3, dims=3)
        off = model.move(moving, fixed).disp - torch.tensor([0.0, 3.0]).view(1, 2, 1, 1)
        loss = off[..., 6:-6, 6:-6].abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        errors.append(loss.item())
    assert errors[0] > 1.4
    assert sum(errors[-5:]) / 5 < 0.6
