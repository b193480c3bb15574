"""The baselines of a reproduction: elastix in a process of its own, and no displacement."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from builders import TINY_REPRODUCTION, assert_sentence, pair_2d, pair_3d
from hetreg.evaluation.case import Case
from hetreg.progress import Progress
from hetreg.reproduce import baselines
from hetreg.reproduce.baselines import Elastix, undeformed
from hetreg.reproduce.book import Book
from hetreg.reproduce.documents import readme, title
from hetreg.reproduce.plan import Job
from hetreg.reproduce.scoring import Scorer

# Answers as the worker of elastix does: every voxel is moved by half a voxel along each axis.
WORKER = """
import json, sys
import numpy as np
open("deformationField.nii", "w").close()  # as transformix does, wherever it is
for line in sys.stdin:
    task = json.loads(line)
    fixed = np.load(task["pair"])["fixed"]
    print("a line of a library")
    if fixed.mean() > 0.9:
        print("hetreg error RuntimeError: it diverged.", flush=True)
        continue
    np.save(task["disp"], np.full((fixed.ndim, *fixed.shape), 0.5, np.float32))
    print("hetreg ok", flush=True)
"""


@pytest.mark.parametrize("pair", [pair_2d, pair_3d])
def test_elastix_registers_in_a_process_of_its_own(tmp_path, pair, monkeypatch):
    fixed, moving = pair()
    monkeypatch.chdir(tmp_path)
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)
    with Elastix() as elastix:
        elastix._command = [sys.executable, str(worker)]
        results = [elastix(Case("a", "a", fixed, moving)) for _ in range(2)]
        process = elastix._process
    assert process.poll() == 0
    assert [p.name for p in tmp_path.iterdir()] == ["worker.py"]  # nothing is left in the user's folder
    for result in results:
        assert result.disp_vox[:, -1, 5, 5].tolist() == ([0.0, 0.5, 0.5] if pair is pair_2d else [0.5] * 3)


def test_elastix_that_is_not_there_is_one_sentence(tmp_path):
    fixed, moving = pair_2d()
    worker = tmp_path / "worker.py"
    worker.write_text("import sys\nsys.exit(3)\n")
    with Elastix() as elastix:
        elastix._command = [sys.executable, str(worker)]
        with pytest.raises(ValueError, match="elastix failed") as error:
            elastix(Case("a", "a", fixed, moving))
    assert_sentence(error.value, "process")
    with Elastix(str(tmp_path / "nothing")) as missing, pytest.raises(OSError, match="could not be started"):
        missing(Case("a", "a", fixed, moving))


def test_without_itk_elastix_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "itk.py").write_text("raise ModuleNotFoundError(\"No module named 'itk'\")")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Elastix() as elastix, pytest.raises(ValueError, match="No module named 'itk'") as error:
        elastix(Case("a", "a", *pair_2d()))
    assert_sentence(error.value, 'pip install "hetreg[elastix]"', "--elastix-python")


def test_what_all_cases_failed_of_is_told_once_in_the_line_of_the_run(tmp_path, monkeypatch):
    reasons = ("It is damaged.", "No itk.", "No itk.")
    rows = [{"case": c, "patient": c, "error": why} for c, why in zip("abc", reasons, strict=True)]
    monkeypatch.setattr(Scorer, "_measure", lambda *_: ({"rows": rows, "slices": [], "curves": {}}, False))
    source = "phantom:mri2d"
    with Scorer(TINY_REPRODUCTION, tmp_path) as scorer:
        found = scorer.score(Job("elastix", "", "elastix", 0, None), source, "", Progress())
    assert found.error == "No itk."
    text = readme(Book(TINY_REPRODUCTION, [found]), [], {}, {}, [], [])
    assert [line for line in text.splitlines() if source in line] == [
        f"- baseline elastix, seed 0, {source}: No itk.",
        f"- test case a of {source}, 1 of 1 times: It is damaged.",
    ]


def test_the_heading_of_baselines_alone_names_no_network():
    alone = replace(TINY_REPRODUCTION, methods=("undeformed", "elastix"))
    assert title(alone).startswith("# Baselines alone: Phantom")
    assert title(replace(alone, methods=("undeformed", "ours"))).startswith("# VoxelMorph (tiny")
    assert "all methods" in title(replace(alone, methods=("all",)))


def test_elastix_whose_process_ends_as_it_is_asked_fails_in_one_sentence_alone(tmp_path, monkeypatch):
    def started(*command: object, **how: object) -> subprocess.Popen:
        process = popen(*command, **how)
        process.wait()
        return process

    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", started)
    fixed, moving = pair_2d()
    with Elastix() as elastix:
        elastix._command = [sys.executable, "-c", ""]
        with pytest.raises(ValueError, match="its process ended"):
            elastix(Case("a", "a", fixed, moving))


def test_elastix_that_gives_no_answer_is_ended(monkeypatch):
    monkeypatch.setattr(baselines, "_LIMIT_S", 0.5)
    with Elastix() as elastix:
        elastix._command = [sys.executable, "-c", "import time; time.sleep(30)"]
        with pytest.raises(ValueError, match=r"its process ended, or took over 0\.5 s"):
            elastix(Case("a", "a", *pair_2d()))


def test_undeformed_moves_nothing():
    fixed, moving = pair_2d()
    result = undeformed(Case("a", "a", fixed, moving))
    np.testing.assert_allclose(result.moved.array, moving.array, atol=1e-4)
    assert not result.disp_vox.any()
