"""The layout of a training: three curves at the left, the preview of one validation pair at the right.

Its views are its own, so that the user's stay as they are.
"""

import slicer
from slicer.i18n import tr as _

from . import layout

LAYOUT_ID = 8258
PLOTS = ("HetRegTrainingLoss", "HetRegTrainingVarianceLoss", "HetRegTrainingValidation")
SLICES = {
    "fixed": "HetRegTrainingFixed",
    "moved": "HetRegTrainingMoved",
    "noise_sd": "HetRegTrainingNoise",
    "weight": "HetRegTrainingWeight",
}


def isShown():
    """True while this layout is on the screen."""
    return layout.current() == LAYOUT_ID


def show():
    """Switch to the layout; returns the ID of the former one."""
    former = layout.current()
    manager = slicer.app.layoutManager()
    if manager is not None:
        node = manager.layoutLogic().GetLayoutNode()
        if not node.IsLayoutDescription(LAYOUT_ID):
            node.AddLayoutDescription(LAYOUT_ID, _description())
        manager.setLayout(LAYOUT_ID)
    return former


def restore(formerLayout):
    """Switch back, if this layout still is on the screen."""
    if isShown():
        standard = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
        usable = formerLayout > 0 and formerLayout != LAYOUT_ID
        slicer.app.layoutManager().setLayout(formerLayout if usable else standard)


def plotViewNode(tag):
    """The node of one of the plot views, None before the layout was shown."""
    return slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLPlotViewNode")


def sliceLogic(role):
    """The logic of the slice view of a role, while the layout is shown."""
    return slicer.app.layoutManager().sliceWidget(SLICES[role]).sliceLogic()


def _description():
    labels = {"fixed": _("Fixed"), "moved": _("Moved"), "noise_sd": _("Noise SD"), "weight": _("SNR weight")}
    shades = {"fixed": "#6EB04B", "moved": "#F34A33", "noise_sd": "#EDD54C", "weight": "#4C8FED"}
    views = {role: _slice(SLICES[role], labels[role], shades[role]) for role in SLICES}
    names = (_("Loss"), _("Variance"), _("Validation"))
    plots = "".join(_plot(tag, name) for tag, name in zip(PLOTS, names, strict=True))
    top = f'<item><layout type="horizontal">{views["fixed"]}{views["moved"]}</layout></item>'
    bottom = f'<item><layout type="horizontal">{views["noise_sd"]}{views["weight"]}</layout></item>'
    return (
        '<layout type="horizontal" split="true">'
        f'<item splitSize="480"><layout type="vertical">{plots}</layout></item>'
        f'<item splitSize="520"><layout type="vertical">{top}{bottom}</layout></item></layout>'
    )


def _plot(tag, label):
    return (
        f'<item><view class="vtkMRMLPlotViewNode" singletontag="{tag}">'
        f'<property name="viewlabel" action="default">{label}</property></view></item>'
    )


def _slice(tag, label, shade):
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{tag}">'
        '<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{label}</property>'
        f'<property name="viewcolor" action="default">{shade}</property></view></item>'
    )
