"""What a reproduction's folder holds on to: its patients, the broken ones too, its protocol, all its runs."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import layouts
import pytest
import SimpleITK as sitk
import torch

from builders import assert_sentence
from hetreg.files import sha256
from hetreg.progress import Progress
from hetreg.reproduce import scoring
from hetreg.reproduce.baselines import undeformed
from hetreg.reproduce.config import ReproduceConfig
from hetreg.reproduce.plan import Job
from hetreg.reproduce.run import begin, estimate, reproduce

SMALL = ReproduceConfig(
    dataset="acdc",
    methods=("undeformed", "mse"),
    seeds=1,
    budget=1,
    size="tiny",
    batch=1,
    crop=32,
    device="cpu",
)


pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def acdc(tmp_path):
    """Three patients for training, three for the test: one of these cut off, one without Info.cfg."""
    root = tmp_path / "ACDC"
    for number in (1, 2, 3):
        layouts.acdc_patient(root / "training", number)
    for number in (101, 102, 103):
        layouts.acdc_patient(root / "testing", number)
    layouts.cut_off(root / "testing" / "patient102" / "patient102_frame01.nii.gz", keep=0.01)
    (root / "testing" / "patient103" / "Info.cfg").unlink()
    return root


def unusable_voxels(path) -> None:
    """No voxel of the file is a number from now on; its header does not tell."""
    image = sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkFloat32)
    sitk.WriteImage(image * float("nan"), str(path))


def refuse(*_, **__):
    raise AssertionError("this was measured before")


def test_a_test_patient_with_broken_files_is_a_row_and_a_line(acdc, tmp_path, monkeypatch):
    files = reproduce(replace(SMALL, root=str(acdc)), tmp_path / "out")
    split = json.loads((tmp_path / "out" / "split.json").read_text())
    assert split["test"] == ["patient101", "patient102", "patient103"]
    trained = json.loads((tmp_path / "out" / "split-seed0.json").read_text())
    assert trained["test"] == ["patient101"]
    text = files["README"].read_text(encoding="utf-8").split("## Tables")[0]
    assert text.count("- test case patient10") == 2
    assert "2 of 2 times" in text
    (row,) = [r for r in files["table1-acdc.md"].read_text().splitlines() if "| MSE |" in r]
    assert row.split("|")[-3].strip() == "2"  # missing
    with monkeypatch.context() as patch:  # they are broken for good: nothing is measured again
        patch.setattr(scoring, "evaluate", refuse)
        again = reproduce(replace(SMALL, root=str(acdc)), tmp_path / "out")
        assert again["README"].read_text(encoding="utf-8").startswith(text)
    shutil.rmtree(acdc / "testing" / "patient102")
    layouts.acdc_patient(acdc / "testing", 102)  # mended: it is measured the next time
    files = reproduce(replace(SMALL, root=str(acdc)), tmp_path / "out")
    assert files["README"].read_text(encoding="utf-8").count("- test case patient10") == 1


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (ValueError("elastix failed: RuntimeError: Too many samples map outside."), True),
        (ValueError("elastix failed: its process ended."), False),
        (MemoryError(), False),
        (RuntimeError("CUDA error: unspecified launch failure"), False),
    ],
)
def test_a_case_that_may_not_fail_again_is_measured_again(tmp_path, monkeypatch, error, kept):
    def register(self, job, progress):
        def one(case):
            if case.name.endswith("1"):
                raise error
            return undeformed(case)

        return one

    monkeypatch.setattr(scoring.Scorer, "register", register)
    config = replace(SMALL, dataset="phantom", methods=("undeformed",), test_phantoms=2, phantoms=3)
    job = Job("undeformed", "", "undeformed", 0, None)
    with scoring.Scorer(config, tmp_path) as scorer:
        score = scorer.score(job, "phantom:mri2d", "", Progress())
    assert [bool(row["error"]) for row in score.rows] == [False, True]
    assert bool(list((tmp_path / "scores").glob("*"))) == kept


def test_voxels_beside_an_mhd_are_of_its_content(tmp_path):
    (tmp_path / "a.mhd").write_text("ElementDataFile = a.raw\n")
    (tmp_path / "a.raw").write_bytes(b"cut off")
    before = scoring._content(tmp_path / "a.mhd")
    (tmp_path / "a.raw").write_bytes(b"mended")
    assert scoring._content(tmp_path / "a.mhd") != before
    (tmp_path / "a.nii").write_bytes(b"other")
    assert scoring._content(tmp_path / "a.nii") == sha256(tmp_path / "a.nii").encode()  # as kept before


@pytest.mark.parametrize("protocol", ["native", "published"])
def test_a_training_pair_with_unusable_voxels_is_a_line(acdc, tmp_path, protocol):
    unusable_voxels(acdc / "training" / "patient002" / "patient002_frame01.nii.gz")
    files = reproduce(replace(SMALL, root=str(acdc), protocol=protocol), tmp_path / "out")
    left_out = json.loads((tmp_path / "out" / "left_out.json").read_text())
    assert [case.startswith("patient002") for case in left_out] == [True]
    text = files["README"].read_text(encoding="utf-8").split("## Tables")[0]
    assert "- pair patient002" in text
    assert "No run trains on it." in text
    assert "patient002" not in (tmp_path / "out" / "split-seed0.json").read_text()
    shutil.rmtree(acdc / "training" / "patient002")
    layouts.acdc_patient(acdc / "training", 2)  # mended: it is used again, and no longer named
    shutil.rmtree(tmp_path / "out" / "runs")
    files = reproduce(replace(SMALL, root=str(acdc), protocol=protocol), tmp_path / "out")
    assert "- pair" not in files["README"].read_text(encoding="utf-8")


def test_a_process_that_begins_meanwhile_does_no_harm_to_the_others_runs(acdc, tmp_path):
    unusable_voxels(acdc / "training" / "patient003" / "patient003_frame01.nii.gz")
    config = replace(SMALL, root=str(acdc), methods=("mse", "ours"))
    told = []

    def emit(kind, **fields):
        told.append(fields.get("state"))
        if told[-1] == "trained":
            begin(config, tmp_path / "out")  # writes the patients anew, the unusable one with them

    files = reproduce(config, tmp_path / "out", emit=emit)
    assert told.count("trained") == 2
    assert "failed" not in told
    assert "patients that the data do not have" not in files["README"].read_text(encoding="utf-8")


def test_what_the_device_has_not_is_refused_before_anything_is_trained(acdc, tmp_path):
    config = replace(SMALL, root=str(acdc), compile=True)
    with pytest.raises(ValueError, match="NVIDIA"):
        reproduce(config, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_what_was_trained_elsewhere_in_another_precision_is_finished_here(acdc, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    config = replace(SMALL, root=str(acdc), amp=True)
    reproduce(config, tmp_path / "out")
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    shutil.rmtree(tmp_path / "out" / "scores", ignore_errors=True)
    for again in (config, replace(config, amp=False)):
        assert reproduce(again, tmp_path / "out")["README"].is_file()
    with pytest.raises(ValueError, match="bfloat16"):
        reproduce(replace(config, methods=("undeformed", "ours")), tmp_path / "out")


def test_torchrun_is_refused(acdc, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="torchrun") as error:
        reproduce(replace(SMALL, root=str(acdc)), tmp_path / "out")
    assert_sentence(error.value, "several calls with the same output folder")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("protocol", ["native", "published"])
def test_a_training_pair_with_a_broken_file_is_a_line(acdc, tmp_path, protocol):
    layouts.cut_off(acdc / "training" / "patient002" / "patient002_frame01.nii.gz", keep=0.01)
    files = reproduce(replace(SMALL, root=str(acdc), protocol=protocol), tmp_path / "out")
    (line,) = [r for r in files["README"].read_text(encoding="utf-8").splitlines() if r.startswith("- pair")]
    assert "patient002" in line
    kept = json.loads((tmp_path / "out" / "split.json").read_text())
    counts = {n: len({*kept[n]} - {"patient002"}) for n in kept}
    assert ", ".join(f"{n} ({n}) in {part}" for part, n in counts.items()) in told(files)


def test_another_protocol_does_not_reuse_what_was_trained(acdc, tmp_path):
    reproduce(replace(SMALL, root=str(acdc), protocol="native"), tmp_path / "out")
    kept = (tmp_path / "out" / "reproduce.json").read_bytes()
    with pytest.raises(ValueError, match="protocol 'native', not 'published'") as error:
        reproduce(replace(SMALL, root=str(acdc), protocol="published"), tmp_path / "out")
    assert_sentence(error.value, "another output folder")
    assert (tmp_path / "out" / "reproduce.json").read_bytes() == kept


def test_another_split_file_than_before_is_refused_and_the_same_is_not(acdc, tmp_path):
    config = replace(SMALL, root=str(acdc))
    files = reproduce(config, tmp_path / "out")
    line = "- ACDC, patients (pairs): 2 (2) in training, 1 (1) in validation, 3 (3) in test; "
    assert f"{line}test by the data set, validation drawn." in told(files)
    file = tmp_path / "split.json"
    file.write_bytes((tmp_path / "out" / "split.json").read_bytes())
    files = reproduce(replace(config, split=str(file)), tmp_path / "out")
    assert f"{line}by the file split.json." in told(files)
    parts = json.loads(file.read_text())
    parts["validation"], parts["training"] = parts["training"], parts["validation"]
    file.write_text(json.dumps(parts))
    with pytest.raises(ValueError, match="other training patients") as error:
        reproduce(replace(config, split=str(file)), tmp_path / "out")
    assert_sentence(error.value, "split.json")


def test_a_split_file_need_not_name_a_patient_that_is_lost(acdc, tmp_path):
    file = tmp_path / "named.json"
    parts = {"training": ["patient001"], "validation": ["patient002"], "test": ["patient003", "patient101"]}
    file.write_text(json.dumps(parts))
    config = replace(SMALL, root=str(acdc), methods=("undeformed",))
    reproduce(replace(config, split=str(file)), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "split.json").read_text()) == parts
    assert "2 (2) in test; by the split.json of an earlier call." in told(reproduce(config, tmp_path / "out"))


def test_the_time_of_runs_that_only_chose_lambda_is_counted(tmp_path):
    config = replace(
        SMALL, dataset="phantom", methods=("mse",), phantoms=3, test_phantoms=1, sweep_lambda=True
    )
    files = reproduce(replace(config, lambdas=(0.01, 0.1, 1.0)), tmp_path)
    assert "3 finished runs" in files["README"].read_text(encoding="utf-8")


def told(files) -> str:
    """What README.md says before its tables."""
    return files["README"].read_text(encoding="utf-8").split("## Tables")[0]


def test_changed_test_data_are_measured_again(acdc, tmp_path, monkeypatch):
    config = replace(SMALL, root=str(acdc), methods=("undeformed",))
    before = reproduce(config, tmp_path / "out")["table1-acdc.csv"].read_text()
    monkeypatch.setattr(scoring, "_MEASURED", "otherwise")
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "evaluate", refuse)
        with pytest.raises(AssertionError, match="measured before"):
            reproduce(config, tmp_path / "out")
    assert reproduce(config, tmp_path / "out")["table1-acdc.csv"].read_text() == before
    labels = acdc / "testing" / "patient101" / "patient101_frame09_gt.nii.gz"
    image = sitk.ReadImage(str(labels))
    sitk.WriteImage(sitk.BinaryErode(image, [1, 1, 0], sitk.sitkBall, 0, 2), str(labels))
    assert reproduce(config, tmp_path / "out")["table1-acdc.csv"].read_text() != before


def test_it_goes_on_where_the_data_lie_elsewhere_and_a_patient_has_come(acdc, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = replace(SMALL, root="ACDC", methods=("mse",))
    reproduce(config, tmp_path / "out")
    kept = ReproduceConfig.load(tmp_path / "out" / "reproduce.json")
    assert kept == replace(config, root=str(acdc))
    moved = tmp_path / "moved"
    acdc.rename(moved)
    layouts.acdc_patient(moved / "training", 4)
    layouts.acdc_patient(moved / "testing", 104)
    monkeypatch.chdir("/")
    again = replace(kept, root=str(moved), methods=("mse", "ours"))
    seen = []
    files = reproduce(again, tmp_path / "out", emit=lambda _, **fields: seen.append(fields))
    assert [f["run"].split("-")[1] for f in seen if f.get("state") == "trained"] == ["ours"]
    for late in ("patient004", "patient104"):
        assert f"- pair {late}: It was not there when the reproduction began." in told(files)
    for name in ("split.json", "split-seed0.json"):
        text = (tmp_path / "out" / name).read_text()
        assert "patient003" in text
        assert "patient004" not in text
        assert "patient104" not in text


def test_a_dry_run_leaves_the_choice_of_patients_open(acdc, tmp_path):
    config = replace(SMALL, root=str(acdc))
    assert len(list(estimate(config, tmp_path / "out", Progress()))) == 2
    assert not (tmp_path / "out").exists()


def test_tables_and_figures_of_an_earlier_call_go(acdc, tmp_path):
    config = replace(SMALL, root=str(acdc), methods=("undeformed",))
    reproduce(config, tmp_path / "out")
    for name in ("tables/table4-acdc.md", "tables/training-log.md", "figures/figure9.png"):
        (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "out" / name).write_text("earlier")
    files = reproduce(config, tmp_path / "out")
    there = {p.name for p in (tmp_path / "out" / "tables").iterdir()}
    assert there == {n for n in files if n.endswith((".md", ".csv", ".tex"))} | {"training-log.md"}
    assert not (tmp_path / "out" / "figures" / "figure9.png").exists()
