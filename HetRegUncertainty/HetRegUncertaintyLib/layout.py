"""The linked layout: fixed, moved and uncertainty in the acquired plane, and 3D, with a way back.

Its slice views and its 3D view are its own, so that the user's Red, Yellow and Green views stay as they are.
"""

from xml.sax.saxutils import escape

import numpy as np
import qt
import slicer
import vtk
from slicer.i18n import tr as _

LAYOUT_ID = 8257
VIEW_GROUP = 8257
FIXED, MOVED, UNCERTAINTY = "HetRegFixed", "HetRegMoved", "HetRegUncertainty"
VIEWS = (FIXED, MOVED, UNCERTAINTY)
THREE_D = "HetReg3D"
PREFIX = "HetReg"  # of the names of all views that belong to this extension
FORMER_KEY = "HetRegUncertainty/FormerLayout"  # in Slicer's settings, which also keep the layout itself
NONE = -1
LAST = -1000.0  # priority of an observer that comes after Slicer's own
FITTED = "HetReg.Fitted"  # attribute of a slice node: the volume to which it was fitted, and its bounds
CAMERA_DISTANCE, TILT = 1.9, 0.7  # in fields of view of the slice; tangent of the angle to its normal


def start():
    """Slicer is up: make the layout known; give the user's own back where nothing is shown in this one."""
    register()
    if isEmpty():
        restore(slicer.util.settingsValue(FORMER_KEY, NONE, converter=int))


def register():
    """Make the layout known to Slicer; does nothing the second time, or where there are no views."""
    fixed, moved, uncertainty, threeD = _views()
    top = f'<item><layout type="horizontal">{fixed}{moved}</layout></item>'
    bottom = f'<item><layout type="horizontal">{uncertainty}{threeD}</layout></item>'
    describe(LAYOUT_ID, f'<layout type="vertical">{top}{bottom}</layout>')


def describe(layoutID, description):
    """Make a layout known to Slicer, unless it is, and show it if a scene or the settings named it before."""
    if slicer.app.layoutManager() is None:
        return
    node = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    if not node.IsLayoutDescription(layoutID):
        node.AddLayoutDescription(layoutID, description)
        if node.GetViewArrangement() == layoutID:
            node.SetViewArrangement(layoutID)


def current():
    """ID of the layout on the screen, NONE where there are no views."""
    manager = slicer.app.layoutManager()
    return NONE if manager is None else manager.layout


def isShown():
    """True while the linked layout is on the screen, with its views."""
    manager = slicer.app.layoutManager()
    return current() == LAYOUT_ID and all(manager.sliceWidget(tag) is not None for tag in VIEWS)


def isSceneChanging():
    """True while nodes come and go: what they hold, and the views, may not be whole."""
    scene = slicer.mrmlScene
    return scene.IsBatchProcessing() or scene.IsImporting() or scene.IsClosing()


def isEmpty():
    """True while the linked layout is on the screen and none of its views has an image."""
    return isShown() and not any(
        logic.GetSliceCompositeNode().GetBackgroundVolumeID() for logic in sliceLogics()
    )


def show(volume):
    """Switch to the linked layout with `volume` alone, turn its slices to its plane and fit them.

    Views that show the volume already, where it lies, stay as the user has placed them.
    """
    if slicer.app.layoutManager() is None:
        return
    register()
    if current() != LAYOUT_ID:
        qt.QSettings().setValue(FORMER_KEY, current())
        slicer.app.layoutManager().setLayout(LAYOUT_ID)
    slicer.app.processEvents(qt.QEventLoop.ExcludeUserInputEvents)  # new views take the size that fit() needs
    place = _placeOf(volume)
    isFitted = all(_fittedTo(logic) == place for logic in sliceLogics())
    for logic in sliceLogics():
        composite, view = logic.GetSliceCompositeNode(), logic.GetSliceNode()
        composite.SetLinkedControl(False)
        composite.SetBackgroundVolumeID(volume.GetID())
        composite.SetForegroundVolumeID(None)  # maybe of another pair: it would shift the fit
        view.SetViewGroup(VIEW_GROUP)
        if not isFitted:
            _turnToSlices(view, volume)
            _fit(logic)
            view.SetAttribute(FITTED, place)
        _showIn3D(view)
    for logic in sliceLogics():
        logic.GetSliceCompositeNode().SetLinkedControl(True)
    if not isFitted:
        _lookAtSlice(sliceLogics()[1].GetSliceNode())


def restore(formerLayout):
    """Switch back to the layout that was on the screen before, if the linked one still is there."""
    if current() == LAYOUT_ID:
        switchBack(formerLayout)


def switchBack(formerLayout, ours=(LAYOUT_ID,)):
    """Switch to a former layout, or to the standard one where that is unknown or one of ours."""
    manager = slicer.app.layoutManager()
    isKnown = manager.layoutLogic().GetLayoutNode().IsLayoutDescription(formerLayout)
    usable = formerLayout > 0 and formerLayout not in ours and isKnown
    manager.setLayout(formerLayout if usable else slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def fit(logic, volume):
    """Turn a slice view to the planes of `volume`, which it shows, and fit it."""
    logic.GetSliceNode().RotateToVolumePlane(volume)
    _fit(logic)


def sliceLogics():
    """Slice logics of fixed, moved and uncertainty view, while the layout is shown."""
    manager = slicer.app.layoutManager()
    return [manager.sliceWidget(tag).sliceLogic() for tag in VIEWS]


def sliceNodeIn3D():
    """The slice node whose plane is shown in 3D while the linked layout is shown, or None."""
    return sliceLogics()[1].GetSliceNode() if isShown() else None


def otherSliceLogics():
    """Slice logics of the views that are for all, not this extension's own or those of another module."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return []
    names = [name for name in manager.sliceViewNames() if not name.startswith(PREFIX)]
    logics = [manager.sliceWidget(name).sliceLogic() for name in names]
    return [logic for logic in logics if logic.GetSliceCompositeNode().GetDoPropagateVolumeSelection()]


def _fit(logic):
    logic.FitSliceToAll()
    logic.SnapSliceOffsetToIJK()


def _turnToSlices(view, volume):
    """Turn a slice view to the slices of a stack, whichever way they lie; else to the nearest planes."""
    from hetreg.stack import slice_axis

    axis = slice_axis(volume.GetImageData().GetDimensions(), volume.GetSpacing())
    place, toWorld = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(place)
    parent = volume.GetParentTransformNode()
    if axis is None or (parent is not None and not parent.GetMatrixTransformToWorld(toWorld)):
        view.RotateToVolumePlane(volume)
        return
    vtk.vtkMatrix4x4.Multiply4x4(toWorld, place, place)
    normal = slicer.util.arrayFromVTKMatrix(place)[:3, axis]
    view.SetOrientation(("Sagittal", "Coronal", "Axial")[int(np.abs(normal).argmax())])  # its sides stay so
    view.RotateToAxes(place, axis)


def _placeOf(volume):
    """The volume and its bounds in world coordinates, as text."""
    bounds = [0.0] * 6
    volume.GetRASBounds(bounds)
    return " ".join([volume.GetID(), *(f"{bound:.3f}" for bound in bounds)])


def _fittedTo(logic):
    """The same of the volume that a view shows, if it was fitted to it."""
    place, shown = logic.GetSliceNode().GetAttribute(FITTED), logic.GetSliceCompositeNode()
    return place if place and place.split()[0] == shown.GetBackgroundVolumeID() else ""


def _showIn3D(view):
    """The moved slice, and no other, in this layout's 3D view, and in no other."""
    threeD = slicer.mrmlScene.GetSingletonNode(THREE_D, "vtkMRMLViewNode")
    view.RemoveAllThreeDViewIDs()
    view.AddThreeDViewID(threeD.GetID())
    view.SetSliceVisible(view.GetSingletonTag() == MOVED)


def _lookAtSlice(view):
    """Turn the 3D view to the slice: upright as in the slice view, from a little below."""
    threeD = slicer.mrmlScene.GetSingletonNode(THREE_D, "vtkMRMLViewNode")
    threeD.SetBoxVisible(False)
    threeD.SetAxisLabelsVisible(False)
    camera = slicer.modules.cameras.logic().GetViewActiveCameraNode(threeD)
    axes = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())[:3]
    up, center = axes[:, 1], axes[:, 3]
    towards = np.cross(axes[:, 0], up)  # the viewer; the normal of some views points there, of some away
    distance = CAMERA_DISTANCE * max(view.GetFieldOfView()[:2])
    camera.SetFocalPoint(*center)
    camera.SetPosition(*(center + distance * (towards - TILT * up) / np.hypot(1.0, TILT)))
    camera.SetViewUp(*up)
    camera.ResetClippingRange()


def _views():
    """The <item> of each view: fixed, moved, uncertainty, 3D."""
    labels = (
        (FIXED, _("Fixed"), "#6EB04B"),
        (MOVED, _("Moved"), "#F34A33"),
        (UNCERTAINTY, _("Uncertainty"), "#EDD54C"),
    )
    slices = [
        f'<item><view class="vtkMRMLSliceNode" singletontag="{tag}">'
        f'<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{escape(label)}</property>'
        f'<property name="viewcolor" action="default">{shade}</property></view></item>'
        for tag, label, shade in labels
    ]
    threeD = (
        f'<item><view class="vtkMRMLViewNode" singletontag="{THREE_D}">'
        f'<property name="viewlabel" action="default">3D</property></view></item>'
    )
    return (*slices, threeD)
