"""What every stand-in widget class shares: its signals, its properties, and how it refuses the rest."""

import types

from PySide6 import QtCore


class NotInStandIn(NotImplementedError):
    """The real class has this, the stand-in does not (yet)."""


def signals(*signatures, odd=None):
    """signature -> name of the PySide signal of a stand-in class; odd: those that are named otherwise."""
    return types.MappingProxyType({s: s.split("(")[0] for s in signatures} | (odd or {}))


def stored(name, kind, default, apply=None):
    """A Qt property of a stand-in class that keeps its value in the object; apply(self, value) acts on it."""
    check = _checks.get(kind, lambda _name, value: value)

    def fget(self):
        return self.__dict__.get("_values", {}).get(name, default)

    def fset(self, value):
        value = check(name, value)
        self.__dict__.setdefault("_values", {})[name] = value
        if apply is not None:
            apply(self, value)

    return QtCore.Property(_QT_TYPE.get(kind, kind), fget, fset)


def computed(kind, fget, fset=None):
    """A Qt property of a stand-in class without a value of its own."""
    return QtCore.Property(_QT_TYPE.get(kind, kind), fget, fset)


def _number(name, value):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"Property '{name}' takes a number, not {value!r}")
    return float(value)


def _integer(name, value):
    if not isinstance(value, (int, float)) or int(value) != value:
        raise TypeError(f"Property '{name}' takes an integer, not {value!r}")
    return int(value)


def _text(name, value):
    if not isinstance(value, str):
        raise TypeError(f"Property '{name}' takes text, not {value!r}")
    return value


def _texts(name, value):
    if isinstance(value, str) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"Property '{name}' takes a list of text, not {value!r}")
    return list(value)


def _truth(name, value):
    if not isinstance(value, int):
        raise TypeError(f"Property '{name}' takes a bool, not {value!r}")
    return bool(value)


_checks = {float: _number, int: _integer, str: _text, "QStringList": _texts, bool: _truth}
_QT_TYPE = {"enum": "QVariant"}
