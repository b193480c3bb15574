"""connectGui() of the parameter node: one connector per kind of widget, with the real ones' conditions."""

import enum
import pathlib

from PySide6 import QtWidgets

from .ctk_paths import ctkDirectoryButton, ctkPathLineEdit
from .ctk_sliders import ctkRangeWidget, ctkSliderWidget
from .mrml_combo import qMRMLNodeComboBox
from .mrml_widgets import qMRMLSpinBox
from .parameter_types import (
    Choice,
    Decimals,
    FloatRange,
    Maximum,
    Minimum,
    RangeBounds,
    SingleStep,
    WithinRange,
    first,
    nodeClasses,
    splitAnnotations,
)

PROPERTY = "SlicerParameterName"


def parameterWidgets(gui):
    """parameter name -> widget, of a widget's children or of what childWidgetVariables() returned."""
    widgets = (
        gui.findChildren(QtWidgets.QWidget) if isinstance(gui, QtWidgets.QWidget) else gui.__dict__.values()
    )
    return {w.property(PROPERTY): w for w in widgets if w.property(PROPERTY)}


class Connector:
    """A widget that shows and edits one parameter."""

    def __init__(self, widget, signal, read, write):
        self.widget, self.signal, self.read, self.write = widget, signal, read, write
        self._callback = None

    def listen(self, callback):
        """Call back when the widget changes; None to stop."""
        if self._callback is not None:
            self.widget.disconnect(self.signal, self._changed)
        self._callback = callback
        if callback is not None:
            self.widget.connect(self.signal, self._changed)

    def _changed(self):
        self._callback()


def makeConnector(widget, datatype):
    base, notes = splitAnnotations(datatype)
    for kind, accepts, make in _CONNECTORS:
        if type(widget) in kind and accepts(base):
            return make(widget, base, notes)
    raise RuntimeError(
        f"Unable to create GUI connector from datatype '{datatype}' to widget type '{type(widget)}'"
    )


def _simple(signal, attribute):
    def make(widget, _base, _notes):
        return Connector(
            widget, signal, lambda: getattr(widget, attribute), lambda v: setattr(widget, attribute, v)
        )

    return make


def _checkable(widget, base, notes):
    if not widget.checkable:
        widget.checkable = True
    return _simple("toggled(bool)", "checked")(widget, base, notes)


def _number(widget, base, notes):
    """The range comes from the annotations; a slider without one is refused, as in Slicer."""
    for kind, attribute in ((Decimals, "decimals"), (SingleStep, "singleStep")):
        note = first(notes, kind)
        if note is not None:
            setattr(widget, attribute, note.value)
    within = first(notes, WithinRange)
    low = within or first(notes, Minimum)
    high = within or first(notes, Maximum)
    if isinstance(widget, (QtWidgets.QSlider, ctkSliderWidget)) and (low is None or high is None):
        raise RuntimeError(
            f"Cannot have a connection to {type(widget).__name__} where the type is unbounded."
        )
    infinity = (-(2**31), 2**31 - 1) if base is int else (float("-inf"), float("inf"))
    widget.minimum = low.minimum if low is not None else infinity[0]
    widget.maximum = high.maximum if high is not None else infinity[1]
    signal = "valueChanged(int)" if base is int else "valueChanged(double)"
    return _simple(signal, "value")(widget, base, notes)


def _combo(widget, choices, labels):
    choices = list(choices)
    widget.clear()
    for label in labels:
        widget.addItem(label)

    def write(value):
        if value not in choices:
            raise ValueError(f"Unable to find value {value} in choices {choices}")
        widget.currentIndex = choices.index(value)

    return Connector(widget, "currentIndexChanged(int)", lambda: choices[widget.currentIndex], write)


def _choice(widget, _base, notes):
    choice = first(notes, Choice)
    if choice is None:
        raise RuntimeError("A QComboBox requires the Choice annotation to be used.")
    return _combo(widget, choice.choices, [str(c) for c in choice.choices])


def _enum(widget, base, _notes):
    label = getattr(base, "label", lambda member: member.name)
    return _combo(widget, base, [label(member) for member in base])


def _plainText(widget, _base, _notes):
    return Connector(widget, "textChanged()", widget.toPlainText, widget.setPlainText)


def _label(widget, _base, _notes):
    return Connector(
        widget, "windowTitleChanged(QString)", lambda: widget.text, lambda value: widget.setText(str(value))
    )


def _path(signal, attribute):
    def make(widget, base, _notes):
        return Connector(
            widget,
            signal,
            lambda: base(getattr(widget, attribute)),
            lambda v: setattr(widget, attribute, str(v)),
        )

    return make


def _node(widget, base, _notes):
    widget.nodeTypes = [cls.__name__ for cls in nodeClasses(base)]
    return Connector(widget, "currentNodeChanged(vtkMRMLNode*)", widget.currentNode, widget.setCurrentNode)


def _range(widget, _base, notes):
    bounds = first(notes, RangeBounds)
    if bounds is not None:
        widget.setRange(bounds.minimum, bounds.maximum)
    return Connector(
        widget,
        "valuesChanged(double,double)",
        lambda: FloatRange(widget.minimumValue, widget.maximumValue),
        lambda value: widget.setValues(value.minimum, value.maximum),
    )


def _is(*types):
    return lambda base: base in types


def _isEnum(base):
    return isinstance(base, type) and issubclass(base, enum.Enum)


_CONNECTORS = [
    ((QtWidgets.QCheckBox,), _is(bool), _simple("stateChanged(int)", "checked")),
    ((QtWidgets.QPushButton,), _is(bool), _checkable),
    ((QtWidgets.QSlider, QtWidgets.QSpinBox), _is(int), _number),
    ((QtWidgets.QDoubleSpinBox, ctkSliderWidget, qMRMLSpinBox), _is(float), _number),
    ((ctkRangeWidget,), _is(FloatRange), _range),
    ((QtWidgets.QComboBox,), _is(int, float, str, bool), _choice),
    ((QtWidgets.QComboBox,), _isEnum, _enum),
    ((QtWidgets.QLineEdit,), _is(str), _simple("textChanged(QString)", "text")),
    ((QtWidgets.QTextEdit,), _is(str), _plainText),
    ((QtWidgets.QLabel,), _is(str, int, float, bool), _label),
    ((ctkPathLineEdit,), _is(pathlib.Path), _path("currentPathChanged(QString)", "currentPath")),
    ((ctkDirectoryButton,), _is(pathlib.Path), _path("directoryChanged(QString)", "directory")),
    ((qMRMLNodeComboBox,), lambda base: bool(nodeClasses(base)), _node),
]
