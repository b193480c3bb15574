"""The maps' colour tables and windows, by their numbers."""

import numpy as np
import pytest
import slicer

from hetreg.image import Image
from HetRegUncertaintyLib import colors, sampledata


@pytest.mark.parametrize("palette", colors.PALETTES)
def test_aTableGoesThroughTheColoursOfItsPalette(palette):
    node, points = colors.colorNode(palette), colors.PALETTES[palette][0].split()
    entry = [0.0] * 4
    for number, point in enumerate(points):
        node.GetColor(round(255 * number / 8), entry)
        assert entry[:3] == pytest.approx([part / 255 for part in bytes.fromhex(point)], abs=0.01)
    assert node.GetNumberOfColors() == 256
    assert colors.colorNode(palette) is node
    others = colors.PALETTES.keys() - {palette}
    assert all(colors.colorNode(other) is not node for other in others)


@pytest.mark.parametrize("sign", [-1, 1])
def test_aWindowLeavesOutTheFewLargestAndIsSymmetricAboutZero(sign):
    values = sign * np.linspace(-1, 3, 1001)
    assert colors.robustWindow(values, "symmetric") == pytest.approx((-2.98, 2.98))
    assert colors.robustWindow(values, "positive") == (0.0, pytest.approx(2.98 if sign > 0 else 0.98))


def test_theWindowOfAlmostNothing():
    few = np.append(np.zeros(1000), 7.0)  # less than a percentile sees
    assert colors.robustWindow(few, "positive") == (0.0, 7.0)
    assert colors.robustWindow(few, "symmetric") == (-7.0, 7.0)
    assert colors.robustWindow(np.append(np.ones(9), np.nan), "positive") == (0.0, 1.0)
    assert colors.robustWindow(np.full(9, np.nan), "positive") == (0.0, 1.0)
    assert colors.robustWindow(few, (0.2, 0.3)) == (0.2, 0.3)


@pytest.mark.parametrize("high", [0.261161, 1.5344877, 17.0332, 8751.1249, 76582251.0])
@pytest.mark.parametrize("kind", ["positive", "symmetric"])
def test_aSavedWindowComesBackAsItWas(tmp_path, high, kind):
    """Slicer saves six digits of middle and width: the legend of a loaded scene does not end at -1e-05."""
    window = colors.robustWindow(np.array([0.0, high]), kind)
    assert window[1] == pytest.approx(high * 0.995, rel=0.006)
    display = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode", "map")
    display.SetWindowLevelMinMax(*window)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    display = slicer.util.getNode("map")
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == window


def test_aMovedImageIsShownAsItsImage():
    source, target = (sampledata.addVolume(Image(np.eye(4)[None] * n, np.eye(4)), f"{n}") for n in (1, 2))
    source.CreateDefaultDisplayNodes()
    shown = source.GetDisplayNode()
    shown.SetAndObserveColorNodeID(colors.colorNode("heat").GetID())
    shown.AutoWindowLevelOff()
    shown.SetWindowLevelMinMax(0.25, 0.75)
    colors.copyWindow(source, target)
    copy = target.GetDisplayNode()
    assert (copy.GetWindowLevelMin(), copy.GetWindowLevelMax()) == (0.25, 0.75)
    assert copy.GetColorNode() is colors.colorNode("heat")
    assert not copy.GetAutoWindowLevel()


def test_aNewMapIsNotSearchedForAWindowThatItDoesNotKeep():
    """Slicer's own took a third of the time in which a result came into the scene."""
    node, windows = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode"), set()
    slicer.util.updateVolumeFromArray(node, np.linspace(-1, 3, 1000).reshape(10, 10, 10))

    def watch(display, _event):
        windows.add((display.GetWindowLevelMin(), display.GetWindowLevelMax()))

    def watchNew(_scene, _event):
        for display in slicer.util.getNodesByClass("vtkMRMLScalarVolumeDisplayNode"):
            display.AddObserver("ModifiedEvent", watch)
            watch(display, None)

    observer = slicer.mrmlScene.AddObserver(slicer.mrmlScene.NodeAddedEvent, watchNew)
    colors.applyStyle(node, "residual")
    slicer.mrmlScene.RemoveObserver(observer)
    display = node.GetScalarVolumeDisplayNode()
    default = slicer.vtkMRMLScalarVolumeDisplayNode()
    own = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    assert own == pytest.approx((-2.98, 2.98))
    assert windows == {own, (default.GetWindowLevelMin(), default.GetWindowLevelMax())}
    assert not display.GetAutoWindowLevel()
