"""Paths beyond ASCII on Windows, where SimpleITK needs the C library to take them for UTF-8."""

from __future__ import annotations

import locale
import sys

import pytest

from hetreg import cli


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
