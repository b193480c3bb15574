"""What the real classes have: Slicer's and CTK's from ../slicer_api_cut.json, Qt's from its own meta-objects.

python -m runtime.api_facts slicer-api.json   (from Testing/) makes the cut again: of the facts about all of
Slicer's classes those are kept that the stand-in imitates or a form uses, with their bases.
"""

import ast
import dataclasses
import json
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from PySide6 import QtCore, QtGui, QtWidgets

CUT = Path(__file__).resolve().parents[1] / "slicer_api_cut.json"
PYTHONQT = {
    "connect",
    "disconnect",
    "className",
    "inherits",
    "delete",
    "exec_",
    "setProperty",
    "property",
    "name",
}


@dataclasses.dataclass
class Facts:
    """Names over the whole chain of bases; signatures are normalized."""

    properties: set
    names: set
    signals: set
    slots: set
    returns: dict
    cppOnly: set


def qtClass(name):
    if name in ("QOpenGLWidget", "QVTKOpenGLNativeWidget"):
        return QtWidgets.QWidget  # they lie in modules of their own
    return next((getattr(m, name) for m in (QtWidgets, QtGui, QtCore) if hasattr(m, name)), None)


def normalized(signature):
    return re.sub(r"const\s+(\w+)\s*&", r"\1", signature).replace(" ", "")


class Api:
    """The cut, asked by class name."""

    def __init__(self, path=CUT):
        self.classes = json.loads(Path(path).read_text(encoding="utf-8"))["classes"]
        self._facts = {}

    def facts(self, name):
        """-> Facts, or None for a class that neither Slicer nor Qt has."""
        if name not in self._facts:
            self._facts[name] = self._collect(name)
        return self._facts[name]

    def _collect(self, name):
        found = Facts(set(), set(PYTHONQT), set(), set(), {}, set())
        while name in self.classes:
            entry = self.classes[name]
            found.properties |= set(entry["properties"])
            found.signals |= set(entry["signals"])
            found.slots |= set(entry["slots"])
            methods = [s.split("(")[0] for s in (*entry["signals"], *entry["slots"])]
            found.names |= {*methods, *entry["decorators"], *entry["enums"]}
            found.returns.update(
                {s.split("(")[0]: r.rstrip("*& ") for s, r in entry["slots"].items() if r.endswith("*")}
            )
            found.cppOnly |= set(entry["cppOnly"])
            name = entry["base"]
        return self._addQt(found, qtClass(name) if name else None)

    @staticmethod
    def _addQt(found, cls):
        if cls is None:
            return None
        meta = cls.staticMetaObject
        found.properties |= {meta.property(i).name() for i in range(meta.propertyCount())}
        for i in range(meta.methodCount()):
            method = meta.method(i)
            signature = bytes(method.methodSignature().data()).decode()
            isSignal = method.methodType() == QtCore.QMetaMethod.MethodType.Signal
            (found.signals if isSignal else found.slots).add(signature)
        found.names |= {n for n in dir(cls) if not n.startswith("_")} | found.properties
        found.cppOnly -= found.names
        return found


# --- making the cut
def _shortened(entry):
    signatures = {s["signature"]: s["returns"] for kind in ("slots", "invokables") for s in entry[kind]}
    return {
        "base": entry["base"],
        "properties": sorted(entry["properties"]),
        "signals": [s["signature"] for s in entry["signals"]],
        "slots": signatures,
        "decorators": sorted(d["name"] for d in entry.get("decorators", [])),
        "enums": sorted(value for values in (entry.get("enums") or {}).values() for value in values),
        "cppOnly": entry.get("cppOnly") or [],
    }


def standInNames():
    """The classes of this folder that stand in for one of Slicer's, read from the source."""
    names = set()
    for path in Path(__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and any(_marks(statement) for statement in node.body):
                names.add(node.name)
    return names


def _marks(statement):
    return isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") == "_standin_"


def formNames():
    """The widget classes of the forms of this project."""
    forms = Path(__file__).resolve().parents[2].glob("HetReg*/Resources/UI/*.ui")
    return {element.get("class") for form in forms for element in ET.parse(form).iter("widget")}


def makeCut(source):
    full = json.loads(Path(source).read_text(encoding="utf-8"))
    classes = {}
    for name in sorted(standInNames() | formNames()):
        while name in full["classes"] and name not in classes:
            classes[name] = _shortened(full["classes"][name])
            name = classes[name]["base"]
    return {"repos": full["repos"], "classes": dict(sorted(classes.items()))}


if __name__ == "__main__":
    CUT.write_text(json.dumps(makeCut(sys.argv[1]), indent=1) + "\n", encoding="utf-8")
