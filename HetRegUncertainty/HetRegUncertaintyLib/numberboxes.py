"""Boxes into which numbers are typed: what is typed is what the parameter becomes."""

import qt
from slicer.parameterNodeWrapper import createGuiConnector


def connector(widget, datatype):
    """Slicer's connector of a widget with a number, which does not write a value that the widget has.

    Each key changes the parameter, and Slicer then writes all widgets: Qt would put the text of the box
    anew, "0.0000" after the first key of 0.03, and the rest of the keys would go behind that.
    """
    own = createGuiConnector(widget, datatype)
    write = own.write
    own.write = lambda value: None if own.read() == value else write(value)
    return own


class DecimalPoint(qt.QObject):
    """Event filter of decimal boxes: comma and point both are the box's decimal point.

    Qt takes the other one for a separator of thousands, and 0,03 for 3.
    """

    def watch(self, widget):
        """Filter the keys of a box, or of the one in a slider; other widgets have none."""
        for box in (widget, *widget.findChildren(qt.QDoubleSpinBox)):
            if hasattr(box, "textFromValue") and hasattr(box, "decimals"):
                box.installEventFilter(self)

    def eventFilter(self, box, event):
        """Type the box's own decimal point in place of either key."""
        if event.type() != qt.QEvent.KeyPress or event.text() not in (".", ","):
            return False
        if event.modifiers() & (qt.Qt.ControlModifier | qt.Qt.AltModifier | qt.Qt.MetaModifier):
            return False  # a shortcut
        point = box.textFromValue(0.5)[1:2]
        if event.text() == point or not point:
            return False
        box.findChild(qt.QLineEdit).insert(point)
        return True
