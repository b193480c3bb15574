"""Stand-ins for the slice view and its frame, over the real slice logic and displayable managers."""

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from .rendered_view import ManagedView
from .view_bar import SliceBar, ViewFrame

MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
    "vtkMRMLTransformsDisplayableManager2D",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
)


class qMRMLSliceView(ManagedView):
    """What a slice node shows: the blended layers, and on top whatever the displayable managers draw."""

    _standin_ = True

    def __init__(self, logic, parent=None):
        super().__init__(parent)
        self._logic = logic
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        actor = vtk.vtkActor2D()
        actor.SetMapper(self._mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        actor.VisibilityOff()
        self._actor = actor
        self._renderer.AddViewProp(actor)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        self._manage(factory, MANAGERS, logic.GetSliceNode())
        logic.SetDisplayableManagerGroup(self._group)
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetSliceLogic(logic)
        self._style.SetDisplayableManagers(self._group)
        self._style.SetInteractor(self._interactor)
        self._observing.observe(logic, vtk.vtkCommand.ModifiedEvent, self._onLogic)
        self._onLogic()

    def _onLogic(self):
        connection = self._logic.GetImageDataConnection()
        self._mapper.SetInputConnection(connection)
        self._actor.SetVisibility(connection is not None)
        self.scheduleRender()

    def _resize(self, width, height):
        super()._resize(width, height)
        self._logic.ResizeSliceNode(width, height)

    def _prepareRender(self):
        self._annotation.SetText(0, self._layerText())

    def _layerText(self):
        """The names of the layers at the lower left, as Slicer's data probe annotates them."""
        composite = self._logic.GetSliceCompositeNode()
        rows = []
        for letter, layer, opacity in (
            ("L", self._logic.GetLabelLayer(), composite.GetLabelOpacity()),
            ("F", self._logic.GetForegroundLayer(), composite.GetForegroundOpacity()),
            ("B", self._logic.GetBackgroundLayer(), 1.0),
        ):
            volume = layer.GetVolumeNode() if layer is not None else None
            if volume is not None:
                percent = "" if letter == "B" else f" ({round(100 * opacity)}%)"
                rows.append(f"{letter}: {volume.GetName()}{percent}")
        return "\n".join(rows)

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def sliceViewInteractorStyle(self):
        return self._style

    def interactorObserver(self):
        return self._style

    def convertXYZToRAS(self, xyz):
        return list(self.mrmlSliceNode().GetXYToRAS().MultiplyPoint([*xyz, 1.0])[:3])

    def convertRASToXYZ(self, ras):
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.mrmlSliceNode().GetXYToRAS(), inverse)
        return list(inverse.MultiplyPoint([*ras, 1.0])[:3])

    def convertDeviceToXYZ(self, device):
        return [float(device[0]), float(QtWidgets.QWidget.height(self) - 1 - device[1]), 0.0]

    def setViewCursor(self, cursor):
        self.setCursor(cursor)

    def unsetViewCursor(self):
        self.unsetCursor()


class qMRMLSliceWidget(ViewFrame):
    """A slice view under its coloured bar."""

    _standin_ = True

    def __init__(self, node, parent=None):
        super().__init__(parent)
        applicationLogic = slicer.app.applicationLogic()
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(applicationLogic)
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self._logic.SetSliceNode(node)
        applicationLogic.GetSliceLogics().AddItem(self._logic)
        self.setObjectName(f"qMRMLSliceWidget{node.GetLayoutName()}")
        self._frame(SliceBar(self._logic, self), qMRMLSliceView(self._logic, self))

    def sliceLogic(self):
        return self._logic

    def logic(self):
        return self._logic

    def sliceView(self):
        return self._view

    def sliceController(self):
        return self._bar

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlAbstractViewNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def interactorStyle(self):
        return self._view.sliceViewInteractorStyle()

    def fitSliceToBackground(self):
        self._logic.FitSliceToBackground()

    def setSliceOrientation(self, orientation):
        if not self.mrmlSliceNode().SetOrientation(orientation):
            raise ValueError(f"no slice orientation {orientation}")

    sliceViewName = QtCore.Property(str, lambda self: self.mrmlSliceNode().GetLayoutName())
    sliceViewLabel = QtCore.Property(str, lambda self: self.mrmlSliceNode().GetLayoutLabel() or "")
    sliceViewColor = QtCore.Property(
        QtGui.QColor, lambda self: QtGui.QColor.fromRgbF(*self.mrmlSliceNode().GetLayoutColor())
    )
    sliceOrientation = QtCore.Property(
        str,
        lambda self: self.mrmlSliceNode().GetOrientation(),
        lambda self, value: self.setSliceOrientation(value),
    )
