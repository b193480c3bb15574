"""Checks a module's forms and Python files against the facts of api_facts.py; -> the list of problems."""

import ast
import xml.etree.ElementTree as ET
from pathlib import Path

from .api_facts import Api, normalized, qtClass

_UI_NAMES = ("ui", "_ui")
_LOADERS = {"QLabel": {"buddy"}}  # what Qt's loader of forms takes, though it is no property


def checkForm(path, api):
    """-> (problems, {object name: class})"""
    root, problems, widgets = ET.parse(path).getroot(), [], {}
    for element in root.iter("widget"):
        cls, name = element.get("class"), element.get("name")
        widgets[name] = cls
        facts = api.facts(cls)
        if facts is None:
            problems.append(f"{path.name}: class {cls} ({name}) is unknown")
            continue
        for entry in element.findall("property"):
            known = facts.properties | _LOADERS.get(cls, set())
            if entry.get("stdset") != "0" and entry.get("name") not in known:
                problems.append(f"{path.name}: {cls} {name} has no property {entry.get('name')}")
    widgets.update({a.get("name"): "QAction" for a in root.iter("action")})
    for connection in root.iter("connection"):
        problems += _checkConnection(path, connection, widgets, api)
    return problems, widgets


def _checkConnection(path, connection, widgets, api):
    problems = []
    for who, what in (("sender", "signal"), ("receiver", "slot")):
        name, signature = connection.find(who).text, connection.find(what).text
        facts = api.facts(widgets.get(name, "?"))
        known = set() if facts is None else facts.signals if what == "signal" else facts.slots
        if normalized(signature) not in known:
            problems.append(f"{path.name}: {name} ({widgets.get(name)}) has no {what} {signature}")
    return problems


class _Checker(ast.NodeVisitor):
    """Follows what is known by its type: widgets of the form, slicer.app and what its methods return."""

    def __init__(self, where, widgets, api, utilNames):
        self.where, self.widgets, self.api, self.utilNames = where, widgets, api, utilNames
        self.problems = []

    def _problem(self, node, text):
        self.problems.append(f"{self.where}:{node.lineno}: {text}")

    def typeOf(self, node):
        """The class name of an expression, or None when it is not known."""
        if isinstance(node, ast.Attribute):
            if _isUi(node.value):
                return self.widgets.get(node.attr)
            if isinstance(node.value, ast.Name) and (node.value.id, node.attr) == ("slicer", "app"):
                return "qSlicerApplication"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            facts = self.api.facts(self.typeOf(node.func.value) or "?")
            return facts.returns.get(node.func.attr) if facts is not None else None
        return None

    def visit_Attribute(self, node):
        self.generic_visit(node)
        if _isUi(node.value) and node.attr not in self.widgets:
            self._problem(node, f"no widget {node.attr} in the form")
            return
        self._checkNamespace(node)
        cls = self.typeOf(node.value)
        facts = self.api.facts(cls) if cls else None
        if facts is not None and node.attr not in facts.names:
            hint = " for scripts (C++ only)" if node.attr in facts.cppOnly else ""
            self._problem(node, f"{cls} has no {node.attr}{hint}")

    def _checkNamespace(self, node):
        if not isinstance(node.value, ast.Name):
            return
        if node.value.id == "slicer" and node.attr in self.utilNames:
            self._problem(node, f"slicer.{node.attr} exists in the wheel only: use slicer.util.{node.attr}")
        if node.value.id == "qt" and qtClass(node.attr) is None and node.attr not in _PYTHONQT_QT:
            self._problem(node, f"qt has no {node.attr}")
        if node.value.id == "ctk" and self.api.facts(node.attr) is None:
            self._problem(node, f"ctk has no {node.attr}")

    def visit_ImportFrom(self, node):
        if node.module == "slicer":
            for alias in node.names:
                if alias.name in self.utilNames:
                    self._problem(
                        node, f"import {alias.name} from slicer.util, slicer has it in the wheel only"
                    )

    def visit_Call(self, node):
        self.generic_visit(node)
        if not isinstance(node.func, ast.Attribute):
            return
        cls = self.typeOf(node.func.value)
        facts = self.api.facts(cls) if cls else None
        if facts is None:
            return
        if node.func.attr in facts.properties:
            self._problem(node, f"{node.func.attr} is a property of {cls}, not callable under PythonQt")
        isConnection = node.func.attr in ("connect", "disconnect") and node.args
        if isConnection and isinstance(node.args[0], ast.Constant):
            signature = node.args[0].value
            if normalized(signature) not in facts.signals:
                self._problem(node, f"{cls} has no signal {signature}")


_PYTHONQT_QT = {"Qt", "Signal", "Slot", "Property", "QUiLoader"}


def _isUi(node):
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name in _UI_NAMES


def checkPython(path, widgets, api, utilNames):
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    checker = _Checker(Path(path).name, widgets, api, set(utilNames))
    checker.visit(tree)
    return checker.problems


def checkModule(pythonFiles, forms, utilNames, api=None):
    """-> every problem of the module's files."""
    api = api or Api()
    problems, widgets = [], {}
    for form in forms:
        found, named = checkForm(Path(form), api)
        problems += found
        widgets.update(named)
    for path in pythonFiles:
        problems += checkPython(path, widgets, api, utilNames)
    return problems
