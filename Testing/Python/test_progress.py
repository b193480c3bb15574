"""Reports and cancelling."""

from __future__ import annotations

import io
import json
import threading

import pytest

from hetreg.progress import Cancelled, Control, JsonLines, Progress


def test_reports_fractions_within_0_and_1():
    seen = []
    progress = Progress(lambda f, m: seen.append((f, m)))
    for fraction in (-1, 0.25, 7):
        progress.step(fraction, "working")
    assert seen == [(0.0, "working"), (0.25, "working"), (1.0, "working")]


def test_a_part_is_shown_as_its_share_of_the_whole():
    seen = []
    outer = Progress(lambda f, m: seen.append(f)).part(0.5, 1.0)
    for fraction in (0, 0.5, 1):
        outer.part(0.0, 0.5).step(fraction, "inner")
    assert seen == [0.5, 0.625, 0.75]


def test_cancelling_raises_after_the_report_also_inside_a_part():
    seen = []
    progress = Progress(lambda f, m: seen.append(m), lambda: len(seen) == 2)
    progress.step(0.1, "first")
    with pytest.raises(Cancelled, match="second"):
        progress.part(0.2, 0.3).step(0.0, "second")
    assert seen == ["first", "second"]


def test_nothing_happens_without_callbacks(capsys):
    Progress().step(0.5, "quiet")
    assert capsys.readouterr() == ("", "")


def test_json_lines_are_one_object_a_line():
    stream = io.StringIO()
    lines = JsonLines(stream)
    lines.progress().step(0.123456, "two\nlines")
    lines.event("result", files={"a": "b"}, value=float("nan"), deep=[{"c": float("inf")}])
    first, second = (json.loads(t, parse_constant=pytest.fail) for t in stream.getvalue().splitlines())
    assert first["event"] == "progress"
    assert first["fraction"] == 0.1235
    assert first["message"] == "two\nlines"
    assert first["time"] > 1e9
    assert second["files"] == {"a": "b"}
    assert second["value"] is None
    assert second["deep"] == [{"c": None}]


def test_control_obeys_its_words_and_stop_ends_a_pause():
    control = Control()
    control.obey("nonsense\n")
    assert not control.paused
    assert not control.stopped
    control.obey("pause\n")
    assert control.paused
    control.obey("resume")
    assert not control.paused
    control.pause()
    threading.Timer(0.05, control.obey, ["stop"]).start()
    control.wait()  # returns although nobody resumes
    assert control.stopped
