"""How the displacement is drawn: spacing of the grid, what is visible, scales up to the largest one."""

import numpy as np
import pytest
import slicer

from hetreg.image import Image
from HetRegUncertaintyLib import deformation, sampledata


@pytest.mark.parametrize(
    ("size", "spacing", "expected"),
    [
        ((100, 80, 3), (1.0, 1.0, 10.0), 5.0),  # the second longest edge in 16 parts: 5
        ((3, 40, 80), (10.0, 2.0, 2.0), 5.0),
        ((48, 48, 1), (1.0, 1.0, 8.0), 2.0),  # 3
        ((60, 60, 1), (1.0, 1.0, 8.0), 5.0),  # 3.75
        ((19, 19, 1), (1.0, 1.0, 8.0), 1.0),  # 1.19
        ((40, 40, 1), (0.24, 0.24, 8.0), 0.5),  # 0.6
        ((48, 48, 1), (0.3, 0.3, 8.0), 1.0),  # 0.9
        ((40, 40, 1), (0.12, 0.12, 8.0), 0.5),  # 0.3: less than the panel has
        ((150, 150, 1), (1.0, 1.0, 8.0), 10.0),  # 9.4
        ((512, 512, 1), (1.0, 1.0, 8.0), 10.0),  # 32: more than is readable
    ],
)
def test_theSpacingIsTheNearestOf1And2And5To16PartsOfTheImage(size, spacing, expected):
    volume = sampledata.addVolume(Image(np.zeros(size[::-1]), np.diag([*spacing, 1.0])), "v")
    assert deformation.niceSpacing(volume) == pytest.approx(expected)


@pytest.mark.parametrize("mode", ["none", "grid", "glyphs", "contours"])
@pytest.mark.parametrize("inThreeD", [False, True])
def test_whatIsChosenIsVisibleAndIn3DOnlyIfAsked(mode, inThreeD):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    deformation.show(transform, None, mode, 6.0, inThreeD)
    display = transform.GetDisplayNode()
    assert bool(display.GetVisibility()) == bool(display.GetVisibility2D()) == (mode != "none")
    assert bool(display.GetVisibility3D()) == (inThreeD and mode != "none")
    if mode != "none":
        modes = {
            "grid": display.VIS_MODE_GRID,
            "glyphs": display.VIS_MODE_GLYPH,
            "contours": display.VIS_MODE_CONTOUR,
        }
        assert display.GetVisualizationMode() == modes[mode]


def test_coloursAndContoursReachUpToTheLargestDisplacement():
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    deformation.show(transform, None, "contours", 6.0, largest=20.0)
    display = transform.GetDisplayNode()
    assert display.GetContourLevelsMmAsString().split() == ["4", "8", "12", "16", "20"]
    function = display.GetColorMap()
    assert function.GetRange() == (0.0, 20.0)
    for share, color in deformation.SCALE:
        assert function.GetColor(20.0 * share) == pytest.approx(color)
    assert display.GetGridSpacingMm() == display.GetGlyphSpacingMm() == 6.0
    assert display.GetGlyphDisplayRangeMinMm() < 20.0 < display.GetGlyphDisplayRangeMaxMm()
