"""What kills, Ctrl-C and refused writes leave behind: nothing half, nothing lost, nothing in the way."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
import pytest
import torch

from builders import TINY, TINY_REPRODUCTION, assert_sentence, tiny_training, train_samples
from hetreg import files
from hetreg.commands import console
from hetreg.config import NetworkConfig
from hetreg.files import json_lines, whole_folder, write_whole
from hetreg.model import RegistrationModel
from hetreg.reproduce import runs
from hetreg.reproduce.plan import jobs
from hetreg.reproduce.run import best_score
from hetreg.resample import displacement_transform
from hetreg.result import _write_transform
from hetreg.training.loop import Run, train
from hetreg.training.trainer import Trainer

NAMES = ("a.nrrd", "b.nrrd", "report.json")


class Killed(BaseException):
    """As good as one that nothing catches."""


def write(folder) -> None:
    with whole_folder(folder, NAMES) as partial:
        for name in NAMES:
            write_whole(partial / name, "new")


def there(folder) -> dict[str, str]:
    return {p.name: p.read_text(encoding="utf-8") for p in folder.iterdir() if p.is_file()}


def test_a_second_ctrl_c_in_the_writing_of_the_best_model_does_not_count_it_as_kept(tmp_path, monkeypatch):
    def interrupted(self, found):
        if self.trainer.step == 2:
            raise KeyboardInterrupt
        keep(self, found)

    keep, config = Run._keep_best, tiny_training(steps=2, validate_every=1, warmup=0)
    monkeypatch.setattr(Run, "_keep_best", interrupted)
    monkeypatch.setattr("hetreg.training.loop.score", lambda found: found["step"])
    monkeypatch.setattr(Run, "_scores", lambda self: {"step": self.trainer.step})
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path, samples=train_samples(), network=NetworkConfig(**TINY))
    left = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert (left["step"], left["checked"], left["best"]) == (2, 1, 1)  # as best.pt
    monkeypatch.setattr(Run, "_keep_best", keep)
    for _ in range(2):  # what it has not measured is made up for, once
        train(config, tmp_path, samples=train_samples(), network=NetworkConfig(**TINY))
        rows = json_lines(tmp_path / "log.jsonl")
        assert [row["step"] for row in rows if row["event"] == "validation"] == [1, 2]
    assert RegistrationModel.load(tmp_path / "best.pt").card["steps"] == 2


def test_a_kill_beside_the_checkpoint_loses_no_row_of_the_log(tmp_path, monkeypatch):
    config, made = tiny_training(steps=4, validate_every=1), {"network": NetworkConfig(**TINY)}
    train(config, tmp_path / "whole", samples=train_samples(), **made)
    save, count = Trainer.save, []

    def saved(self, path):
        save(self, path)
        count.append(path)
        if len(count) == 2:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "save", saved)
        with pytest.raises(Killed):
            train(config, tmp_path / "killed", samples=train_samples(), **made)
    train(config, tmp_path / "killed", samples=train_samples(), **made)
    whole, killed = (
        [
            (r["step"], r["dice"])
            for r in json_lines(tmp_path / name / "log.jsonl")
            if r["event"] == "validation"
        ]
        for name in ("whole", "killed")
    )
    assert killed == whole
    assert len(whole) == 4


def test_a_run_without_a_validation_is_not_said_to_lack_labels(tmp_path):
    (tmp_path / "log.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match="has no validation") as caught:
        best_score(tmp_path)
    assert_sentence(caught.value, f"runs/{tmp_path.name}", "remove that folder")


def test_of_many_runs_the_one_with_a_damaged_configuration_is_named(tmp_path):
    job = next(j for j in jobs(TINY_REPRODUCTION, tmp_path) if j.config is not None)
    path = runs.run_folder(tmp_path, job)
    path.mkdir(parents=True)
    (path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="is not a JSON file") as caught:
        runs.check_folder(tmp_path, [job])
    assert_sentence(caught.value, f"runs/{job.name}")


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such limit")
def test_a_transform_beyond_a_limit_of_the_size_is_a_sentence(tmp_path, capfd):
    """HDF5 would write its error stack to the terminal, and may end the process."""
    import resource

    transform = displacement_transform(np.zeros((4, 64, 64, 3)), np.eye(4))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(OSError, match="could not be written") as caught:
            _write_transform(transform, tmp_path / "transform.h5")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_sentence(caught.value, "transform.h5")
    assert "HDF5" not in capfd.readouterr().err
    assert _write_transform(transform, tmp_path / "transform.h5").stat().st_size > 200_000


def test_ctrl_c_waits_until_a_set_of_files_has_been_replaced(tmp_path, monkeypatch):
    for name in NAMES:
        write_whole(tmp_path / name, "old")
    patiently, once = files.patiently, [1]

    def pressed(act, *arguments):
        patiently(act, *arguments)
        if (tmp_path / "report.json").read_text(encoding="utf-8") == "new" and once:
            once.clear()
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(files, "patiently", pressed)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path)
    assert there(tmp_path) == dict.fromkeys(NAMES, "new")
    assert len(list(tmp_path.iterdir())) == len(NAMES)


def test_a_set_that_was_cut_short_is_known_as_ours(tmp_path, monkeypatch):
    patiently = files.patiently

    def killed(act, *arguments):
        if arguments == (tmp_path / "b.nrrd",) or arguments == (tmp_path / "a.nrrd",):
            raise Killed
        patiently(act, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(files, "patiently", killed)
        with pytest.raises(Killed):
            write(tmp_path)
    assert there(tmp_path) == {"report.json": "new"}
    (tmp_path / "report.json").write_text('{"record": {}}', encoding="utf-8")
    console.keep_files_of_others(tmp_path, NAMES, "report.json", "record")


def test_what_killed_processes_left_long_ago_is_removed_and_nothing_younger(tmp_path):
    old, young, mine = (tmp_path / f"{files.PARTIAL}{n}" for n in ("old", "young", "old.nrrd"))
    for folder in (old, young):
        folder.mkdir()
        (folder / "moved.nrrd").write_text("voxels", encoding="utf-8")
    mine.write_text("half", encoding="utf-8")
    for path in (old, mine):
        os.utime(path, (time.time() - 3000,) * 2)
    write(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {*NAMES, young.name}


def test_ctrl_c_while_the_output_folder_is_tried_leaves_no_file(tmp_path, monkeypatch):
    def pressed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(console, "patiently", pressed)
    with pytest.raises(KeyboardInterrupt), console.output_folder(tmp_path):
        pass
    assert not list(tmp_path.iterdir())
