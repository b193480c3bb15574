"""The modules qt and ctk: PySide6's classes with PythonQt's ways, and the CTK stand-ins."""

import sys
import types

from PySide6 import QtCore, QtGui, QtWidgets

from . import ctk_buttons, ctk_paths, ctk_sliders, dialogs, ui_loader
from .signals import isStandIn
from .standin import NotInStandIn


class QFileDialog(QtWidgets.QFileDialog):
    """The static functions return the path alone, as in PythonQt, and ask runtime.answer()."""

    @staticmethod
    def getOpenFileName(_parent=None, caption="", *_rest):
        return dialogs.ask("file", caption)

    @staticmethod
    def getOpenFileNames(_parent=None, caption="", *_rest):
        return dialogs.ask("files", caption)

    @staticmethod
    def getSaveFileName(_parent=None, caption="", *_rest):
        return dialogs.ask("save", caption)

    @staticmethod
    def getExistingDirectory(_parent=None, caption="", *_rest):
        return dialogs.ask("folder", caption)


def _message(icon):
    def show(_parent, title, text, buttons=None, default=None):
        return dialogs.ask("message", f"{icon}: {title}: {text}")

    return staticmethod(show)


class QMessageBox(QtWidgets.QMessageBox):
    question, information, warning, critical = (
        _message(n) for n in ("question", "information", "warning", "critical")
    )


def _execDialog(self):
    """A modal dialog is answered by runtime.answer("dialog", result or a function of the dialog)."""
    if dialogs.isInteractive() and not dialogs._answers.get("dialog"):
        return self.exec()
    given = dialogs.ask("dialog", f"{self.className()}: {self.windowTitle}")
    if not callable(given):
        return given
    return given(self)


def _refused(name):
    def refuse(*_args, **_kwargs):
        raise NotInStandIn(f"{name} differs between PythonQt and PySide6 and is not part of the stand-in")

    return refuse


def makeQt():
    qt = types.ModuleType("qt")
    for module in (QtCore, QtGui, QtWidgets):
        for name in dir(module):
            if name.startswith("Q") or name == "Qt":
                setattr(qt, name, getattr(module, name))
    qt.Signal, qt.Slot, qt.Property = QtCore.Signal, QtCore.Slot, QtCore.Property
    qt.QFileDialog, qt.QMessageBox, qt.QUiLoader = QFileDialog, QMessageBox, ui_loader.QUiLoader
    qt.QInputDialog = types.SimpleNamespace(getText=_refused("QInputDialog.getText"))
    QtWidgets.QDialog.exec_ = _execDialog
    QtWidgets.QMessageBox.exec_ = _execDialog
    QtWidgets.QMenu.exec_ = _refused("QMenu.exec_")
    return qt


def standIns(*modules):
    """The stand-in classes that modules define."""
    found = [
        v
        for m in modules
        for v in vars(m).values()
        if isinstance(v, type) and isStandIn(v) and v.__module__ == m.__name__
    ]
    return list(dict.fromkeys(found))


def makeCtk():
    ctk = types.ModuleType("ctk")
    for cls in standIns(ctk_buttons, ctk_paths, ctk_sliders):
        setattr(ctk, cls.__name__, cls)
    return ctk


def install():
    """Put qt and ctk where `import qt, ctk` finds them."""
    sys.modules["qt"], sys.modules["ctk"] = makeQt(), makeCtk()
    return sys.modules["qt"], sys.modules["ctk"]
