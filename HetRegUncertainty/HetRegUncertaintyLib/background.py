"""Runs a function in a worker thread while the main thread keeps the window alive.

Slicer holds Python's lock while Qt waits for events, so a bare thread would stand still: the main thread has
to wait in Python. MRML and Qt are touched on the main thread only; the worker sees numpy arrays.
"""

import queue
import threading

import slicer

from hetreg.progress import Cancelled, Progress

TICK_S = 0.02


class Job:
    """One run. Cancel it from anywhere; it stops between two steps of the work."""

    def __init__(self):
        self._cancel = threading.Event()
        self._reports = queue.SimpleQueue()
        self._outcome = {}

    def cancel(self):
        """Ask the work to stop."""
        self._cancel.set()

    @property
    def cancelled(self):
        """True after `cancel`."""
        return self._cancel.is_set()

    def run(self, work, report):
        """work(progress) in a thread, report(fraction, message) on this one. Returns or raises as work does.

        Raises Cancelled after `cancel`, also where the work was already at its end. Closing the last window
        cancels: Slicer would live on without one until the end of the work.
        """
        slicer.app.connect("lastWindowClosed()", self.cancel)
        try:
            self._await(work, report)
        finally:
            slicer.app.disconnect("lastWindowClosed()", self.cancel)
        if self.cancelled:
            raise Cancelled("Cancelled")
        self._forward(report)
        if "error" in self._outcome:
            raise self._outcome["error"]
        return self._outcome["value"]

    def _await(self, work, report):
        thread = threading.Thread(target=self._work, args=(work,), name="HetReg", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(TICK_S)
            self._forward(report)
            slicer.app.processEvents()

    def _work(self, work):
        try:
            progress = Progress(
                lambda fraction, message: self._reports.put((fraction, message)), self._cancel.is_set
            )
            self._outcome["value"] = work(progress)
        except BaseException as error:  # handed to the main thread, which raises it
            self._outcome["error"] = error

    def _forward(self, report):
        """Report the newest message only."""
        latest = None
        while not self._reports.empty():
            latest = self._reports.get()
        if latest is not None:
            report(*latest)
