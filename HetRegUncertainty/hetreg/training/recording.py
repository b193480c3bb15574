"""Steps on an NVIDIA GPU, recorded once and replayed (CUDA graphs).

The networks are small: a GPU does a step's few thousand kernels faster than Python starts them one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..config import TrainConfig
from ..registry import METHODS
from .objective import Batch
from .update import Row

Step = Callable[[Batch], Row]
WARM_UP = 3  # steps of a kind that are made before one is recorded: they make what the step needs
_ON_THE_CPU = ("ncc", "mutual_information", "shuffled")  # losses and weights that make tensors there


def check(config: TrainConfig, device: torch.device, *, grouped: bool) -> None:
    """Raises ValueError if a run asks for recorded steps, and they are not the same kernels on the same
    memory each time. grouped: in a group of processes."""
    if not config.graphs:
        return
    method = METHODS[config.method]
    found = "" if device.type == "cuda" else f"the device is {device.type}"
    if {method.data_loss, method.weight} & {*_ON_THE_CPU}:
        found = f"the method is {config.method}"
    if config.network == "transmorph":
        found = "the network is transmorph"  # drawn on the CPU which branches a pair goes without
    if config.collaborative_grad:
        found = "collaborative_grad is set"
    if grouped:
        found = "the process is one of a group"
    if found:
        raise ValueError(
            f"graphs is set and {found}: an NVIDIA GPU, one process, voxelmorph or pyramid, and a method "
            "other than ncc, mi and shuffled_weight without collaborative_grad are accepted."
        )


@dataclass
class _Recording:
    """A step that reads `batch` and writes `row`."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    row: Row

    def replay(self, batch: Batch) -> Row:
        """The step with another batch."""
        for name, value in _tensors(batch).items():
            getattr(self.batch, name).copy_(value, non_blocking=True)
        self.graph.replay()
        return self.row


class Recorder:
    """Makes steps; from the fourth of a kind on by a recording."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()
        self._pool = torch.cuda.graph_pool_handle()
        self._made: dict[tuple[object, ...], int] = {}
        self._recorded: dict[tuple[object, ...], _Recording] = {}

    def __call__(self, name: str, step: Step, batch: Batch) -> Row:
        """The step's row. name: the kind of step, apart from what the batch holds. Raises ValueError if it
        cannot be recorded. With a mask no step is: how many voxels it looks at differs each time."""
        if batch.mask is not None:
            return self._plain(step, batch)
        key = (name, *((n, t.shape, t.dtype) for n, t in _tensors(batch).items()))
        if key not in self._recorded:
            self._made[key] = self._made.get(key, 0) + 1
            if self._made[key] <= WARM_UP:
                return self._plain(step, batch)
            before = torch.cuda.current_stream()
            try:
                self._recorded[key] = self._record(step, batch)
            except (RuntimeError, AssertionError) as error:
                torch.cuda.set_stream(before)  # a capture that fails does not leave its own
                cause = error.__context__ or error  # ending it fails too
                reason = (str(cause).splitlines() or [type(cause).__name__])[0].rstrip(".:")
                raise ValueError(
                    f"The step could not be recorded ({reason}): a run without graphs is accepted."
                ) from error
        return self._recorded[key].replay(batch)

    def _plain(self, step: Step, batch: Batch) -> Row:
        """On the stream that is recorded later, which autograd remembers."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            row = step(batch)
        torch.cuda.current_stream().wait_stream(self._stream)
        return row

    def _record(self, step: Step, batch: Batch) -> _Recording:
        own = batch.copied()
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            row = step(own)
        return _Recording(graph, own, row)


def _tensors(batch: Batch) -> dict[str, Tensor]:
    found = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return {name: value for name, value in found.items() if isinstance(value, Tensor)}
