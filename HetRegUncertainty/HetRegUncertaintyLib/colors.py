"""Colours of the maps: a perceptual table per kind of quantity, a robust window, units for the legend."""

from dataclasses import dataclass

import numpy as np
import slicer
from slicer.i18n import tr as _

ENTRIES = 256
ROBUST_PERCENTILES = (0.5, 99.5)
COLORS_ATTRIBUTE = "HetReg.Colors"

# Nine evenly spaced points of the perceptual maps inferno and viridis and of a diverging blue-red map.
PALETTES = {
    "heat": ("000004 210c4a 57106e 8a226a bc3754 e45a31 f98e09 f9cb35 fcffa4", "HetReg heat"),
    "viridis": ("440154 472d7b 3b528b 2c728e 21918c 28ae80 5ec962 addc30 fde725", "HetReg viridis"),
    "diverging": ("3b4cc0 6282ea 8db0fe b9d0f9 dddcdc f5c4ac f4987a dd5f4b b40426", "HetReg blue-red"),
}


@dataclass(frozen=True)
class Style:
    """How one map is shown. window: "positive" (from 0), "symmetric" (about 0), or two fixed numbers."""

    palette: str
    window: str | tuple[float, float]
    title: str


def styles():
    """Style of every map, by its role. A function, so that the titles follow the language."""
    return {
        "noise_sd": Style("heat", "positive", _("Noise SD (intensity)")),
        "noise_variance": Style("heat", "positive", _("Noise variance (intensity²)")),
        "snr_weight": Style("viridis", (0.0, 1.0), _("SNR weight (0 to 1)")),
        "displacement_mm": Style("viridis", "positive", _("Displacement (mm)")),
        "displacement_sd_mm": Style("heat", "positive", _("Displacement SD (mm)")),
        "log_jacobian": Style("diverging", "symmetric", _("Log-Jacobian")),
        "residual": Style("diverging", "symmetric", _("Residual (intensity)")),
    }


def colorNode(palette):
    """The scene's colour table of that name, made on first use. Saved with the scene."""
    for node in slicer.util.getNodesByClass("vtkMRMLColorTableNode"):
        if node.GetAttribute(COLORS_ATTRIBUTE) == palette:
            return node
    points, name = PALETTES[palette]
    rgb = np.array([[int(p[i : i + 2], 16) for i in (0, 2, 4)] for p in points.split()]) / 255.0
    at = np.linspace(0, len(rgb) - 1, ENTRIES)
    table = np.stack([np.interp(at, np.arange(len(rgb)), rgb[:, c]) for c in range(3)], axis=1)
    node = slicer.vtkMRMLColorTableNode()
    node.SetTypeToUser()
    node.SetNumberOfColors(ENTRIES)
    node.SetName(name)
    for i, (red, green, blue) in enumerate(table):
        node.SetColor(i, f"{i}", red, green, blue, 1.0)
    node.SetHideFromEditors(False)
    node.SetAttribute(COLORS_ATTRIBUTE, palette)
    return slicer.mrmlScene.AddNode(node)


def robustWindow(array, kind):
    """(low, high) of the colours: the given numbers, 0 to a high percentile, or symmetric about zero."""
    if not isinstance(kind, str):
        return kind
    finite = array[np.isfinite(array)]
    low, high = np.percentile(finite, ROBUST_PERCENTILES) if finite.size else (0.0, 1.0)
    if kind == "symmetric":
        high = max(abs(float(low)), abs(float(high)))
    high = float(high) if high > 0 else max(float(np.max(finite, initial=0.0)), 1e-6)
    high = float(f"{high:.5g}")  # so that zero comes back as zero from a scene, with six digits
    return (-high if kind == "symmetric" else 0.0), high


def applyStyle(node, role):
    """Colour table, robust window and no threshold for a map's volume node."""
    style = styles()[role]
    if node.GetScalarVolumeDisplayNode() is None:  # the default one would look at all voxels for a window
        display = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
        display.AutoWindowLevelOff()
        node.SetAndObserveDisplayNodeID(display.GetID())
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(colorNode(style.palette).GetID())
    display.SetInterpolate(False)
    showAllValues(node)
    applyWindow(node, role)


def applyWindow(node, role):
    """The robust window alone."""
    display = node.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(*_windowFor(node, role))


def showAllValues(node):
    """Hide no value: a range that was set for former voxels would hide the largest of the new ones."""
    display = node.GetDisplayNode()
    display.AutoThresholdOff()
    display.ApplyThresholdOff()


def hasRobustWindow(node, role):
    """True unless the user has set the window of a map. One from a saved scene, or put back in the panel, is
    rounded; one that Slicer has set by itself is not the user's."""
    low, high = _windowFor(node, role)
    display = node.GetDisplayNode()
    found = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    near = np.allclose(found, (low, high), rtol=0.0, atol=0.01 * (high - low))
    return near or bool(display.GetAutoWindowLevel())


def _windowFor(node, role):
    return robustWindow(slicer.util.arrayFromVolume(node), styles()[role].window)


def copyWindow(source, target):
    """Show `target` with the grey values of `source`."""
    target.CreateDefaultDisplayNodes()
    display, example = target.GetDisplayNode(), source.GetDisplayNode()
    if not isinstance(example, slicer.vtkMRMLScalarVolumeDisplayNode):  # of a label map, or none
        return
    display.SetAndObserveColorNodeID(example.GetColorNodeID())
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(example.GetWindowLevelMin(), example.GetWindowLevelMax())
