"""When a run of a reproduction counts as done, and what a dry run leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from builders import TINY_REPRODUCTION
from hetreg.progress import Progress
from hetreg.reproduce import runs
from hetreg.reproduce.plan import jobs
from hetreg.reproduce.run import estimate


def test_a_run_whose_done_file_was_cut_off_counts_as_not_done(tmp_path):
    (job,) = (j for j in jobs(TINY_REPRODUCTION, tmp_path) if j.variant == "mse")
    path = runs.run_folder(tmp_path, job)
    path.mkdir(parents=True)
    (path / "best.pt").write_bytes(b"")
    for text, found in (("", None), ('{"steps": 3, "sec', None), ('{"steps": 3, "seconds": 2.5}', 2.5)):
        (path / runs.DONE).write_text(text)
        done = runs.done(tmp_path, job)
        assert (done and done["seconds"]) == found


def test_a_dry_run_writes_nothing_whatever_the_folder_is_called(tmp_path, monkeypatch):
    scratch, inner = tmp_path / "scratch", tmp_path / "a" / "b"
    for folder in (scratch, inner):
        folder.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.chdir(inner)
    rows = estimate(replace(TINY_REPRODUCTION, methods=("undeformed",)), Path(".."), Progress())
    assert [row["run"] for row in rows] == ["undeformed"]
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]
