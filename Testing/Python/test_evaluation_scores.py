"""The numbers of one case, on cases made by hand and on phantoms with their truth."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from squares import PHANTOM, shifted, square_case, true_field, undeformed

from builders import assert_sentence, sampled, tiny_model
from hetreg.assemble import result_from_field
from hetreg.evaluate import evaluate, score
from hetreg.evaluation.noise import frame
from hetreg.evaluation.truth import _displacement_coverage
from hetreg.register import register_pair


def test_a_square_that_moves_two_voxels():
    row = score(square_case(), undeformed(square_case())).row
    assert row["dice_2"] == row["dice_2_before"] == pytest.approx(0.8)  # 2 * 80 / 200
    assert (row["hd_px_2"], row["hd_mm_2"], row["hd95_mm_2"]) == (2.0, 4.0, 4.0)
    # of 36 surface voxels 10 at the left are 2 off, 2 beside them 1; at the right 6 are 2 and 2 are 1 off
    assert row["asd_px_2"] == pytest.approx((10 * 2 + 2 * 1 + 6 * 2 + 2 * 1) / 36)
    assert row["asd_mm_2"] == pytest.approx(2 * row["asd_px_2"])
    assert row["folding_percent"] == 0.0
    assert row["sd_log_jacobian"] == 0.0
    assert row["displacement_max_mm"] == 0.0


def test_the_right_translation_brings_the_square_home():
    found = score(square_case(), shifted(square_case()))
    row = found.row
    assert row["dice_2"] == row["dice_published_2"] == 1.0
    assert row["hd_px_2"] == row["asd_mm_2"] == row["hd_published_px_2"] == 0.0
    assert row["dice_2_before"] == pytest.approx(0.8)
    assert row["displacement_mean_mm"] == pytest.approx(4.0)
    assert row["mse_after"] < 0.1 * row["mse_before"]  # not 0: the last columns come from the other side
    (only,) = found.slices
    assert (only["case"], only["patient"], only["slice"]) == ("a", "p", 0)
    assert {n: v for n, v in row.items() if "_2" in n} == {n: v for n, v in only.items() if "_2" in n}


def test_any_weight_is_foreground_by_the_published_policy_alone():
    row = score(square_case(), shifted(square_case(), 2.25)).row  # a quarter voxel too far
    assert row["dice_2"] == 1.0  # weights 0.75 and 0.25 at the ends
    assert row["dice_published_2"] == pytest.approx(2 * 100 / 210)
    assert (row["hd_px_2"], row["hd_published_px_2"]) == (0.0, 1.0)


def test_of_a_stack_the_volume_is_measured_and_the_slices_with_both_labels():
    case = square_case(3, there=(0, 1))  # the moving label is in all three slices
    found = score(case, shifted(case))
    row = found.row
    assert row["dice_2"] == pytest.approx(2 * 200 / 500)
    assert row["hd_mm_2"] == pytest.approx(8.0)  # one slice apart
    assert (row["slices_2"], row["slices_left_out_2"]) == (2, 1)
    assert row["hd_px_2"] == row["hd95_px_2"] == 0.0  # in the mean over slices: between them is no pixel
    assert [s["slice"] for s in found.slices] == [0, 1]
    assert all(s["dice_2"] == 1.0 and s["hd_px_2"] == 0.0 for s in found.slices)
    assert row["dice_published_2"] == 1.0


def test_a_label_that_one_frame_lacks_has_no_numbers_but_is_counted():
    for slices in (1, 3):
        case = square_case(slices)
        empty = case.moving_label.like(0 * case.moving_label.array, "l")
        lack = [{name: image} for name in ("moving_label", "fixed_label") for image in (empty, None)]
        for labels in lack:
            lacking = replace(case, **labels)
            found = score(lacking, undeformed(lacking))
            assert not [n for n in found.row if n.startswith(("dice", "hd", "asd"))]
            assert found.row["slices_left_out_2"] == slices
            assert found.slices == []
    gone = score(square_case(), shifted(square_case(), 40.0))  # that it was moved out is no lack
    assert gone.row["dice_2"] == gone.slices[0]["dice_published_2"] == 0.0


def test_a_slice_that_is_moved_out_of_the_image_is_counted():
    case = square_case(3)
    disp = np.zeros((3, *case.fixed.array.shape))
    disp[2] = 2.0
    disp[2, 1] = 40.0
    row = score(case, result_from_field(case.fixed, case.moving, disp)).row
    assert (row["slices_2"], row["slices_left_out_2"], row["slices_lost_2"]) == (3, 0, 1)
    assert row["hd_px_2"] == row["asd_published_px_2"] == 0.0  # of the other two
    assert score(case, shifted(case)).row["slices_lost_2"] == 0


@pytest.mark.parametrize("offset", [0.0, 500.0, -1000.0])
def test_what_the_moving_image_does_not_cover_is_dark_before_and_after(offset):
    case = square_case()
    half = case.moving.array[:, :, :20] + np.float32(offset)
    case = replace(
        case,
        fixed=case.fixed.like(case.fixed.array + np.float32(offset), "f"),
        moving=replace(case.moving, array=np.ascontiguousarray(half)),
    )
    row, mask = score(case, undeformed(case)).row, frame(case, undeformed(case)).mask
    assert row["mse_after"] == pytest.approx(row["mse_before"])
    assert row["ncc_after"] == pytest.approx(row["ncc_before"])
    assert mask[..., :20].any()
    assert not mask[..., 20:].any()
    assert not frame(case, shifted(case)).mask[..., 18:].any()  # two voxels further in the moving image


def test_labels_are_all_or_those_that_are_chosen():
    case = square_case()
    fixed, moving = case.fixed_label.array.copy(), case.moving_label.array.copy()
    fixed[0, :3, :3], moving[0, :3, :3] = 1, 1
    case = replace(
        case,
        fixed_label=case.fixed_label.like(fixed, "l"),
        moving_label=case.moving_label.like(moving, "l"),
    )
    assert {n for n in score(case, undeformed(case)).row if n[:5] == "dice_" and n[5:].isdigit()} == {
        "dice_1",
        "dice_2",
    }
    assert "dice_1" not in score(case, undeformed(case), [2]).row
    many = case.fixed_label.like(np.arange(32 * 32).reshape(1, 32, 32).astype(np.uint8), "many")
    with pytest.raises(ValueError, match="labels") as caught:
        score(replace(case, fixed_label=many), undeformed(case))
    assert_sentence(caught.value, "255", "32")


def test_a_case_without_labels_has_the_other_numbers():
    case = replace(square_case(), fixed_label=None)
    found = score(case, undeformed(case))
    assert not [n for n in found.row if n.startswith(("dice", "hd", "asd"))]
    assert found.slices == []
    assert {"mse_before", "ncc_after", "folding_percent"} <= found.row.keys()


def test_numbers_of_the_images_do_not_depend_on_their_unit():
    case = square_case()
    rows = []
    for factor in (1.0, 300.0):
        images = [i.like(factor * i.array + 7, i.name) for i in (case.fixed, case.moving)]
        scaled = replace(case, fixed=images[0], moving=images[1])
        rows.append(score(scaled, register_pair(*images, tiny_model())).row)
    for name in ("mse_before", "mse_after", "ncc_after", "ause_mask", "nll", "ence", "coverage95"):
        assert rows[0][name] == pytest.approx(rows[1][name], rel=1e-3)


def test_numbers_are_in_parts_of_the_range_that_the_protocol_names():
    plain, tenth = (
        score(c, undeformed(c)).row for c in (replace(square_case(), scale=s) for s in (1.0, 10.0))
    )
    case = square_case()
    assert plain["mse_before"] == pytest.approx(
        np.mean((case.fixed.array - case.moving.array) ** 2), rel=1e-4
    )
    assert tenth["mse_before"] == pytest.approx(plain["mse_before"] / 100)


def test_a_field_that_does_not_fit_is_refused():
    case = square_case()
    for wrong in (np.zeros((2, 1, 32, 32)), np.full((3, 1, 32, 32), np.nan)):
        with pytest.raises(ValueError, match="field") as caught:
            result_from_field(case.fixed, case.moving, wrong)
        assert_sentence(caught.value, "(3, 1, 32, 32)")
    with pytest.raises(ValueError, match="image are the same"):
        result_from_field(case.fixed, case.fixed, np.zeros((3, *case.fixed.array.shape), np.float32))


def test_the_true_field_has_no_error_and_no_displacement_has_the_error_before():
    best, none = (evaluate(PHANTOM, register=r).rows for r in (true_field, undeformed))
    for exact, still in zip(best, none, strict=True):
        assert exact["epe_vox_myocardium"] == pytest.approx(0.0, abs=1e-6)
        assert exact["epe_mm_body"] == pytest.approx(0.0, abs=1e-6)
        assert exact["dice_2"] > still["dice_2"]
        for name in ("dice_2", "hd95_mm_2", "epe_vox_myocardium", "epe_mm_body"):
            before = f"{name}_before"
            assert still[name] == pytest.approx(still[before])
            assert exact[before] == pytest.approx(still[before])
        assert "nll" not in still  # no variance was given
        assert still["mse_after"] == pytest.approx(still["mse_before"])


def test_the_end_point_error_of_a_field_that_is_off_by_one_voxel():
    def off(case):
        disp = case.truth.disp_vox.copy()
        disp[1] += 1.0
        return result_from_field(case.fixed, case.moving, disp)

    evaluation = evaluate(replace(PHANTOM, phantoms=1), register=off)
    (row,), (picture,) = evaluation.rows, evaluation.pictures
    assert row["epe_vox_myocardium"] == pytest.approx(1.0, abs=1e-5)
    assert row["epe_mm_body"] == pytest.approx(picture.case.fixed.spacing_mm[1], abs=1e-4)


@pytest.mark.parametrize("kind", ["mri2d", "echo2d"])
def test_the_true_variance_is_as_good_as_the_true_variance(kind):
    def oracle(case):
        return replace(true_field(case), noise_variance=case.truth.residual_variance)

    rows = evaluate(replace(PHANTOM, kind=kind, phantom_size=64), register=oracle, pictures=False).rows
    for row in rows:
        assert row["spearman_truth"] == pytest.approx(1.0)
        for name in ("nll", "coverage68", "coverage95", "ence", "ause_mask_normalised"):
            assert row[f"{name}_truth"] == pytest.approx(row[f"{name}_true_variance"])
        assert 90 < row["coverage95_truth"] < 99
        assert row["coverage68_truth"] == pytest.approx(68, abs=8)
        assert row["ence_truth"] < 0.2

    def scanner(case):  # the field is wrong, but the true noise is that of the true field
        return replace(undeformed(case), noise_variance=case.truth.noise_variance)

    wrong = evaluate(replace(PHANTOM, kind=kind, phantom_size=64), register=scanner, pictures=False).rows
    for row, right in zip(wrong, rows, strict=True):
        assert row["nll_true_variance"] == right["nll_true_variance"]
        assert row["spearman_noise"] == pytest.approx(1.0)
        assert row["spearman_truth"] < 0.9999

    def doubled(case):
        variance = case.truth.residual_variance
        return replace(true_field(case), noise_variance=variance.like(4 * variance.array, "v"))

    for row in evaluate(replace(PHANTOM, kind=kind, phantom_size=64), register=doubled, pictures=False).rows:
        assert row["nll_truth"] > row["nll_true_variance"] + 0.1
        assert row["coverage68_truth"] > 90  # +-2 SD
        assert row["ence_truth"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("ndim", [2, 3])
def test_errors_as_large_as_their_sd_says_are_covered_in_planes_and_in_volumes(ndim):
    image = sampled((20, 25, 30), (1.5, 1.5, 1.5))
    shape = image.array.shape
    true = np.zeros((3, *shape))
    true[3 - ndim :] = 2.0
    error = np.random.default_rng(0).normal(0, 0.4, true.shape) * (true > 0)
    heart = image.like(np.full(shape, 2), "l")
    truth = SimpleNamespace(fixed=image, fixed_label=heart, body=heart, disp_vox=true)
    sd = image.like(np.full(shape, 0.4 * 1.5 * np.sqrt(ndim)), "sd")
    found = _displacement_coverage(truth, SimpleNamespace(disp_vox=true + error, displacement_sd_mm=sd))
    assert found["displacement_coverage95"] == pytest.approx(95, abs=1)
    assert found["displacement_coverage68"] == pytest.approx(68, abs=1)


def test_the_displacement_sd_is_checked_against_the_true_error():
    def promise(sd_mm):
        def register(case):
            disp = case.truth.disp_vox.copy()
            disp[1:] += np.random.default_rng(0).normal(0, 1, disp[1:].shape)
            result = result_from_field(case.fixed, case.moving, disp)
            spacing = case.fixed.spacing_mm
            length = np.full(case.fixed.array.shape, sd_mm * np.hypot(spacing[0], spacing[1]))
            return replace(result, displacement_sd_mm=case.fixed.like(length, "sd"))

        return evaluate(replace(PHANTOM, phantoms=1, phantom_size=96), register=register).rows[0]

    right = promise(1.0)
    assert right["displacement_coverage95"] == pytest.approx(95, abs=3)
    assert right["displacement_coverage68"] == pytest.approx(68, abs=5)
    assert promise(0.5)["displacement_coverage95"] < 60
    assert promise(2.0)["displacement_coverage95"] > 99
