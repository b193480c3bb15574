"""Augmentation: what is known of a pair stays true of the changed one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from hetreg.datasets.augment import (
    DARKER_SHARE,
    USUAL,
    WIDE,
    Pairs,
    Reach,
    _darker,
    _random_affine,
    _right_angles,
    _turn_field,
    augment,
)
from hetreg.spatial import ALIGN_CORNERS, warp


def smooth(seed: int, channels: int, ndim: int, reach: float) -> torch.Tensor:
    """(2, channels, 24, ...) smooth random values in +-reach."""
    coarse = torch.rand((2, channels, *[4] * ndim), generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return reach * F.interpolate(coarse, [24] * ndim, mode={2: "bicubic", 3: "trilinear"}[ndim])


def pairs(ndim: int, *, variance: bool = False) -> Pairs:
    """Two pairs whose fixed image is the moving one warped by the known field."""
    moving, disp = 0.5 + smooth(0, 1, ndim, 0.4), smooth(1, ndim, ndim, 1.5)
    fixed = warp(moving, disp, padding="border")
    labels = (fixed > 0.6).float(), (moving > 0.6).float()
    return Pairs(fixed, moving, *labels, disp, torch.full_like(fixed, 0.01) if variance else None)


def inside(image: torch.Tensor) -> torch.Tensor:
    """The middle third, which rotations keep."""
    return image[(..., *[slice(8, 16)] * (image.dim() - 2))]


@pytest.mark.parametrize(("ndim", "any_axis"), [(2, False), (3, False), (3, True)])
@pytest.mark.parametrize("swap", [0.0, 1.0])
def test_the_known_field_still_moves_the_one_onto_the_other(ndim, any_axis, swap, monkeypatch):
    monkeypatch.setattr("hetreg.datasets.augment.JITTER", 0.0)
    reach = Reach(any_axis=any_axis)
    for seed in range(6):
        made = augment(pairs(ndim), torch.Generator().manual_seed(seed), swap=swap, reach=reach)
        moved = warp(made.moving, made.true_disp, padding="border")
        before = inside(made.fixed - made.moving).abs().mean()
        assert inside(made.fixed - moved).abs().mean() < 0.35 * before  # two interpolations when exchanged


def test_a_quarter_turn_turns_the_field_by_hand():
    disp = torch.zeros(1, 2, 5, 5)
    disp[:, 1] = 2.0  # 2 voxels along i
    theta = torch.tensor([[[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]])  # x' = y, y' = -x
    grid = F.affine_grid(theta, [1, 1, 5, 5], align_corners=ALIGN_CORNERS)
    turned = _turn_field(disp, theta, grid)
    torch.testing.assert_close(turned[:, 0], torch.full((1, 5, 5), 2.0))
    torch.testing.assert_close(turned[:, 1], torch.zeros(1, 5, 5), atol=1e-6, rtol=0)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_known_variance_is_kept_by_exact_changes_and_forgotten_by_others(ndim, monkeypatch):
    monkeypatch.setattr("hetreg.datasets.augment.PATCHED", 0.0)
    kept = 0
    for seed in range(10):
        given = pairs(ndim, variance=True)
        made = augment(given, torch.Generator().manual_seed(seed), extra_noise=0.1, swap=1.0)
        known = made.true_variance.flatten(1).isfinite()
        assert (known.all(1) | ~known.any(1)).all()
        for n in known.all(1).nonzero().flatten().tolist():
            kept += 1
            for name in ("fixed", "moving"):  # the same voxels in other places
                before, after = (getattr(p, name)[n].flatten().sort().values for p in (given, made))
                torch.testing.assert_close(before, after, atol=1e-4, rtol=0)
    assert 4 <= kept <= 16


def test_noise_in_patches_raises_the_known_variance_by_its_own(monkeypatch):
    monkeypatch.setattr("hetreg.datasets.augment.PATCHED", 1.0)
    given = Pairs(
        *(torch.full((8, 1, 64, 64), 0.5) for _ in range(2)), true_variance=torch.zeros(8, 1, 64, 64)
    )
    made = augment(given, torch.Generator().manual_seed(0), extra_noise=0.1)
    exact = made.true_variance.flatten(1).isfinite().all(1)
    assert 1 < exact.sum() < 8
    assert (made.moving[exact] == 0.5).all()
    variance, squares = made.true_variance[exact], (made.fixed[exact] - 0.5).square()
    assert variance.max() > 4 * variance[variance > 0].median()
    for strong in (variance > variance.median(), variance <= variance.median()):
        assert float(squares[strong].mean() / variance[strong].mean()) == pytest.approx(1.0, abs=0.1)
    plain = augment(given, torch.Generator().manual_seed(0))
    assert (plain.true_variance[exact] == 0).all()


def test_noise_in_patches_leaves_the_range_alone_and_what_is_not_known(monkeypatch):
    values = torch.linspace(0.0, 1.0, 32 * 32).view(1, 1, 32, 32).expand(16, 1, 32, 32)
    variance = torch.full((16, 1, 32, 32), 0.01)
    variance[::2] = torch.nan
    made = {}
    for share in (0.0, 1.0):
        monkeypatch.setattr("hetreg.datasets.augment.PATCHED", share)
        given = Pairs(values, values, true_variance=variance)
        made[share] = augment(given, torch.Generator().manual_seed(0), extra_noise=0.2, swap=0.0)
    unknown = made[0.0].true_variance.flatten(1).isnan().all(1)
    assert torch.equal(made[0.0].fixed[unknown], made[1.0].fixed[unknown])
    noise = (made[1.0].fixed - made[0.0].fixed)[~unknown]
    assert noise.abs().max() > 0.05
    outside = (made[1.0].fixed < 0) | (made[1.0].fixed > 1)
    assert outside.float().mean() < 0.02
    assert noise[made[0.0].fixed[~unknown] == 0].abs().sum() == 0


@pytest.mark.parametrize("draw", [_random_affine, _right_angles])
def test_a_volume_is_turned_out_of_its_slices_only_where_the_reach_says_so(draw):
    def mixed(any_axis):
        generator = torch.Generator().manual_seed(0)
        drawn = [draw(3, generator, Reach(any_axis=any_axis))[:, :3] for _ in range(40)]
        return torch.stack([m[2, :2].abs().max() > 0.1 for m in drawn]).float().mean()  # z takes from x or y

    assert mixed(False) == 0
    assert 0.5 < mixed(True) < 0.9


def test_axes_are_stretched_as_far_as_the_reach_says():
    def ratios(most):
        generator = torch.Generator().manual_seed(0)
        drawn = [_random_affine(2, generator, Reach(stretch=most))[:, :2] for _ in range(200)]
        lengths = torch.stack([matrix.norm(dim=1) for matrix in drawn])  # of the rows: a rotation, scaled
        return (lengths[:, 0] / lengths[:, 1]).log().abs()

    assert ratios(0.0).max() < 1e-5
    assert 0.3 < ratios(0.2).max() < 0.4 + 1e-5
    assert 0.7 < ratios(0.5).max() < 1.0 + 1e-5


@pytest.mark.parametrize("ndim", [2, 3])
def test_pairs_are_shifted_along_each_axis_by_up_to_a_twentieth_of_the_image(ndim):
    generator = torch.Generator().manual_seed(0)
    shifts = torch.stack([_random_affine(ndim, generator, USUAL)[:, -1] for _ in range(200)])
    assert (shifts.amax(0) > 0.09).all()  # of half the image
    assert (shifts.amin(0) < -0.09).all()
    assert shifts.abs().max() <= 0.1


def test_some_pairs_have_one_darker_image():
    fixed, moving = _darker((4000, 1, 1, 1), torch.Generator().manual_seed(0), 0.5)
    dark = torch.stack((fixed, moving)).flatten(1)
    assert dark.amin() == 0
    assert 0.49 < dark.amax() <= 0.5
    assert (dark > 0).all(0).sum() == 0  # never both
    assert ((dark > 0).float().mean(1) - 0.2).abs().max() < 0.04  # six SD of 4000 draws


def test_labels_follow_their_images_and_stay_whole():
    made = augment(pairs(2), torch.Generator().manual_seed(3), swap=0.0)
    assert set(made.fixed_label.unique().tolist()) <= {0.0, 1.0}
    bright = made.fixed[made.fixed_label == 1].mean()
    assert bright > made.fixed[(made.fixed_label == 0) & (made.fixed > 0)].mean() + 0.1


def test_exchanged_labels_are_exchanged():
    given = Pairs(*(torch.full((3, 1, 8, 8), v) for v in (0.2, 0.8, 1.0, 2.0)))
    made = augment(given, torch.Generator().manual_seed(0), swap=1.0)
    middle = (slice(None), 0, 4, 4)
    assert (made.fixed_label[middle] == 2).all()
    assert (made.moving_label[middle] == 1).all()
    alone = augment(replace(given, moving_label=None), torch.Generator().manual_seed(0), swap=1.0)
    assert (alone.fixed_label[middle] == 0).all()
    assert (alone.moving_label[middle] == 1).all()


def test_extra_noise_has_the_deviation_that_it_says(monkeypatch):
    monkeypatch.setattr("hetreg.datasets.augment.JITTER", 0.0)
    grey = torch.full((64, 1, 16, 16), 0.5)
    generator = torch.Generator().manual_seed(0)
    made = augment(Pairs(grey, grey), generator, extra_noise=0.05, swap=0.0)
    off = (made.fixed - made.moving)[..., 6:10, 6:10].flatten(1).std(1)
    assert off.max() < 1.5 * math.sqrt(2) * 0.05
    assert 0.4 < off.mean() / (math.sqrt(2) * 0.025) < 1.6
    plain = augment(Pairs(grey, grey), torch.Generator().manual_seed(0), swap=0.0)
    assert torch.equal(plain.fixed, plain.moving)


def test_unknown_places_stay_unknown():
    given = pairs(2)
    field = given.true_disp.clone()
    field[0] = math.nan
    made = augment(
        Pairs(given.fixed, given.moving, true_disp=field), torch.Generator().manual_seed(0), swap=1.0
    )
    assert made.true_disp[0].isnan().all()
    assert made.true_disp[1].isfinite().all()


def test_wide_changes_reach_further_than_the_usual_ones():
    grey = torch.full((400, 1, 16, 16), 0.5)
    darkest, ratio, slope = {}, {}, {}
    for reach in (USUAL, WIDE):
        made = augment(Pairs(grey, grey), torch.Generator().manual_seed(0), swap=0.0, reach=reach)
        fixed, moving = (image[..., 6:10, 6:10] for image in (made.fixed, made.moving))
        darkest[reach] = float(fixed.amin())
        ratio[reach] = (fixed.mean((1, 2, 3)) / moving.mean((1, 2, 3))).log().abs()
        slope[reach] = (fixed.amax((1, 2, 3)) / fixed.amin((1, 2, 3))).log()
    # a gamma of e^0.4, and what either image has for itself: e^0.05 more, and a gain of e^-0.05
    assert darkest[USUAL] > 0.5 ** math.exp(0.45) * math.exp(-0.05) - 1e-3 > darkest[WIDE]
    apart = {reach: math.log(2) * math.exp(reach.gamma) * 0.1 + 0.1 + reach.darker for reach in ratio}
    assert ratio[USUAL].max() < apart[USUAL] < ratio[WIDE].max() < apart[WIDE]
    assert 0.1 < (ratio[WIDE] > apart[USUAL]).float().mean() < DARKER_SHARE
    assert slope[USUAL].max() < 1e-3  # no bias field
    assert slope[WIDE].median() > 0.05
