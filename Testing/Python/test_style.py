"""The tree passes the linter and is formatted, as pyproject.toml says; errors are one sentence."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

_TWO = re.compile(r"[.?!] [A-Z{]")  # the end of a sentence and the beginning of another


@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]], ids=["check", "format"])
def test_ruff(root, arguments):
    command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", "--output-format=concise", "."]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ruff {' '.join(arguments)}:\n{done.stdout[-4000:]}{done.stderr[-1000:]}"


def test_files_are_short(root):
    folders = ("HetRegUncertainty", "HetRegTraining", "Testing")
    paths = [path for folder in folders for path in (root / folder).rglob("*.py")]
    assert not [path.name for path in paths if len(path.read_text(encoding="utf-8").splitlines()) >= 300]


def test_functions_are_short(root):
    found = []
    for folder in ("HetRegUncertainty", "HetRegTraining"):
        for path in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef):
                    documented = ast.get_docstring(node, clean=False) is not None
                    first = node.body[0].end_lineno if documented else node.lineno
                    found += [f"{path.name}: {node.name}"] if node.end_lineno - first >= 40 else []
    assert not found, "\n".join(found)


def _texts(node: ast.AST) -> Iterator[str]:
    """Strings in it; of one with values each value is {}."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from _texts(child)


def test_what_is_raised_is_one_sentence(root):
    found = []
    for folder in ("HetRegUncertainty", "HetRegTraining"):
        for path in (root / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            raised = (n.exc for n in ast.walk(tree) if isinstance(n, ast.Raise) and n.exc is not None)
            found += [f"{path.name}: {text}" for exc in raised for text in _texts(exc) if _TWO.search(text)]
    assert not found, "\n".join(found)
