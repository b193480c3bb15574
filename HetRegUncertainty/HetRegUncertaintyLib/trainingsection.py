"""The part of the training panel that follows a run: buttons, progress, numbers, log, curves and preview."""

import os
from html import escape

import qt
import slicer
from slicer.i18n import tr as _

from . import layout, trainingplot, trainingpreview
from .aside import Aside
from .literal import breakable, toolTip
from .trainingrun import MODEL, State, TrainingRun
from .trainingwords import inWords

LOCKED = ("data", "model", "training")
REFRESH_MS = 1000
WAIT_S = 20.0


class TrainingSection:
    """onChange() is called when a run has started, paused, gone on or ended, and after each validation."""

    def __init__(self, ui, onChange):
        self.ui, self._onChange = ui, onChange
        self.run = TrainingRun(self._onRun, self.log)
        self._guard, self._closed = CloseGuard(self._mayClose), False
        self._began, self._seen = False, (State.IDLE, 0)
        self._preview, self._said, self._config = 0, "", None
        self._stopTip = ui.stopButton.toolTip
        self.wanted = False  # curves and preview in the views, also of a run that has ended
        self._timer = qt.QTimer()
        self._timer.setInterval(REFRESH_MS)
        self._timer.connect("timeout()", self.showInViews)
        self.ui.pauseButton.connect("clicked(bool)", self._onPause)
        self.ui.stopButton.connect("clicked(bool)", self._onStop)
        self._aside = Aside()
        self._update()

    @property
    def running(self):
        """True from Start to the end of the process."""
        return self.run.running

    def start(self, configFile, folder, config=None):
        """Train with a configuration file into a run folder. config: what is in the file."""
        self._config = config
        self.ui.logText.plainText = ""
        self._preview, self._said = 0, ""
        trainingpreview.remove()
        self.wanted = True
        window = slicer.util.mainWindow()
        if window is not None:
            window.installEventFilter(self._guard)
        self._began = True
        self._timer.start()
        self.run.start(configFile, folder)  # on Windows it may have failed already when this returns
        self.ui.progressCollapsibleButton.collapsed = False

    def close(self):
        """The panel goes away, or Slicer quits: stop with a checkpoint."""
        self._aside.close()
        self._closed = True
        self._timer.stop()
        self.run.stopAndWait(WAIT_S)
        self._unguard()

    def log(self, text):
        """One more line of the log."""
        if text and not self._closed:
            self.ui.logText.appendPlainText(text)

    def say(self, reason):
        """A line of text, while no training has one of its own."""
        if not self.running and reason != self._said:
            self._said = reason
            self._status(reason)

    def outcomeOf(self, folder, config):
        """How the last run ended, if it was in this folder; how it failed, with this configuration."""
        isOther = folder != self.run.folder or (self.run.failed and config != self._config)
        return "" if isOther else inWords(self.ui, self.run.outcome)

    def hasFinished(self, config):
        """True if the last run came to its end, with this configuration."""
        return self.run.finished and config == self._config

    def showInViews(self):
        """Bring curves and preview in line with the run, while they are wanted."""
        if self._closed or not self.wanted or layout.isSceneChanging():
            return
        trainingplot.show(self.run.curves)
        if self.run.previews != self._preview:
            self._preview = self.run.previews
            problem = trainingpreview.show(self.run.previewFolder)
            if problem:
                self.log(problem)
        trainingpreview.showInViews(fit=False)

    def forgetScene(self):
        """The scene was closed: the nodes are gone, the preview is read again."""
        self._preview = 0
        self.wanted = self.running

    def _onRun(self):
        if self._closed:
            return
        self._update()
        ended = self._began and not self.running
        seen = (self.run.state, self.run.checks)
        if ended or seen != self._seen:
            self._seen = seen
            if ended:
                self._onEnd()
            self._onChange()

    def _onEnd(self):
        self._began = False
        self._timer.stop()
        self._unguard()
        self.wanted = bool(self.run.curves.steps)  # nothing to see of a run that could not begin
        self.showInViews()
        self._said = inWords(self.ui, self.run.outcome)
        self.log(self._said)
        self._status(self._said)
        if self.run.failed:
            slicer.util.errorDisplay(
                self._said, windowTitle=_("The training failed"), textFormat=qt.Qt.PlainText
            )

    def _unguard(self):
        window = slicer.util.mainWindow()
        if window is not None:
            window.removeEventFilter(self._guard)

    def _onPause(self, _checked=False):
        if self.run.state in (State.PAUSED, State.PAUSING):
            self.run.resume()
        else:
            self.run.pause()

    def _onStop(self, _checked=False):
        self.run.stop()

    def _mayClose(self):
        """Asked when Slicer's window is about to close. Slicer may then ask too, and be told to stay open, so
        the training goes on until it quits."""
        question = _(
            "A training is running. Stop it and close Slicer? It stops after the current step and keeps a "
            "checkpoint in {folder}, from which it can be continued later."
        ).format(folder=self.run.folder)
        return slicer.util.confirmOkCancelDisplay(
            question, _("Training is running"), textFormat=qt.Qt.PlainText
        )

    def _update(self):
        state = self.run.state
        for section in LOCKED:
            getattr(self.ui, f"{section}CollapsibleButton").enabled = not self.running
        for widget in (self.ui.pauseButton, self.ui.stopButton, self.ui.progressBar):
            widget.visible = self.running
        self.ui.startButton.visible = not self.running
        self.ui.pauseButton.enabled = state in (State.RUNNING, State.PAUSED, State.PAUSING)
        paused = state in (State.PAUSED, State.PAUSING)
        self.ui.pauseButton.text = _("Resume") if paused else _("Pause")
        isStopping = state is State.STOPPING
        self.ui.stopButton.text = _("Stop immediately") if isStopping else _("Stop")
        self.ui.stopButton.toolTip = (
            _("Stop without a checkpoint: what was learnt since the last one is lost.")
            if isStopping
            else self._stopTip
        )
        self.ui.progressBar.maximum = max(int(self.run.last.get("steps") or 0), 1)
        self.ui.progressBar.value = int(self.run.last.get("step") or 0)
        self.ui.numbersLabel.text = numbers(self.run)
        self.ui.numbersLabel.toolTip = toolTip(self.run.folder)
        if self.running:
            self._status(status(self.run))

    def _status(self, text):
        self.ui.statusLabel.text = text
        self.ui.statusLabel.visible = bool(text)


class CloseGuard(qt.QObject):
    """Event filter on Slicer's window: asks mayClose() before it closes."""

    def __init__(self, mayClose):
        super().__init__()
        self._mayClose = mayClose

    def eventFilter(self, _watched, event):
        """True keeps the window open."""
        if event.type() == qt.QEvent.Close and not self._mayClose():
            event.ignore()
            return True
        return False


def modelOf(folder):
    """The trained model in a run folder, "" if there is none."""
    path = os.path.join(folder, MODEL)
    return path if folder and os.path.isfile(path) else ""


def duration(seconds):
    """A time span for people."""
    seconds = max(round(float(seconds)), 0)
    if seconds < 60:
        return _("{s} s").format(s=seconds)
    if seconds < 3600:
        return _("{m} min {s:02d} s").format(m=seconds // 60, s=seconds % 60)
    return _("{h} h {m:02d} min").format(h=seconds // 3600, m=seconds % 3600 // 60)


def status(run):
    """One line on what the run is doing."""
    fixed = {
        State.STARTING: run.note or _("Preparing the pairs..."),
        State.PAUSING: _("Pausing after this step..."),
        State.PAUSED: _("Paused."),
        State.STOPPING: _("Stopping after this step, writing a checkpoint..."),
    }
    if run.state in fixed:
        return fixed[run.state]
    last = run.last
    text = _("Epoch {epoch}, step {step} of {steps}").format(
        epoch=last.get("epoch", "?"), step=last.get("step", "?"), steps=last.get("steps", "?")
    )
    eta = last.get("eta_seconds")
    return text if eta is None else text + ", " + _("{time} left").format(time=duration(eta))


def numbers(run):
    """The latest numbers as a small HTML table, with the run's name: the output folder may be another now."""
    curves = run.curves
    scores = [(s, d) for s, d in zip(curves.validation_steps, curves.dice, strict=True) if d is not None]
    start = [d for step, d in scores if step == 0]  # of the model to start from, which best.pt never is
    dice = [d for step, d in scores if step > 0]
    afterWarmup = _("after the warm-up") if curves.steps else ""  # its chart is empty until then
    counts = [run.pairs.get(name) for name in ("training", "validation", "test")]
    rows = [
        (_("Run"), os.path.basename(run.folder)),
        (_("Samples (training, validation, test)"), ", ".join(str(c) for c in counts if c is not None)),
        (_("Displacement loss"), _number(curves.loss)),
        (_("Variance loss"), _number(curves.variance_loss) or afterWarmup),
        (_("Validation Dice, start model"), f"{start[0]:.3f}" if start else ""),
        (_("Validation Dice, last (best)"), f"{dice[-1]:.3f} ({max(dice):.3f})" if dice else ""),
        (_("Validation loss, last"), _number(curves.validation_loss)),
        (_("Validation"), _("no pairs") if run.pairs.get("validation") == 0 else ""),
    ]
    body = "".join(
        f"<tr><td>{escape(label)}</td><td align='right'><b>{breakable(text)}</b></td></tr>"
        for label, text in rows
        if text
    )
    if not body:
        return _("No training in this session yet.")
    return f"<table width='100%' cellpadding='1'>{body}</table>"


def _number(values):
    known = [value for value in values[-1:] if value is not None]
    return f"{known[0]:.4g}" if known else ""
