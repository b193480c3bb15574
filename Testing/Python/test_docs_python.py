"""The examples of docs/python.md run, in their order, as a reader would type them."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import hetreg


def test_the_examples_run(root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (root / "docs" / "python.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(examples) == 12
    names: dict[str, object] = {}
    for number, example in enumerate(examples, 1):
        exec(compile(example, f"example {number}", "exec"), names)
    assert "cine-mri-2d" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"es.nrrd", "output", "run", "tuned"}


def test_every_public_name_is_listed_and_there():
    assert dir(hetreg) == sorted(hetreg.__all__)
    for name in hetreg.__all__:
        assert getattr(hetreg, name) is not None
    assert hetreg.evaluate is import_module("hetreg.evaluate")
    assert hetreg.evaluate_data is hetreg.evaluate.evaluate
    assert {"Control", "Evaluation", "ReproduceConfig", "reproduce_paper"} <= set(dir(hetreg))


def test_type_checkers_see_what_is_there():
    stub = ast.parse(Path(hetreg.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    typed = {
        alias.asname: (line.module or "", alias.name)
        for line in stub.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    public = {name: (target, name) for name, target in hetreg._PUBLIC.items()}
    assert public.pop("evaluate_data") == ("evaluate:evaluate", "evaluate_data")
    assert public.pop("reproduce_paper") == ("reproduce.run:reproduce", "reproduce_paper")
    assert typed.pop("_run") == ("reproduce", "run")
    assert typed == public
