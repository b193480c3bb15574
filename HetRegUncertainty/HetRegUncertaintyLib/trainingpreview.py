"""The live preview of a training: fixed, moved, noise SD and weight of one validation pair, in four views.

Four volume nodes are made once and get new voxels with each preview. They are hidden from menus, not saved.
"""

from pathlib import Path

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _

from . import colors, layout, traininglayout, volumes

ATTRIBUTE = "HetReg.TrainingPreview"
LEGEND_SIZE, LEGEND_POSITION, LEGEND_FONT_SIZE = (0.16, 0.4), (0.98, 0.5), 11
STYLES = {"noise_sd": "noise_sd", "weight": "snr_weight"}


def show(folder):
    """Read the four images of a preview folder into their nodes; returns why not, "" if they are shown."""
    from hetreg.image import read_image

    try:
        images = {role: read_image(Path(folder) / f"{role}.nrrd") for role in traininglayout.SLICES}
    except (OSError, ValueError, RuntimeError) as error:
        return _("The preview could not be read: {error}").format(error=error)
    isNew = _nodeOf("fixed") is None or not _samePlace(images["fixed"], _nodeOf("fixed"))
    for role, image in images.items():
        _update(role, image)
    window = colors.robustWindow(images["fixed"].array, "positive")
    for role in ("fixed", "moved"):
        _nodeOf(role).GetDisplayNode().SetWindowLevelMinMax(*window)
    showInViews(fit=isNew)
    return ""


def showInViews(fit=True):
    """Put the nodes into the training layout's views, while that is shown."""
    if not traininglayout.isShown() or _nodeOf("fixed") is None:
        return
    placed = False
    for role in traininglayout.SLICES:
        logic, node = traininglayout.sliceLogic(role), _nodeOf(role)
        composite = logic.GetSliceCompositeNode()
        if fit or composite.GetBackgroundVolumeID() != node.GetID():
            composite.SetLinkedControl(False)
            composite.SetDoPropagateVolumeSelection(False)  # what is chosen elsewhere does not come in here
            composite.SetBackgroundVolumeID(node.GetID())
            layout.fit(logic, node)
            placed = True
    if placed:
        qt.QTimer.singleShot(0, _fitAgain)
    for role in traininglayout.SLICES:
        traininglayout.sliceLogic(role).GetSliceCompositeNode().SetLinkedControl(True)


def _fitAgain():
    """New views have taken their size."""
    if traininglayout.isShown():
        for role in traininglayout.SLICES:
            traininglayout.sliceLogic(role).FitSliceToAll()


def remove():
    """Take the nodes out of the scene."""
    for role in traininglayout.SLICES:
        node = _nodeOf(role)
        if node is not None:
            slicer.mrmlScene.RemoveNode(node)


def _nodeOf(role):
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        if node.GetAttribute(ATTRIBUTE) == role:
            return node
    return None


def _update(role, image):
    node = _nodeOf(role) or _add(role)
    node.SetIJKToRASMatrix(volumes.ijkToRasMatrix(image))
    node.SetAndObserveImageData(volumes.imageDataFromArray(image.array))
    if role in STYLES:
        colors.applyStyle(node, STYLES[role])
        _showLegend(node)


def _add(role):
    names = {
        "fixed": _("Validation pair, fixed"),
        "moved": _("Validation pair, moved"),
        "noise_sd": _("Validation pair, noise SD"),
        "weight": _("Validation pair, SNR weight"),
    }
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
    node.UnRegister(None)
    node.SetName(names[role])
    node.SetAttribute(ATTRIBUTE, role)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetSaveWithScene(False)
    return node


def _showLegend(node):
    """A narrow scale at the right, made once the views are there: they draw only what is added after them."""
    logic = slicer.modules.colors.logic()
    if not traininglayout.isShown() or logic.GetColorLegendDisplayNode(node) is not None:
        return
    legend = logic.AddDefaultColorLegendDisplayNode(node)
    legend.SetSaveWithScene(False)
    legend.SetTitleText("")
    legend.SetLabelFormat("%.2g")
    legend.SetNumberOfLabels(3)
    legend.SetSize(*LEGEND_SIZE)
    legend.SetPosition(*LEGEND_POSITION)
    legend.GetLabelTextProperty().SetFontSize(LEGEND_FONT_SIZE)


def _samePlace(image, node):
    if slicer.util.arrayFromVolume(node).shape != image.array.shape:
        return False
    return np.allclose(volumes.ijkToRas(node), slicer.util.arrayFromVTKMatrix(volumes.ijkToRasMatrix(image)))
