"""The layouts of the training panel: curves and preview of a training; plot and table of an evaluation.

Their views are their own, so that the user's stay as they are.
"""

from xml.sax.saxutils import escape

import slicer
from slicer.i18n import tr as _

from . import layout

LAYOUT_ID, EVALUATION_ID = 8258, 8259
OURS = (LAYOUT_ID, EVALUATION_ID)
PLOTS = ("HetRegTrainingLoss", "HetRegTrainingVarianceLoss", "HetRegTrainingValidation")
SLICES = {
    "fixed": "HetRegTrainingFixed",
    "moved": "HetRegTrainingMoved",
    "noise_sd": "HetRegTrainingNoise",
    "weight": "HetRegTrainingWeight",
}
EVALUATION_PLOT, EVALUATION_TABLE = "HetRegEvaluationPlot", "HetRegEvaluationTable"


def isShown(which=LAYOUT_ID):
    """True while this layout is on the screen, with its views."""
    manager = slicer.app.layoutManager()
    tags = SLICES.values() if which == LAYOUT_ID else ()
    return layout.current() == which and all(manager.sliceWidget(tag) is not None for tag in tags)


def follow(wanted, parameters):
    """Switch to one of the layouts, or (None) back to the one that was there before them."""
    if wanted is None:
        restore(parameters.formerLayout)
    elif not isShown(wanted):
        if layout.current() not in OURS:
            parameters.formerLayout = layout.current()
        _show(wanted)


def restore(formerLayout):
    """Switch back, if one of these layouts still is on the screen."""
    if layout.current() in OURS:
        layout.switchBack(formerLayout, OURS)


def register():
    """Make both layouts known to Slicer: a scene that was saved with one of them asks for it."""
    for which, description in ((LAYOUT_ID, _description), (EVALUATION_ID, _evaluation)):
        layout.describe(which, description())


def _show(which):
    register()
    if slicer.app.layoutManager() is not None:
        slicer.app.layoutManager().setLayout(which)


def plotViewNode(tag):
    """The node of one of the plot views, None before the layout was shown."""
    return slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLPlotViewNode")


def tableViewNode(tag):
    """The node of the table view, None before the layout was shown."""
    return slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLTableViewNode")


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


def _evaluation():
    table = (
        f'<item splitSize="450"><view class="vtkMRMLTableViewNode" singletontag="{EVALUATION_TABLE}">'
        f'<property name="viewlabel" action="default">{escape(_("Cases"))}</property></view></item>'
    )
    plot = _plot(EVALUATION_PLOT, _("Sparsification")).replace("<item>", '<item splitSize="550">', 1)
    return f'<layout type="vertical" split="true">{plot}{table}</layout>'


def _plot(tag, label):
    return (
        f'<item><view class="vtkMRMLPlotViewNode" singletontag="{tag}">'
        f'<property name="viewlabel" action="default">{escape(label)}</property></view></item>'
    )


def _slice(tag, label, shade):
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{tag}">'
        '<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{escape(label)}</property>'
        f'<property name="viewcolor" action="default">{shade}</property></view></item>'
    )
