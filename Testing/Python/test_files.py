"""Files that are there whole, and logs that may be cut off."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from builders import assert_sentence
from hetreg import files
from hetreg.commands import console
from hetreg.config import RegisterConfig
from hetreg.files import json_lines, whole_file, whole_folder, write_whole


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
        assert_sentence(caught.value, "a.bin could not be written", "disk full", "or moved")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.bin", b"old")]
    with whole_file(path) as partial:
        partial.write_bytes(b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.bin", b"new")]


def test_files_that_belong_together_come_at_once_or_not_at_all(tmp_path):
    folder, names = tmp_path / "new" / "results", ("a.txt", "b.txt")

    def write(folder: Path, **texts: str) -> None:
        with whole_folder(folder, names) as partial:
            for stem, text in texts.items():
                write_whole(partial / f"{stem}.txt", text)

    def there() -> dict[str, str]:
        return {p.name: p.read_text(encoding="utf-8") for p in folder.iterdir()}

    write(folder, a="old", b="old")
    with pytest.raises(OSError, match="could not be written") as caught:
        write(folder, **{"a": "new", "absent/b": "new"})
    assert_sentence(caught.value, str(folder / "absent" / "b.txt"))
    assert there() == dict.fromkeys(names, "old")
    write(folder, b="new")
    assert there() == {"b.txt": "new"}
    with pytest.raises(OSError, match="could not be written") as caught:
        write(folder / "b.txt")
    assert_sentence(caught.value, "b.txt")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_link_that_another_laid_is_not_written_through(tmp_path, monkeypatch):
    """Not even if its name could be foreseen."""
    victim, folder = tmp_path / "victim", tmp_path / "shared"
    victim.write_text("mine", encoding="utf-8")
    folder.mkdir()
    with whole_file(folder / "a.txt") as one, whole_file(folder / "a.txt") as two:
        assert one != two
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "1")
    for name in (".partial-1.txt", ".hetreg-probe-1"):
        (folder / name).symlink_to(victim)
    with pytest.raises(OSError, match="could not be written"):
        write_whole(folder / "a.txt", "new")
    with pytest.raises(OSError, match="cannot be written"), console.output_folder(folder):
        pass
    assert victim.read_text(encoding="utf-8") == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such permissions")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_who_may_read_a_file_stays_when_it_is_replaced(tmp_path, mode):
    path = tmp_path / "a.txt"
    write_whole(path, "old")
    path.chmod(mode)
    mode |= 0o200  # what this program has written it goes on writing, as a log
    with whole_file(path) as partial:
        assert partial.stat().st_mode & 0o077 == 0
        partial.write_text("new", encoding="utf-8")
    assert (path.stat().st_mode & 0o777, path.read_text(encoding="utf-8")) == (mode, "new")
    with whole_folder(tmp_path, ("a.txt", "b.txt")) as partial:
        write_whole(partial / "a.txt", "newer")
        write_whole(partial / "b.txt", "new")
    assert (path.stat().st_mode & 0o777, path.read_text(encoding="utf-8")) == (mode, "newer")
    (tmp_path / "c.txt").touch()
    assert (tmp_path / "b.txt").stat().st_mode == (tmp_path / "c.txt").stat().st_mode


def test_the_longest_name_that_the_system_takes_is_written(tmp_path):
    for name, end in ((f"{'n' * 248}.nii.gz", ".nii.gz"), (f"n.{'n' * 249}.gz", ".gz")):
        path = tmp_path / name
        with whole_file(path) as partial:
            assert partial.name.endswith(end)  # SimpleITK writes by it
            partial.write_bytes(b"new")
        assert path.read_bytes() == b"new"


def test_a_configuration_that_cannot_be_saved_leaves_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    RegisterConfig(refine=1).save(path)

    def full(self: Path, text: str, **_how: object) -> None:
        self.write_bytes(text[:9].encode())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match=r"config\.json could not be written"):
        RegisterConfig(refine=2).save(path)
    assert RegisterConfig.load(path).refine == 1


def test_no_text_file_is_written_in_another_way():
    core = Path(files.__file__).parent
    writers = [p.name for p in sorted(core.rglob("*.py")) if ".write_text(" in p.read_text(encoding="utf-8")]
    assert writers == ["device.py", "files.py"]  # the former tells the system something
