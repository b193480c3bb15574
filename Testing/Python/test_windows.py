"""What is otherwise on Windows: a file that another program has open can be neither replaced nor removed, the
output has a code page, the shell other quotes, and nobody tells the memory."""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders import TINY, assert_sentence, tiny_training, train_samples
from hetreg import cli, files
from hetreg.commands import console, models
from hetreg.commands.steering import heard
from hetreg.commands.train import how_to_go_on
from hetreg.config import NetworkConfig
from hetreg.files import json_lines, whole_folder, write_whole
from hetreg.lock import FolderLock
from hetreg.progress import Control
from hetreg.reproduce import documents
from hetreg.reproduce.config import ReproduceConfig
from hetreg.training import folder as run_folder
from hetreg.training.folder import RunFolder
from hetreg.training.loop import train

ALWAYS = 10**6


class Open:
    """Files by these names are open in another program for so many tries to do something to them."""

    def __init__(self, monkeypatch, *names: str, tries: int = ALWAYS) -> None:
        self.names, self.tries = set(names), tries
        replace, unlink, open_ = Path.replace, Path.unlink, Path.open
        monkeypatch.setattr(Path, "replace", lambda p, to: self.ask(p, Path(to)) or replace(p, to))
        monkeypatch.setattr(Path, "unlink", lambda p, **k: self.ask(p) or unlink(p, **k))
        monkeypatch.setattr(
            Path, "open", lambda p, mode="r", **k: (mode[0] in "aw" and self.ask(p)) or open_(p, mode, **k)
        )

    def ask(self, *paths: Path) -> None:
        """Raises PermissionError while one of the paths, which has to be there for that, is open."""
        for path in paths:
            if path.name in self.names and path.exists() and self.tries:
                self.tries -= 1
                raise PermissionError(13, "The process cannot access the file", str(paths[0]))


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """Look often, and not for long."""
    monkeypatch.setattr(files, "_LOOK_S", 0.001)
    monkeypatch.setattr(files, "PATIENCE_S", 0.02)


def texts(folder: Path, pattern: str = "**/*") -> dict[str, str]:
    """What is in the files of a folder, if nothing else is said with those in folders below it."""
    found = [path for path in folder.glob(pattern) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in found}


def test_a_file_that_is_open_for_a_moment_is_waited_for(tmp_path, monkeypatch):
    write_whole(tmp_path / "best.pt", "old")
    held = Open(monkeypatch, "best.pt", tries=3)
    monkeypatch.setattr(files, "PATIENCE_S", 60)
    write_whole(tmp_path / "best.pt", "new")
    assert (held.tries, texts(tmp_path)) == (0, {"best.pt": "new"})


def test_a_file_that_stays_open_stays_as_it_is_and_the_sentence_says_what_may_be(tmp_path, monkeypatch):
    write_whole(tmp_path / "best.pt", "old")
    Open(monkeypatch, "best.pt")
    with pytest.raises(OSError, match="open in another program") as caught:
        write_whole(tmp_path / "best.pt", "new")
    assert_sentence(caught.value, "best.pt could not be written", "disk full")
    assert texts(tmp_path) == {"best.pt": "old"}


def test_the_probe_of_an_output_folder_may_be_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PATIENCE_S", 60)
    monkeypatch.setattr(console.secrets, "token_hex", lambda _: "1")
    Open(monkeypatch, ".hetreg-probe-1", tries=2)
    with console.output_folder(tmp_path):
        assert not texts(tmp_path)


def new_results(folder: Path) -> None:
    """New files a and b in place of all three."""
    with whole_folder(folder, ("a", "b", "c")) as partial:
        for name in "ab":
            write_whole(partial / name, "new")


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_of_results_that_belong_together_none_is_replaced_if_one_is_open(tmp_path, monkeypatch, name):
    old = dict.fromkeys("abc", "old")
    for stem, text in old.items():
        write_whole(tmp_path / stem, text)
    held = Open(monkeypatch, name)
    with pytest.raises(OSError, match=r"open in another program.* new files are in") as caught:
        new_results(tmp_path)
    (kept,) = tmp_path.glob("new-files-*")
    assert_sentence(caught.value, f"{tmp_path / name} could not be replaced", str(kept))
    assert texts(tmp_path) == old | {f"{kept.name}/{stem}": "new" for stem in "ab"}
    assert {path.name for path in kept.iterdir()} == {"a", "b"}
    held.tries = 0
    new_results(tmp_path)
    assert texts(tmp_path, "*") == dict.fromkeys("ab", "new")
    assert (kept / "a").is_file()


def test_new_files_that_are_looked_at_for_a_moment_get_the_name_that_nothing_removes(tmp_path, monkeypatch):
    write_whole(tmp_path / "a", "old")
    Open(monkeypatch, "a")
    rename, refused = Path.rename, [1, 2]

    def renamed(path, to):
        if refused:
            refused.pop()
            raise PermissionError(13, "The process cannot access the file", str(path))
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", renamed)
    with pytest.raises(OSError, match="new-files-") as caught:
        new_results(tmp_path)
    (kept,) = tmp_path.glob("new-files-*")
    assert_sentence(caught.value, str(kept))
    assert not list(tmp_path.glob(f"{files.PARTIAL}*"))


def test_a_folder_by_the_name_of_a_result_leaves_everything(tmp_path):
    write_whole(tmp_path / "a", "old")
    (tmp_path / "b").mkdir()
    write_whole(tmp_path / "b" / "mine", "mine")
    with pytest.raises(OSError, match="could not be replaced"):
        new_results(tmp_path)
    assert texts(tmp_path, "b/**/*") | texts(tmp_path, "*") == {"a": "old", "b/mine": "mine"}


def test_a_ctrl_c_leaves_no_folder_behind(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path, ("a",)) as partial:
        (partial / "a").write_text("new")
    assert not list(tmp_path.iterdir())


def steps_in(path: Path) -> list[int]:
    """The steps in a log of either kind."""
    if path.suffix == ".jsonl":
        return [row["step"] for row in json_lines(path)]
    with path.open(encoding="utf-8") as stream:
        return [int(row["step"]) for row in csv.DictReader(stream)]


def test_rows_wait_while_log_csv_is_open(tmp_path, monkeypatch):
    logs = [tmp_path / name for name in ("log.jsonl", "log.csv")]
    held = Open(monkeypatch, "log.csv", tries=0)
    folder = RunFolder(tmp_path, tiny_training())
    for step in (1, 2, 3, 4):
        held.tries = ALWAYS if step in (2, 3) else 0
        folder.log({"event": "step", "step": step})
        assert bool(folder.behind) is (step in (2, 3))
    assert [steps_in(path) for path in logs] == [[1, 2, 3, 4]] * 2
    folder = RunFolder(tmp_path, tiny_training())  # goes on after a kill
    held.tries = ALWAYS
    folder.forget_after(2)
    assert [steps_in(path) for path in logs] == [[1, 2], [1, 2, 3, 4]]
    held.tries = 0
    folder.log({"event": "step", "step": 3})
    assert [steps_in(path) for path in logs] == [[1, 2, 3]] * 2
    held.names, held.tries = {"log.jsonl"}, ALWAYS
    with pytest.raises(OSError, match=r"log\.jsonl could not be written.*open in another program"):
        folder.log({"event": "step", "step": 4})


def test_rows_that_wait_follow_at_the_end(tmp_path, monkeypatch):
    held = Open(monkeypatch, "log.csv", tries=0)
    run = RunFolder(tmp_path, tiny_training())
    for step in (1, 2, 3):
        held.tries = ALWAYS if step > 1 else 0
        run.log({"event": "step", "step": step})
    held.tries = 0
    run.close()
    assert steps_in(tmp_path / "log.csv") == [1, 2, 3]


def test_a_row_that_a_full_disk_cut_off_is_written_anew(tmp_path, monkeypatch):
    run, add = RunFolder(tmp_path, tiny_training()), run_folder._add
    run.log({"event": "step", "step": 1})

    def half(path: Path, text: str, mode: str = "a") -> None:
        add(path, text if path.suffix == ".jsonl" else text[: len(text) // 2], mode)
        if path.suffix == ".csv":
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "_add", half)
        run.log({"event": "step", "step": 2})
    run.log({"event": "step", "step": 3})
    assert steps_in(tmp_path / "log.csv") == [1, 2, 3]


def test_a_training_goes_on_while_its_table_and_its_preview_are_open(tmp_path, monkeypatch):
    (tmp_path / "preview").mkdir()
    for path in (tmp_path / "log.csv", tmp_path / "preview" / "moved.nrrd"):
        path.write_text("")
    Open(monkeypatch, "log.csv", "moved.nrrd")
    told: list[tuple[str, str]] = []
    train(
        tiny_training(steps=3, validate_every=1),
        tmp_path,
        emit=lambda kind, **fields: told.append((kind, str(fields.get("text", "")))),
        network=NetworkConfig(ndim=2, **TINY),
        samples=train_samples(),
    )
    notes = [text for kind, text in told if kind == "note" and "another program" in text]
    assert [name for text in notes for name in ("log.csv", "moved.nrrd") if name in text] == [
        "moved.nrrd",
        "log.csv",
    ]
    assert told[-1][0] == "done"
    assert "preview" not in dict(told)
    assert sorted(set(steps_in(tmp_path / "log.jsonl"))) == [1, 2, 3]


def test_a_name_that_the_code_page_lacks_does_not_end_a_command(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1252"))
    monkeypatch.setattr(models, "run", lambda _: print("Łukasz, Müller"))
    assert cli.main(["models"]) == 0
    assert raw.getvalue().decode("cp1252").strip() == r"\u0141ukasz, Müller"


def test_a_folder_can_be_taken_where_a_file_has_another_number_each_time(tmp_path, monkeypatch):
    msvcrt = SimpleNamespace(LK_NBLCK=2, LK_UNLCK=0, locking=lambda *_: None)
    monkeypatch.setitem(sys.modules, "msvcrt", msvcrt)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os.path, "samestat", lambda *_: False)
    with FolderLock(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert not list(tmp_path.iterdir())


class Unread(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text: str) -> int:
        raise OSError(22, "Invalid argument")


@pytest.mark.parametrize(("system", "code"), [("win32", 141), ("linux", 2)])
def test_a_reader_that_has_gone_is_an_invalid_argument(system, code, monkeypatch):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(sys, "stdout", Unread())
    assert cli.main(["models"]) == code


@pytest.mark.parametrize(
    "heard_by", [lambda tell: nullcontext(console.unstopped(tell)), lambda tell: heard(tell, Control())]
)
def test_work_ends_where_its_reader_has_gone(heard_by, monkeypatch):
    def work():
        with heard_by(lambda kind: print(kind, flush=True)) as say:
            say("step")

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "stdout", Unread())
    with pytest.raises(OSError, match=r"^\[Errno 22\]"):
        work()


def test_a_command_is_quoted_as_the_shell_reads_it(tmp_path, monkeypatch):
    for name, shown in ((r"C:\Users\Jane\run", "{}"), (r"C:\Jane Doe\run", '"{}"'), (r"C:\R&D\run", '"{}"')):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "last.ckpt").touch()
        arguments = argparse.Namespace(resume=None, output=folder)
        assert how_to_go_on(arguments) == f"hetreg train --resume '{folder}'"
        with monkeypatch.context() as patch:
            patch.setattr(sys, "platform", "win32")
            assert how_to_go_on(arguments) == f"hetreg train --resume {shown.format(folder)}"


def test_a_memory_that_is_not_known_is_not_told(monkeypatch):
    for total, expected in ((0.0, False), (15.6, True)):
        monkeypatch.setattr(documents, "physical_memory_gb", lambda total=total: total)
        text = documents._made_how(ReproduceConfig(), "")[-1]
        assert (" GB," in text, "16 GB, " in text) == (expected, expected)
