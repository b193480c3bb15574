"""What every test may use: the root, the folder of real data, and the rule of the marker `gpu`."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # a process per core: more threads would only wait for each other
    os.environ["OMP_NUM_THREADS"] = "1"

# PyTorch's CUDA builds load Triton when an optimiser is made, and Triton's LLVM crashes if that of Mesa's
# software renderer is there first (Testing/Slicer starts it). The other order works.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real cardiac data, which is not part of the repository; skips where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"the folder of real data {DATA} is absent")
    return DATA


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reproductions without their figures, which take longer than small runs."""
    from hetreg.reproduce import documents

    monkeypatch.setattr(documents, "draw_all", lambda *_: ({}, []))


def pytest_configure() -> None:
    """Ctrl-C works here and in what tests start, even if a shell put this process in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of slow tests first, so that at the end no process waits for another's long file."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (-slow[item.path], -tests[item.path]))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked `gpu` skips where torch finds no accelerator."""
    if item.get_closest_marker("gpu"):
        import torch

        if not (torch.cuda.is_available() or torch.backends.mps.is_available()):
            pytest.skip("no accelerator on this machine")
