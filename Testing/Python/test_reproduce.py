"""A whole reproduction with tiny networks: it trains what is missing, once, and tells what failed."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import layouts
import numpy as np
import pytest
import torch

from builders import TINY_REPRODUCTION as TINY
from builders import assert_sentence
from hetreg import cli
from hetreg.commands.flags import config_from
from hetreg.model import RegistrationModel
from hetreg.progress import Cancelled, Progress
from hetreg.reproduce import documents, runs, scoring
from hetreg.reproduce.config import ReproduceConfig
from hetreg.reproduce.plan import jobs
from hetreg.reproduce.run import estimate, reproduce

RUNS = ("voxelmorph-ours-lambda0.01-seed0", "voxelmorph-mse-lambda0.01-seed0")


def stopped_at(words: str) -> Progress:
    """Progress that cancels once a message has these words."""
    seen = [""]
    return Progress(lambda _, message: seen.append(message), lambda: words in seen[-1])


def refuse(*_, **__):
    raise AssertionError("this was done before")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, dict[str, Path], list[tuple]]:
    """A finished reproduction: its folder, files and events."""
    folder, events = tmp_path_factory.mktemp("reproduced"), []
    files = reproduce(TINY, folder, emit=lambda kind, **fields: events.append((kind, fields)))
    return folder, files, events


def test_it_trains_tests_and_writes_tables_figures_and_a_readme(made):
    folder, files, events = made
    for name in RUNS:
        assert RegistrationModel.load(folder / "runs" / name / "best.pt").ndim == 2
        assert json.loads((folder / "runs" / name / "done.json").read_text())["steps"] == 3
        assert not (folder / "runs" / name / "last.ckpt").exists()
    trained = [fields for kind, fields in events if fields.get("state") == "trained"]
    assert [(f["run"], f["error"]) for f in trained] == [(name, "") for name in RUNS]
    assert trained[1]["left_to_train"] == "0 s"
    tested = [fields["run"] for kind, fields in events if fields.get("state") == "tested"]
    assert tested == ["undeformed", *RUNS]
    for ending in ("md", "csv", "tex"):
        assert files[f"table1-phantom-mri2d.{ending}"].is_file()
        assert files[f"comparisons.{ending}"].is_file()
    text = files["README"].read_text(encoding="utf-8")
    assert "hetreg reproduce --methods undeformed mse ours --seeds 1" in text
    assert "- Table 1, Phantom, Short-axis cine MRI, 2D, VoxelMorph: 9 comparisons (" in text
    assert "80.73" in text
    assert "failed" not in text.split("## Tables")[0]
    for name in ("training", "figure2-phantom-mri2d", "figure3", "figure7-phantom-mri2d"):
        assert files[f"{name}.png"].read_bytes().startswith(b"\x89PNG")
        assert f"figures/{name}.png" in text


def test_the_rows_are_those_of_the_test_phantoms_for_every_method(made):
    folder, _, _ = made
    rows = {}
    for path in (folder / "scores").iterdir():
        content = json.loads(path.read_text())
        rows[path.stem] = content["rows"]
    assert set(rows) == {f"{name}--phantom-mri2d" for name in ("undeformed", *RUNS)}
    for found in rows.values():
        assert [row["case"] for row in found] == ["mri2d-50000", "mri2d-50001"]
    still = rows["undeformed--phantom-mri2d"][0]
    assert still["epe_vox_myocardium"] == still["epe_vox_myocardium_before"] > 1
    assert "ause_published" in rows[f"{RUNS[0]}--phantom-mri2d"][0]
    assert "ause_published" not in still


def test_what_is_finished_is_not_made_again(made, monkeypatch):
    folder, files, _ = made
    text = files["README"].read_text(encoding="utf-8")
    monkeypatch.setattr(runs, "train", refuse)
    monkeypatch.setattr(scoring, "evaluate", refuse)
    again = reproduce(TINY, folder)
    assert again["README"].read_text(encoding="utf-8") == text
    monkeypatch.setattr(documents, "draw_all", lambda *_: ({}, []))
    more = replace(TINY, methods=("undeformed", "ours"))
    assert "MSE" not in reproduce(more, folder)["table1-phantom-mri2d.md"].read_text()


@pytest.mark.usefixtures("undrawn")
def test_a_killed_reproduction_goes_on_and_ends_with_the_same_models(made, tmp_path):
    whole, _, _ = made
    with pytest.raises(Cancelled):
        reproduce(TINY, tmp_path, stopped_at("mse, lambda 0.01, seed 0 (1 of 1 left): Step 2 of 3"))
    job = {j.name: j for j in jobs(TINY, tmp_path)}
    assert runs.done(tmp_path, job[RUNS[0]])
    assert not runs.done(tmp_path, job[RUNS[1]])
    assert (tmp_path / "runs" / RUNS[1] / "last.ckpt").is_file()
    reproduce(TINY, tmp_path)
    for name in RUNS:
        models = [RegistrationModel.load(f / "runs" / name / "best.pt") for f in (whole, tmp_path)]
        states = [m.state_dict() for m in models]
        assert all(torch.equal(a, b) for a, b in zip(*(s.values() for s in states), strict=True))


@pytest.mark.usefixtures("undrawn")
def test_a_run_that_fails_is_a_row_with_its_error(tmp_path, monkeypatch):
    train = runs.train

    def fails(config, *arguments, **named):
        if config.method == "mse":
            raise RuntimeError("CUDA out of memory. Tried to\nallocate 2 GiB")
        return train(config, *arguments, **named)

    monkeypatch.setattr(runs, "train", fails)
    files = reproduce(TINY, tmp_path)
    table = files["table1-phantom-mri2d.md"].read_text()
    (row,) = [line for line in table.splitlines() if "| MSE |" in line]
    assert "0 of 1" in row
    assert "There is too little memory." in row
    assert "too little memory" in files["README"].read_text().split("## Tables")[0]
    assert "1 of 1" in next(line for line in table.splitlines() if "Ours" in line)
    monkeypatch.setattr(runs, "train", train)
    assert "too little memory" not in reproduce(TINY, tmp_path)["README"].read_text()  # tried again


@pytest.mark.usefixtures("undrawn")
def test_a_loss_that_is_no_number_is_a_failed_run(tmp_path):
    files = reproduce(replace(TINY, methods=("mse",), learning_rate=1e30), tmp_path)
    assert "is not a finite number" in files["table1-phantom-mri2d.md"].read_text()


def test_runs_of_other_settings_in_the_folder_are_refused(made):
    folder, _, _ = made
    with pytest.raises(ValueError, match="batch") as error:
        reproduce(replace(TINY, batch=4), folder)
    assert_sentence(error.value, RUNS[0], "batch = 2, not 4")


@pytest.mark.parametrize(
    ("dataset", "protocol"), [("acdc", "auto"), ("acdc", "native"), ("camus", "auto"), ("camus", "native")]
)
def test_it_runs_unattended_on_the_official_layouts(tmp_path, dataset, protocol):
    root = tmp_path / dataset
    if dataset == "acdc":
        for number in (1, 2, 3):
            layouts.acdc_patient(root / "training", number)
        layouts.acdc_patient(root / "testing", 101)
        layouts.cut_off(root / "training" / "patient003" / "patient003_frame01.nii.gz")
    else:
        for number in (1, 2, 3, 4):
            layouts.camus_patient(root / "database_nifti", number)
    methods = ("undeformed", "ours")
    config = replace(TINY, dataset=dataset, root=str(root), methods=methods, crop=32, budget=2)
    config = replace(config, protocol=protocol)
    assert config.used_protocol == {"auto": "published"}.get(protocol, protocol)  # so that they compare
    files = reproduce(config, tmp_path / "out")
    table = files[f"table1-{dataset}.md"].read_text()
    assert "compare orders" not in table  # they are the paper's own data
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith(("|  |", "| VoxelMorph"))]
    assert len(rows) == 2
    for row in rows:
        assert 10 < float(row[4].split(" ")[0].strip("*")) < 100
    parts = json.loads((tmp_path / "out" / "split.json").read_text())
    assert len(parts["test"]) == 1
    if dataset == "acdc":
        assert parts["test"] == ["patient101"]
    trained = json.loads((tmp_path / "out" / "runs" / RUNS[0] / "split.json").read_text())
    assert not set(trained["test"]) & set(trained["training"] + trained["validation"])


@pytest.mark.usefixtures("undrawn")
def test_phantom_and_pairs_are_tested_apart_and_the_cavity_where_there_is_no_myocardium(tmp_path):
    for n in range(4):
        layouts.plain_pair(tmp_path / "pairs", f"p{n}", n)
    only_cavity(tmp_path / "pairs")
    config = replace(TINY, dataset="phantom+pairs", root=str(tmp_path / "pairs"), methods=("ours",), budget=2)
    files = reproduce(config, tmp_path / "out")
    assert "left-ventricular cavity" in files["table1-pairs.md"].read_text()
    assert "left-ventricular myocardium" in files["table1-phantom-mri2d.md"].read_text()
    text = files["README"].read_text(encoding="utf-8")
    line = "2 (2) in training, 1 (1) in validation, 1 (1) in test; all drawn (60/20/20)."
    assert f"- Pairs of pairs, patients (pairs): {line}" in text
    split = json.loads((tmp_path / "out" / "split-seed0.json").read_text())
    assert sum(p.startswith("mri2d-100") for p in split["training"] + split["validation"]) == 4
    assert not any(p.startswith("mri2d") for p in split["test"])


def only_cavity(folder: Path) -> None:
    """Keep label 3 alone, as Sunnybrook has it."""
    from hetreg.image import read_image, write_image

    for path in folder.glob("*_seg.nii.gz"):
        label = read_image(path)
        write_image(label.like(np.where(label.array == 3, 3, 0).astype(np.uint8), "seg"), path)


def test_a_dry_run_lists_every_run_with_a_measured_time(tmp_path):
    config = replace(TINY, budget=300, seeds=2, batch=1)
    rows = list(estimate(config, tmp_path, Progress()))
    assert [row["run"] for row in rows[:2]] == ["undeformed", RUNS[0]]
    assert len(rows) == 5
    assert rows[0]["seconds"] == 0
    assert all(row["steps"] == 300 and 0.1 < row["seconds"] < 3600 for row in rows[1:])
    assert not list(tmp_path.iterdir())


def test_the_command_in_the_document_is_accepted():
    config = ReproduceConfig(sweep_lambda=True, augment=False, lambdas=(0.01, 0.1), seeds=2, size="tiny")
    config = replace(config, elastix_python="PYTHON")
    lines = documents._made_how(replace(config, elastix_python="own/bin/python"), "")
    words = shlex.split(next(line for line in lines if line.startswith("hetreg ")))
    arguments = cli.parser().parse_args(words[1:])
    assert config_from(arguments, ReproduceConfig, None) == config


def test_command_line_lists_and_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    flags = ["--methods", "mse", "undeformed", "--seeds", "1", "--budget", "2", "--size", "tiny"]
    out = tmp_path / "with a space"
    flags += ["--phantoms", "3", "--batch", "1", "--device", "cpu", "--output", str(out)]
    assert cli.main(["reproduce", *flags, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "voxelmorph-mse-lambda0.01-seed0" in shown
    assert "2 runs" in shown

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "train", interrupted)
    assert cli.main(["reproduce", *flags]) == 130
    settings = out / "reproduce.json"
    go_on = shlex.join(["hetreg", "reproduce", "--config", str(settings), "--output", str(out)])
    assert go_on in capsys.readouterr().err
    kept = ReproduceConfig.load(settings)
    assert (kept.methods, kept.budget) == (("mse", "undeformed"), 2)
    assert cli.parser().parse_args(shlex.split(go_on)[1:]).config == settings


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--methods", "best"], ("best", "ours")),
        (["--dataset", "pairs", "--root", "nowhere"], ("nowhere",)),
        (["--budget", "0"], ("budget is 0",)),
        (["--config", "nothing.json"], ("nothing.json",)),
    ],
)
def test_wrong_flags_are_one_sentence(tmp_path, capsys, flags, words):
    assert cli.main(["reproduce", "--output", str(tmp_path / "out"), *flags]) == 2
    assert_sentence(capsys.readouterr().err, *words)


def test_data_without_pairs_are_told_with_what_is_accepted_and_what_was_found(tmp_path):
    layouts.camus_patient(tmp_path / "CAMUS", 1)
    with pytest.raises(ValueError, match="CAMUS has no pairs") as error:
        reproduce(replace(TINY, dataset="acdc", root=str(tmp_path / "CAMUS")), tmp_path / "out")
    assert_sentence(error.value, "folders patientNNN with Info.cfg", "First of")
    (tmp_path / "scan.nii").write_bytes(b"")
    with pytest.raises(ValueError, match="is a file") as error:
        reproduce(replace(TINY, dataset="camus", root=str(tmp_path / "scan.nii")), tmp_path / "out")
    assert_sentence(error.value, "scan.nii is a file", "folders patientNNNN")


@pytest.mark.usefixtures("undrawn")
def test_a_reproduction_of_failures_alone_ends_with_one_sentence(tmp_path, capsys):
    flags = ["reproduce", "--elastix-python", "nowhere/python", "--seeds", "1", "--budget", "1"]
    flags += [
        "--phantoms",
        "3",
        "--test-phantoms",
        "1",
        "--device",
        "cpu",
        "--json",
        "--output",
        str(tmp_path),
    ]
    assert cli.main([*flags, "--methods", "elastix"]) == 2
    shown = capsys.readouterr()
    assert_sentence(shown.err, "None of the 1 runs and baselines could be measured", "could not be started")
    written, error = (json.loads(line) for line in shown.out.splitlines()[-2:])
    assert written["event"] == "result"  # the tables are there all the same
    assert error["event"] == "error"
    assert cli.main([*flags, "--methods", "elastix", "undeformed"]) == 0  # one has numbers
