"""Paths beyond ASCII on Windows, where SimpleITK needs the C library to take them for UTF-8."""

from __future__ import annotations

import locale
import sys
from pathlib import PurePath

import pytest
from layouts import plain_pair

from builders import assert_sentence, run_python
from hetreg import cli
from hetreg.datasets.pairs import scan_folder
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
@pytest.mark.parametrize("name", ["Müller", "Miller", "M" * 165])
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
        assert ("letters too long" in str(error)) == (system == "win32" and len(name) > 160)


def test_a_process_beside_slicer_reads_and_writes_at_such_a_path(tmp_path):
    """The answer that only Windows itself can give."""
    path = tmp_path / "Müller 肺" / "es.nii.gz"
    path.parent.mkdir()
    lines = [
        "import sys; from pathlib import Path; import numpy as np; from hetreg import cli",
        "from hetreg.image import Image, read_image, write_image",
        "assert cli.main([]) == 2",
        "path = write_image(Image(np.ones((2, 3, 4), np.float32), np.eye(4)), Path(sys.argv[1]))",
        "assert read_image(path).array.all()",
    ]
    done = run_python("-c", "\n".join(lines), str(path))
    assert done.returncode == 0, done.stderr
    assert [file.name for file in path.parent.iterdir()] == ["es.nii.gz"]


def test_pairs_come_in_one_order_everywhere(tmp_path, monkeypatch):
    """Windows compares paths without the case of their letters; the batches of a training depend on it."""
    for n, (folder, case) in enumerate((("b", "x"), ("C", "x"), ("a", "x"), ("a", "B"), ("a", "c"))):
        plain_pair(tmp_path / folder, case, n)
    here = scan_folder(tmp_path).pairs
    monkeypatch.setattr(PurePath, "__lt__", lambda path, other: str(path).lower() < str(other).lower())
    assert scan_folder(tmp_path).pairs == here
    assert [pair.case for pair in here] == ["C/x", "B", "c", "a/x", "b/x"]
