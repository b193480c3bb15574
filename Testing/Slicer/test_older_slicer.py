"""Slicer before 5.10: its Python cannot run this extension, which says so."""

import runpy
import sys
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[2] / "HetRegUncertainty" / "HetRegUncertaintyLib" / "__init__.py"


def test_pythonOfAnOlderSlicer(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 10, "final", 0))
    with pytest.raises(ImportError, match=r"need 3D Slicer 5.10 or newer.*this one has Python 3.9"):
        runpy.run_path(str(LIBRARY))
