"""Stand-ins for the smaller qMRML and qSlicer widgets."""

from PySide6 import QtCore, QtWidgets

from .ctk_sliders import ctkDoubleSpinBox, ctkRangeWidget, ctkSliderWidget
from .standin import signals, stored


class _SceneWidget(QtWidgets.QWidget):
    """The root of a module's form: hands the scene on to the widgets connected to mrmlSceneChanged."""

    _signals_ = signals("mrmlSceneChanged(vtkMRMLScene*)")
    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, *args):
        super().__init__(*args)
        self._scene = None

    def setMRMLScene(self, scene):
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qMRMLWidget(_SceneWidget):
    _standin_ = True

    def mrmlScene(self):
        return self._scene


class qSlicerWidget(_SceneWidget):
    _standin_ = True


class _UnitAware:
    """What knows units: those of the scene are millimetres, so nothing changes."""

    _scene = None

    def setMRMLScene(self, scene):
        self._scene = scene

    def mrmlScene(self):
        return self._scene

    def setQuantity(self, quantity):
        self.quantity = quantity


class qMRMLSliderWidget(_UnitAware, ctkSliderWidget):
    _standin_ = True
    quantity = stored("quantity", str, "")
    unitAwareProperties = stored("unitAwareProperties", "enum", None)


class qMRMLSpinBox(_UnitAware, ctkDoubleSpinBox):
    _standin_ = True
    quantity = stored("quantity", str, "")
    unitAwareProperties = stored("unitAwareProperties", "enum", None)


class qMRMLRangeWidget(ctkRangeWidget):
    _standin_ = True
    quantity = stored("quantity", str, "")

    def setMRMLScene(self, scene):
        self._scene = scene

    def setQuantity(self, quantity):
        self.quantity = quantity
