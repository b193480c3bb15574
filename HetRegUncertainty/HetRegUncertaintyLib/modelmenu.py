"""The model menu: the shipped models, models trained here and a weight file. Filled without torch."""

import os
import time
from functools import lru_cache

import qt
from slicer.i18n import tr as _

from hetreg import zoo

from .words import otherDimension

AUTO, FROM_FILE = "auto", ""
USER_MODELS_KEY = "HetRegUncertainty/UserModels"
MAX_USER_MODELS = 10
LOOK_S = 5.0  # a drive that is gone is not asked for a file with each tick of a slider


def userModels():
    """Weight files that were added by `addUserModel` and still exist, newest first."""
    kept = qt.QSettings().value(USER_MODELS_KEY, "") or ""
    return [path for path in str(kept).split("\n") if path and os.path.isfile(path)]


def addUserModel(path):
    """Offer a weight file in the menu, from now on and after a restart."""
    path = os.path.abspath(path)
    kept = [path, *(other for other in userModels() if other != path)][:MAX_USER_MODELS]
    qt.QSettings().setValue(USER_MODELS_KEY, "\n".join(kept))


def unusable(model, dimension):
    """One sentence if a model (as the menu has it) cannot register as chosen, as far as that is known before
    it is loaded, otherwise "". dimension: as in the core's configuration."""
    if model == FROM_FILE:
        return _("Choose a weight file.")
    ndim = next((card.ndim for card in zoo.list_models() if card.name == model), None)
    if ndim and dimension not in ("auto", f"{ndim}d"):
        return otherDimension(ndim)
    isPath = "." in model or os.path.basename(model) != model  # no name of a model has these
    if isPath and not os.path.isabs(os.path.expanduser(model)):
        return _("The weight file '{path}' has no full path: choose it, or begin with / or ~.").format(
            path=model
        )
    if isPath and not _isThere(os.path.expanduser(model), time.monotonic() // LOOK_S):
        return _("There is no weight file {path}.").format(path=model)
    return ""


@lru_cache(maxsize=1)
def _isThere(path, _when):
    return os.path.isfile(path)


class ModelMenu:
    """Keeps a menu and a path in step with one string: "auto", a model's name or a file's path."""

    def __init__(self, comboBox, label, pathEdit, onChanged):
        self._combo, self._label, self._path, self._onChanged = comboBox, label, pathEdit, onChanged
        self._names, self._filled, self._shown = [AUTO], None, None
        self._fill(userModels())
        self._combo.connect("currentIndexChanged(int)", self._changed)
        # currentPathChanged tells neither of an empty field nor of another suffix
        self._path.comboBox().connect("editTextChanged(QString)", self._changed)
        self._showPath()

    def refresh(self):
        """Look again which of the models trained here are still there."""
        self._shown = None
        _isThere.cache_clear()
        self.model = self.model

    @property
    def model(self):
        """ "auto", a name, a path, or "" if a file is still to be chosen."""
        name = self._names[self._combo.currentIndex]
        return name if name != FROM_FILE else self._path.currentPath.strip()

    @model.setter
    def model(self, value):
        for widget in (self._combo, self._path.comboBox()):
            widget.blockSignals(True)
        if value != self._shown:  # else a drive that is gone would be asked for with each tick of a slider
            self._fill(userModels())
        self._shown = value
        isName = value in self._names and value != FROM_FILE
        self._combo.currentIndex = self._names.index(value if isName else FROM_FILE)
        if not isName and self._path.currentPath.strip() != value:
            self._path.currentPath = value
        for widget in (self._combo, self._path.comboBox()):
            widget.blockSignals(False)
        self._showPath()

    def _fill(self, trained):
        """The entries; anew only when the models trained here have changed."""
        if trained == self._filled:
            return
        self._filled = trained
        self._combo.clear()
        entries = [(AUTO, _("Automatic"))]
        entries += [(card.name, _cardText(card)) for card in zoo.list_models()]
        entries += [(path, _("Trained: {name}").format(name=_shortName(path))) for path in trained]
        entries.append((FROM_FILE, _("From a weight file...")))
        for _name, text in entries:
            self._combo.addItem(text)
        self._names = [name for name, _text in entries]

    def _changed(self, *_arguments):
        self._showPath()
        self._onChanged(self.model)

    def _showPath(self):
        visible = self._names[self._combo.currentIndex] == FROM_FILE
        self._label.visible = visible
        self._path.visible = visible


def _cardText(card):
    """The label, with the dimension where it does not say it."""
    dimension = f"{card.ndim}D"
    return card.label if dimension in card.label else f"{card.label} ({dimension})"


def _shortName(path):
    """Name of the run folder: the file itself is always best.pt."""
    folder, name = os.path.split(path)
    return os.path.basename(folder) if name == "best.pt" else name
