"""The form of the training panel: the rows that a choice needs, what is enabled, and the paths."""

import os
from enum import Enum

import qt
import slicer
from slicer.i18n import tr as _

from hetreg.registry import METHODS
from hetreg.zoo import options_from

from .parameters import outputParameter
from .trainingfolder import expanded, nextFolder
from .trainingparameters import (
    HARDWARE,
    OPTIONS,
    PAIRS,
    PHANTOM,
    LengthUnit,
    isMixed,
    parameterOf,
    usedOptions,
    usesPhantoms,
)
from .trainingrun import canContinue

PATHS = {
    "folderEdit": "folder",
    "outputFolderEdit": "outputFolder",
    "splitFileEdit": "splitFile",
    "startFileEdit": "startFile",
}


class TrainingForm:
    """Shows a parameter node's state; what it takes back are the paths, which connectGui does not know.

    locked() says whether the parameters are not to be changed now.
    """

    def __init__(self, ui, locked):
        self.ui, self._locked, self._parameters = ui, locked, None
        self._tips = {name: getattr(ui, f"{name}CheckBox").toolTip for name in HARDWARE}
        for widget, parameter in PATHS.items():
            edited = lambda path, parameter=parameter: self._onPath(parameter, path)  # noqa: E731
            # currentPathChanged tells neither of an empty field nor of another suffix
            getattr(ui, widget).comboBox().connect("editTextChanged(QString)", edited)
        self._remembering = False
        for button in (ui.startButton, ui.checkButton):
            button.connect("clicked(bool)", self._remember)
        ui.listButton.connect("clicked(bool)", self._onList)

    def show(self, parameters):
        """Bring the form in line with the parameters; None: nothing is to be shown."""
        self._parameters = p = parameters
        if p is None:
            return
        for widget, parameter in PATHS.items():
            path = getattr(p, parameter)
            if expanded(path) != path:
                setattr(p, parameter, expanded(path))
            _setPath(getattr(self.ui, widget), getattr(p, parameter))
        # only shown: a scene, which may be shared, names no folder that was not chosen
        self.ui.outputFolderEdit.comboBox().lineEdit().placeholderText = nextFolder("")
        self._showData(p)
        used = usedOptions(p)
        for name in OPTIONS:
            self._row(name in used, outputParameter(name), "Widget")
        self.ui.methodHelpLabel.text = METHODS[p.method.value].help
        self._row(p.lengthUnit is LengthUnit.EPOCHS, "stepsPerEpoch", "SpinBox")
        self._row(p.augment, "extraNoise", "SpinBox")
        self._row(p.augment, "wideAugment", "CheckBox")
        self._row(p.augment, "stretch", "SpinBox")
        self._row(isMixed(p), "realShare", "SpinBox")
        for name, reasonWithout in HARDWARE.items():
            box, reason = getattr(self.ui, f"{name}CheckBox"), reasonWithout(p.device.value)
            box.enabled, box.toolTip = not reason, reason or self._tips[name]

    def _showData(self, p):
        isPhantom = p.dataset.value == PHANTOM
        self._row(not isPhantom, "folder", "Edit")
        self.ui.listButton.visible = p.dataset.value == PAIRS
        self._row(not isPhantom, "addPhantoms", "CheckBox")
        self._row(usesPhantoms(p), "phantomKind", "ComboBox")
        self._row(usesPhantoms(p), "phantoms", "SpinBox")

    def _row(self, visible, name, kind):
        for part in ("Label", kind):
            getattr(self.ui, name + part).visible = visible

    def _remember(self, _checked=False):
        """Offer the paths in the menus of their fields, also in another session."""
        self._remembering = True  # on the way the fields show other paths
        for widget in (getattr(self.ui, name) for name in PATHS):
            if os.path.isabs(widget.currentPath):
                widget.addCurrentPathToHistory()
        self._remembering = False

    def _onPath(self, parameter, path):
        p, path = self._parameters, path.strip()
        if p is None or self._locked() or self._remembering or path == getattr(p, parameter):
            return
        with slicer.util.NodeModify(p):
            setattr(p, parameter, path)
            if parameter == "startFile" and not canContinue(p.outputFolder):
                followStart(p)

    def _onList(self, _checked=False):
        path = qt.QFileDialog.getOpenFileName(None, _("List of pairs"), "", _("List of pairs (*.csv)"))
        if path and self._parameters:
            self._parameters.folder = path


def followStart(parameters):
    """Choose the kind of the shipped model that a training is to start from, if it is one."""
    for field, value in options_from(parameters.startFile).items():
        name = parameterOf(field)
        setattr(parameters, name, type(getattr(parameters, name))(value))


def valueText(value):
    """A value for people; words in quotes, as they stand in a sentence."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int | float):
        return f"{value:g}"
    return f"'{value.label() if isinstance(value, Enum) else value}'"


def _setPath(widget, path):
    """Show a path."""
    if widget.currentPath.strip() != path:
        widget.currentPath = path
