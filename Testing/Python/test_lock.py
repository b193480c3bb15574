"""One process at a time in a run's folder; several share the runs of a reproduction."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import hetreg
from builders import TINY_REPRODUCTION, assert_sentence, tiny_training, train_samples
from hetreg.config import NetworkConfig
from hetreg.lock import Busy, FolderLock
from hetreg.reproduce.run import reproduce
from hetreg.training import folder as run_folder
from hetreg.training.loop import train

ENV = os.environ | {"PYTHONPATH": str(Path(hetreg.__file__).parents[1])}
HOLD = """
import sys, time
from hetreg.lock import FolderLock
assert FolderLock(sys.argv[1]).take()
print("taken", flush=True)
time.sleep(60)
"""


def of_another(folder) -> bool:
    """True if another process can take the folder."""
    code = "import sys; from hetreg.lock import FolderLock; sys.exit(not FolderLock(sys.argv[1]).take())"
    return subprocess.run([sys.executable, "-c", code, str(folder)], env=ENV, check=False).returncode == 0


@pytest.fixture
def held(tmp_path):
    """A folder that another process holds, and that process."""
    folder = tmp_path / "run"
    folder.mkdir()
    command = [sys.executable, "-c", HOLD, str(folder)]
    other = subprocess.Popen(command, env=ENV, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "taken\n"
    yield folder, other
    other.kill()
    other.communicate()


def test_a_folder_is_free_again_once_its_process_was_killed(held):
    folder, other = held
    assert not FolderLock(folder).take()
    with pytest.raises(Busy), FolderLock(folder):
        pass
    other.kill()
    other.wait()
    with FolderLock(folder), FolderLock(folder):
        assert not of_another(folder)
    assert of_another(folder)
    lock = FolderLock(folder)
    assert lock.take()
    lock.release()
    assert list(folder.iterdir()) == []  # only a process that is killed leaves its lock file, which is free


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_folder_is_free_though_a_child_that_was_forked_is_still_there(tmp_path):
    lock = FolderLock(tmp_path)
    assert lock.take()
    forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
    forked.start()
    assert not of_another(tmp_path)
    lock.release()
    assert of_another(tmp_path)
    forked.kill()
    with FolderLock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_second_training_in_a_folder_is_refused_and_leaves_it_as_it_is(held, monkeypatch):
    folder, _ = held
    monkeypatch.setattr(run_folder, "PATIENCE_S", 0.2)
    with pytest.raises(ValueError, match="Another training is using run") as error:
        train(tiny_training(), folder, samples=train_samples(), network=NetworkConfig(size="tiny"))
    assert_sentence(error.value, "another folder is accepted")
    assert [path.name for path in folder.iterdir()] == [".lock"]  # of the other


def test_a_training_leaves_its_folder_to_others_also_when_it_fails(tmp_path):
    config = tiny_training(learning_rate=1e30)
    with pytest.raises(ValueError, match="finite") as error:
        train(config, tmp_path, samples=train_samples())
    assert of_another(tmp_path)
    assert error  # which keeps the frames of the training


def test_of_two_trainings_of_one_process_the_second_is_refused_until_the_first_has_ended(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(run_folder, "PATIENCE_S", 0.0)
    config, samples, network = tiny_training(), train_samples(), NetworkConfig(size="tiny")
    second = []

    def begin(kind, **_fields):
        if kind == "data" and not second:  # the folder is the first one's by now
            second.append(pool.submit(train, config, tmp_path, samples=samples, network=network).exception())
            raise KeyError("of the caller")

    with ThreadPoolExecutor(1) as pool:
        with FolderLock(tmp_path), pytest.raises(KeyError):  # within a lock of one's own, as `reproduce` does
            train(config, tmp_path, emit=begin, samples=samples, network=network)
        assert isinstance(second[0], Busy)
        assert_sentence(second[0], "Another training is using", "another folder is accepted")
        assert not (tmp_path / "log.jsonl").exists()
        pool.submit(train, config, tmp_path, samples=samples, network=network).result()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_can_take_folders(tmp_path):
    with FolderLock(tmp_path), multiprocessing.get_context("fork").Pool(1) as pool:
        (tmp_path / "other").mkdir()
        assert not pool.apply(taken, [tmp_path])
        assert pool.apply(taken, [tmp_path / "other"])


def taken(folder):
    """True if this process can take the folder."""
    return FolderLock(folder).take()


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_processes_in_one_folder_share_the_runs_of_a_reproduction(tmp_path):
    config = replace(TINY_REPRODUCTION, seeds=1, sweep_lambda=True, lambdas=(0.01, 0.1))
    config.save(tmp_path / "config.json")
    arguments = ["reproduce", "--json", "--config", str(tmp_path / "config.json"), "--output"]
    command = [sys.executable, "-m", "hetreg", *arguments, str(tmp_path / "shared")]
    both = [subprocess.Popen(command, env=ENV, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [[json.loads(line) for line in process.communicate()[0].splitlines()] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    trained = [[e["run"] for e in events if e.get("state") == "trained"] for events in told]
    assert all(trained)
    assert not set(trained[0]) & set(trained[1])
    alone = reproduce(config, tmp_path / "alone")
    for name in ("table1-phantom-mri2d.csv", "lambda.csv"):
        assert (tmp_path / "shared" / "tables" / name).read_text() == alone[name].read_text()
