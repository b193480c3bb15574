"""Files that are there whole, and logs that may be cut off."""

from __future__ import annotations

import json

import pytest

from builders import assert_sentence
from hetreg.files import json_lines, whole_file, write_whole


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


@pytest.mark.parametrize("error", [OSError(28, "full"), RuntimeError("no space left"), KeyboardInterrupt()])
def test_a_file_that_is_not_finished_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def write() -> None:
        with whole_file(path) as partial:
            partial.write_bytes(b"half")
            assert path.read_bytes() == b"old"
            raise error

    interrupted = isinstance(error, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt if interrupted else OSError) as caught:
        write()
    if not interrupted:
        assert_sentence(caught.value, "a.bin could not be written", "disk full")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.bin", b"old")]
    with whole_file(path) as partial:
        partial.write_bytes(b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.bin", b"new")]
