"""The layouts of this extension: at Slicer's start, among other views, and what is fitted into new views."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
import qt
import slicer
import vtk

import runtime
from HetRegUncertaintyLib import layout, overlays, traininglayout, trainingpreview

ONE_UP = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
FOUR_UP = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


@pytest.fixture
def brochure(panel):
    """A volume that is much wider than it is high."""
    return slicer.util.addVolumeFromArray(np.ones((4, 20, 120)))


@pytest.fixture
def unknown(panel, monkeypatch):
    """unknown(layoutID): the layout is named, but Slicer does not know it, and has none of its views yet."""
    manager = slicer.app.layoutManager()
    node, find = manager.layoutLogic().GetLayoutNode(), type(manager).sliceWidget

    def forget(layoutID):
        node.SetLayoutDescription(layoutID, "")
        node.SetViewArrangement(layoutID)

    isThere = lambda name: node.GetCurrentLayoutDescription() or not name.startswith("HetReg")  # noqa: E731
    monkeypatch.setattr(type(manager), "sliceWidget", lambda self, n: find(self, n) if isThere(n) else None)
    yield forget
    layout.register()
    traininglayout.register()


@pytest.fixture
def former():
    qt.QSettings().remove(layout.FORMER_KEY)
    yield
    qt.QSettings().remove(layout.FORMER_KEY)


def test_emptyLayoutAtStart(unknown, former):
    """Slicer's settings brought the layout back before it was known, and without the scene."""
    unknown(layout.LAYOUT_ID)
    assert not layout.isShown()
    assert not layout.isEmpty()
    for remembered, shown in ((None, FOUR_UP), (ONE_UP, ONE_UP), (987654, FOUR_UP)):
        if remembered:
            qt.QSettings().setValue(layout.FORMER_KEY, remembered)
            slicer.app.layoutManager().setLayout(layout.LAYOUT_ID)
        layout.start()
        assert slicer.app.layoutManager().layout == shown


def test_sceneReadBeforeTheStartWasCompleted(unknown, brochure):
    """The layout that the scene names is shown as soon as it is known, and stays where it has images."""
    unknown(layout.LAYOUT_ID)
    layout.register()
    assert layout.isShown()
    layout.show(brochure)
    layout.start()
    assert layout.isShown()
    unknown(traininglayout.LAYOUT_ID)
    assert not traininglayout.isShown()
    traininglayout.register()
    assert traininglayout.isShown()


def test_theUsersLayoutIsRemembered(panel, former, brochure):
    slicer.app.layoutManager().setLayout(ONE_UP)
    layout.show(brochure)
    layout.show(brochure)
    assert int(qt.QSettings().value(layout.FORMER_KEY)) == ONE_UP


def fields(logics):
    """The field of view of each slice view, and what fitting it now gives."""
    runtime.process_events()
    kept = [logic.GetSliceNode().GetFieldOfView()[:2] for logic in logics]
    for logic in logics:
        logic.FitSliceToAll()
    return kept, [logic.GetSliceNode().GetFieldOfView()[:2] for logic in logics]


def test_newViewsAreFittedAtTheirFinalSize(brochure):
    layout.show(brochure)
    kept, fitted = fields(layout.sliceLogics())
    np.testing.assert_allclose(kept, fitted)


def test_newPreviewIsFittedAtItsFinalSize(training, tmp_path):
    from hetreg.image import Image, write_image

    for role in traininglayout.SLICES:
        write_image(Image(np.ones((1, 20, 120), np.float32), np.eye(4)), tmp_path / f"{role}.nrrd")
    traininglayout.follow(traininglayout.LAYOUT_ID, training.logic.getParameterNode())
    assert trainingpreview.show(tmp_path) == ""
    kept, fitted = fields([traininglayout.sliceLogic(role) for role in traininglayout.SLICES])
    np.testing.assert_allclose(kept, fitted)
    slicer.app.layoutManager().setLayout(FOUR_UP)
    trainingpreview.remove()


def test_viewsOfOthersAreLeftAlone(panel, brochure, training):
    """The training's views, and those that a module has taken out of Slicer's choice of volumes for all."""
    traininglayout.follow(traininglayout.LAYOUT_ID, training.logic.getParameterNode())
    previews = [traininglayout.sliceLogic(role) for role in traininglayout.SLICES]
    slicer.app.layoutManager().setLayout(FOUR_UP)
    red, green = (slicer.app.layoutManager().sliceWidget(tag).sliceLogic() for tag in ("Red", "Green"))
    green.GetSliceCompositeNode().SetDoPropagateVolumeSelection(False)
    before = [logic.GetSliceCompositeNode().GetBackgroundVolumeID() for logic in (*previews, green)]
    other = slicer.util.addVolumeFromArray(np.ones((4, 5, 6)))
    try:
        overlays.show({}, other)
        after = [logic.GetSliceCompositeNode().GetBackgroundVolumeID() for logic in (*previews, green)]
    finally:
        green.GetSliceCompositeNode().SetDoPropagateVolumeSelection(True)
    assert after == before
    assert red.GetSliceCompositeNode().GetBackgroundVolumeID() == other.GetID()


def test_translatedLabelsMayHoldAnyCharacter(panel, monkeypatch):
    for module in (layout, traininglayout):
        monkeypatch.setattr(module, "_", lambda text: f"<{text}> & 'more'")
    views = "".join(layout._views())
    for text in (f"<layout>{views}</layout>", traininglayout._description(), traininglayout._evaluation()):
        labels = [e.text for e in ET.fromstring(text).iter("property") if e.get("name") == "viewlabel"]
        assert [label for label in labels if label != "3D"]
        assert all(label == "3D" or label.endswith("> & 'more'") for label in labels)


@pytest.mark.parametrize(("first", "side"), [(0, "L"), (1, "A"), (2, "S")])
def test_aStackIsShownSliceBySliceWhicheverWayItLies(panel, first, side):
    """A long-axis stack was cut through: its slices are nearest to coronal ones, and the views were axial."""
    turn = vtk.vtkTransform()
    turn.RotateWXYZ(35.0, 1.0, 0.5, 0.2)
    axes = np.roll(slicer.util.arrayFromVTKMatrix(turn.GetMatrix())[:3, :3], -first - 1, axis=1)
    place = np.eye(4)
    place[:3, :3] = axes * (1.0, 1.0, 8.0)
    stack = slicer.util.addVolumeFromArray(np.zeros((9, 40, 40), np.int16), place)
    layout.show(stack)
    for logic in layout.sliceLogics():
        seen = slicer.util.arrayFromVTKMatrix(logic.GetSliceNode().GetSliceToRAS())[:3, :3]
        assert abs(seen[:, 2] @ axes[:, 2]) == pytest.approx(1.0), side
    threeD = slicer.mrmlScene.GetSingletonNode(layout.THREE_D, "vtkMRMLViewNode")
    camera = slicer.modules.cameras.logic().GetViewActiveCameraNode(threeD)
    ahead = np.subtract(camera.GetFocalPoint(), camera.GetPosition())
    np.testing.assert_array_less(0, seen[:, 0] @ np.cross(ahead, camera.GetViewUp()))  # not seen from behind
