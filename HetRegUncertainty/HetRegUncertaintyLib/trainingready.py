"""What stands between the form and Start: the first reason against it, or what to train with."""

import os

from slicer.i18n import tr as _

from hetreg.registry import METHODS
from hetreg.zoo import options_from

from . import install, packages, trainingfolder
from .literal import toolTip
from .trainingform import valueText
from .trainingparameters import parameterOf, plain
from .trainingrun import canContinue
from .trainingwords import inWords
from .words import rowName


class StartCheck:
    """Says in the button and in the line below it whether a training can start."""

    def __init__(self, ui, section, former, packageButton):
        self._ui, self._section, self._former, self._packageButton = ui, section, former, packageButton
        self._config, self._reason, self._atEnd = None, "", ""

    def show(self, parameters, evaluating):
        """Bring button and line in line with the parameters. evaluating: an evaluation is running."""
        self.look(parameters, evaluating)
        button, goesOn = self._ui.startButton, canContinue(parameters.outputFolder)
        against = self._reason or self._atEnd
        button.enabled = not against and not self._section.running
        button.text = _("Continue") if goesOn else _("Start")
        button.toolTip = toolTip(against) or (
            _("Continue the run in the output folder up to the length above. Click New for another run.")
            if goesOn
            else _("Start the training.")
        )
        outcome = self._section.outcomeOf(os.path.abspath(parameters.outputFolder), self._config)
        if self._atEnd and not self._section.hasFinished(self._config):
            outcome = ""  # it may say that Continue goes on
        said = [outcome, self._reason] if self._former.gone else [self._reason or outcome]
        self._section.say(" ".join(filter(None, said)) or self._atEnd or self._former.note)

    def look(self, parameters, evaluating):
        """What to train with; None if Start cannot be clicked."""
        self._config, self._atEnd = None, ""
        self._reason = trainingfolder.reasonAgainst(parameters, self._nameOf)
        try:
            self._config = self._former.configuration(parameters)
        except ValueError as error:
            self._reason = self._reason or inWords(self._ui, str(error))
        self._reason = self._reason or self._former.gone or self._againstStart(parameters)
        if evaluating:
            self._reason = _("An evaluation is running: cancel it first, or wait for its end.")
        self._reason = self._reason or install.reasonMissing() or self._notInstalled()
        if not self._reason and not self._section.running:
            self._atEnd = self._longEnough(trainingfolder.stepOf(parameters.outputFolder))
        return None if self._reason or self._atEnd else self._config

    def reasonAgainstData(self, parameters):
        """Why the data cannot be checked, "" if they can."""
        return trainingfolder.reasonAgainstData(parameters, self._nameOf)

    def _againstStart(self, parameters):
        """What the shipped model that the training is to start from needs, "" if the form has it."""
        p, options = parameters, options_from(parameters.startFile)
        if not options or canContinue(p.outputFolder):
            return ""
        same = ("network", "variance_residual")
        wrong = [n for n in same if options[n] != plain(getattr(p, parameterOf(n)))]
        if METHODS[options["method"]].kind != METHODS[p.method.value].kind:
            wrong.append("method")
        names = {n: parameterOf(n) for n in wrong}
        needed = {name: type(getattr(p, name))(options[n]) for n, name in names.items()}
        needs = ", ".join(f"{self._nameOf(name)} {valueText(value)}" for name, value in needed.items())
        text = _("Training that starts from {model} needs these settings: {needs}.")
        return text.format(model=p.startFile, needs=needs) if needs else ""

    def _longEnough(self, step):
        if self._config.total_steps > step:
            return ""
        return _("The run is already at step {step}: raise {length} to continue.").format(
            step=step, length=self._nameOf("length")
        )

    def _notInstalled(self):
        if not self._packageButton.missing:
            return ""
        needed = packages.labels(self._packageButton.missing)
        return _("This choice needs {packages}: click Install below.").format(packages=needed)

    def _nameOf(self, parameter):
        return rowName(self._ui, parameter)
