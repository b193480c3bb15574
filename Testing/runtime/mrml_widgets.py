"""Stand-ins for the smaller qMRML and qSlicer widgets."""

from PySide6 import QtCore, QtWidgets

from .ctk_sliders import ctkDoubleSpinBox, ctkRangeWidget, ctkSliderWidget
from .standin import signals, stored


class qMRMLWidget(QtWidgets.QWidget):
    """The root of a module's form: hands the scene on to the widgets connected to mrmlSceneChanged."""

    _standin_ = True
    _signals_ = signals("mrmlSceneChanged(vtkMRMLScene*)")
    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, *args):
        super().__init__(*args)
        self._scene = None

    def setMRMLScene(self, scene):
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self):
        return self._scene


class qSlicerWidget(QtWidgets.QWidget):
    _standin_ = True
    _signals_ = signals("mrmlSceneChanged(vtkMRMLScene*)")
    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, *args):
        super().__init__(*args)
        self._scene = None

    def setMRMLScene(self, scene):
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qMRMLSliderWidget(ctkSliderWidget):
    """A slider that knows units: the units of the scene are millimetres, so nothing changes."""

    _standin_ = True
    quantity = stored("quantity", str, "")
    unitAwareProperties = stored("unitAwareProperties", "enum", None)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def setMRMLScene(self, scene):
        self._scene = scene

    def mrmlScene(self):
        return self._scene

    def setQuantity(self, quantity):
        self.quantity = quantity


class qMRMLSpinBox(ctkDoubleSpinBox):
    _standin_ = True
    quantity = stored("quantity", str, "")
    unitAwareProperties = stored("unitAwareProperties", "enum", None)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def setMRMLScene(self, scene):
        self._scene = scene

    def mrmlScene(self):
        return self._scene

    def setQuantity(self, quantity):
        self.quantity = quantity


class qMRMLRangeWidget(ctkRangeWidget):
    _standin_ = True
    quantity = stored("quantity", str, "")

    def setMRMLScene(self, scene):
        self._scene = scene

    def setQuantity(self, quantity):
        self.quantity = quantity
