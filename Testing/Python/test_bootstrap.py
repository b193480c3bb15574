"""The environment is made once, by one process at a time, and repaired when half made. No network is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import bootstrap

# Makes an environment of no packages at argv[1] for the requirements at argv[2].
MAKE = """
import sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
import bootstrap
bootstrap.ROOT, bootstrap.IMPORTS = Path(sys.argv[1]).parent, ("json",)
bootstrap.ENVIRONMENT, bootstrap.REQUIREMENTS = Path(sys.argv[1]), Path(sys.argv[2])
bootstrap.STAMP, bootstrap.UNFINISHED = bootstrap.ENVIRONMENT / "ready", bootstrap.ENVIRONMENT / "unfinished"
bootstrap.CHECK = "import json"
bootstrap.ensure_environment()
"""


@pytest.fixture
def make(tmp_path):
    """Start a process that ensures an environment in tmp_path."""
    (tmp_path / "requirements.txt").write_text("# none\n", encoding="utf-8")

    def start() -> subprocess.Popen[str]:
        folders = [tmp_path / "env", tmp_path / "requirements.txt", Path(bootstrap.__file__).parent]
        command = [sys.executable, "-c", MAKE, *map(str, folders)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    return start


def finish(process: subprocess.Popen[str]) -> str:
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    return output


@pytest.mark.slow
def test_it_is_made_once_and_repaired_when_half_made_damaged_or_outdated(make, tmp_path):
    environment = tmp_path / "env"
    outputs = [finish(p) for p in [make(), make()]]
    assert sorted("making the environment env" in o for o in outputs) == [False, True]
    assert (environment / "ready").is_file()
    assert finish(make()) == ""

    (environment / "unfinished").touch()
    assert "making the environment env" in finish(make())
    assert not (environment / "unfinished").exists()

    for interpreter in [*environment.glob("bin/python*"), *environment.glob("Scripts/python*")]:
        interpreter.unlink()
    assert "making the environment env" in finish(make())

    (tmp_path / "requirements.txt").write_text("# still none\n", encoding="utf-8")
    output = finish(make())
    assert "installing" in output
    assert "making the environment env" not in output


def test_missing_packages_are_named_where_they_cannot_be_installed(monkeypatch, capfd):
    monkeypatch.setattr(bootstrap, "missing_packages", lambda: ["libegl1", "fonts-dejavu-core"])
    monkeypatch.setattr(bootstrap, "_may_install", lambda: False)
    assert bootstrap.run(["-c", "raise SystemExit(99)"]) == 1
    assert "sudo apt-get install libegl1 fonts-dejavu-core" in capfd.readouterr().err


def test_a_library_that_is_absent_is_found_missing(monkeypatch):
    monkeypatch.setitem(bootstrap.LIBRARIES, "libegl1", "libThatNobodyHas.so.1")
    monkeypatch.setattr(bootstrap, "FONT_FOLDERS", ())
    monkeypatch.setattr(sys, "platform", "linux")
    assert {"libegl1", "libgl1-mesa-dri", "fonts-dejavu-core"} <= set(bootstrap.missing_packages())


def test_no_accepted_python_and_no_venv_module_are_said_in_words(monkeypatch):
    monkeypatch.setattr(bootstrap, "_may_install", lambda: False)
    monkeypatch.setattr(bootstrap, "_runs", lambda code, python: False)
    with pytest.raises(bootstrap.SetupError, match=r"Python 3.11, 3.12, 3.13 is needed"):
        bootstrap.find_interpreter()
    monkeypatch.setattr(bootstrap, "_runs", lambda code, python: "venv" not in code)
    with pytest.raises(bootstrap.SetupError, match="apt-get install python3-venv"):
        bootstrap.find_interpreter()


def test_foreign_packages_do_not_leak_into_the_environment(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    environment = bootstrap.child_environment()
    assert "PYTHONPATH" not in environment
    assert environment["OMP_NUM_THREADS"] == "3"
