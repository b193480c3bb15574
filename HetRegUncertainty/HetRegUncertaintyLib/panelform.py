"""The form of a module: its widgets, what a screen reader calls their parts, and whose method it is."""

import qt
import slicer
from slicer.i18n import tr as _

PAPER = "https://arxiv.org/abs/2312.00836"


def build(panel, name):
    """Put the form Resources/UI/<name>.ui into a module's panel; returns its widgets by their names."""
    form = slicer.util.loadUI(panel.resourcePath(f"UI/{name}.ui"))
    panel.layout.addWidget(form)
    form.setMRMLScene(slicer.mrmlScene)
    _nameParts(form)
    return slicer.util.childWidgetVariables(form)


def acknowledgement():
    """The paper of the method, for the Help section of a module."""
    paper = _(
        "Method: Zhang, Pak and others, Heteroscedastic Uncertainty Estimation Framework for Unsupervised "
        "Registration, MICCAI 2024"
    )
    return f'{paper}, <a href="{PAPER}">{PAPER}</a>.'


def _nameParts(form):
    """What takes the keys in a node selector, a slider or a path field is named like the row."""
    for label in form.findChildren(qt.QLabel):
        whole = label.buddy()
        for part in whole.findChildren(qt.QWidget) if whole is not None else ():
            part.accessibleName = label.text.rstrip(":")
