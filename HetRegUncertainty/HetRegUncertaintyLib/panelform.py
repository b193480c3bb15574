"""The form of a module: its widgets, and what a screen reader calls their parts."""

import qt
import slicer


def build(panel, name):
    """Put the form Resources/UI/<name>.ui into a module's panel; returns its widgets by their names."""
    form = slicer.util.loadUI(panel.resourcePath(f"UI/{name}.ui"))
    panel.layout.addWidget(form)
    form.setMRMLScene(slicer.mrmlScene)
    _nameParts(form)
    return slicer.util.childWidgetVariables(form)


def _nameParts(form):
    """What takes the keys in a node selector, a slider or a path field is named like the row."""
    for label in form.findChildren(qt.QLabel):
        whole = label.buddy()
        for part in whole.findChildren(qt.QWidget) if whole is not None else ():
            part.accessibleName = label.text.rstrip(":")
