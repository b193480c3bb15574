"""Files that are there whole, and logs that may be cut off."""

from __future__ import annotations

import json

import pytest

from builders import assert_sentence
from hetreg.files import json_lines, write_whole


def test_a_log_is_read_without_the_line_that_a_kill_cut_off(tmp_path):
    rows = [{"event": "step", "step": 1}, {"event": "validation", "step": 1}]
    log = tmp_path / "log.jsonl"
    assert json_lines(log) == []
    log.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"event": "st', encoding="utf-8")
    assert json_lines(log) == rows


def test_what_cannot_be_written_is_one_sentence_and_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    write_whole(path, "old\n")
    write_whole(path, "new\n")
    assert path.read_text(encoding="utf-8") == "new\n"
    with pytest.raises(OSError, match="could not be written") as caught:
        write_whole(tmp_path / "absent" / "a.txt", "text")
    assert_sentence(caught.value, "a.txt", "disk")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
