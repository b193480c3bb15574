"""The tree passes the linter and is formatted, as pyproject.toml says."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]], ids=["check", "format"])
def test_ruff(root, arguments):
    command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", "--output-format=concise", "."]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ruff {' '.join(arguments)}:\n{done.stdout[-4000:]}{done.stderr[-1000:]}"
