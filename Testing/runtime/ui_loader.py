"""qt.QUiLoader of the stand-in: Qt's own loader, plus the CTK and MRML classes and the connections."""

import xml.etree.ElementTree as ET

from PySide6 import QtCore, QtUiTools

from .signals import isStandIn
from .standin import NotInStandIn

_classes = {}


def register(classes):
    """Make stand-in classes known to the loader by name."""
    _classes.update({cls.__name__: cls for cls in classes})


class QUiLoader(QtUiTools.QUiLoader):
    """Loads a .ui; what it cannot build or set, it refuses."""

    def createWidget(self, name, parent=None, objectName=""):
        if name in _classes:
            widget = _classes[name]()
            widget.setObjectName(objectName)
            if parent is not None:
                widget.setParent(parent)
            return widget
        if name not in self.availableWidgets():
            raise NotInStandIn(f"widget class {name} ({objectName}) is not part of the stand-in")
        return super().createWidget(name, parent, objectName)

    def load(self, device, parent=None):
        root = ET.fromstring(bytes(device.readAll().data()))
        connections = root.find("connections")
        if connections is not None:
            root.remove(connections)
        deferred = _takeStandInProperties(root)
        buffer = QtCore.QBuffer()
        buffer.setData(ET.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = super().load(buffer, parent)
        if widget is None:
            raise RuntimeError(self.errorString())
        _setProperties(widget, deferred)
        for connection in connections if connections is not None else ():
            _connect(widget, connection)
        return widget


def _takeStandInProperties(root):
    """Remove the properties declared by stand-in classes from the XML; they are set after loading."""
    deferred = []
    for element in root.iter("widget"):
        cls = _classes.get(element.get("class"))
        for entry in list(element.findall("property")) if cls is not None else ():
            name = entry.get("name")
            if any(isStandIn(base) and name in base.__dict__ for base in cls.__mro__):
                element.remove(entry)
                deferred.append((element.get("name"), cls, name, entry[0]))
            elif cls.staticMetaObject.indexOfProperty(name) < 0 and entry.get("stdset") != "0":
                raise NotInStandIn(
                    f"property {name} of {cls.__name__} ({element.get('name')}) is not part of the stand-in"
                )
    return deferred


def _setProperties(root, deferred):
    for objectName, cls, name, entry in deferred:
        setattr(_find(root, objectName), name, _value(cls, entry))


def _value(cls, entry):
    text = entry.text or ""
    if entry.tag == "bool":
        return text.strip() == "true"
    if entry.tag == "number":
        return int(text)
    if entry.tag in ("double", "float"):
        return float(text)
    if entry.tag in ("string", "cstring"):
        return text
    if entry.tag == "stringlist":
        return [item.text or "" for item in entry.findall("string")]
    if entry.tag in ("enum", "set"):
        return _enumValue(cls, text)
    raise NotInStandIn(f"a <{entry.tag}> property of {cls.__name__} is not part of the stand-in")


def _enumValue(cls, text):
    """Values of the class itself become ints; those of Qt stay text, they only concern looks."""
    names = [name.split("::")[-1] for name in text.split("|")]
    values = [getattr(cls, name, None) for name in names]
    if any(value is None for value in values):
        return text
    result = 0
    for value in values:
        result |= int(value)
    return result


def _find(root, name):
    found = root if root.objectName == name else root.findChild(QtCore.QObject, name)
    if found is None:
        raise RuntimeError(f"the .ui names {name}, which it does not contain")
    return found


def _connect(root, connection):
    sender, signal, receiver, slot = (
        connection.find(tag).text for tag in ("sender", "signal", "receiver", "slot")
    )
    _find(root, sender).connect(signal, _find(root, receiver), slot)
