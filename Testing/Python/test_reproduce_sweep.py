"""How a reproduction chooses lambda: by validation pairs, and beyond the edge of what was given."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from builders import TINY_REPRODUCTION, assert_sentence
from hetreg import cli
from hetreg.reproduce import run, runs
from hetreg.reproduce.run import best_score, reproduce

SWEEP = replace(TINY_REPRODUCTION, methods=("mse",), sweep_lambda=True, lambdas=(0.1, 0.5), budget=1)
pytestmark = pytest.mark.usefixtures("undrawn")


def test_the_sweep_takes_the_lambda_of_the_best_validation_score(tmp_path, monkeypatch):
    scores = {"0.5": 0.8, "0.1": 0.85, "0.03": 0.9, "0.01": 0.7}  # the best lies beyond those given
    monkeypatch.setattr(run, "best_score", lambda path: scores[path.name.split("lambda")[1].split("-")[0]])
    files = reproduce(replace(SWEEP, seeds=2), tmp_path)
    assert {p.name for p in (tmp_path / "runs").iterdir()} == {
        *(f"voxelmorph-mse-lambda{value}-seed0" for value in scores),
        "voxelmorph-mse-lambda0.03-seed1",
    }
    (row,) = [line for line in files["lambda.md"].read_text().splitlines() if line.startswith("| Voxel")]
    assert row == "| VoxelMorph | MSE | 0.7000 | 0.9000 | 0.8500 | 0.8000 | 0.03 |"
    assert " 5 finished runs" in files["README"].read_text()


def test_the_sweep_takes_a_larger_lambda_that_scores_nearly_as_well(tmp_path, monkeypatch):
    scores = {"0.5": 0.8, "0.1": 0.89, "0.03": 0.9, "0.01": 0.7}
    monkeypatch.setattr(run, "best_score", lambda path: scores[path.name.split("lambda")[1].split("-")[0]])
    files = reproduce(replace(SWEEP, seeds=2, tolerance=0.02), tmp_path)
    assert (tmp_path / "runs" / "voxelmorph-mse-lambda0.1-seed1").is_dir()
    text = files["lambda.md"].read_text()
    assert "| 0.7000 | 0.9000 | 0.8900 | 0.8000 | 0.1 |" in text
    assert "the largest within 0.02 of the best" in text


def test_the_sweep_ends_where_a_run_beyond_the_edge_fails_or_after_three(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "best_score", lambda path: 1 - float(path.name.split("lambda")[1].split("-")[0]))
    reproduce(SWEEP, tmp_path / "three")
    assert {p.name for p in (tmp_path / "three" / "runs").iterdir()} == {
        f"voxelmorph-mse-lambda{value}-seed0" for value in (0.003, 0.01, 0.03, 0.1, 0.5)
    }
    train_job = runs.train_job
    monkeypatch.setattr(
        runs,
        "train_job",
        lambda job, *rest: "It broke." if "lambda0.03" in job.name else train_job(job, *rest),
    )
    files = reproduce(SWEEP, tmp_path / "broken")
    (row,) = [line for line in files["lambda.md"].read_text().splitlines() if line.startswith("| Voxel")]
    assert row == "| VoxelMorph | MSE | 0.9000 | 0.5000 | 0.1 |"


def test_the_validation_score_is_the_best_dice_that_does_not_fold(tmp_path):
    rows = [{"dice": 0.7, "folding": 0.0}, {"dice": 0.8, "folding": 0.1}, {"dice": 0.9, "folding": 5.0}]
    (tmp_path / "log.jsonl").write_text("\n".join(json.dumps({"event": "validation", **r}) for r in rows))
    assert best_score(tmp_path) == 0.8
    (tmp_path / "log.jsonl").write_text(json.dumps({"event": "validation", "loss": 0.1, "dice": None}))
    with pytest.raises(ValueError, match="labels") as error:
        best_score(tmp_path)
    assert_sentence(error.value, "sweep")


def test_a_dry_run_says_how_many_runs_the_sweep_may_add(tmp_path, capsys):
    shared = ["--methods", "mse", "nll", "--seeds", "2", "--budget", "1", "--size", "tiny", "--device", "cpu"]
    shared += ["--phantoms", "3", "--batch", "1", "--lambdas", "0.1", "--output", str(tmp_path / "out")]
    command = ["reproduce", *shared, "--dry-run"]
    assert cli.main([*command, "--sweep-lambda"]) == 0
    assert "adds up to 6 runs" in capsys.readouterr().out
    assert cli.main([*command, "--sweep-lambda", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["further_runs"] == 6
    command.remove("--lambdas")
    command.remove("0.1")
    assert cli.main(command) == 0
    assert "sweep" not in capsys.readouterr().out
