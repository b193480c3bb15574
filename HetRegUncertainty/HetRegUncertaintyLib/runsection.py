"""The part of the panel around the Register button: progress, status line, Cancel, locked inputs."""

from contextlib import contextmanager

from slicer.i18n import tr as _

from . import install, labels, modelmenu, sequences
from .background import Job
from .cinerow import everyFrame
from .parameters import choices

LOCKED = ("inputs", "model", "outputs", "inspect", "dependency")


def missing(parameters):
    """One sentence on what is missing for a registration with this parameter node (or None), or ""."""
    p = parameters
    fixed, moving = (p.fixedVolume, p.movingVolume) if p is not None else (None, None)
    if fixed is not None and moving in (None, fixed) and sequences.sequenceOf(fixed) is not None:
        return _("Go to the frame at end-diastole and keep it as moving volume, with the button above.")
    if fixed is None or moving is None:
        return _("Choose a fixed and a moving volume, or load the example pair.")
    if fixed == moving:
        return _("Fixed and moving are the same volume: choose two.")
    return (
        modelmenu.unusable(p.model, p.dimension.value)
        or labels.unusable(p.movingSegmentation, None if everyFrame(p) else p.fixedSegmentation)
        or install.reasonMissing()
    )


def said(parameters):
    """What the status line is about, to see whether it still is: the choices, and the run that is shown."""
    run = parameters.transform, sequences.sequenceOf(parameters.transform)
    return choices(parameters), *(node and node.GetID() for node in run)


class RunSection:
    """Shows one run at a time."""

    def __init__(self, ui):
        self.ui, self._job = ui, None
        self.ui.cancelButton.connect("clicked(bool)", self.cancel)

    @property
    def running(self):
        """True between start and end of a run."""
        return self._job is not None

    def execute(self, work):
        """Run work(progress) in a thread, inside `busy`."""
        return self._job.run(work, self._report)

    def cancel(self, _checked=False):
        """Stop the run between two of its steps; nothing happens if there is none."""
        if self._job is not None:
            self._job.cancel()
            self.status = _("Stopping...")

    @property
    def status(self):
        """Text of the status line."""
        return self.ui.statusLabel.text

    @status.setter
    def status(self, text):
        self.ui.statusLabel.text = text
        self.ui.statusLabel.visible = bool(text)

    @contextmanager
    def busy(self):
        """Lock the inputs and show the progress bar for the duration of a run."""
        self._job = Job()
        self._show(True)
        self.status = _("Starting...")  # the first run loads PyTorch, and what stood here was of a former one
        try:
            yield
        finally:
            self._job = None
            self._show(False)

    def _show(self, running):
        for section in LOCKED:
            getattr(self.ui, f"{section}CollapsibleButton").enabled = not running
        self.ui.registerButton.enabled = False
        self.ui.progressBar.value = 0
        self.ui.progressBar.visible = running
        self.ui.cancelButton.visible = running

    def _report(self, fraction, message):
        self.ui.progressBar.value = round(1000 * fraction)
        if not self._job.cancelled:
            self.status = message
