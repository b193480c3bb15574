"""Looking up single positions of a field."""

from __future__ import annotations

import torch

from hetreg import spatial


def test_sample_points_is_linear_inside_and_clamped_outside():
    field = torch.arange(12.0).view(1, 1, 3, 4).repeat(2, 1, 1, 1)
    field[1] += 100
    points = torch.tensor([[0.0, 0.0], [-3.0, 9.0], [1.5, 2.25], [2.0, 3.0]])
    batch = torch.tensor([0, 0, 1, 1])
    values = spatial.sample_points(field, batch, points)[:, 0]
    torch.testing.assert_close(values, torch.tensor([0.0, 3.0, 108.25, 111.0]))
    assert spatial.sample_points(field, batch[2:], points[2:])[:, 0].tolist() == values[2:].tolist()
    volumes = field.unsqueeze(2).repeat(1, 1, 3, 1, 1) + 10 * torch.arange(3.0).view(3, 1, 1)
    deep = torch.cat((torch.tensor([[0.0], [2.0], [0.5], [7.0]]), points), dim=1)
    values = spatial.sample_points(volumes, batch, deep)[:, 0]
    torch.testing.assert_close(values, torch.tensor([0.0, 23.0, 113.25, 131.0]))
