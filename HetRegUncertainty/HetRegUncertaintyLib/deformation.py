"""How the displacement is drawn over the images: as a grid, arrows or contours, in slices and in 3D."""

import numpy as np
import vtk

from .overlays import HIDDEN

SCALE = (  # share of the largest displacement, colour: dark where nothing moves, then yellow to red
    (0.0, (0.3, 0.33, 0.36)),
    (0.33, (0.99, 0.85, 0.35)),
    (0.66, (0.95, 0.5, 0.2)),
    (1.0, (0.8, 0.1, 0.2)),
)
GRID_LINES = 16  # about so many across the image, when the spacing is chosen automatically,
LARGEST_SPACING_MM = 10.0  # but never wider: a heart in a large field of view has enough lines too
SMALLEST_SPACING_MM = 0.5  # of the panel


def niceSpacing(volume):
    """Spacing in mm of a readable grid on this volume: about GRID_LINES lines or more; 1, 2, 5 times 10^n,
    as far as the panel's slider goes."""
    size = np.array(volume.GetImageData().GetDimensions()) * np.array(volume.GetSpacing())
    wanted = float(np.sort(size)[-2]) / GRID_LINES
    power = 10.0 ** np.floor(np.log10(max(wanted, 1e-3)))
    nearest = float(min((1, 2, 5, 10), key=lambda step: abs(step * power - wanted)) * power)
    return max(min(nearest, LARGEST_SPACING_MM), SMALLEST_SPACING_MM)


def show(transform, region, mode, spacing, inThreeD=False, largest=10.0):
    """Draw a transform.

    mode: "none", "grid", "glyphs" or "contours". region: volume or slice node that says where in 3D.
    spacing: mm between lines or arrows. largest: mm at which the colour scale ends.
    """
    transform.CreateDefaultDisplayNodes()
    display = transform.GetDisplayNode()
    display.RemoveAttribute(HIDDEN)  # what is chosen now counts
    wasModifying = display.StartModify()
    display.SetVisibility(mode != "none")
    display.SetVisibility2D(mode != "none")
    display.SetVisibility3D(inThreeD and mode != "none")
    if mode != "none":
        modes = {
            "grid": display.VIS_MODE_GRID,
            "glyphs": display.VIS_MODE_GLYPH,
            "contours": display.VIS_MODE_CONTOUR,
        }
        display.SetVisualizationMode(modes[mode])
        display.SetAndObserveRegionNode(region)
        _setSpacing(display, spacing, largest)
        _setColors(display, largest)
    display.EndModify(wasModifying)


def _setSpacing(display, spacing, largest):
    display.SetGridSpacingMm(spacing)
    display.SetGridResolutionMm(spacing / 4.0)
    display.SetGridLineDiameterMm(spacing / 12.0)
    display.SetGlyphSpacingMm(spacing)
    display.SetGlyphDiameterMm(spacing / 3.0)
    display.SetGlyphDisplayRangeMinMm(min(0.2, 0.02 * largest))
    display.SetGlyphDisplayRangeMaxMm(10.0 * largest)
    display.SetContourResolutionMm(spacing / 4.0)
    display.SetContourLevelsMmFromString(" ".join(f"{largest * step / 5.0:.3g}" for step in range(1, 6)))


def _setColors(display, largest):
    """The colour scale, up to `largest` mm."""
    function = vtk.vtkColorTransferFunction()
    for at, color in SCALE:
        function.AddRGBPoint(at * largest, *color)
    display.SetColorMap(function)
