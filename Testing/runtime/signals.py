"""Signals by signature: obj.connect("clicked(bool)", f) and obj.disconnect(...), as PythonQt has them."""

import inspect
import sys

from PySide6 import QtCore
from shiboken6 import Shiboken

_connections = {}  # address of the sender -> {signature: [(callable as given, wrapper, raw connection)]}
_rawConnect, _rawDisconnect = QtCore.QObject.connect, QtCore.QObject.disconnect


def isStandIn(cls):
    return cls.__dict__.get("_standin_", False)


def className(obj):
    return next(c.__name__ for c in type(obj).__mro__ if isStandIn(c) or c.__module__.startswith("PySide6."))


def normalized(signature):
    return bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()


def standInSignals(cls):
    """signature -> name of the PySide signal, over all stand-in bases of a class."""
    table = {}
    for base in reversed(cls.__mro__):
        table.update(base.__dict__.get("_signals_", {}))
    return table


def acceptedArguments(function):
    """PythonQt passes a Python function as many arguments as it declares, anything else all (None)."""
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


def connect(self, signal, receiver, slot=None):
    """obj.connect(signature, callable) or obj.connect(signature, receiver, slot signature); -> True."""
    if isinstance(signal, QtCore.QObject):  # PySide's own code: QTimer.singleShot() comes this way
        return _rawConnect(signal, receiver, slot)
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
        raw = _rawConnect(self, QtCore.SIGNAL(signature), wrapper)
    else:
        raise ValueError(f"{className(self)} has no signal {signal}")
    given = receiver if slot is None else (receiver, slot)
    _connectionsOf(self).setdefault(signature, []).append((given, wrapper, raw))
    return True


def _connectionsOf(obj):
    address = Shiboken.getCppPointer(obj)[0]
    if address not in _connections:
        _connections[address] = {}
        _rawConnect(obj, QtCore.SIGNAL("destroyed()"), lambda: _connections.pop(address, None))
    return _connections[address]


def _isCppSignal(obj, signature):
    """False for the dynamic signals that PySide makes for Python classes: those are in _signals_."""
    metaObject = obj.metaObject()
    cppClass = next(c for c in type(obj).__mro__ if c.__module__.startswith("PySide6."))
    while metaObject.className() != cppClass.__name__:
        metaObject = metaObject.superClass()
    return metaObject.indexOfSignal(signature) >= 0


def disconnect(self, signal, receiver, slot=None):
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
            _rawDisconnect(raw)
        return True
    return False


def disconnectAll(obj, signature):
    """Forget every connection of one signal that scripts made."""
    for given, *_rest in list(_connectionsOf(obj).get(signature, [])):
        disconnect(obj, signature, given)
