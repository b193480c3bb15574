"""The part of the training panel that evaluates the run's best model on the pairs held back for the test."""

import subprocess
import sys
from html import escape

import qt
import slicer
from slicer.i18n import tr as _

from . import evaluationnodes, evaluationnumbers, packages, traininglayout
from .literal import toolTip
from .process import HetRegProcess
from .trainingwords import inWords

PATIENCE_S = 1.0  # until a program that cannot be started is known not to be


class EvaluationSection:
    """onChange() is called when an evaluation has started or ended and when the view is to change.

    onPackage() is called when a package was asked for.
    """

    def __init__(self, ui, onChange, onPackage, onLog):
        self.ui, self._onChange, self._onLog = ui, onChange, onLog
        self._process = HetRegProcess(self._onEvent, onLog, self._onEnd)
        self.folder, self._problem = "", ""  # the run folder, while one runs that of this run
        self._read, self._shown = (None, None), None
        self.packageButton = packages.PackageButton(ui.reportPackageButton, onPackage, self._say)
        ui.evaluateButton.connect("clicked(bool)", self._onEvaluate)
        ui.cancelEvaluationButton.connect("clicked(bool)", self._onCancel)
        ui.reportButton.connect("clicked(bool)", self._onReport)
        ui.evaluationLayoutCheckBox.connect("clicked(bool)", self._onLayout)

    @property
    def running(self):
        """True from Evaluate to the end of the process."""
        return self._process.running

    @property
    def wanted(self):
        """True if table and plot are to be in the views."""
        return self.ui.evaluationLayoutCheckBox.checked

    @wanted.setter
    def wanted(self, value):
        self.ui.evaluationLayoutCheckBox.checked = value

    def show(self, folder, reason):
        """Bring the section in line with a run folder. reason: why nothing can be evaluated now."""
        if folder != self.folder and not self.running:
            self.folder, self._problem = folder, ""
        numbers = self._numbers()
        self.ui.evaluateButton.enabled = not reason and not self.running
        self.ui.evaluateButton.toolTip = toolTip(reason) or _(
            "Register the test pairs of this run, which the training has not seen, with its best model, and "
            "measure the results."
        )
        for widget in (self.ui.cancelEvaluationButton, self.ui.evaluationProgressBar):
            widget.visible = self.running
        self.ui.evaluateButton.visible = not self.running
        self.ui.evaluationLayoutCheckBox.enabled = numbers is not None
        if numbers is None:
            self.wanted = False
        self._showReport()
        if not self.running:
            self._show(_escaped(self._problem) or self._html(numbers))

    def showInViews(self):
        """Table and plot of the evaluation, into the views of their layout while that is shown."""
        if not traininglayout.isShown(traininglayout.EVALUATION_ID):
            self._shown = None  # until it is shown again the user may remove the nodes
            return
        numbers = self._numbers()
        if numbers is not None and self._shown is not numbers:
            self._shown = numbers
            evaluationnodes.show(numbers)

    def forgetScene(self):
        """The scene was closed: the nodes are gone."""
        self._shown, self.wanted = None, False

    def close(self):
        """The panel goes away."""
        self._process.close()

    def _numbers(self):
        """What was written last; read again only when it has changed."""
        state = evaluationnumbers.state(self.folder)
        if state != self._read[0]:
            try:
                self._read = state, evaluationnumbers.read(self.folder)
            except ValueError as error:
                self._read, self._problem = (state, None), str(error)
        return self._read[1]

    def _html(self, numbers):
        if numbers is None:
            return ""
        html = evaluationnumbers.html(numbers)
        if evaluationnumbers.isOutdated(self.folder):
            html += "<br>" + _("The model has changed since: evaluate again.")
        return html

    def _showReport(self):
        report = evaluationnumbers.reportOf(self.folder)
        self.ui.reportButton.enabled = bool(report) and not self.running
        self.ui.reportButton.toolTip = toolTip(report) or _("There is no report yet: it is made by Evaluate.")
        self.packageButton.show(["matplotlib"])

    def _say(self, text):
        self._show(_escaped(text))

    def _show(self, html):
        self.ui.evaluationLabel.text = html
        self.ui.evaluationLabel.visible = bool(html)

    def _onEvaluate(self, _checked=False):
        with slicer.util.tryWithErrorDisplay(_("The evaluation could not be started."), waitCursor=False):
            arguments = evaluationnumbers.arguments(self.folder)
            self._problem = ""
            self.ui.evaluationProgressBar.value = 0
            self._process.start(arguments)
            self._say(_("Reading the test pairs..."))
            self._onChange()

    def _onCancel(self, _checked=False):
        self._process.kill()

    def _onReport(self, _checked=False):
        report = evaluationnumbers.reportOf(self.folder)
        if not openFile(report):
            self._say(
                _("No program was found that opens the report. The report is {path}").format(path=report)
            )

    def _onLayout(self, _checked=False):
        self._onChange()

    def _onEvent(self, content):
        if content["event"] == "progress":
            self.ui.evaluationProgressBar.value = round(100 * float(content.get("fraction") or 0.0))
            self._say(str(content.get("message", "")))
        elif content["event"] == "case" and content.get("error"):
            self._onLog(f"{content.get('case')}: {content['error']}")

    def _onEnd(self, _code, problem):
        wasCancelled = self._process.killed
        self._problem = _("The evaluation was cancelled.") if wasCancelled else inWords(self.ui, problem)
        self.wanted = not self._problem
        self._onChange()


def _escaped(text):
    return escape(text, quote=False)


def openFile(path):
    """Show a file with the program that the system has for it; False if that could not be started."""
    if not sys.platform.startswith("linux"):
        return qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(path))
    command, nowhere = ["xdg-open", path], subprocess.DEVNULL
    try:  # not by Qt: the program would get Slicer's libraries, with which it may crash, and end with Slicer
        process = subprocess.Popen(
            command,
            env=slicer.util.startupEnvironment(),
            stdout=nowhere,
            stderr=nowhere,
            start_new_session=True,
        )
        return process.wait(PATIENCE_S) == 0
    except OSError:
        return False
    except subprocess.TimeoutExpired:  # it is the program
        return True
