"""`hetreg train`: flags, events, interruption, and what another program says to it through a file."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import hetreg
from builders import error_of, events_of, pair_2d
from hetreg import cli
from hetreg.commands import console, steering, train
from hetreg.commands.flags import add_flags, config_from
from hetreg.config import TrainConfig
from hetreg.image import write_image
from hetreg.model import RegistrationModel
from hetreg.progress import JsonLines
from hetreg.reproduce.config import ReproduceConfig
from hetreg.training.loop import LOADED

TINY_RUN = {
    "phantoms": 4,
    "steps": 4,
    "warmup": 0,
    "batch": 1,
    "crop": 32,
    "validate-every": 2,
    "size": "tiny",
}


def train_arguments(folder: Path, **changes: object) -> list[str]:
    """`train` of a tiny run on the phantom into a folder."""
    flags = TINY_RUN | {k.replace("_", "-"): v for k, v in changes.items()}
    return ["train", "--output", str(folder), "--device", "cpu"] + [
        a for name, value in flags.items() for a in (f"--{name}", str(value))
    ]


def test_train_reports_as_json_lines(tmp_path, capsys):
    assert cli.main([*train_arguments(tmp_path / "run"), "--json"]) == 0
    events = events_of(capsys.readouterr().out)
    assert Path(events[-1]["model"]) == tmp_path / "run" / "best.pt"
    kinds = [e["event"] for e in events if e["event"] not in ("progress", "step")]
    assert kinds == ["data", "preview", *["validation", "preview"] * 2, "done"]
    data = events[[e["event"] for e in events].index("data")]
    assert [data[n] for n in ("training", "validation", "test")] == [2, 1, 1]
    last = [e for e in events if e["event"] == "step"][-1]
    assert {"step": 4, "steps": 4, "epoch": 1, "eta_seconds": 0}.items() <= last.items()
    assert {"loss", "variance_loss", "seconds"} <= last.keys()
    checked = next(e for e in events if e["event"] == "validation")
    assert {"step", "dice", "mse", "folding", "loss"} <= checked.keys()
    assert "<svg" in (tmp_path / "run" / "curves.svg").read_text(encoding="utf-8")


def test_what_is_reported_before_the_steps_is_known_by_its_place_not_by_its_words():
    told: list[str] = []
    before = train._before_steps(lambda kind, fraction, message: told.append(message), LOADED)
    before(LOADED / 2, "Step by step")
    before(LOADED, "Read")
    before(2 * LOADED, "Training")
    assert told == ["Step by step", "Read"]


def test_train_from_flags_from_a_file_and_resumed(tmp_path, capsys):
    run = tmp_path / "run"
    assert cli.main(train_arguments(run, method="mse")) == 0
    assert "best.pt" in capsys.readouterr().out
    assert TrainConfig.load(run / "config.json").method == "mse"
    assert cli.main(["train", "--resume", str(run), "--steps", "6"]) == 0
    assert "step 6" in capsys.readouterr().out
    config = ["train", "--config", str(run / "config.json"), "--output", str(run)]
    assert cli.main(config) == 0
    capsys.readouterr()
    error_of(capsys, [*config, "--method", "ncc"], "'mse'", "'ncc'", "empty folder")
    (tmp_path / "c.json").write_text('{"step": 3}')
    bare = ["train", "--output", str(tmp_path / "other")]
    error_of(capsys, [*bare, "--config", str(tmp_path / "c.json")], "has no step", "steps", "--help")
    error_of(capsys, [*bare, "--config", str(tmp_path / "absent.json")], "absent.json")
    error_of(capsys, [*bare, "--dataset", "pairs", "--root", str(tmp_path)], "no pairs")
    error_of(capsys, [*bare, "--method", "mse", "--gamma", "0.3"], "gamma", "mse")
    error_of(capsys, ["train"], "--output", "--resume")
    error_of(capsys, ["train", "--resume", str(tmp_path)], "config.json")
    error_of(capsys, [*bare, "--resume", str(run)], f"--resume is {run} and --output {bare[-1]}: one of")


def test_a_bad_training_is_an_error_event_too(tmp_path, capsys):
    arguments = ["train", "--json", "--output", str(tmp_path), "--dataset", "pairs", "--root", "absent"]
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    event = events_of(out)[-1]
    assert event["event"] == "error"
    assert err == f"hetreg: {event['message']}\n"


def test_a_dry_run_lists_the_data_and_stops(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    for n, case in enumerate(("a", "b", "c"), 1):
        for phase, image in zip(("ES", "ED"), pair_2d(), strict=True):
            write_image(image.like(n * image.array, "x"), tmp_path / "data" / f"{case}_{phase}.nrrd")
    (tmp_path / "data" / "notes.txt").write_text("stray")
    arguments = ["train", "--dry-run", "--dataset", "pairs", "--root", str(tmp_path / "data")]
    assert cli.main([*arguments, "--json"]) == 0
    (event,) = events_of(capsys.readouterr().out)
    assert event["event"] == "dry_run"
    assert sorted(p["split"] for p in event["pairs"]) == ["test", "training", "validation"]
    assert {"case", "patient", "split", "size", "spacing_mm", "labels"} <= event["pairs"][0].keys()
    assert [Path(r["file"]).name for r in event["rejected"]] == ["notes.txt"]
    assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    assert "3 pairs" in out
    assert "notes.txt" in out
    error_of(capsys, ["train", "--phantoms", "0", "--dry-run"], "No pairs")


def test_ctrl_c_in_a_training_keeps_the_checkpoint_and_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    run, event = tmp_path / "a run", console.Line.event

    def interrupt(line, kind, **fields):
        if kind == "step":
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(console.Line, "event", interrupt)
    assert cli.main(train_arguments(run)) == 130
    assert capsys.readouterr().err == f"hetreg: cancelled, resume with: hetreg train --resume '{run}'\n"
    assert (run / "last.ckpt").is_file()
    monkeypatch.setattr(console.Line, "event", event)
    assert cli.main(["train", "--resume", str(run)]) == 0


def test_defaults_follow_what_the_flags_say(tmp_path, capsys):
    TrainConfig().save(tmp_path / "c.json")
    for source in ([], ["--config", str(tmp_path / "c.json")]):
        assert cli.main(["train", *source, "--kind", "echo3d", "--phantoms", "3", "--dry-run"]) == 0
        assert capsys.readouterr().out.count(" 64x64x64 ") == 3
    parser = argparse.ArgumentParser()
    add_flags(parser, ReproduceConfig)
    found = config_from(parser.parse_args(["--dataset", "camus"]), ReproduceConfig)
    assert found.used_protocol == "published"


def test_a_run_is_as_long_as_was_said_last_in_steps_or_in_epochs(tmp_path, capsys):
    run = tmp_path / "run"
    arguments = [a for a in train_arguments(run, epochs=1, steps_per_epoch=2) if a != "--steps"]
    arguments.remove("4")
    assert cli.main(arguments) == 0
    assert cli.main(["train", "--resume", str(run), "--steps", "3"]) == 0
    assert TrainConfig.load(run / "config.json").total_steps == 3
    assert cli.main(["train", "--resume", str(run), "--epochs", "2"]) == 0
    assert TrainConfig.load(run / "config.json").total_steps == 4
    capsys.readouterr()
    error_of(capsys, ["train", "--resume", str(run), "--epochs", "2", "--steps", "3"], "--epochs 2")


def test_a_terminal_shows_one_line_with_bar_losses_and_time_left(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    line = console.Line()
    line.event("step", step=3, steps=12, loss=0.01234, variance_loss=-1.5, eta_seconds=125.0)
    shown = capsys.readouterr().err
    assert shown.endswith(
        "[======                  ] step 3 of 12  loss 0.01234  variance_loss -1.5  2:05 left"
    )
    assert "\n" not in shown
    line.event("validation", step=3, dice=0.5, mse=None)
    end = capsys.readouterr()
    assert end.out == "validation: step 3, dice 0.5\n"
    assert end.err == "\r\033[K"  # the bar makes room


@pytest.mark.parametrize("flags", [["--json"], []])
def test_a_training_that_nobody_reads_any_more_keeps_its_checkpoint(tmp_path, monkeypatch, flags):
    reader, writer = os.pipe()
    events, said = (JsonLines if flags else console.Line), []
    event = events.event

    def reader_dies(shown, kind, **fields):
        said.append(kind)
        if kind == "step":
            os.close(reader)
        event(shown, kind, **fields)

    monkeypatch.setattr(events, "event", reader_dies)
    with open(writer, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        arguments = train_arguments(tmp_path / "run", steps=100_000, validate_every=1)
        assert cli.main([*arguments, *flags]) == 141
    assert said.count("step") == 1
    assert (tmp_path / "run" / "last.ckpt").is_file()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full is Linux's")
def test_a_training_whose_output_finds_no_room_says_so_and_keeps_its_checkpoint(tmp_path, monkeypatch, capfd):
    with open("/dev/full", "w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert cli.main([*train_arguments(tmp_path / "run", steps=100_000), "--json"]) == 2
    said = capfd.readouterr().err
    assert said.startswith("hetreg: The output could not be written (No space left on device): ")
    assert said.count("\n") == 1
    assert (tmp_path / "run" / "last.ckpt").is_file()


def test_stop_in_the_control_file(tmp_path, monkeypatch):
    """Not the one that a former training was told."""
    monkeypatch.setattr(steering, "POLL_S", 0.01)
    control, event, steps = tmp_path / "control", JsonLines.event, []
    control.write_text("stop")

    def stopping(lines, kind, **fields):
        if kind == "step":
            steps.append(fields["step"])
            control.write_text("stop\n")
        event(lines, kind, **fields)

    monkeypatch.setattr(JsonLines, "event", stopping)
    arguments = train_arguments(tmp_path / "run", steps=100_000, control=control)
    assert cli.main([*arguments, "--json"]) == 0
    assert steps
    assert (tmp_path / "run" / "last.ckpt").is_file()


@pytest.mark.slow
def test_a_control_file_pauses_resumes_and_stops(tmp_path):
    """Whatever standard input is: a launcher in between need not hand it on."""
    control = tmp_path / "run.control"
    arguments = train_arguments(tmp_path / "run", steps=100_000, validate_every=50_000, control=control)
    process = subprocess.Popen(
        [sys.executable, "-m", "hetreg", *arguments, "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(hetreg.__file__).parents[1]), "OMP_NUM_THREADS": "1"},
    )
    seen, say = [], {"data": "pause", "paused": "resume", "resumed": "stop"}
    for line in process.stdout:
        seen.append(json.loads(line))
        if word := say.get(seen[-1]["event"]):
            control.write_text(word, encoding="utf-8")
    assert process.wait(60) == 0
    words = ["paused", "resumed", "stopped"]
    assert [e["event"] for e in seen if e["event"] in words] == words
    assert (tmp_path / "run" / "last.ckpt").is_file()
    assert (tmp_path / "run" / "best.pt").is_file()  # although nothing was validated before
    assert 0 < seen[-1]["step"] < 10_000


def test_a_run_goes_on_from_any_folder_and_without_the_weights_that_it_started_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(train_arguments(Path("first"), steps=1)) == 0
    assert cli.main(train_arguments(Path("second"), steps=1, start="first/best.pt")) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert cli.main(["train", "--resume", "../second", "--steps", "2"]) == 0
    (tmp_path / "first" / "best.pt").unlink()
    assert cli.main(["train", "--resume", "../second", "--steps", "3"]) == 0


def test_what_a_run_started_from_is_not_compared_when_it_goes_on_and_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(train_arguments(Path("first"), steps=1)) == 0
    assert cli.main(train_arguments(Path("second"), steps=1, start="first/best.pt")) == 0
    former = replace(TrainConfig.load("second/config.json"), start="first/best.pt")
    former.save("second/config.json")  # as it was written before
    assert cli.main(["train", "--resume", "second", "--steps", "2"]) == 0
    assert cli.main(train_arguments(Path("second"), steps=3, start="first/../first/best.pt")) == 0
    assert TrainConfig.load("second/config.json").start == "first/best.pt"


def test_a_shipped_model_is_started_from_by_name_with_its_channels_and_grid(tmp_path, capsys):
    found = train_arguments(tmp_path, start="cine-mri-2d", method="ours")
    wanted = "2D pairs, --network pyramid, --method supervised, --variance-residual, --integrate yes"
    error_of(capsys, found, "cine-mri-2d holds another network than this run's", wanted)
    assert cli.main(train_arguments(tmp_path, steps=1, start="cine-mri-2d")) == 0
    assert "channels and grid of cine-mri-2d" in capsys.readouterr().out
    tuned, shipped = (RegistrationModel.load(m) for m in (tmp_path / "best.pt", "cine-mri-2d"))
    assert (tuned.network, tuned.grid) == (shipped.network, shipped.grid)
    assert tuned.card["refined_sd"] == shipped.card["refined_sd"]
    assert "name" not in tuned.card
    assert cli.main(train_arguments(tmp_path / "mse", steps=1, start="paper-cine-mri-2d", method="mse")) == 0
    assert "started from cine-mri-2d" in (tmp_path / "model_card.md").read_text(encoding="utf-8")


def test_a_run_that_was_started_from_a_model_goes_on_without_it(tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    assert cli.main(train_arguments(first, steps=1)) == 0
    wider = replace(RegistrationModel.load(first / "best.pt").network, tail=(5,))
    RegistrationModel(wider).save(first / "best.pt")
    assert cli.main(train_arguments(second, steps=1, start=first / "best.pt")) == 0
    (first / "best.pt").unlink()
    (second / "best.pt").unlink()  # as after Ctrl-C before the first validation
    assert cli.main(["train", "--resume", str(second), "--steps", "2"]) == 0
    assert cli.main(train_arguments(second, steps=3)) == 0  # the folder alone
    assert RegistrationModel.load(second / "best.pt").network == wider
