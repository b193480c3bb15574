"""Stand-ins for the CTK sliders and spin boxes."""

import sys

from PySide6 import QtCore, QtGui, QtWidgets

from .standin import computed, signals, stored

_STEPS = 10000


class _NumberRow(QtWidgets.QWidget):
    """What ctkSliderWidget and ctkRangeWidget share: a horizontal row, a range, a step, decimals."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._row = QtWidgets.QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._values = {}

    def _makeSpinBox(self):
        box = QtWidgets.QDoubleSpinBox(self)
        box.setRange(0, 99)
        box.setDecimals(2)
        box.setKeyboardTracking(False)
        return box


class ctkSliderWidget(_NumberRow):
    """A slider and a spin box for one number."""

    _standin_ = True
    _signals_ = signals("valueChanged(double)", "valueIsChanging(double)")
    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)
    NoSynchronize, SynchronizeWidth, SynchronizeDecimals = 0, 1, 2

    def __init__(self, parent=None):
        super().__init__(parent)
        self._track = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._track.setRange(0, _STEPS)
        self._box = self._makeSpinBox()
        self._row.addWidget(self._track, 1)
        self._row.addWidget(self._box)
        self._box.valueChanged.connect(self._onBox)
        self._track.valueChanged.connect(self._onTrack)

    def _onBox(self, value):
        self._placeTrack()
        self.valueChanged.emit(value)

    def _onTrack(self, position):
        low, high = self._box.minimum, self._box.maximum
        value = low + (high - low) * position / _STEPS
        step = self.singleStep
        self.valueIsChanging.emit(value)
        self._box.setValue(low + round((value - low) / step) * step if step > 0 else value)

    def _placeTrack(self):
        low, high = self._box.minimum, self._box.maximum
        blocked = self._track.blockSignals(True)
        self._track.setValue(round(_STEPS * (self._box.value - low) / (high - low)) if high > low else 0)
        self._track.blockSignals(blocked)

    def _setMinimum(self, value):
        self._box.setMinimum(value)
        self._placeTrack()

    def _setMaximum(self, value):
        self._box.setMaximum(value)
        self._placeTrack()

    minimum = computed(float, lambda self: self._box.minimum, _setMinimum)
    maximum = computed(float, lambda self: self._box.maximum, _setMaximum)
    value = computed(float, lambda self: self._box.value, lambda self, value: self._box.setValue(value))
    decimals = computed(
        int, lambda self: self._box.decimals, lambda self, value: self._box.setDecimals(value)
    )
    singleStep = stored("singleStep", float, 1.0, lambda self, value: self._box.setSingleStep(value))
    pageStep = stored("pageStep", float, 10.0)
    prefix = computed(str, lambda self: self._box.prefix, lambda self, value: self._box.setPrefix(value))
    suffix = computed(str, lambda self: self._box.suffix, lambda self, value: self._box.setSuffix(value))
    tickInterval = stored("tickInterval", float, 0.0)
    tickPosition = stored("tickPosition", "enum", None)
    synchronizeSiblings = stored("synchronizeSiblings", "enum", 1)
    spinBoxAlignment = stored("spinBoxAlignment", "enum", None)
    tracking = stored("tracking", bool, True, lambda self, value: self._track.setTracking(value))
    spinBoxVisible = stored("spinBoxVisible", bool, True, lambda self, value: self._box.setVisible(value))
    popupSlider = stored("popupSlider", bool, False)

    def setValue(self, value):
        self.value = value

    def setDecimals(self, decimals):
        self.decimals = decimals

    def setSpinBoxVisible(self, visible):
        self.spinBoxVisible = visible

    def reset(self):
        self.value = min(max(0.0, self.minimum), self.maximum)


class ctkDoubleSpinBox(_NumberRow):
    """A spin box for one number."""

    _standin_ = True
    _signals_ = signals("valueChanged(double)", "editingFinished()")
    valueChanged = QtCore.Signal(float)
    editingFinished = QtCore.Signal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self._box = self._makeSpinBox()
        self._row.addWidget(self._box, 1)
        self._box.valueChanged.connect(self.valueChanged)
        self._box.editingFinished.connect(self.editingFinished)

    minimum = computed(float, lambda self: self._box.minimum, lambda self, value: self._box.setMinimum(value))
    maximum = computed(float, lambda self: self._box.maximum, lambda self, value: self._box.setMaximum(value))
    value = computed(float, lambda self: self._box.value, lambda self, value: self._box.setValue(value))
    decimals = computed(
        int, lambda self: self._box.decimals, lambda self, value: self._box.setDecimals(value)
    )
    singleStep = computed(
        float, lambda self: self._box.singleStep, lambda self, value: self._box.setSingleStep(value)
    )
    prefix = computed(str, lambda self: self._box.prefix, lambda self, value: self._box.setPrefix(value))
    suffix = computed(str, lambda self: self._box.suffix, lambda self, value: self._box.setSuffix(value))
    readOnly = computed(
        bool, lambda self: self._box.readOnly, lambda self, value: self._box.setReadOnly(value)
    )
    decimalsOption = stored("decimalsOption", "enum", None)

    def setValue(self, value):
        self.value = value

    def setDecimals(self, decimals):
        self.decimals = decimals

    def setReadOnly(self, readOnly):
        self.readOnly = readOnly


class _RangeTrack(QtWidgets.QWidget):
    """Two handles on a groove, in 0..1."""

    moved = QtCore.Signal(float, float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._low, self._high, self._grabbed = 0.0, 1.0, None
        self.setMinimumSize(80, 22)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)

    def place(self, low, high):
        self._low, self._high = low, high
        self.update()

    def _pixel(self, fraction):
        return 7 + fraction * (QtWidgets.QWidget.width(self) - 14)

    def paintEvent(self, _event):
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        role = QtGui.QPalette.ColorRole
        middle = QtWidgets.QWidget.height(self) / 2
        painter.setPen(self.palette.color(role.Mid))
        painter.setBrush(self.palette.color(role.Button).darker(110))
        painter.drawRoundedRect(QtCore.QRectF(4, middle - 2, QtWidgets.QWidget.width(self) - 8, 5), 2, 2)
        painter.setBrush(self.palette.color(role.Highlight if self.enabled else role.Mid))
        left, right = self._pixel(self._low), self._pixel(self._high)
        painter.drawRoundedRect(QtCore.QRectF(left, middle - 2, right - left, 5), 2, 2)
        painter.setBrush(self.palette.color(role.Button).lighter(103))
        for x in (left, right):
            painter.drawRoundedRect(QtCore.QRectF(x - 5, middle - 7, 10, 14), 2, 2)
        painter.end()

    def mousePressEvent(self, event):
        x = event.position().x()
        self._grabbed = 0 if abs(x - self._pixel(self._low)) <= abs(x - self._pixel(self._high)) else 1

    def mouseMoveEvent(self, event):
        fraction = min(max((event.position().x() - 7) / (QtWidgets.QWidget.width(self) - 14), 0.0), 1.0)
        if self._grabbed == 0:
            self._low = min(fraction, self._high)
        elif self._grabbed == 1:
            self._high = max(fraction, self._low)
        self.update()
        self.moved.emit(self._low, self._high)


class ctkRangeWidget(_NumberRow):
    """A lower and an upper value, with a spin box each and a slider with two handles."""

    _standin_ = True
    _signals_ = signals(
        "minimumValueChanged(double)",
        "maximumValueChanged(double)",
        "valuesChanged(double,double)",
        "rangeChanged(double,double)",
    )
    minimumValueChanged = QtCore.Signal(float)
    maximumValueChanged = QtCore.Signal(float)
    valuesChanged = QtCore.Signal(float, float)
    rangeChanged = QtCore.Signal(float, float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._lowBox, self._highBox, self._track = self._makeSpinBox(), self._makeSpinBox(), _RangeTrack(self)
        self._highBox.setValue(99)
        for widget, stretch in ((self._lowBox, 0), (self._track, 1), (self._highBox, 0)):
            self._row.addWidget(widget, stretch)
        self._lowBox.valueChanged.connect(self._onLow)
        self._highBox.valueChanged.connect(self._onHigh)
        self._track.moved.connect(self._onMoved)
        self._place()

    def _place(self):
        span = (self.maximum - self.minimum) or 1.0
        low, high = self._lowBox.value, self._highBox.value
        self._track.place((low - self.minimum) / span, (high - self.minimum) / span)

    def _onLow(self, value):
        """Each box is bounded by the range, and since its last change by the other box, as in CTK."""
        self._highBox.setMinimum(value)
        self._place()
        self.minimumValueChanged.emit(value)
        self.valuesChanged.emit(value, self._highBox.value)

    def _onHigh(self, value):
        self._lowBox.setMaximum(value)
        self._place()
        self.maximumValueChanged.emit(value)
        self.valuesChanged.emit(self._lowBox.value, value)

    def _onMoved(self, low, high):
        span = self.maximum - self.minimum
        self.setValues(self.minimum + low * span, self.minimum + high * span)

    def _onRange(self, _value):
        before = self._lowBox.value, self._highBox.value
        for box in (self._lowBox, self._highBox):
            box.blockSignals(True)
            box.setRange(self.minimum, self.maximum)
            box.blockSignals(False)
        self._place()
        if before != (self._lowBox.value, self._highBox.value):
            self.valuesChanged.emit(self._lowBox.value, self._highBox.value)
        self.rangeChanged.emit(self.minimum, self.maximum)

    def _onDecimals(self, value):
        self._lowBox.setDecimals(value)
        self._highBox.setDecimals(value)

    def _setStep(self, value):
        """As in CTK: the boxes take every step, the slider none that is wider than the range."""
        self._lowBox.setSingleStep(value)
        self._highBox.setSingleStep(value)
        width = self.maximum - self.minimum
        if width and not sys.float_info.epsilon <= value <= width:
            QtCore.qWarning(f"ctkDoubleRangeSlider::setSingleStep({value}) is outside of valid bounds.")
            return
        self._values["singleStep"] = float(value)

    def _onSuffix(self, value):
        self._lowBox.setSuffix(value)
        self._highBox.setSuffix(value)

    minimum = stored("minimum", float, 0.0, _onRange)
    maximum = stored("maximum", float, 99.0, _onRange)
    decimals = stored("decimals", int, 2, _onDecimals)
    singleStep = computed(float, lambda self: self._values.get("singleStep", 1.0), _setStep)
    suffix = stored("suffix", str, "", _onSuffix)
    tracking = stored("tracking", bool, True)
    symmetricMoves = stored("symmetricMoves", bool, False)
    minimumValue = computed(
        float, lambda self: self._lowBox.value, lambda self, value: self.setMinimumValue(value)
    )
    maximumValue = computed(
        float, lambda self: self._highBox.value, lambda self, value: self.setMaximumValue(value)
    )

    def setMinimumValue(self, value):
        self._lowBox.setValue(value)

    def setMaximumValue(self, value):
        self._highBox.setValue(value)

    def setValues(self, low, high):
        self._lowBox.setValue(low)
        self._highBox.setValue(high)

    def setRange(self, low, high):
        self._values["minimum"] = float(low)
        self.maximum = high

    def reset(self):
        self.setValues(self.minimum, self.maximum)
