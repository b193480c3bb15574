"""What numbers were made with."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hetreg
from hetreg import versions
from hetreg.training.folder import code_version


def test_versions_are_those_of_what_is_there(monkeypatch):
    import numpy

    found = versions.versions()
    assert (found["hetreg"], found["python"]) == (hetreg.__version__, platform.python_version())
    assert found["numpy"] == numpy.__version__
    assert found["scipy"] == importlib.metadata.version("scipy")

    def absent(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(versions, "version", absent)
    monkeypatch.delitem(sys.modules, "scipy", raising=False)
    found = versions.versions()
    assert found["numpy"] == numpy.__version__  # shipped without metadata
    assert "scipy" not in found


def test_the_version_of_the_code_is_that_of_what_runs_not_of_a_later_change(monkeypatch):
    first = code_version()
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"changed")
    assert code_version() == first


@pytest.mark.skipif(shutil.which("git") is None, reason="as git takes it out")
def test_the_code_has_the_same_bytes_where_git_is_asked_for_the_lines_of_windows(root, tmp_path):
    def git(*words):
        options = ["-C", str(tmp_path), "-c", "core.autocrlf=true", "-c", "core.safecrlf=false"]
        subprocess.run(["git", *options, *words], check=True)

    shutil.copy(root / ".gitattributes", tmp_path)
    (tmp_path / "cli.py").write_bytes(b"1\n2\n")
    git("init", "-q")
    git("add", ".")
    (tmp_path / "cli.py").unlink()
    git("checkout", "-q", "--", ".")
    assert (tmp_path / "cli.py").read_bytes() == b"1\n2\n"
