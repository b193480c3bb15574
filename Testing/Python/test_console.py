"""What the commands print: characters that steer a terminal are shown, not obeyed."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import SimpleITK as sitk

from builders import events_of, pair_2d, run_python, tiny_model
from hetreg import cli
from hetreg.commands.console import Line, output_folder, say, unstopped, visible
from hetreg.image import write_image

ODD = "a\x1b]0;title\x07\n\x1b[2J\x9b\u202eb"
SHOWN = r"a\x1b]0;title\x07\n\x1b[2J\x9b\u202eb"


def test_characters_that_steer_a_terminal_are_shown():
    assert visible(ODD) == SHOWN
    assert visible("Müller, 心, 1.5 µm \\") == "Müller, 心, 1.5 µm \\"


def test_every_line_for_people_is_printed_so(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    line = Line()
    say(ODD)
    line.event("note", text=ODD)
    line.event("left_out", file=ODD, reason="why")
    line.report(0.5, ODD)
    out, err = capsys.readouterr()
    assert out == f"{SHOWN}\nnote: {SHOWN}\nleft out: {SHOWN}: why\n"
    assert err.replace("\r\033[K", "") == f" 50.0 %  {SHOWN}"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:00"), (59.6, "1:00"), (119.7, "2:00"), (3725.2, "62:05")]
)
def test_the_time_left_has_no_sixtieth_second(seconds, shown, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    Line().event("step", step=1, steps=2, eta_seconds=seconds)
    assert capsys.readouterr().err.endswith(f" {shown} left")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_console_of_windows_is_told_to_obey_codes(terminal, monkeypatch):
    told = []
    system = SimpleNamespace(
        GetStdHandle=lambda number: f"handle {number}", SetConsoleMode=lambda *a: told.append(a)
    )
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=system), raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    Line()
    assert not told or sys.platform == "win32"
    monkeypatch.setattr(sys, "platform", "win32")
    told.clear()
    Line()
    assert told == ([("handle -12", 0b111)] if terminal else [])


@pytest.mark.skipif(sys.platform == "win32", reason="no file has such a name there")
def test_no_command_hands_a_name_to_the_terminal(tmp_path, capsys):
    name = "b\x1b[2J\n"
    files = [tmp_path / f"{name}_{phase}.nrrd" for phase in ("ES", "ED")]
    for image, file in zip(pair_2d(), files, strict=True):
        write_image(image, file)
    (tmp_path / f"{name}bad_ED.nrrd").touch()
    model = tmp_path / f"{name}.pt"
    tiny_model().save(model)
    listing = ["train", "--dry-run", "--dataset", "pairs", "--root"]
    pair = [f"--fixed={files[0]}", f"--moving={files[1]}", f"--output={tmp_path / 'out'}"]
    commands = [
        [*listing, str(tmp_path)],
        [*listing, f"/{name}"],
        ["register", *pair, "--model", str(model)],
        ["register", *pair, "--model", name],
    ]
    assert [cli.main(command) for command in commands] == [0, 2, 0, 2]
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert r"/b\x1b[2J\n.pt" in out
    assert r"rejected  " in out
    assert err.count(r"b\x1b[2J") == 2


def test_what_cannot_be_said_does_not_stop_the_work_but_that_nobody_reads_does():
    said = []

    def tell(kind, **fields):
        if kind == "full":
            raise OSError(28, "No space left on device")
        if kind == "gone":
            raise BrokenPipeError
        said.append((kind, fields))

    told = unstopped(tell)
    told("full")
    told("step", step=1)
    assert said == [("step", {"step": 1})]
    with pytest.raises(BrokenPipeError):
        told("gone")


def test_what_a_library_prints_stays_out_of_the_json_lines(tmp_path):
    """libjpeg says there that the file ends early."""
    picture = sitk.Cast(pair_2d()[0].to_sitk(), sitk.sitkUInt8)[:, :, 0]
    sitk.WriteImage(picture, str(tmp_path / "whole.jpg"))
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-40])
    images = [f"--fixed={tmp_path / 'cut.jpg'}", f"--moving={tmp_path / 'whole.jpg'}"]
    done = run_python("-m", "hetreg", "register", *images, f"--output={tmp_path / 'out'}", "--json")
    assert events_of(done.stdout)
    assert "JPEG" in done.stderr


@pytest.mark.parametrize("given", ["taken.txt", "taken.txt/deeper/folder"])
def test_a_file_in_the_place_of_the_output_folder_is_named(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("taken.txt").write_text("mine", encoding="utf-8")
    said = r"cannot be written: \S*taken\.txt is a file, a folder is accepted\.$"
    with pytest.raises(OSError, match=said), output_folder(Path(given)):
        raise AssertionError("the work began")
    assert Path("taken.txt").read_text(encoding="utf-8") == "mine"
