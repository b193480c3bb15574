"""A data folder of which nothing would be read is refused; what was begun with one goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import error_of, tiny_training
from hetreg import cli
from hetreg.commands.flags import config_from
from hetreg.commands.reproduce import check_flags
from hetreg.config import TrainConfig
from hetreg.reproduce.config import ReproduceConfig


@pytest.mark.parametrize("command", ["train", "evaluate", "reproduce"])
@pytest.mark.parametrize("dataset", [[], ["--dataset", "phantom+phantom"]])
def test_a_root_without_a_dataset_that_reads_it_is_refused(tmp_path, capsys, command, dataset):
    out = tmp_path / "out"
    arguments = [command, "--root", str(tmp_path), *dataset, "--output", str(out)]
    error_of(capsys, arguments, f"root is '{tmp_path}'", "dataset phantom", "acdc, camus, pairs")
    assert not out.exists()


def test_a_file_of_settings_too(tmp_path, capsys):
    tiny_training(root=str(tmp_path)).save(tmp_path / "c.json")
    for more in (["--output", str(tmp_path / "out")], ["--dry-run"]):
        error_of(capsys, ["train", "--config", str(tmp_path / "c.json"), *more], "root", "acdc, camus, pairs")


def test_a_run_that_has_one_goes_on(tmp_path):
    """As earlier versions began it."""
    run = tmp_path / "run"
    config = tiny_training(phantoms=4, steps=1, warmup=0, crop=32, size="tiny")
    config.save(tmp_path / "c.json")
    assert cli.main(["train", "--config", str(tmp_path / "c.json"), "--output", str(run)]) == 0
    former = replace(config, root=str(tmp_path))
    former.save(run / "config.json")
    replace(former, steps=3).save(tmp_path / "c.json")  # as the panel goes on
    assert cli.main(["train", "--resume", str(run), "--steps", "2"]) == 0
    assert cli.main(["train", "--config", str(tmp_path / "c.json"), "--output", str(run)]) == 0
    assert TrainConfig.load(run / "config.json").steps == 3


def test_a_reproduction_that_has_one_goes_on(tmp_path):
    path = tmp_path / "reproduce.json"
    ReproduceConfig(root=str(tmp_path)).save(path)
    arguments = cli.parser().parse_args(["reproduce", "--config", str(path), "--output", str(tmp_path)])
    check_flags(arguments, config_from(arguments, ReproduceConfig, ReproduceConfig.load(path)))
