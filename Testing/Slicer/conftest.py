"""Every test in this folder runs in the stand-in of Testing/runtime, on an empty scene."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import runtime

runtime.start()


@pytest.fixture(autouse=True)
def emptyScene():
    """An empty scene before and after; an exception in a slot or observer fails the test."""
    runtime.reset()
    yield
    errors = runtime.errors()
    runtime.reset()
    assert not errors, f"raised in a slot or observer: {errors}"
