"""The words that reach a training through a file, and its end when nobody reads what it says."""

from __future__ import annotations

import os
import threading
import time

import pytest

from hetreg.commands import steering
from hetreg.commands.steering import heard, steered
from hetreg.progress import Control


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
