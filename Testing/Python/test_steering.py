"""The words that reach a training through a file, and its end when nobody reads what it says."""

from __future__ import annotations

import os
import threading
import time
from types import SimpleNamespace

import pytest

from hetreg.commands import steering
from hetreg.commands.steering import heard, steered
from hetreg.config import TrainConfig
from hetreg.progress import Control
from hetreg.training import loop


def wait(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_each_word_of_the_file_is_obeyed(tmp_path, monkeypatch):
    monkeypatch.setattr(steering, "POLL_S", 0.01)
    control, file, threads = Control(), tmp_path / "control", threading.active_count()
    with steered(control, file, lambda kind: None):
        file.write_text("pause")
        wait(lambda: control.paused)
        file.write_bytes(b"\xff")  # as good as nothing
        file.write_text("resume")
        wait(lambda: not control.paused)
        assert not control.stopped
        file.write_text("stop\n")
        wait(lambda: control.stopped)
    assert threading.active_count() == threads


def test_a_pause_ends_when_nobody_is_left(tmp_path, monkeypatch):
    """It stops then: a process that was forgotten would hold its memory and its folder for ever."""
    monkeypatch.setattr(steering, "POLL_S", 0.01)
    control, file, said = Control(), tmp_path / "control", []

    def emit(kind):
        said.append(kind)
        if len(said) == 3:
            raise BrokenPipeError

    def pause():
        with heard(emit, control) as say, steered(control, file, say):
            file.write_text("pause")
            wait(lambda: control.stopped)

    with pytest.raises(BrokenPipeError):
        pause()
    assert said[:3] == ["alive"] * 3


def test_a_word_to_a_former_training_counts_only_when_it_is_written_again(tmp_path, monkeypatch):
    monkeypatch.setattr(steering, "POLL_S", 0.01)
    control, file, looked = Control(), tmp_path / "control", []
    written = steering._written
    monkeypatch.setattr(steering, "_written", lambda file: looked.append(file) or written(file))
    file.write_text("stop")
    with steered(control, file, lambda kind: None):
        wait(lambda: len(looked) > 3)
        assert not control.stopped
        os.utime(file, ns=(0, 0))  # the same word at another time
        wait(lambda: control.stopped)


def test_an_error_of_the_training_itself_counts_more_than_what_could_not_be_said():
    def emit(kind):
        raise BrokenPipeError

    def fail():
        with heard(emit, Control()) as say:
            say("step")
            raise ValueError("the training")

    with pytest.raises(ValueError, match="the training"):
        fail()


def test_a_pause_is_no_time_of_the_training(monkeypatch):
    """Steps of 2 and 4 s of a run that took 5 s before, with 100 s between them; 198 and 3 x 98 s to go."""
    now, told, config = [10.0], [], TrainConfig(steps=100, validate_every=50)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: now[0]))
    trainer = SimpleNamespace(step=0, seconds=5.0, config=config)
    run = loop.Run(trainer, None, (), lambda kind, **fields: told.append((kind, fields)))

    def pass_by(seconds):
        now[0] += seconds

    for seconds in (2.0, 4.0):
        pass_by(seconds)
        trainer.step += 1
        run.after_step({"loss": 1.0})
        loop._pause(run, SimpleNamespace(paused=trainer.step == 1, wait=lambda: pass_by(100.0)))
    assert [(kind, fields["step"]) for kind, fields in told] == [
        ("step", 1),
        ("paused", 1),
        ("resumed", 1),
        ("step", 2),
    ]
    steps = [(fields["seconds"], fields["eta_seconds"]) for kind, fields in told if kind == "step"]
    assert steps == [(7.0, 198.0), (11.0, 294.0)]
