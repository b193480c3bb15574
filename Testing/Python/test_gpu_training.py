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
from hetreg.config import GridConfig, TrainConfig, network_config
from hetreg.datasets.simulated import PhantomDataset
from hetreg.model import RegistrationModel
from hetreg.progress import Control
from hetreg.registry import METHODS
from hetreg.training.data import draw_batch
from hetreg.training.distributed import Ranks
from hetreg.training.loop import train
from hetreg.training.trainer import Trainer

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


@pytest.mark.parametrize("network", ["voxelmorph", "pyramid"])
def test_a_gpu_gives_the_losses_of_the_cpu(tmp_path, exact, network):
    for device in ("cpu", "cuda"):
        train(replace(CONFIG, network=network, device=device), tmp_path / device)
    assert flat(losses(tmp_path / "cuda")) == pytest.approx(flat(losses(tmp_path / "cpu")), rel=2e-3)


@pytest.mark.parametrize("options", [{"amp": True}, {"compile": True}, {"amp": True, "compile": True}])
def test_the_options_of_the_gpu_give_nearly_the_losses_without(tmp_path, options):
    train(replace(CONFIG, device="cuda"), tmp_path / "plain")
    train(replace(CONFIG, device="cuda", **options), tmp_path / "fast")
    assert flat(losses(tmp_path / "fast")) == pytest.approx(flat(losses(tmp_path / "plain")), rel=0.03)
    assert RegistrationModel.load(tmp_path / "fast" / "best.pt").ndim == 2


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"method": "ours_sigma_z", "bidirectional": True, "accumulate": 2},
        {"method": "nll", "clip": 0.1},
        {"method": "supervised", "variance_warmup": 6},
        {"weight_mode": "precision", "blind_spots": 0.2, "variance_residual": True},
        {"network": "pyramid", "amp": True},
    ],
    ids=str,
)
def test_a_recorded_step_is_the_step(tmp_path, options):
    config = replace(CONFIG, device="cuda", steps=14, warmup=6, **options)
    for graphs in (False, True):
        train(replace(config, graphs=graphs), tmp_path / str(graphs))
    recorded, plain = losses(tmp_path / "True"), losses(tmp_path / "False")
    assert len(recorded) == 14
    assert flat(recorded) == pytest.approx(flat(plain), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("options", [{}, {"method": "ours_sigma_z"}, {"method": "supervised"}], ids=str)
def test_steps_are_recorded(options):
    trainer = a_trainer(**options)
    for step in range(10):
        trainer.one_step(draw_batch(trainer.samples, trainer.config, step))
    assert len(trainer.recorder._recorded) == 1


def a_trainer(**options):
    """A run's trainer on the GPU, with samples."""
    config = replace(CONFIG, warmup=0, graphs=True, **options)
    truth = bool(METHODS[config.method].extra)
    samples = PhantomDataset("mri2d", 4, size=32, truth=truth).samples(GridConfig())
    trainer = Trainer(config, network_config(config, 2), GridConfig(), Ranks(torch.device("cuda")))
    trainer.model.train()
    trainer.samples = samples
    return trainer


def stopping(control: Control, step: int):
    """An emit that stops after a step."""

    def emit(kind, **fields):
        if kind == "validation" and fields["step"] == step:
            control.obey("stop")

    return emit


def test_a_recorded_run_goes_on_there_and_on_the_cpu(tmp_path):
    """Stopped after 6 of 10 steps, by the cosine of 10; each way of going on, and to the other way."""
    config = replace(CONFIG, device="cuda", graphs=True, steps=10)
    train(config, tmp_path / "whole")
    for first, then, device in (
        (True, True, "cuda"),
        (True, False, "cuda"),
        (False, True, "cuda"),
        (True, False, "cpu"),
    ):
        folder = tmp_path / f"{first}-{then}-{device}"
        stop = Control()
        train(replace(config, graphs=first), folder, emit=stopping(stop, 6), control=stop)
        train(replace(config, device=device, graphs=then), folder)
        assert flat(losses(folder)) == pytest.approx(flat(losses(tmp_path / "whole")), rel=0.01)


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
    paths = [str(Path(hetreg.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, *LAUNCHER, f"--nproc_per_node={count}", "-m", "hetreg", "train"]
    command += ["--config", str(tmp_path / "run.json"), "--output", str(tmp_path / "group")]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert found.returncode == 0, found.stderr
    train(config, tmp_path / "alone")
    assert flat(losses(tmp_path / "group")) == pytest.approx(flat(losses(tmp_path / "alone")), abs=1e-5)
