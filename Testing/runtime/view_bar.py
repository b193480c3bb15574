"""The frames of the views: a coloured bar, as slim as Slicer's, above the view."""

import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from .mrml_widgets import qMRMLWidget
from .observing import Observing

_STEPS = 10000


class ViewBar(qMRMLWidget):
    """The view's label on its colour."""

    def __init__(self, label, color, parent=None):
        super().__init__(parent)
        self._observing = Observing(self)
        self._row = QtWidgets.QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 4, 0)
        self._row.setSpacing(4)
        self._label = QtWidgets.QLabel(label, self)
        self._label.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        self._label.setMinimumWidth(26)
        self._label.setContentsMargins(6, 0, 4, 0)
        self._row.addWidget(self._label)
        self.setFixedHeight(22)
        self.setAutoFillBackground(True)
        palette = QtGui.QPalette(self.palette)
        palette.setColor(QtGui.QPalette.ColorRole.Window, QtGui.QColor.fromRgbF(*color))
        self.setPalette(palette)
        self._label.setStyleSheet("color: black")

    def _finish(self):
        self._observing.stop()

    def paintEvent(self, _event):
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect, self.palette.color(QtGui.QPalette.ColorRole.Window))
        painter.end()


def plainBar(node, label, parent):
    """A bar with nothing but the label of the view node, else the given one."""
    bar = ViewBar(node.GetLayoutLabel() or label, node.GetLayoutColor(), parent)
    bar._row.addStretch(1)
    return bar


class SliceBar(ViewBar):
    """Label, offset slider and offset of a slice view."""

    def __init__(self, logic, parent=None):
        node = logic.GetSliceNode()
        super().__init__(node.GetLayoutLabel() or node.GetLayoutName(), node.GetLayoutColor(), parent)
        self._logic, self._busy = logic, False
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, _STEPS)
        self._value = QtWidgets.QLabel(self)
        self._value.setMinimumWidth(92)
        self._value.setStyleSheet("color: black")
        self._value.setAlignment(QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter)
        self._row.addWidget(self._slider, 1)
        self._row.addWidget(self._value)
        self._slider.valueChanged.connect(self._onSlider)
        for item in (node, logic):
            self._observing.observe(item, vtk.vtkCommand.ModifiedEvent, self._show)
        self._show()

    def _bounds(self):
        bounds, resolution = [0.0, 0.0], vtk.reference(0.0)
        self._logic.GetSliceOffsetRangeResolution(bounds, resolution)
        return bounds

    def _show(self):
        low, high = self._bounds()
        offset = self._logic.GetSliceOffset()
        letters = {"Axial": "S", "Coronal": "A", "Sagittal": "R"}
        letter = letters.get(self._logic.GetSliceNode().GetOrientation(), "")
        self._value.setText(f"{letter}: {offset:.3f}mm" if letter else f"{offset:.3f}mm")
        self._busy = True
        self._slider.setValue(round(_STEPS * (offset - low) / (high - low)) if high > low else 0)
        self._busy = False

    def _onSlider(self, position):
        if not self._busy:
            low, high = self._bounds()
            self._logic.SetSliceOffset(low + (high - low) * position / _STEPS)


class ViewFrame(qMRMLWidget):
    """A view under its bar."""

    def _frame(self, bar, view):
        self._bar, self._view = bar, view
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(bar)
        column.addWidget(view, 1)

    def viewWidget(self):
        return self._view

    def controllerWidget(self):
        return self._bar
