"""PythonQt's ways on PySide6: properties are attributes, signals are connected by signature, nothing new on C++ objects.

Every Q_PROPERTY of every QObject class becomes a Python property (the C++ setters stay callable, the getters of the same
name do not, as in PythonQt), obj.connect(signature, callable) and obj.disconnect(...) work and refuse what does not exist,
and an attribute that the C++ class lacks can be neither read nor set.
"""

import inspect
import sys
import types

from PySide6 import QtCore, QtGui, QtWidgets
from shiboken6 import Shiboken

_connections = {}  # address of the sender -> {signature: [(callable as given, wrapper, raw connection)]}
_raw = {
    "connect": QtCore.QObject.connect,
    "disconnect": QtCore.QObject.disconnect,
    "findChildren": QtCore.QObject.findChildren,
    "findChild": QtCore.QObject.findChild,
}


class PropertyAsAttribute:
    """A Q_PROPERTY as a Python attribute; on the class it is the unpatched C++ method, for the stand-in's own use."""

    def __init__(self, name, getter, setter, original, static=False):
        self.name, self.getter, self.setter, self.original, self.static = (
            name,
            getter,
            setter,
            original,
            static,
        )

    def __get__(self, obj, owner=None):
        if obj is None:
            if self.original is None:
                raise AttributeError(f"{owner.__name__} has no class attribute {self.name}")
            return self.original
        return self.getter(obj)

    def __set__(self, obj, value):
        if self.setter is None:
            raise AttributeError(f"Property '{self.name}' of {type(obj).__name__} is not writable")
        self.setter(obj, value)


def _qobjectClasses():
    """All QObject classes of QtCore, QtGui and QtWidgets, bases first. PySide's types are lazy: touch all names."""
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


def _propertyDescriptor(cls, meta):
    name = meta.name()
    capital = name[0].upper() + name[1:]
    original = _rawAttribute(cls, name)
    isStatic = any(isinstance(base.__dict__.get(name), staticmethod) for base in cls.__mro__)
    reader = next(
        (r for r in (_rawAttribute(cls, n) for n in (name, "is" + capital, "has" + capital)) if callable(r)),
        None,
    )
    if reader is None or isinstance(original, QtCore.Signal) or name == "singleShot":

        def getter(obj):
            return obj.property(name)
    else:
        getter = reader
    writer = _rawAttribute(cls, "set" + capital)

    def setter(obj, value):
        if writer is not None:
            writer(obj, value)
        elif not obj.setProperty(name, value):
            raise TypeError(f"Property '{name}' of {type(obj).__name__} cannot be set to {value!r}")

    return PropertyAsAttribute(name, getter, setter if meta.isWritable() else None, original, isStatic)


def _patchProperties(classes):
    plans = []
    for cls in classes:
        metaObject = cls.staticMetaObject
        for i in range(metaObject.propertyOffset(), metaObject.propertyCount()):
            meta = metaObject.property(i)
            plans.append((cls, meta.name(), _propertyDescriptor(cls, meta)))
    for cls, name, descriptor in plans:
        setattr(cls, name, descriptor)


# --- signals ---------------------------------------------------------------------------------------------------------
def normalized(signature):
    return bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()


def standInSignals(cls):
    """signature -> name of the PySide signal, over all stand-in bases of a class."""
    table = {}
    for base in reversed(cls.__mro__):
        table.update(base.__dict__.get("_signals_", {}))
    return table


def acceptedArguments(function):
    """How many arguments PythonQt would pass: a Python function gets as many as it declares, anything else gets all."""
    if inspect.ismethod(function):
        code, bound = getattr(function.__func__, "__code__", None), 1
    elif inspect.isfunction(function):
        code, bound = function.__code__, 0
    else:
        return None
    if code is None or code.co_flags & inspect.CO_VARARGS:
        return None
    return code.co_argcount - bound


def _slotWrapper(function):
    count = acceptedArguments(function)

    def call(*args):
        try:
            function(*(args if count is None else args[:count]))
        except Exception:  # PythonQt prints the traceback and goes on
            sys.excepthook(*sys.exc_info())

    return call


def _slotOf(receiver, signature):
    name = normalized(signature).split("(")[0]
    count = 0 if signature.replace(" ", "").endswith("()") else signature.count(",") + 1
    slot = getattr(receiver, name, None)
    if not callable(slot):
        raise ValueError(f"{type(receiver).__name__} has no slot {signature}")

    def call(*args):
        slot(*args[:count])

    return call


def _connect(self, signal, receiver, slot=None):
    if not isinstance(signal, str):
        raise TypeError("connect() takes a signal's signature as text")
    signature = normalized(signal)
    target = receiver if slot is None else _slotOf(receiver, slot)
    if not callable(target):
        raise TypeError(f"connect(): {target!r} is not callable")
    wrapper = _slotWrapper(target)
    names = standInSignals(type(self))
    if signature in names:
        getattr(self, names[signature]).connect(wrapper)
        raw = None
    elif self.metaObject().indexOfSignal(signature) >= 0 and _isCppSignal(self, signature):
        raw = _raw["connect"](self, QtCore.SIGNAL(signature), wrapper)
    else:
        raise ValueError(f"{className(self)} has no signal {signal}")
    given = receiver if slot is None else (receiver, slot)
    _connectionsOf(self).setdefault(signature, []).append((given, wrapper, raw))
    return True


def _connectionsOf(obj):
    address = Shiboken.getCppPointer(obj)[0]
    if address not in _connections:
        _connections[address] = {}
        _raw["connect"](obj, QtCore.SIGNAL("destroyed()"), lambda: _connections.pop(address, None))
    return _connections[address]


def _isCppSignal(obj, signature):
    """False for the dynamic signals that PySide makes for Python classes: those are named in _signals_ only."""
    metaObject = obj.metaObject()
    cppClass = next(c for c in type(obj).__mro__ if c.__module__.startswith("PySide6."))
    return metaObject.indexOfSignal(signature) < cppClass.staticMetaObject.methodCount()


def _disconnect(self, signal, receiver, slot=None):
    signature = normalized(signal)
    known = signature in standInSignals(type(self)) or self.metaObject().indexOfSignal(signature) >= 0
    if not known:
        raise ValueError(f"{className(self)} has no signal {signal}")
    wanted = receiver if slot is None else (receiver, slot)
    entries = _connectionsOf(self).get(signature, [])
    for entry in [e for e in entries if e[0] == wanted]:
        entries.remove(entry)
        _given, wrapper, raw = entry
        if raw is None:
            getattr(self, standInSignals(type(self))[signature]).disconnect(wrapper)
        else:
            _raw["disconnect"](raw)
        return True
    return False


def disconnectAll(obj, signature):
    """Forget every connection of one signal that scripts made."""
    for given, *_rest in list(_connectionsOf(obj).get(signature, [])):
        _disconnect(obj, signature, given)


# --- methods that PythonQt adds ----------------------------------------------------------------------------------------
def className(obj):
    return next(c.__name__ for c in type(obj).__mro__ if isStandIn(c) or c.__module__.startswith("PySide6."))


def _delete(self):
    Shiboken.delete(self)


def _matches(child, wanted, name):
    isWanted = inheritsByName(child, wanted) if isinstance(wanted, str) else isinstance(child, wanted)
    return isWanted and (not name or child.objectName == name)


def inheritsByName(obj, name):
    return any(c.__name__ == name for c in type(obj).__mro__) or QtCore.QObject.inherits(obj, name)


def _findChildren(self, wanted=QtCore.QObject, name=""):
    return [c for c in _raw["findChildren"](self, QtCore.QObject) if _matches(c, wanted, name)]


def _findChild(self, wanted, name=""):
    return next(iter(_findChildren(self, wanted, name)), None)


_METHODS = {
    "connect": _connect,
    "disconnect": _disconnect,
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


def isStandIn(cls):
    return cls.__dict__.get("_standin_", False)


def _isCppSide(cls):
    """True where scripts may add no attributes: the Qt classes and the stand-ins, not Python classes derived from them."""
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
            f"Attribute '{name}' does not exist and creating new attributes on C++ objects is not allowed ({className(self)})"
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
