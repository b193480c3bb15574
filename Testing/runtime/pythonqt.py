"""PythonQt's ways on PySide6.

Properties are attributes: every Q_PROPERTY of every QObject class becomes a Python property. The C++ setters
stay callable, the getters of the same name do not. Signals are connected by signature (signals.py), and what
does not exist is refused. An attribute that the C++ class lacks can be neither read nor set.
"""

import types

from PySide6 import QtCore, QtGui, QtWidgets
from shiboken6 import Shiboken

from .signals import className, connect, disconnect, isStandIn

_rawFindChildren = QtCore.QObject.findChildren


class PropertyAsAttribute:
    """A Q_PROPERTY as an attribute; on the class it is the unpatched C++ method, for the stand-in itself."""

    def __init__(self, name, getter, setter, original):
        self.name, self.getter, self.setter, self.original = name, getter, setter, original

    def __get__(self, obj, owner=None):
        if obj is None:
            if self.original is None:
                raise AttributeError(f"{owner.__name__} has no class attribute {self.name}")
            return self.original
        return self.getter(obj)

    def __set__(self, obj, value):
        if self.setter is None:
            raise AttributeError(f"Property '{self.name}' of {type(obj).__name__} is not writable")
        if type(value).__module__ == "numpy" and not isinstance(value, (float, int, str)):
            raise TypeError(f"Property '{self.name}': PythonQt does not convert {type(value).__name__}")
        self.setter(obj, value)


def _qobjectClasses():
    """All QObject classes, bases first. PySide's types are lazy: touch all names."""
    found = {}
    for module in (QtCore, QtGui, QtWidgets):
        for name in dir(module):
            item = getattr(module, name)
            if isinstance(item, type) and issubclass(item, QtCore.QObject):
                found[item] = None
    return sorted(found, key=lambda cls: len(cls.__mro__))


def _rawAttribute(cls, name):
    """The unpatched attribute of the C++ class, or None."""
    for base in cls.__mro__:
        if name in base.__dict__:
            value = base.__dict__[name]
            return value.original if isinstance(value, PropertyAsAttribute) else getattr(base, name)
    return None


def _isStatic(method):
    return isinstance(method, types.BuiltinFunctionType)


def _propertyDescriptor(cls, meta):
    name = meta.name()
    capital = name[0].upper() + name[1:]
    original = _rawAttribute(cls, name)
    reader = next(
        (r for r in (_rawAttribute(cls, n) for n in (name, "is" + capital, "has" + capital)) if callable(r)),
        None,
    )
    if reader is None or isinstance(original, QtCore.Signal) or name == "singleShot" or _isStatic(reader):

        def getter(obj):
            return obj.property(name)
    else:
        getter = reader
    writer = _rawAttribute(cls, "set" + capital)

    def setter(obj, value):
        if writer is not None and not _isStatic(writer):
            writer(obj, value)
        elif not obj.setProperty(name, value):
            raise TypeError(f"Property '{name}' of {type(obj).__name__} cannot be set to {value!r}")

    return PropertyAsAttribute(name, getter, setter if meta.isWritable() else None, original)


def _patchProperties(classes):
    plans = []
    for cls in classes:
        metaObject = cls.staticMetaObject
        for i in range(metaObject.propertyOffset(), metaObject.propertyCount()):
            meta = metaObject.property(i)
            plans.append((cls, meta.name(), _propertyDescriptor(cls, meta)))
    for cls, name, descriptor in plans:
        setattr(cls, name, descriptor)


def _delete(self):
    Shiboken.delete(self)


def _matches(child, wanted, name):
    isWanted = inheritsByName(child, wanted) if isinstance(wanted, str) else isinstance(child, wanted)
    return isWanted and (not name or child.objectName == name)


def inheritsByName(obj, name):
    return any(c.__name__ == name for c in type(obj).__mro__) or QtCore.QObject.inherits(obj, name)


def _findChildren(self, wanted=QtCore.QObject, name=""):
    return [c for c in _rawFindChildren(self, QtCore.QObject) if _matches(c, wanted, name)]


def _findChild(self, wanted, name=""):
    return next(iter(_findChildren(self, wanted, name)), None)


_METHODS = {
    "connect": connect,
    "disconnect": disconnect,
    "className": className,
    "delete": _delete,
    "findChildren": _findChildren,
    "findChild": _findChild,
}


def _patchMethods(classes):
    for cls in classes:
        if "__getattribute__" in cls.__dict__:
            _patchGetattribute(cls)
        cls.__setattr__ = _setattr
    QtCore.QObject.name = PropertyAsAttribute(
        "name", lambda obj: obj.objectName, lambda obj, value: obj.setObjectName(value), None
    )


def _patchGetattribute(cls):
    original = cls.__getattribute__

    def __getattribute__(self, name):
        if name in _METHODS:
            return types.MethodType(_METHODS[name], self)
        return original(self, name)

    cls.__getattribute__ = __getattribute__


def _isCppSide(cls):
    """Scripts may add no attributes to objects of these: Qt classes and stand-ins, not scripts' own."""
    return isStandIn(cls) or cls.__module__.startswith("PySide6.")


def _isNamedChild(value, name):
    """The loader of .ui files puts the named children on the root widget; PythonQt finds them there too."""
    return isinstance(value, QtCore.QObject) and value.objectName == name


def _setattr(self, name, value):
    kind = type(self)
    found = next((base.__dict__[name] for base in kind.__mro__ if name in base.__dict__), None)
    if hasattr(type(found), "__set__"):
        type(found).__set__(found, self, value)
    elif isinstance(found, QtCore.Property):
        found.fset(self, value)
    elif found is None and _isCppSide(kind) and not name.startswith("_") and not _isNamedChild(value, name):
        raise AttributeError(
            f"Attribute '{name}' does not exist and creating new attributes on C++ objects is not allowed"
            f" ({className(self)})"
        )
    else:
        self.__dict__[name] = value


_patched = False


def patch():
    """Patch the PySide6 classes, once per process."""
    global _patched
    if _patched:
        return
    _patched = True
    classes = _qobjectClasses()
    _patchProperties(classes)
    _patchMethods(classes)
