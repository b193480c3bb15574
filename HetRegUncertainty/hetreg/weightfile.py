"""Weight files: written so that a power cut leaves the former one, and read as those of strangers, of which
nothing is run, and none takes much more memory than disk."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from .files import check_parts, whole_file
from .registry import NETWORKS

FORMAT = 1


def write_weights(path: Path, content: dict[str, Any]) -> None:
    """Write beside the target and rename: a full disk, a kill or a power cut leaves the last good one. Raises
    OSError."""
    with whole_file(path) as partial:
        torch.save(content, partial)
        with partial.open("rb+") as stream:  # some file systems rename before the content is on the disk
            os.fsync(stream.fileno())


def read_weights(path: Path) -> dict[str, Any]:
    """What a weight file holds, which is not more than its bytes. Raises ValueError in one sentence if it is
    none of this format."""
    try:
        check_parts(path)
        with warnings.catch_warnings():  # torch warns of foreign pickles; the error below says it
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path.name} is damaged or holds code, and nothing in it was run: a plain weight file written "
            "by HetReg is accepted."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(
            f"{path.name} is damaged, compressed or not a weight file: one as HetReg writes it is accepted."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format", "none") if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f"{path.name} has format {found}: a weight file of HetReg, format {FORMAT}, is accepted."
        )
    return content


class AtMost(TorchFunctionMode):
    """Within it a network of at most so many weights can be made, of the architectures of HetReg: those have
    no tensors that are not in the file.

    One that a file names, with more weights than the file has bytes, is refused before it takes memory. A
    network on PyTorch's device "meta" would tell as much, but loads half of PyTorch for that.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self._left = count

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called for every function of PyTorch; layers make their weights with these."""
        kwargs = kwargs or {}
        if func in (torch.empty, torch.zeros, torch.ones):
            self._left -= func(*args, **{**kwargs, "device": "meta"}).numel()
            if self._left < 0:
                raise ValueError("it has fewer weights")
        return func(*args, **kwargs)


@contextmanager
def to_be_filled(architecture: str, size: int) -> Iterator[None]:
    """Where a network is made whose first weights, which are drawn, are replaced by those of a file of that
    many bytes. Raises ValueError if it has more; networks that are not HetReg's may."""
    of_hetreg = NETWORKS[architecture].target.startswith(".")
    with torch.random.fork_rng(devices=[]), AtMost(size) if of_hetreg else nullcontext():
        yield
