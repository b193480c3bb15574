"""The worker thread of Register, and the end of Slicer."""

import time

import pytest
import qt
import slicer

from hetreg.progress import Cancelled
from HetRegUncertaintyLib.background import Job


def test_closingTheLastWindowEndsTheRun():
    """Slicer's event loop has been told to end; the loop of the run would go on until the end of the work."""
    job, timer = Job(), qt.QTimer()

    def work(progress):
        end = time.monotonic() + 30.0
        while time.monotonic() < end:
            progress.step(0.5, "at work")
            time.sleep(0.01)

    timer.setSingleShot(True)
    timer.connect("timeout()", slicer.app.lastWindowClosed.emit)
    timer.start(30)
    with pytest.raises(Cancelled):
        job.run(work, lambda *_: None)
    assert not slicer.app.disconnect("lastWindowClosed()", job.cancel)
