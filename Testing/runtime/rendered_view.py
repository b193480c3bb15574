"""A Qt widget that shows what a VTK window renders off screen, and hands the mouse on to VTK."""

import numpy as np
import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from vtk.util.numpy_support import vtk_to_numpy

from .observing import Observing
from .standin import NotInStandIn

_EVENTS = {
    (QtCore.QEvent.Type.MouseButtonPress, QtCore.Qt.MouseButton.LeftButton): "LeftButtonPressEvent",
    (QtCore.QEvent.Type.MouseButtonRelease, QtCore.Qt.MouseButton.LeftButton): "LeftButtonReleaseEvent",
    (QtCore.QEvent.Type.MouseButtonPress, QtCore.Qt.MouseButton.MiddleButton): "MiddleButtonPressEvent",
    (QtCore.QEvent.Type.MouseButtonRelease, QtCore.Qt.MouseButton.MiddleButton): "MiddleButtonReleaseEvent",
    (QtCore.QEvent.Type.MouseButtonPress, QtCore.Qt.MouseButton.RightButton): "RightButtonPressEvent",
    (QtCore.QEvent.Type.MouseButtonRelease, QtCore.Qt.MouseButton.RightButton): "RightButtonReleaseEvent",
}


class RenderedView(QtWidgets.QWidget):
    """renderWindow() renders on demand only: when painted after a change, or by forceRender()."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._image, self._dirty, self._paused = None, True, 0
        self._observing = Observing(self)
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.SetSize(300, 300)
        self._renderer = vtk.vtkRenderer()
        self._window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._interactor.EnableRenderOff()
        self._window.Render()  # the displayable managers need a window that has rendered once
        self._annotation = vtk.vtkCornerAnnotation()
        self._annotation.SetMaximumFontSize(13)
        self._annotation.GetTextProperty().SetShadow(1)
        self._overlay = vtk.vtkRenderer()
        self._overlay.SetLayer(1)
        self._overlay.InteractiveOff()
        self._overlay.EraseOff()
        self._overlay.AddViewProp(self._annotation)
        self._window.SetNumberOfLayers(2)
        self._window.AddRenderer(self._overlay)
        self.setMouseTracking(True)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(60, 60)

    # --- rendering
    def scheduleRender(self):
        self._dirty = True
        self.update()

    def forceRender(self):
        self._prepareRender()
        self._window.Render()
        self._image, self._dirty = None, False
        self.update()

    def _prepareRender(self):
        """What has to be brought up to date before the window renders."""

    def renderWindow(self):
        return self._window

    def interactor(self):
        return self._interactor

    def cornerAnnotation(self):
        return self._annotation

    def pauseRender(self):
        self._paused += 1

    def resumeRender(self):
        self._paused = max(self._paused - 1, 0)
        self.update()

    def setRenderPaused(self, paused):
        if paused:
            self.pauseRender()
        else:
            self.resumeRender()

    def _pixels(self):
        """The window as an array (rows from the top, columns, RGB)."""
        if self._dirty:
            self.forceRender()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self._window)
        grab.SetInputBufferTypeToRGB()
        grab.ReadFrontBufferOff()
        grab.ShouldRerenderOff()
        grab.Update()
        image = grab.GetOutput()
        columns, rows, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, 3)[::-1].copy()

    def paintEvent(self, _event):
        if self._image is None or (self._dirty and not self._paused):
            pixels = np.ascontiguousarray(self._pixels())
            rows, columns, _ = pixels.shape
            self._image = QtGui.QImage(
                pixels.data, columns, rows, 3 * columns, QtGui.QImage.Format.Format_RGB888
            ).copy()
        painter = QtGui.QPainter(self)
        painter.drawImage(self.rect, self._image)
        painter.end()

    def resizeEvent(self, _event):
        size = QtWidgets.QWidget.size(self)
        self._resize(max(size.width(), 1), max(size.height(), 1))

    def _resize(self, width, height):
        self._window.SetSize(width, height)
        self._interactor.UpdateSize(width, height)
        self.scheduleRender()

    def _finish(self):
        """At the end of the process: let go of the graphics before Python does."""
        self._observing.stop()
        self._group = self._style = None
        self._interactor.SetRenderWindow(None)
        self._window.RemoveRenderer(self._renderer)
        self._window.RemoveRenderer(self._overlay)
        self._window.Finalize()

    # --- the mouse
    def _aim(self, event):
        position = event.position()
        modifiers = event.modifiers()
        self._interactor.SetEventInformationFlipY(
            int(position.x()),
            int(position.y()),
            int(bool(modifiers & QtCore.Qt.KeyboardModifier.ControlModifier)),
            int(bool(modifiers & QtCore.Qt.KeyboardModifier.ShiftModifier)),
        )

    def _button(self, event):
        name = _EVENTS.get((event.type(), event.button()))
        if name is not None:
            self._aim(event)
            self._interactor.InvokeEvent(name)
            self.scheduleRender()

    def mousePressEvent(self, event):
        self._button(event)

    def mouseReleaseEvent(self, event):
        self._button(event)

    def mouseMoveEvent(self, event):
        self._aim(event)
        self._interactor.InvokeEvent("MouseMoveEvent")
        if event.buttons():
            self.scheduleRender()

    def wheelEvent(self, event):
        self._aim(event)
        self._interactor.InvokeEvent(
            "MouseWheelForwardEvent" if event.angleDelta().y() > 0 else "MouseWheelBackwardEvent"
        )
        self.scheduleRender()

    def setBackgroundColor(self, color):
        self._renderer.SetBackground(color.redF(), color.greenF(), color.blueF())

    def setGradientBackground(self, gradient):
        self._renderer.SetGradientBackground(gradient)

    def VTKWidget(self):
        raise NotInStandIn("there is no OpenGL widget behind the views of the stand-in")


class ManagedView(RenderedView):
    """A view on which displayable managers draw what the scene holds."""

    def _manage(self, factory, names, node):
        """Have the managers of these names, which the factory makes, draw for the view node."""
        factory.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        for name in names:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._group = slicer.vtkMRMLDisplayableManagerGroup()
        self._group.Initialize(factory, self._renderer)
        self._observing.observe(self._group, vtk.vtkCommand.UpdateEvent, self.scheduleRender)
        self._group.SetMRMLDisplayableNode(node)

    def displayableManagerByClassName(self, name):
        return self._group.GetDisplayableManagerByClassName(name)

    def getDisplayableManagers(self, collection):
        for i in range(self._group.GetDisplayableManagerCount()):
            collection.AddItem(self._group.GetNthDisplayableManager(i))
