"""The baselines of a reproduction: elastix in a process of its own, and no displacement."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from builders import assert_sentence, pair_2d, pair_3d
from hetreg.evaluation.case import Case
from hetreg.reproduce.baselines import Elastix, undeformed

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


def test_undeformed_moves_nothing():
    fixed, moving = pair_2d()
    result = undeformed(Case("a", "a", fixed, moving))
    np.testing.assert_allclose(result.moved.array, moving.array, atol=1e-4)
    assert not result.disp_vox.any()
