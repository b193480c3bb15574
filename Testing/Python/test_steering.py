"""The words that reach a training through a file, and its end when nobody reads what it says."""

from __future__ import annotations

import threading
import time

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

    file.write_text("pause")
    with steered(control, file, heard(emit, control)):
        wait(lambda: control.stopped)
    assert said[:3] == ["alive"] * 3
