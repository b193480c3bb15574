"""What only an NVIDIA GPU can show: trainings there, with its options, alone and in groups of processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import hetreg
from hetreg.config import TrainConfig
from hetreg.model import RegistrationModel
from hetreg.training.loop import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]
CONFIG = TrainConfig(
    size="tiny", phantoms=6, steps=6, warmup=1, batch=4, crop=32, learning_rate=1e-3, validate_every=1
)
LAUNCHER = ("-m", "torch.distributed.run", "--standalone")


@pytest.fixture
def exact(monkeypatch):
    """Convolutions in whole 32-bit floats, here and in the processes that a test starts."""
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def losses(folder: Path) -> list[list[float]]:
    """Loss and variance loss of each step."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [[r[n] for n in ("loss", "variance_loss") if n in r] for r in rows if r["event"] == "step"]


def flat(rows: list[list[float]]) -> list[float]:
    """One list."""
    return [value for row in rows for value in row]


@pytest.mark.parametrize("network", ["voxelmorph", "transmorph", "pyramid"])
def test_a_gpu_gives_the_losses_of_the_cpu(tmp_path, exact, network):
    config = replace(CONFIG, network=network, crop=64 if network == "transmorph" else 32)
    for device in ("cpu", "cuda"):
        train(replace(config, device=device), tmp_path / device)
    assert flat(losses(tmp_path / "cuda")) == pytest.approx(flat(losses(tmp_path / "cpu")), rel=2e-3)


@pytest.mark.parametrize("options", [{"amp": True}, {"compile": True}, {"amp": True, "compile": True}])
def test_the_options_of_the_gpu_give_nearly_the_losses_without(tmp_path, options):
    train(replace(CONFIG, device="cuda"), tmp_path / "plain")
    train(replace(CONFIG, device="cuda", **options), tmp_path / "fast")
    assert flat(losses(tmp_path / "fast")) == pytest.approx(flat(losses(tmp_path / "plain")), rel=0.03)
    assert RegistrationModel.load(tmp_path / "fast" / "best.pt").ndim == 2


def test_a_run_in_3d_with_all_options(tmp_path):
    """Two kinds of steps, checkpoint, validation and preview, which need no gradient."""
    config = replace(CONFIG, kind="echo3d", crop=16, phantoms=3, batch=2, amp=True, compile=True)
    train(replace(config, device="cuda", network="pyramid"), tmp_path)
    assert len(losses(tmp_path)) == 6
    assert all(torch.isfinite(torch.tensor(flat(losses(tmp_path)))))


@pytest.mark.parametrize("count", [1, 2], ids=["nccl", "gloo, one GPU for two"])
def test_a_group_of_processes_gives_the_losses_of_one(tmp_path, exact, count):
    config = replace(CONFIG, device="cuda")
    config.save(tmp_path / "run.json")
    environment = os.environ | {"PYTHONPATH": str(Path(hetreg.__file__).parents[1])}
    command = [sys.executable, *LAUNCHER, f"--nproc_per_node={count}", "-m", "hetreg", "train"]
    command += ["--config", str(tmp_path / "run.json"), "--output", str(tmp_path / "group")]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert found.returncode == 0, found.stderr
    train(config, tmp_path / "alone")
    assert flat(losses(tmp_path / "group")) == pytest.approx(flat(losses(tmp_path / "alone")), abs=1e-5)
