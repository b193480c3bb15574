"""Paths beyond ASCII on Windows, where SimpleITK needs the C library to take them for UTF-8."""

from __future__ import annotations

import locale
import sys

import pytest

from builders import assert_sentence
from hetreg import cli
from hetreg.files import whole_file
from hetreg.image import read_image


@pytest.mark.parametrize(("system", "expected"), [("win32", [(locale.LC_CTYPE, ".UTF8")]), ("linux", [])])
def test_the_command_line_takes_paths_for_utf_8_on_windows_alone(system, expected, monkeypatch, capsys):
    asked = []

    def old_windows(*given):
        asked.append(given)
        raise locale.Error("unsupported locale setting")

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(locale, "setlocale", old_windows)
    assert cli.main([]) == 2
    assert asked == expected
    assert "unsupported" not in capsys.readouterr().err


@pytest.mark.parametrize("system", ["win32", "linux"])
@pytest.mark.parametrize("name", ["Müller", "Miller"])
def test_the_path_may_be_why_a_file_cannot_be_read_or_written(system, name, tmp_path, monkeypatch):
    path = tmp_path / name / "es.nrrd"
    path.parent.mkdir()
    path.write_bytes(b"NRRD0004\ntype: none\n\n")
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(ValueError, match=r"es\.nrrd could not be read") as caught:
        read_image(path)
    with pytest.raises(OSError, match="could not be written") as refused, whole_file(path):
        raise RuntimeError("SimpleITK's")
    for error in (caught.value, refused.value):
        assert_sentence(error)
        assert ("beyond ASCII" in str(error)) == ((system, name) == ("win32", "Müller"))
