"""When a run of a reproduction counts as done, and what a dry run leaves."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from builders import TINY_REPRODUCTION
from hetreg import cli
from hetreg.config import TrainConfig
from hetreg.progress import Progress
from hetreg.reproduce import runs
from hetreg.reproduce.plan import Job, jobs
from hetreg.reproduce.run import estimate, reproduce


def test_a_run_whose_done_file_was_cut_off_counts_as_not_done(tmp_path):
    (job,) = (j for j in jobs(TINY_REPRODUCTION, tmp_path) if j.variant == "mse")
    path = runs.run_folder(tmp_path, job)
    path.mkdir(parents=True)
    (path / "best.pt").write_bytes(b"")
    whole = '{"steps": 3, "seconds": 2.5}'
    damaged = ("", whole[:17], "5", "{}", '{"steps": 3, "seconds": null}')
    for text, found in ((whole, 2.5), *((text, None) for text in damaged)):
        (path / runs.DONE).write_text(text)
        done = runs.done(tmp_path, job)
        assert (done and done["seconds"]) == found


def test_a_dry_run_writes_nothing_whatever_the_folder_is_called(tmp_path, monkeypatch):
    scratch, inner = tmp_path / "scratch", tmp_path / "a" / "b"
    for folder in (scratch, inner):
        folder.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.chdir(inner)
    rows = list(estimate(replace(TINY_REPRODUCTION, methods=("undeformed",)), Path(".."), Progress()))
    assert [row["run"] for row in rows] == ["undeformed"]
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_dry_run_tells_each_run_at_once_and_measures_a_kind_of_step_once(tmp_path, monkeypatch):
    measured = []
    monkeypatch.setattr(runs, "measure_pace", lambda job, *_: measured.append(job.variant) or 2.0)
    methods = ("ours", "gamma_0.25", "precision_weight", "precision_blind", "mse")
    config = replace(TINY_REPRODUCTION, methods=methods, seeds=2, budget=10)
    rows = estimate(config, tmp_path, Progress())
    assert next(rows)["seconds"] == 20.0
    assert measured == ["ours"]
    assert len(list(rows)) == 9
    assert measured == ["ours", "mse", "precision_blind"]


def test_slow_steps_are_measured_once(monkeypatch):
    clock, steps = iter((0.0, 5.0)), []
    monkeypatch.setattr(runs.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(runs, "draw_batch", lambda *_: None)
    trainer = SimpleNamespace(model=SimpleNamespace(train=lambda: None), one_step=steps.append)
    monkeypatch.setattr(runs, "Trainer", lambda *_: trainer)
    monkeypatch.setattr(runs, "network_config", lambda *_: None)
    monkeypatch.setattr(runs, "dimension_of", lambda *_: 2)
    config = TrainConfig(device="cpu")
    assert runs.measure_pace(Job("run", "voxelmorph", "mse", 0, config), [], None) == 5.0
    assert len(steps) == 2


def test_the_rows_of_a_dry_run_have_lines_of_their_own_on_a_terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(runs, "measure_pace", lambda *_: 2.0)
    command = ["reproduce", "--methods", "mse", "--seeds", "1", "--phantoms", "3", "--dry-run", "--output"]
    assert cli.main([*command, str(tmp_path / "out")]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("voxelmorph-mse")
    assert shown.err.endswith("\r\033[K")  # the line of the progress is empty before each


def test_a_variance_network_that_collapsed_is_told(tmp_path):
    config = replace(TINY_REPRODUCTION, methods=("mse",))
    told = []
    reproduce(config, tmp_path, emit=lambda kind, **fields: told.append(fields))
    assert [f["note"] for f in told if f.get("state") == "trained"] == [""]
    (log,) = tmp_path.glob("runs/*/log.jsonl")
    rows = [{"event": "step", "step": n, "mean_variance": v} for n, v in ((20, 1e-2), (40, 0.0), (60, 0.0))]
    with log.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)
    text = reproduce(config, tmp_path)["README"].read_text(encoding="utf-8")
    assert f"- run {log.parent.name}: From step 40 on: The predicted noise variance is 0.0e+00 every" in text
    with log.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(rows[0]) + "\n")
    assert not runs.collapse(log.parent)
