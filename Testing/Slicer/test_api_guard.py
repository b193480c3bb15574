"""The modules use nothing that the real classes lack, and the stand-in offers nothing that they lack."""

import ast
import sys
from pathlib import Path

import pytest
import slicer

from runtime import dummy_module, qt_modules
from runtime.api_check import checkModule
from runtime.api_facts import Api, normalized
from runtime.signals import isStandIn

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.parent for path in ROOT.glob("HetReg*/CMakeLists.txt"))
LIBRARY = ROOT / "HetRegUncertainty" / "HetRegUncertaintyLib"
LENT = {("qMRMLPlotView", "RenderedView")}  # Slicer's plots have another widget below, with less to call
NOT_LISTED = {"qMRMLTableWidget"}  # exists in Slicer, but not in the facts that the cut was made from


@pytest.fixture(scope="module")
def api():
    return Api()


def filesOf(folder):
    """The module's own .py, what it takes from the library, and its forms; `hetreg` knows no Slicer."""
    found, waiting = {}, list(folder.glob("*.py"))
    while waiting:
        path = waiting.pop()
        if path not in found:
            found[path] = None
            waiting += importedFromLibrary(path)
    return list(found), list(folder.glob("Resources/UI/*.ui"))


def importedFromLibrary(path):
    """Files of the library that a file imports, also inside functions."""
    files = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith(LIBRARY.name)):
            module = (node.module or "").removeprefix(LIBRARY.name).strip(".")
            names = [module] if module else [alias.name for alias in node.names]
            files += [LIBRARY / f"{name}.py" for name in names]
    return [f for f in files if f.is_file()]


def test_every_library_file_is_checked_with_some_module():
    checked = {f for folder in MODULES for f in filesOf(folder)[0]}
    assert {f for f in LIBRARY.glob("*.py") if f.name != "__init__.py"} <= checked


def standIns():
    modules = [m for name, m in sys.modules.items() if name.startswith("runtime.") and m is not None]
    return qt_modules.standIns(*modules)


def ownAndShared(cls):
    """The class, and its bases that stand in for none of Slicer's: what they offer, it offers."""
    shared = [base for base in cls.__mro__ if base.__module__.startswith("runtime.") and not isStandIn(base)]
    return [cls, *(base for base in shared if (cls.__name__, base.__name__) not in LENT)]


@pytest.mark.parametrize("folder", MODULES, ids=lambda path: path.name)
def test_module_uses_only_what_slicer_has(folder, api):
    python, forms = filesOf(folder)
    assert python
    assert forms
    problems = checkModule(python, forms, slicer.util.__all__, api)
    assert not problems, "\n".join(problems)


def test_guard_finds_what_slicer_lacks(tmp_path, api):
    path = dummy_module.write(tmp_path)
    form = tmp_path / "Resources" / "UI" / "Dummy.ui"
    assert checkModule([path], [form], slicer.util.__all__, api) == []
    path.write_text(
        "import slicer, qt, ctk\n"
        "from slicer import loadVolume\n"
        "def f(self):\n"
        "    self.ui.note.text()\n"
        "    self.ui.nothing.text\n"
        "    self.ui.factor.setMinimum(3)\n"
        "    self.ui.applyButton.connect('pressedHard()', f)\n"
        "    self.ui.inputSelector.model()\n"
        "    slicer.app.layoutManager().sliceWidget('Red').sliceView().paint()\n"
        "    slicer.arrayFromVolume(None)\n"
        "    qt.QRegExp, ctk.ctkNothing\n",
        encoding="utf-8",
    )
    form.write_text(
        form.read_text(encoding="utf-8").replace('name="singleStep"', 'name="singleJump"'), encoding="utf-8"
    )
    problems = "\n".join(checkModule([path], [form], slicer.util.__all__, api))
    for expected in (
        "singleJump",
        "loadVolume",
        "text is a property",
        "no widget nothing",
        "ctkSliderWidget has no setMinimum",
        "no signal pressedHard()",
        "C++ only",
        "qMRMLSliceView has no paint",
        "slicer.util.arrayFromVolume",
        "qt has no QRegExp",
        "ctk has no ctkNothing",
    ):
        assert expected in problems


def test_standin_offers_only_what_slicer_has(api):
    classes = standIns()
    assert len(classes) > 30
    problems = []
    for cls in classes:
        facts = api.facts(cls.__name__)
        if facts is None:
            problems += [] if cls.__name__ in NOT_LISTED else [f"{cls.__name__} is unknown"]
            continue
        own = [vars(base) for base in ownAndShared(cls)]
        public = {name for names in own for name in names if not name.startswith("_")} - {"staticMetaObject"}
        problems += [f"{cls.__name__} has no {name}" for name in sorted(public - facts.names)]
        signatures = {normalized(s) for names in own for s in names.get("_signals_", ())}
        problems += [f"{cls.__name__} has no signal {s}" for s in sorted(signatures - facts.signals)]
    assert not problems, "\n".join(problems)
