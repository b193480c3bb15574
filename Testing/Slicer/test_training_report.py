"""The report is opened by the system's program, which must not get Slicer's libraries."""

import sys

import pytest
import slicer

import runtime
from HetRegUncertaintyLib import evaluationsection

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell opens it on Linux alone")


@pytest.fixture
def opener(tmp_path, monkeypatch):
    """opener(text): the shell script that is the system's xdg-open."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/Slicer/lib")
    monkeypatch.setattr(slicer.util, "startupEnvironment", lambda: {"PATH": str(tmp_path)})

    def install(text):
        (tmp_path / "xdg-open").write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (tmp_path / "xdg-open").chmod(0o755)

    return install


def test_openedWithTheEnvironmentThatSlicerWasStartedIn(opener, tmp_path):
    said = tmp_path / "said"
    opener(f'echo "$1 [$LD_LIBRARY_PATH]" > {said}')
    assert evaluationsection.openFile("/run/report.html")
    runtime.wait(said.is_file)
    assert said.read_text(encoding="utf-8") == "/run/report.html []\n"


def test_aProgramThatStaysIsNotWaitedFor(opener, monkeypatch):
    monkeypatch.setattr(evaluationsection, "PATIENCE_S", 0.05)
    opener("exec /bin/sleep 0.5")
    assert evaluationsection.openFile("/run/report.html")


def test_noProgramForIt(opener):
    assert not evaluationsection.openFile("/run/report.html")
    opener("exit 3")
    assert not evaluationsection.openFile("/run/report.html")
