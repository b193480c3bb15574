"""Two processes do what one does with the same batch; a killed run goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

import hetreg
from builders import assert_sentence, tiny_training
from hetreg.config import TrainConfig, network_config
from hetreg.model import RegistrationModel
from hetreg.registry import METHODS
from hetreg.training import distributed
from hetreg.training.checks import check
from hetreg.training.distributed import Ranks, join
from hetreg.training.objective import Batch, Objective
from hetreg.training.steps import Update, displacement_step

FLAGS = {"size": "tiny", "phantoms": 4, "steps": 8, "warmup": 2, "variance-warmup": 2, "batch": 4, "crop": 32}
FLAGS |= {"validate-every": 1, "device": "cpu", "learning-rate": 0.001}


def start(folder: Path, *launcher: str, **changes: object) -> subprocess.Popen:
    """A training in a process of its own (or, with a launcher, several)."""
    flags = FLAGS | {k.replace("_", "-"): v for k, v in changes.items()}
    arguments = ["train", "--json", "--output", str(folder)]
    arguments += [a for name, value in flags.items() for a in (f"--{name}", str(value))]
    environment = os.environ | {"PYTHONPATH": str(Path(hetreg.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, "-m", "hetreg", *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment
    )


def losses(folder: Path) -> list[list[float]]:
    """Loss and variance loss of each logged step."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    names = ("loss", "variance_loss", "mean_variance")
    return [[r[n] for n in names if n in r] for r in rows if r["event"] == "step"]


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint or of a model file."""
    return torch.load(folder / name, weights_only=True)["state"]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """True if two sets of tensors agree bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"method": "ours_sigma_z", "blind_spots": 0.2}, {"method": "nll"}])
def test_two_processes_give_the_losses_of_one(tmp_path, options):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    runs = [start(tmp_path / "one", clip=0.1, **options)]
    runs.append(start(tmp_path / "two", *launcher, clip=0.1, **options))
    outputs = [run.communicate(timeout=240)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == len(two) == 8
    for a, b in zip(one, two, strict=True):
        assert a == pytest.approx(b, abs=1e-5)
    events = [json.loads(line)["event"] for line in outputs[1].splitlines() if line.startswith("{")]
    assert events.count("done") == 1


_LEAVE = """
import sys
from pathlib import Path
import torch
from hetreg.training.distributed import join
ranks = join("cpu")
torch.optim.Adam([torch.nn.Parameter(torch.ones(1))])
assert ranks.first_says(True) == ranks.mean({"a": 1.0})["a"] == 1
ranks.close()
names = [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")]
sys.exit(" ".join(n for n in names if "gloo" in n) or None)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are listed on Linux only")
def test_a_process_that_leaves_its_group_keeps_none_of_its_threads(tmp_path):
    script = tmp_path / "leave.py"  # a thread of the group that outlives the interpreter aborts the process
    script.write_text(_LEAVE)
    environment = os.environ | {"PYTHONPATH": str(Path(hetreg.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", script]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert found.returncode == 0, found.stderr


@pytest.mark.slow
def test_a_run_killed_in_an_epoch_goes_on_bit_for_bit(tmp_path):
    changes = {"method": "ours_sigma_z", "steps": 30, "steps_per_epoch": 10, "validate_every": 4}
    whole = start(tmp_path / "whole", **changes)
    cut = start(tmp_path / "cut", **changes)
    path = tmp_path / "cut" / "last.ckpt"
    while not path.exists():
        assert cut.poll() is None
        time.sleep(0.005)
    cut.kill()  # SIGKILL: nothing is written any more
    assert cut.wait() != 0
    assert 0 < torch.load(path, weights_only=True)["step"] < 30
    again = start(tmp_path / "cut", **changes)
    assert [p.wait(timeout=240) for p in (whole, again)] == [0, 0]
    assert same(weights(tmp_path / "whole", "last.ckpt"), weights(tmp_path / "cut", "last.ckpt"))
    assert same(weights(tmp_path / "whole", "best.pt"), weights(tmp_path / "cut", "best.pt"))
    assert losses(tmp_path / "whole") == losses(tmp_path / "cut")
    assert RegistrationModel.load(tmp_path / "cut" / "best.pt").ndim == 2


def test_one_process_alone_leaves_everything_as_it_is():
    ranks = Ranks(torch.device("cpu"))
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = torch.ones(3)
    ranks.mean_gradients([parameter])
    assert parameter.grad.tolist() == [1, 1, 1]
    assert ranks.mean({"loss": 2.0}) == {"loss": 2.0}
    assert ranks.first
    assert ranks.first_says(True)
    assert not ranks.first_says(False)


@pytest.mark.parametrize("parts", [1, 2], ids=["shared by two", "in two parts"])
def test_shares_of_a_batch_give_loss_and_gradient_of_the_whole_with_stochastic_depth(parts):
    """TransMorph leaves out branches by chance, of a pair, wherever the pair is computed."""
    config = TrainConfig(network="transmorph", size="small")
    images = torch.rand(2, 4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    batch = Batch(*images, seeds=(5, 8, 2, 9))
    torch.manual_seed(0)
    model = RegistrationModel(network_config(config, 2)).train()
    torch.nn.init.normal_(model.displacement_net.head.weight, 0.0, 0.3)
    objective, net = Objective.from_config(config), model.displacement_net

    def step(share: Batch, parts: int = 1) -> torch.Tensor:
        torch.manual_seed(int(share.fixed.sum()))  # each process has chance of its own
        still, update = torch.optim.SGD(net.parameters(), 0.0), Update(parts=parts)
        loss = displacement_step(model, share, still, objective, warmup=True, update=update)["loss"]
        return torch.cat([loss[None], *(p.grad.flatten() for p in net.parameters() if p.grad is not None)])

    whole = step(batch)
    shares = [step(batch.part(rank, 2)) for rank in (0, 1)] if parts == 1 else [step(batch, 2)]
    off = sum(shares) / len(shares) - whole
    assert abs(off[0]) < 1e-6
    assert off.norm() < 1e-3 * whole[1:].norm()
    model.eval()
    off = step(batch) - whole  # something was left out
    assert abs(off[0]) > 1e-4
    assert off.norm() > 0.1 * whole[1:].norm()


def mixed_batch() -> Batch:
    """Four pairs in two shares: all that is known is of those of the first, and the pairs differ in mask."""
    fixed, moving = torch.rand(2, 4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    true_disp, labels = torch.full((4, 2, 16, 16), torch.nan), torch.zeros(2, 4, 1, 16, 16)
    true_disp[0], true_disp[2] = 0.5, 2.0
    true_disp[2, :, :4] = torch.nan
    labels[:, 0, :, 4:9, 4:9], labels[1, 2, :, 2:7, 3:9] = 2.0, 3.0
    mask = torch.ones_like(fixed)
    mask[1, ..., 12:], mask[2, ..., :3, :] = 0.0, 0.0
    noise = torch.full_like(fixed, 0.01)
    known = {"true_disp": true_disp, "fixed_label": labels[0], "moving_label": labels[1]}
    return Batch(fixed, moving, mask, true_variance=noise, seeds=(5, 8, 2, 9), **known)


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_in_shares_and_parts_gives_loss_and_gradient_of_the_whole(method):
    """Also where something is known of some of the pairs alone."""
    options = {"augment": False} if METHODS[method].weight == "oracle" else {}
    config = TrainConfig(size="tiny", method=method, **options)
    torch.manual_seed(0)
    model = RegistrationModel(network_config(config, 2)).train()
    torch.nn.init.normal_(model.displacement_net.head.weight, 0.0, 0.3)
    objective, net, batch = Objective.from_config(config), model.displacement_net, mixed_batch()

    def step(share: Batch, parts: int) -> tuple[dict[str, float], torch.Tensor]:
        still = torch.optim.SGD(net.parameters(), 0.0)
        row = displacement_step(model, share, still, objective, update=Update(parts=parts))
        return {k: v.item() for k, v in row.items()}, torch.cat([p.grad.flatten() for p in net.parameters()])

    whole, gradient = step(batch, 1)
    for shares, parts in ((1, 2), (2, 2), (4, 1)):
        found = [step(batch.part(rank, shares), parts) for rank in range(shares)]
        mean = {name: sum(row[name] for row, _ in found) / shares for name in whole}
        assert mean == pytest.approx(whole, rel=1e-4, abs=1e-6)
        off = sum(g for _, g in found) / shares - gradient
        assert off.norm() < 1e-4 * gradient.norm()


@pytest.mark.parametrize(("world", "accumulate"), [(2, 1), (1, 2)])
def test_the_released_weight_which_depends_on_the_whole_batch_is_refused_in_parts(world, accumulate):
    ranks = Ranks(torch.device("cpu"), world=world)
    for mode in ("robust", "paper", "precision"):
        check(tiny_training(weight_mode=mode, accumulate=accumulate), ranks)
    check(tiny_training(weight_mode="released"), Ranks(torch.device("cpu")))
    with pytest.raises(ValueError, match="released") as caught:
        check(tiny_training(weight_mode="released", accumulate=accumulate), ranks)
    assert_sentence(caught.value, "2 parts", "accumulate 1", "precision")


@pytest.mark.parametrize(
    ("there", "nccl", "expected"), [(2, True, "nccl"), (1, True, "gloo"), (2, False, "gloo")]
)
def test_processes_exchange_by_what_this_pytorch_has(there, nccl, expected, monkeypatch):
    """That of Windows has no NCCL."""
    began = []
    for name, value in {"RANK": "0", "MASTER_ADDR": "localhost", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(distributed, "resolve_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(dist, "is_nccl_available", lambda: nccl)
    monkeypatch.setattr(dist, "init_process_group", lambda backend, **_: began.append(backend))
    monkeypatch.setattr(dist, "get_rank", lambda: 0)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    join("auto")
    assert began == [expected]


def test_processes_that_would_share_an_apple_gpu_are_refused(monkeypatch):
    monkeypatch.setattr(distributed, "resolve_device", lambda _: torch.device("mps"))
    assert join("auto").device.type == "mps"
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    with pytest.raises(ValueError, match="Apple GPU") as caught:
        join("auto")
    assert_sentence(caught.value, "cpu")
