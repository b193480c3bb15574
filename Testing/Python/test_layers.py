"""The order of CONTRIBUTING.md's architecture, checked on the syntax trees: imports run downward only."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import permutations
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "HetRegUncertainty"
MODULES = sorted(f.parent for f in ROOT.glob("HetReg*/CMakeLists.txt"))
ORDERS = list(permutations(MODULES))
LAYERS = {
    6: ["HetRegUncertainty", "HetRegTraining"],
    5: ["HetRegUncertaintyLib"],
    4: ["hetreg.cli", "hetreg.commands", "hetreg.__main__"],
    3: [
        "hetreg.register",
        "hetreg.sequence",
        "hetreg.choose",
        "hetreg.assemble",
        "hetreg.refine",
        "hetreg.symmetry",
        "hetreg.training",
        "hetreg.evaluate",
        "hetreg.evaluation",
        "hetreg.report",
        "hetreg.reproduce",
    ],
    2.5: ["hetreg.model"],
    2: ["hetreg.networks", "hetreg.losses", "hetreg.datasets", "hetreg.metrics"],
    1: [
        *("hetreg.spatial", "hetreg.image", "hetreg.resample", "hetreg.reach"),
        *("hetreg.checks", "hetreg.placement", "hetreg.preprocess", "hetreg.imagefile", "hetreg.modality"),
        *("hetreg.stack", "hetreg.device", "hetreg.result", "hetreg.weightfile"),
    ],
    0: [
        "hetreg",
        "hetreg.registry",
        "hetreg.methods",
        "hetreg.config",
        "hetreg.modelconfig",
        "hetreg.configbase",
        "hetreg.choices",
        "hetreg.errors",
        *("hetreg.files", "hetreg.interrupt"),
        "hetreg.lock",
        "hetreg.measures",
        "hetreg.progress",
        "hetreg.tables",
        "hetreg.versions",
        "hetreg.zoo",
    ],
}
# Inside layer 3 the runs build on each other in this direction only; training builds on none of them.
CHAIN = {
    "reproduce": {"evaluate", "evaluation", "assemble", "training"},
    "evaluate": {"register", "choose", "evaluation"},
    "report": {"evaluation"},
    "sequence": {"register", "choose", "assemble"},
    "register": {"choose", "assemble", "refine", "symmetry"},
}
SLICER_SIDE = {"slicer", "qt", "ctk", "vtk", "PythonQt"}
CORE_PACKAGES = {"numpy", "torch", "SimpleITK", "scipy", "monai", "matplotlib", "itk"}
PANEL_PACKAGES = SLICER_SIDE | {"numpy", "SimpleITK", "scipy", "hetreg", "HetRegUncertaintyLib"}
# As if these packages were not installed: no finder knows them.
HIDE = """
import sys
class Hide:
    def __init__(self, finder):
        self._finder = finder
    def __getattr__(self, name):
        return getattr(self._finder, name)
    def find_spec(self, name, *arguments):
        return None if name.split(".")[0] in %r else self._finder.find_spec(name, *arguments)
sys.meta_path[:] = [Hide(finder) for finder in sys.meta_path]
"""


@dataclass(frozen=True)
class Import:
    """One import statement: the importing and the imported module, both in full."""

    importer: str
    target: str
    line: int
    file_scope: bool


def module_name(file: Path) -> str:
    """Dotted name of a file below a module's folder, as Python imports it."""
    folder = next(m for m in MODULES if file.is_relative_to(m))
    parts = file.relative_to(folder).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(f): f for m in MODULES for f in sorted(m.rglob("*.py"))}


def targets(node: ast.AST, importer: str) -> list[str]:
    """Full names that an import statement brings in; of `from a import b` it is a.b where that is a file."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        is_package = FILES[importer].name == "__init__.py"
        parts = importer.split(".")[: len(importer.split(".")) - node.level + is_package]
        base = ".".join([*parts, base] if base else parts)
    return [f"{base}.{a.name}" if f"{base}.{a.name}" in FILES else base for a in node.names]


def read_imports(importer: str) -> list[Import]:
    """All imports of a file; those in functions and under TYPE_CHECKING are not at file scope."""
    found: list[Import] = []

    def visit(node: ast.AST, file_scope: bool) -> None:
        found.extend(Import(importer, t, node.lineno, file_scope) for t in targets(node, importer))
        inner = file_scope and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            inner = False
        for child in ast.iter_child_nodes(node):
            visit(child, inner)

    visit(ast.parse(FILES[importer].read_text(encoding="utf-8")), True)
    return found


IMPORTS = [i for name in FILES for i in read_imports(name)]


def layer_of(module: str) -> tuple[float, str]:
    """(layer, unit): the unit is the file or package that LAYERS names."""
    units = [(len(u), layer, u) for layer, names in LAYERS.items() for u in names]
    fitting = [x for x in units if module == x[2] or module.startswith(x[2] + ".")]
    _, layer, unit = max(fitting)
    assert unit != "hetreg" or module == "hetreg", (
        f"{module} has no layer: add it to LAYERS and to CONTRIBUTING.md"
    )
    return layer, unit


def describe(found: list[Import]) -> str:
    """One line per import, for the failure's message."""
    return "\n".join(f"{FILES[i.importer].relative_to(ROOT)}:{i.line} imports {i.target}" for i in found)


def cycle(imports: list[Import]) -> list[str]:
    """Files that import each other in a ring, the first again at the end; [] if there are none."""
    graph = {n: {i.target for i in imports if i.importer == n and i.target in FILES} for n in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def is_allowed(item: Import) -> bool:
    """Downward, inside one unit, or beside it where the layer permits that."""
    (high, unit), (low, other) = layer_of(item.importer), layer_of(item.target)
    if low < high or unit == other:
        return True
    if low == high == 3:
        return other.split(".")[1] in CHAIN.get(unit.split(".")[1], set())
    return low == high and high in (0, 1, 4)


def outside(item: Import) -> str | None:
    """First name of an imported module of a third party, or None for the project's and Python's."""
    first = item.target.split(".")[0]
    return None if first in sys.stdlib_module_names or item.target in FILES else first


def test_files_were_found():
    assert {"HetRegUncertainty", "HetRegTraining", "hetreg.model", "hetreg.register"} <= set(FILES)
    assert len(IMPORTS) > 100
    assert any(i.importer == "hetreg.model" and i.target == "hetreg.networks.variance" for i in IMPORTS)


def test_imports_run_downward():
    wrong = [i for i in IMPORTS if i.target in FILES and not is_allowed(i)]
    assert not wrong, describe(wrong)


@pytest.mark.parametrize(
    ("importer", "target"),
    [
        ("hetreg.spatial", "hetreg.model"),
        ("hetreg.losses.mse", "hetreg.networks.unet"),
        ("hetreg.training.loop", "hetreg.register"),
        ("hetreg.refine", "hetreg.register"),
        ("hetreg.image", "HetRegUncertaintyLib.volumes"),
        ("HetRegTraining", "HetRegUncertainty"),
    ],
)
def test_an_import_that_runs_up_or_sideways_is_found(importer, target):
    assert not is_allowed(Import(importer, target, 1, True))


def test_no_files_import_each_other_in_a_ring_not_even_in_functions_or_for_types():
    assert not cycle(IMPORTS)
    back = Import("hetreg.spatial", "hetreg.model", 1, False)
    assert {"hetreg.spatial", "hetreg.model"} <= set(cycle([*IMPORTS, back]))


def test_what_a_run_of_layer_3_may_import_it_does_import():
    used = {(layer_of(i.importer)[1], layer_of(i.target)[1]) for i in IMPORTS if i.target in FILES}
    allowed = {(f"hetreg.{run}", f"hetreg.{other}") for run, others in CHAIN.items() for other in others}
    assert not allowed - used


def test_core_imports_nothing_of_slicer_and_no_unlisted_package():
    core = [i for i in IMPORTS if i.importer.split(".")[0] == "hetreg" and outside(i)]
    wrong = [i for i in core if outside(i) not in CORE_PACKAGES]
    assert not wrong, describe(wrong)


def test_layer_0_imports_the_standard_library_only():
    wrong = [i for i in IMPORTS if layer_of(i.importer)[0] == 0 and outside(i)]
    assert not wrong, describe(wrong)


def test_panel_imports_only_what_slicer_ships_at_file_scope():
    panel = [i for i in IMPORTS if layer_of(i.importer)[0] >= 5 and i.file_scope and outside(i)]
    wrong = [i for i in panel if outside(i) not in PANEL_PACKAGES]
    assert not wrong, describe(wrong)


def test_no_file_imports_what_is_slow_to_load_when_the_panel_loads():
    """Which Slicer does at every start. Follows the imports at file scope from the module files and the
    library."""
    waiting, seen = [n for n in FILES if layer_of(n)[0] >= 5], set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [
                i.target for i in IMPORTS if i.importer == name and i.file_scope and i.target in FILES
            ]
    slow = ("torch", "torchvision", "SimpleITK", "scipy")
    wrong = [i for i in IMPORTS if i.importer in seen and i.file_scope and outside(i) in slow]
    assert not wrong, describe(wrong)


def test_folders_hold_one_module_file_and_no_package():
    for folder in MODULES:
        assert [f.name for f in folder.glob("*.py")] == [f"{folder.name}.py"]
    assert not (ROOT / "__init__.py").exists()


def test_layer_0_imports_with_every_package_hidden():
    names = [n for n in FILES if layer_of(n)[0] == 0]
    hide = HIDE % ({"torch", "numpy", "SimpleITK", "scipy"},)
    code = f"{hide}\nsys.path.insert(0, {str(SOURCE)!r})\nimport importlib\n"
    code += f"for n in {names!r}: importlib.import_module(n)\nprint('ok')"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "ok\n", done.stderr


# Opens every panel in the stand-in runtime; argv: its folder, then the module folders in their order.
OPEN_PANELS = """
import os
sys.path[:0] = [sys.argv[1], *sys.argv[2:]]
import runtime
runtime.start()
import slicer
paths = [os.path.join(folder, os.path.basename(folder) + ".py") for folder in sys.argv[2:]]
for module in runtime.load_modules(paths):
    slicer.util.selectModule(module.name)
    ui = slicer.util.getModuleWidget(module.name).ui
    if hasattr(ui, "sampleButton"):
        ui.sampleButton.click()
    menu = ui.modelComboBox if hasattr(ui, "modelComboBox") else ui.methodComboBox
    button = ui.registerButton if hasattr(ui, "registerButton") else ui.startButton
    print(module.name, menu.count, button.enabled, button.toolTip)
assert not runtime.errors(), runtime.errors()
assert "torch" not in sys.modules
"""


@pytest.mark.parametrize("folders", ORDERS, ids=lambda f: "-".join(x.name for x in f))
@pytest.mark.parametrize("hidden", [("torch",), ()], ids=["torch absent", "torch there"])
def test_panels_open_without_importing_torch(folders, hidden):
    code = HIDE % (set(hidden),) + OPEN_PANELS
    command = [sys.executable, "-I", "-c", code, str(ROOT / "Testing"), *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for folder, line in zip(folders, done.stdout.splitlines(), strict=True):
        name, choices, enabled, reason = line.split(None, 3)
        assert name == folder.name
        assert int(choices) > 2  # of models: automatic, a shipped one, a weight file; or of methods
        assert (enabled, "PyTorch" in reason) == (str(not hidden), bool(hidden))
