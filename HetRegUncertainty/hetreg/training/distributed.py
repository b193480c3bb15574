"""Several processes started by torchrun: each computes its share of every batch."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

from ..device import resolve_device

PATIENCE = timedelta(days=7)  # the others wait while the first validates, or is paused; torchrun ends them


@dataclass(frozen=True)
class Ranks:
    """This process among its peers. rank: 0 writes the files. device: where it computes. grouped: it is one
    of a group, even of one; own: `join` made that group."""

    device: torch.device
    rank: int = 0
    world: int = 1
    grouped: bool = False
    own: bool = False

    @property
    def first(self) -> bool:
        """True in the process that writes and reports."""
        return self.rank == 0

    def mean_gradients(self, parameters: list[nn.Parameter]) -> None:
        """Replace the gradients by their mean over the processes, in one exchange."""
        found = [p.grad for p in parameters if p.grad is not None]
        if not self.grouped or not found:
            return
        flat = torch.cat([g.flatten() for g in found])
        dist.all_reduce(flat)
        flat /= self.world
        start = 0
        for g in found:
            g.copy_(flat[start : start + g.numel()].view_as(g))
            start += g.numel()

    def mean(self, row: dict[str, float]) -> dict[str, float]:
        """The mean of each value over the processes."""
        if not self.grouped or not row:
            return row
        values = torch.tensor(list(row.values()), dtype=torch.float32, device=self.device)
        dist.all_reduce(values)
        return dict(zip(row, (values / self.world).tolist(), strict=True))

    def first_says(self, flag: bool) -> bool:
        """What the first process says, in all."""
        if not self.grouped:
            return flag
        value = torch.tensor([float(flag)], device=self.device)
        dist.broadcast(value, 0)
        return bool(value.item())

    def close(self) -> None:
        """Leave the group that `join` made."""
        if self.own and dist.is_initialized():
            dist.destroy_process_group()


def join(device: str) -> Ranks:
    """Join the group that torchrun made, or stay alone. Raises ValueError if the device is not there,
    or is an Apple GPU, for which PyTorch has no exchange.

    Each process of a machine has a GPU of its own (NCCL). Where a machine has fewer GPUs than processes, they
    share them and exchange through gloo, since NCCL refuses two processes on one GPU; so they do on Windows,
    which has no NCCL. All machines have to be alike in this.
    """
    chosen = resolve_device(device)
    if not {"RANK", "MASTER_ADDR"} <= os.environ.keys():
        return Ranks(chosen)
    if chosen.type == "mps":
        raise ValueError(
            "Several processes cannot share an Apple GPU (mps): cpu, or one process, is accepted."
        )
    backend = "gloo"
    if chosen.type == "cuda":
        there, local = torch.cuda.device_count(), int(os.environ.get("LOCAL_RANK", "0"))
        chosen = torch.device("cuda", local % there)
        torch.cuda.set_device(chosen)
        alone = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) <= there
        backend = "nccl" if alone and dist.is_nccl_available() else "gloo"
    importlib.import_module("torch._dynamo")  # after the group it would keep it, and its threads, to the end
    own = not dist.is_initialized()
    if own:
        dist.init_process_group(backend, timeout=PATIENCE)
    return Ranks(chosen, dist.get_rank(), dist.get_world_size(), grouped=True, own=own)
