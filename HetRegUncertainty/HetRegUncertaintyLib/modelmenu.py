"""The model menu: the shipped models and a weight file of the user's own. Filled without torch."""

from slicer.i18n import tr as _

from hetreg import zoo

AUTO, FROM_FILE = "auto", ""


class ModelMenu:
    """Keeps a menu and a path in step with one string: "auto", a model's name or a file's path."""

    def __init__(self, comboBox, label, pathEdit, onChanged):
        self._combo, self._label, self._path, self._onChanged = comboBox, label, pathEdit, onChanged
        self._names = [AUTO]
        self._combo.addItem(_("Automatic"))
        for card in zoo.list_models():
            self._combo.addItem(f"{card.label} ({card.ndim}D)")
            self._names.append(card.name)
        self._combo.addItem(_("From a weight file..."))
        self._names.append(FROM_FILE)
        self._combo.connect("currentIndexChanged(int)", self._changed)
        self._path.connect("currentPathChanged(QString)", self._changed)
        self._showPath()

    @property
    def model(self):
        """ "auto", a name, a path, or "" if a file is still to be chosen."""
        name = self._names[self._combo.currentIndex]
        return name if name != FROM_FILE else self._path.currentPath.strip()

    @model.setter
    def model(self, value):
        isName = value in self._names and value != FROM_FILE
        for widget in (self._combo, self._path):
            widget.blockSignals(True)
        self._combo.currentIndex = self._names.index(value if isName else FROM_FILE)
        if not isName:
            self._path.currentPath = value
        for widget in (self._combo, self._path):
            widget.blockSignals(False)
        self._showPath()

    def _changed(self, *_arguments):
        self._showPath()
        self._onChanged(self.model)

    def _showPath(self):
        visible = self._names[self._combo.currentIndex] == FROM_FILE
        self._label.visible = visible
        self._path.visible = visible
