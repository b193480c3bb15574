"""Evaluation: numbers of cases made by hand, failures as rows, files whole or not at all."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from layouts import acdc_patient, camus_patient, cut_off, mitea

from builders import assert_sentence, sampled, spread_model, tiny_model
from hetreg.assemble import result_from_field
from hetreg.config import EvaluateConfig
from hetreg.evaluate import evaluate, score, write
from hetreg.evaluation.case import Case
from hetreg.image import Image, read_image, write_image
from hetreg.progress import Cancelled, Progress
from hetreg.register import register_pair

PHANTOM = EvaluateConfig(phantoms=2, phantom_size=32)


def undeformed(case):
    """No displacement."""
    return result_from_field(case.fixed, case.moving, np.zeros((3, *case.fixed.array.shape)))


def shifted(case, by: float = 2.0):
    """Each voxel is `by` voxels further along the last axis in the moving image."""
    disp = np.zeros((3, *case.fixed.array.shape))
    disp[2] = by
    return result_from_field(case.fixed, case.moving, disp)


def true_field(case):
    """The phantom's own displacement."""
    return result_from_field(case.fixed, case.moving, case.truth.disp_vox)


def square(slices: int = 1, *, start: int = 10, there: tuple[int, ...] = (), value: int = 2) -> Image:
    """Label with a square of 10 x 10 voxels from `start` along i, in these slices (all), 2 x 2 x 8 mm."""
    image = sampled((32, 32, slices), (2.0, 2.0, 8.0))
    array = np.zeros(image.array.shape, np.uint8)
    array[list(there or range(slices)), 11:21, start : start + 10] = value
    return image.like(array, "label")


def square_case(slices: int = 1, **fixed) -> Case:
    """The fixed square lies 2 voxels before the moving one; the images are as smooth as they get."""
    image = sampled((32, 32, slices), (2.0, 2.0, 8.0))
    moved = image.like(np.roll(image.array, 2, axis=2), "moving")
    return Case("a", "p", image, moved, square(slices, **fixed), square(slices, start=12))


def write_squares(folder: Path, *cases: str, labels: bool = True) -> Path:
    """Pairs <case>_ED, <case>_ES of `square_case`, with labels."""
    folder.mkdir(exist_ok=True)
    for name in cases:
        case = square_case()
        images = {"ES": case.fixed, "ED": case.moving}
        images |= {"ES_seg": case.fixed_label, "ED_seg": case.moving_label} if labels else {}
        for end, image in images.items():
            write_image(image, folder / f"{name}_{end}.nrrd")
    return folder


def folder_config(folder: Path, **changes) -> EvaluateConfig:
    return EvaluateConfig(**{"dataset": "pairs", "root": str(folder), "split": "all"} | changes)


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
    assert "hd_px_2" not in row  # a voxel is no length in a stack
    assert [s["slice"] for s in found.slices] == [0, 1]
    assert all(s["dice_2"] == 1.0 and s["hd_px_2"] == 0.0 for s in found.slices)
    assert row["dice_published_2"] == 1.0


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


def test_there_and_back_is_measured_with_an_inverse():
    case, disp = square_case(), np.zeros((3, 1, 32, 32))
    disp[2] = 1.0
    row = score(case, result_from_field(case.fixed, case.moving, disp, inverse_vox=-disp)).row
    assert row["inverse_consistency_vox"] == pytest.approx(0.0, abs=1e-6)
    row = score(case, result_from_field(case.fixed, case.moving, disp, inverse_vox=0 * disp)).row
    assert row["inverse_consistency_vox"] == pytest.approx(1.0)
    assert row["inverse_consistency_mm"] == pytest.approx(2.0)
    assert "inverse_consistency_vox" not in score(case, undeformed(case)).row


def test_a_field_that_does_not_fit_is_refused():
    case = square_case()
    for wrong in (np.zeros((2, 1, 32, 32)), np.full((3, 1, 32, 32), np.nan)):
        with pytest.raises(ValueError, match="field") as caught:
            result_from_field(case.fixed, case.moving, wrong)
        assert_sentence(caught.value, "(3, 1, 32, 32)")


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
        for name in ("nll", "coverage68", "coverage95", "ence"):
            assert row[f"{name}_truth"] == pytest.approx(row[f"{name}_true_variance"])
        assert 90 < row["coverage95_truth"] < 99
        assert row["ence_truth"] < 0.2

    def doubled(case):
        variance = case.truth.residual_variance
        return replace(true_field(case), noise_variance=variance.like(4 * variance.array, "v"))

    for row in evaluate(replace(PHANTOM, kind=kind, phantom_size=64), register=doubled, pictures=False).rows:
        assert row["nll_truth"] > row["nll_true_variance"] + 0.1
        assert row["coverage68_truth"] > 90  # +-2 SD
        assert row["ence_truth"] == pytest.approx(0.5, abs=0.1)


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


def test_a_model_with_sigma_z_is_measured_too():
    row = evaluate(replace(PHANTOM, phantoms=1), model=spread_model()).rows[0]
    assert row["error"] == ""
    assert 0 <= row["displacement_coverage95"] <= 100


def test_every_case_goes_through_register_pair_with_the_configuration(monkeypatch):
    seen = []

    def spy(*arguments, **options):
        seen.append(arguments)
        return register_pair(*arguments, **options)

    monkeypatch.setattr("hetreg.evaluate.register_pair", spy)
    model = tiny_model(rough=1.0)
    rows = evaluate(replace(PHANTOM, refine=1, inverse=False), model=model, pictures=False).rows
    assert len(seen) == len(rows) == 2
    assert {a[2] for a in seen} == {model}
    assert {(a[3].refine, a[3].inverse) for a in seen} == {(1, False)}
    assert all(row["seconds"] > 0 and row["peak_memory_mb"] > 10 for row in rows)


def test_a_case_that_fails_is_a_row_with_its_reason(tmp_path):
    folder = write_squares(tmp_path / "data", *"abcdefg")
    cut_off(folder / "b_ES.nrrd")  # unreadable voxels
    (folder / "c_ED.nrrd").write_text("no image")  # unreadable header
    (folder / "d_ES.nrrd").unlink()
    far = read_image(folder / "e_ES_seg.nrrd")
    matrix = far.ijk_to_lps.copy()
    matrix[:3, 3] += 1000
    write_image(replace(far, ijk_to_lps=matrix), folder / "e_ES_seg.nrrd")  # labels of another place
    write_image(far.like(far.array.astype(np.int16) - 1, "l"), folder / "f_ED_seg.nrrd")

    def register(case):
        if case.name == "g":
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: 9 TB")
        return undeformed(case)

    told = []
    evaluation = evaluate(
        folder_config(folder), register=register, emit=lambda kind, **row: told.append((kind, row))
    )
    rows = {row["case"]: row for row in evaluation.rows}
    assert [("case", row) for row in evaluation.rows] == told
    assert sorted(rows) == list("abcdefg")
    assert rows["a"]["error"] == ""
    for case, words in {
        "b": ("b_ES.nrrd", "could not be read"),
        "c": ("c_ED.nrrd",),
        "d": ("d has no image", "end-systole"),
        "e": ("e_ES_seg.nrrd",),
        "f": ("f_ED_seg.nrrd", "0 to 255"),
        "g": ("memory", "not enough"),
    }.items():
        assert_sentence(rows[case]["error"], *words)
        assert "dice_2" not in rows[case]
    assert evaluation.summary["counts"] == {
        "cases": 7,
        "failed": 6,
        "patients": 7,
        "slices": 1,
        "refused": 4,
    }
    dice = evaluation.summary["cases"]["dice_2"]
    assert (dice["n"], dice["missing"], dice["mean"]) == (1, 6, pytest.approx(0.8))
    assert {f["case"] for f in evaluation.summary["failed"]} == set("bcdefg")


def test_an_error_of_a_hook_names_its_kind_and_cancelling_goes_through():
    def fail(case):
        return {}["nothing"]

    rows = evaluate(PHANTOM, register=fail).rows
    assert [row["error"] for row in rows] == ["KeyError: 'nothing'"] * 2

    def cancel(case):
        raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        evaluate(PHANTOM, register=cancel)
    with pytest.raises(Cancelled):
        evaluate(PHANTOM, Progress(cancelled=lambda: True), model=tiny_model())


def test_means_are_over_cases_and_over_patients(tmp_path):
    folder = write_squares(tmp_path / "data", "a_scan1", "a_scan2", "b")

    def register(case):
        return shifted(case) if case.name == "b" else undeformed(case)

    evaluation = evaluate(folder_config(folder), register=register)
    assert [(p["patient"], p["cases"], p["failed"]) for p in evaluation.patients] == [
        ("a", 2, 0),
        ("b", 1, 0),
    ]
    assert [p["dice_2"] for p in evaluation.patients] == [pytest.approx(0.8), 1.0]
    summary = evaluation.summary
    assert summary["cases"]["dice_2"]["mean"] == pytest.approx((0.8 + 0.8 + 1.0) / 3)
    assert summary["patients"]["dice_2"]["mean"] == pytest.approx(0.9)
    assert summary["cases"]["dice_2"]["median"] == pytest.approx(0.8)
    assert summary["patients"]["dice_2"]["sd"] == pytest.approx(0.2 / math.sqrt(2))
    assert summary["cases"]["dice_2"]["low"] == pytest.approx(0.8)
    assert summary["cases"]["dice_2"]["high"] == pytest.approx(1.0)
    assert (evaluation.label, evaluation.ranked_by) == (2, "dice_2")
    assert evaluation.pictures[0].case.name == "b"
    assert [p.role for p in evaluation.pictures] == ["best", "median", "worst"]


def test_a_folder_without_labels_is_ranked_by_correlation(tmp_path):
    folder = write_squares(tmp_path / "data", "a", "b", labels=False)
    evaluation = evaluate(folder_config(folder), model=tiny_model())
    assert (evaluation.label, evaluation.ranked_by) == (0, "ncc_after")
    assert evaluation.slices == []
    assert [row["error"] for row in evaluation.rows] == ["", ""]
    assert "slices" not in write(evaluation, tmp_path / "out")


def test_a_chosen_label_that_is_nowhere_is_noted(tmp_path):
    folder = write_squares(tmp_path / "data", "a")
    evaluation = evaluate(folder_config(folder, labels="3+2"), register=undeformed)
    assert evaluation.label == 3
    assert [n for n in evaluation.summary["notes"] if "label 3" in n]
    assert evaluation.rows[0]["dice_2"] == pytest.approx(0.8)


def test_curves_are_means_over_the_cases():
    evaluation = evaluate(PHANTOM, model=tiny_model(), pictures=False)
    curve = evaluation.curves["sparsification"]
    assert curve["cases"] == 2
    assert len(curve["fraction"]) == len(curve["by_uncertainty"]) == len(curve["oracle"]) == 100
    assert (curve["oracle"] <= curve["by_uncertainty"] + 1e-12).all()
    assert (np.diff(curve["oracle"]) <= 1e-12).all()
    published = evaluation.curves["sparsification_published"]
    area = float(np.mean(published["by_uncertainty"] - published["oracle"]))
    assert area == pytest.approx(evaluation.summary["cases"]["ause_published"]["mean"])
    assert {"reliability", "coverage", "reliability_truth", "coverage_truth"} <= evaluation.curves.keys()
    assert len(evaluation.curves["coverage"]["level"]) == len(evaluation.curves["coverage"]["found"])


def test_the_files_hold_what_was_found(tmp_path):
    evaluation = evaluate(PHANTOM, model=tiny_model())
    files = write(evaluation, tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {p.name for p in files.values()}
    assert {p.name for p in files.values()} == {"metrics.csv", "slices.csv", "patients.csv", "summary.json"}
    with files["metrics"].open(newline="", encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    assert list(table[0])[:6] == ["case", "patient", "split", "model", "error", "note"]
    assert [row["case"] for row in table] == ["mri2d-50000", "mri2d-50001"]
    assert float(table[0]["dice_2"]) == pytest.approx(evaluation.rows[0]["dice_2"], rel=1e-6)
    summary = json.loads(files["summary"].read_text())
    assert EvaluateConfig.from_dict(summary["config"]) == PHANTOM
    assert {"torch", "hetreg", "numpy"} <= summary["versions"].keys()
    assert summary["models"] == ["tiny"]
    assert summary["device"] == ["cpu"]
    assert summary["curves"]["sparsification"]["cases"] == 2


def test_a_second_evaluation_takes_the_place_of_the_first_or_leaves_it_whole(tmp_path):
    out = tmp_path / "out"
    write(evaluate(PHANTOM, register=undeformed), out, lambda e, path: path.write_text("report"))
    (out / "mine.txt").write_text("stays")
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    assert "report.html" in before
    second = evaluate(folder_config(write_squares(tmp_path / "d", "a", labels=False)), register=undeformed)

    def interrupted(evaluation, path):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(second, out, interrupted)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    write(second, out)
    assert {p.name for p in out.iterdir()} == {"metrics.csv", "patients.csv", "summary.json", "mine.txt"}
    assert (out / "metrics.csv").read_text().count("\n") == 2
    with pytest.raises(OSError, match="could not be written") as caught:
        write(second, out / "mine.txt")
    assert_sentence(caught.value)


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    """Small folders in the official layouts."""
    root = tmp_path_factory.mktemp("layouts")
    for n in (1, 2):
        acdc_patient(root / "acdc" / "training", n)
        camus_patient(root / "camus", n)
    mitea(root / "pairs", 1)
    return root


@pytest.mark.parametrize(
    ("dataset", "patients", "protocol"),
    [
        ("acdc", 2, "native"),
        ("acdc", 2, "published"),
        ("camus", 2, "native"),
        ("camus", 2, "published"),
        ("pairs", 1, "native"),
    ],
)
def test_official_layouts_are_evaluated(layouts, dataset, patients, protocol):
    config = folder_config(layouts / dataset, dataset=dataset, protocol=protocol)
    evaluation = evaluate(config, model=tiny_model(3 if dataset == "pairs" else 2, rough=1.0))
    assert [row["error"] for row in evaluation.rows] == [""] * len(evaluation.rows)
    assert evaluation.summary["counts"]["patients"] == patients
    assert evaluation.label == 2
    for row in evaluation.rows:
        assert 0 <= row["dice_2"] <= 1
        assert row["hd95_mm_2"] > 0
    if protocol == "published":
        assert {p.case.fixed.array.shape for p in evaluation.pictures} == {(1, 128, 128)}
        assert len(evaluation.slices) == len(evaluation.rows)
