"""Stand-ins for CTK's path editors and combo boxes."""

import os
import re

from PySide6 import QtCore, QtGui, QtWidgets

from . import dialogs
from .standin import computed, signals, stored

_HISTORY = 5


class ctkComboBox(QtWidgets.QComboBox):
    """A combo box with a text for "nothing chosen"."""

    _standin_ = True
    defaultText = stored("defaultText", str, "", lambda self, value: self.setPlaceholderText(value))
    forceDefault = stored("forceDefault", bool, False)
    elideMode = stored("elideMode", "enum", None)
    scrollWheelEffect = stored("scrollWheelEffect", "enum", 1)
    NeverScroll, AlwaysScroll, ScrollWithFocus, ScrollWithNoVScrollBar = 0, 1, 2, 3

    def _setUserData(self, text):
        self.setCurrentIndex(self.findData(text))

    def _userData(self):
        data = self.currentData
        return "" if data is None else str(data)

    currentUserDataAsString = computed(str, _userData, _setUserData)

    def setCurrentUserDataAsString(self, text):
        self._setUserData(text)


class ctkPathLineEdit(QtWidgets.QWidget):
    """A path in an editable combo box with a browse button; the history lives in the settings.

    As in CTK, currentPathChanged is emitted only for what the name filters accept, and never for "".
    """

    _standin_ = True
    _signals_ = signals("currentPathChanged(QString)", "validInputChanged(bool)")
    currentPathChanged = QtCore.Signal(str)
    validInputChanged = QtCore.Signal(bool)
    Dirs, Files, Drives, NoSymLinks, AllEntries = 0x1, 0x2, 0x4, 0x8, 0x7
    Readable, Writable, Executable, Hidden, System = 0x10, 0x20, 0x40, 0x100, 0x200
    NoDot, NoDotDot, NoDotAndDotDot, NoFilter = 0x2000, 0x4000, 0x6000, -1

    def __init__(self, parent=None):
        super().__init__(parent)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        self._box = QtWidgets.QComboBox(self)
        self._box.setEditable(True)
        self._box.setInsertPolicy(QtWidgets.QComboBox.InsertPolicy.NoInsert)
        self._box.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        self._browse = QtWidgets.QToolButton(self)
        self._browse.setText("...")
        row.addWidget(self._box, 1)
        row.addWidget(self._browse)
        self._box.lineEdit().textChanged.connect(self._onText)
        self._browse.clicked.connect(lambda: self.browse())
        self._valid = False
        self._setValidator([])

    def _setValidator(self, nameFilters):
        found = [suffix for text in nameFilters for suffix in re.findall(r"\*(\.\w+)", text)]
        pattern = "|".join(rf"(.*\{suffix}?)" for suffix in found) or ".+"
        line = self._box.lineEdit()
        line.setValidator(QtGui.QRegularExpressionValidator(QtCore.QRegularExpression(pattern), line))

    def _onText(self, text):
        was, self._valid = self._valid, self._box.lineEdit().hasAcceptableInput()
        if self._valid:
            self.currentPathChanged.emit(text)
        if self._valid != was:
            self.validInputChanged.emit(self._valid)

    currentPath = computed(
        str, lambda self: self._box.currentText, lambda self, value: self.setCurrentPath(value)
    )
    filters = stored("filters", "enum", 0x1 | 0x2 | 0x6000)
    options = stored("options", "enum", None)
    nameFilters = stored("nameFilters", "QStringList", [], lambda self, value: self._setValidator(value))
    label = stored("label", str, "")
    settingKey = stored("settingKey", str, "", lambda self, _value: self.retrieveHistory())
    showBrowseButton = stored(
        "showBrowseButton", bool, True, lambda self, value: self._browse.setVisible(value)
    )
    showHistoryButton = stored("showHistoryButton", bool, True)
    minimumContentsLength = stored("minimumContentsLength", int, 0)
    sizeAdjustPolicy = stored("sizeAdjustPolicy", "enum", None)

    def setCurrentPath(self, path):
        self._box.lineEdit().setText(path)

    def browse(self):
        onlyFolders = int(self.filters) & 0x3 == self.Dirs
        title = self.label or ("Select a directory" if onlyFolders else "Select a file")
        path = dialogs.ask("folder" if onlyFolders else "file", title)
        if path:
            self.setCurrentPath(path)

    def _history(self):
        found = QtCore.QSettings().value(self._key()) or []
        return [found] if isinstance(found, str) else list(found)

    def _key(self):
        return "ctkPathLineEdit/" + (self.settingKey or self.objectName)

    def retrieveHistory(self):
        """Fill the menu; an empty field gets the newest path."""
        current, wasBlocked = self.currentPath, self.blockSignals(True)
        self._box.clear()
        self._box.addItems(self._history()[:_HISTORY])
        if current:
            self.setCurrentPath(current)
            self.blockSignals(wasBlocked)
        else:
            self.blockSignals(wasBlocked)
            self._box.setCurrentIndex(0)

    def addCurrentPathToHistory(self):
        """As in CTK the field shows other paths on the way."""
        path = self.currentPath
        if not path:
            return
        history = [path, *(other for other in self._history() if other != path)]
        QtCore.QSettings().setValue(self._key(), history)
        index = self._box.findText(path)
        if index >= 0:
            self._box.removeItem(index)
        while self._box.count >= _HISTORY:
            self._box.removeItem(self._box.count - 1)
        self._box.insertItem(0, path)
        self._box.setCurrentIndex(0)

    def comboBox(self):
        return self._box


class ctkDirectoryButton(QtWidgets.QWidget):
    """A button that shows and changes a folder."""

    _standin_ = True
    _signals_ = signals("directoryChanged(QString)", "directorySelected(QString)")
    directoryChanged = QtCore.Signal(str)
    directorySelected = QtCore.Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._button = QtWidgets.QPushButton(self)
        self._button.setIcon(self.style().standardIcon(QtWidgets.QStyle.StandardPixmap.SP_DirIcon))
        row.addWidget(self._button)
        self._button.clicked.connect(lambda: self.browse())
        self._folder = os.getcwd()
        self._label()

    def _label(self):
        self._button.setText(self.text or self._folder)

    def _setDirectory(self, folder):
        folder = os.path.abspath(folder) if folder else os.getcwd()
        if folder != self._folder:
            self._folder = folder
            self._label()
            self.directoryChanged.emit(folder)

    directory = computed(str, lambda self: self._folder, _setDirectory)
    caption = stored("caption", str, "")
    text = stored("text", str, "", lambda self, _value: self._label())
    acceptMode = stored("acceptMode", "enum", None)
    elideMode = stored("elideMode", "enum", None)
    options = stored("options", "enum", None)

    def browse(self):
        folder = dialogs.ask("folder", self.caption or "Select a directory")
        if folder:
            self.directory = folder
            self.directorySelected.emit(folder)


class ctkCheckableComboBox(QtWidgets.QComboBox):
    """A combo box whose items have check boxes."""

    _standin_ = True
    _signals_ = signals("checkedIndexesChanged()")
    checkedIndexesChanged = QtCore.Signal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self.model().dataChanged.connect(lambda *_: self.checkedIndexesChanged.emit())
        self.model().rowsInserted.connect(self._onInserted)

    def _onInserted(self, _parent, first, last):
        for row in range(first, last + 1):
            item = self.model().item(row)
            item.setCheckable(True)
            item.setCheckState(QtCore.Qt.CheckState.Unchecked)

    def checkableModel(self):
        return self.model()

    def checkState(self, index):
        return QtCore.Qt.CheckState(index.data(QtCore.Qt.ItemDataRole.CheckStateRole) or 0)

    def setCheckState(self, index, state):
        self.model().setData(index, state, QtCore.Qt.ItemDataRole.CheckStateRole)

    def checkedIndexes(self):
        model = self.model()
        indexes = [model.index(row, 0) for row in range(model.rowCount())]
        return [i for i in indexes if self.checkState(i) == QtCore.Qt.CheckState.Checked]

    def allChecked(self):
        return len(self.checkedIndexes()) == self.model().rowCount()

    def noneChecked(self):
        return not self.checkedIndexes()
