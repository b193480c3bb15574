"""Paths that begin with ~, of a user that there is not: as any other path that leads nowhere."""

from __future__ import annotations

from builders import error_of


def test_the_folder_of_an_unknown_user_is_a_sentence(tmp_path, capsys):
    data, run = ["--dataset", "pairs", "--root", "~nosuchuser/x"], ["--output", str(tmp_path / "out")]
    for command in (["train", "--dry-run"], ["train", *run], ["evaluate", *run]):
        error_of(capsys, [*command, *data], "There is no data folder", "~nosuchuser")
    error_of(capsys, ["train", *run, "--start", "~nosuchuser/x.pt"], "~nosuchuser")


def test_a_folder_whose_own_name_begins_so_is_found(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~nosuchuser").mkdir()
    error_of(
        capsys, ["train", "--dry-run", "--dataset", "pairs", "--root", "~nosuchuser"], "No pairs were found"
    )
