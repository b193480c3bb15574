"""An installed extension and an installed `hetreg` are complete: what CMake and pip install, run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {"CMakeLists.txt", "__pycache__"}
MACRO = "slicerMacroBuildScriptedModule"
# Registers a small phantom with the shipped weights that lie beside the imported hetreg.
USE = """
import sys
sys.path.insert(0, sys.argv[1])
import hetreg
assert hetreg.__file__.startswith(sys.argv[1]), hetreg.__file__
from hetreg import config, register_pair
from hetreg.datasets.phantom import make_pair
pair = make_pair("mri2d", 1, slices=1)
result = register_pair(pair.fixed, pair.moving, config=config.RegisterConfig(device="cpu"))
assert abs(result.disp_lps_mm).max() > 0
print("registered", result.moved.array.shape)
"""
# Opens the module of an installed package in the stand-in runtime and clicks its buttons.
CLICK = """
import sys
sys.path[:0] = sys.argv[1:3]
import runtime
runtime.start()
import slicer
runtime.load_modules([sys.argv[2] + "/" + name + ".py" for name in ("HetRegTraining", "HetRegUncertainty")])
slicer.util.selectModule("HetRegUncertainty")
panel = slicer.util.getModuleWidget("HetRegUncertainty")
panel.ui.sampleButton.click()
panel.ui.registerButton.click()
import HetRegUncertaintyLib, hetreg
assert all(m.__file__.startswith(sys.argv[2]) for m in (HetRegUncertaintyLib, hetreg))
assert not runtime.errors(), runtime.errors()
assert panel.logic.getParameterNode().moved is not None
for name in sys.modules["HetRegUncertaintyLib.sampledata"].SAMPLES:
    slicer.mrmlScene.Clear()
    runtime.click_sample(name)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 2
slicer.util.selectModule("HetRegTraining")
training = slicer.util.getModuleWidget("HetRegTraining")
assert training.ui.startButton.enabled, training.ui.startButton.toolTip
from HetRegUncertaintyLib.process import HetRegProcess
said, ends = [], []
HetRegProcess(said.append, said.append, lambda *end: ends.append(end)).start(["--version"])
while not ends:
    runtime.process_events(0.02)
assert ends == [(0, "")], (ends, said)
assert not runtime.errors(), runtime.errors()
print("clicked")
"""


def module_folders() -> list[Path]:
    """The folders that the top CMakeLists.txt adds."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    return [ROOT / name for name in re.findall(r"add_subdirectory\((\w+)\)", text)]


def parse_installed(folder: Path) -> set[str]:
    """Files that a module's CMakeLists.txt installs: reads its set, file(GLOB_RECURSE) and macro."""
    text = re.sub(r"#.*", "", (folder / "CMakeLists.txt").read_text(encoding="utf-8"))
    values: dict[str, list[str]] = {"CMAKE_CURRENT_SOURCE_DIR": [folder.as_posix()]}

    def expand(words: str) -> list[str]:
        parts = re.sub(r"\$\{(\w+)\}", lambda m: " ".join(values[m.group(1)]), words).split()
        return [p for p in parts if p not in ("CONFIGURE_DEPENDS", "RELATIVE", folder.as_posix())]

    for command, arguments in re.findall(r"(\w+)\(([^()]*)\)", text):
        name, *rest = arguments.split(None, 1)
        if command == "set":
            values[name] = expand(*rest)
        elif command == "file":
            assert name == "GLOB_RECURSE", name
            variable, patterns = rest[0].split(None, 1)
            found = [f for p in expand(patterns) for f in Path(p).parent.rglob(Path(p).name) if f.is_file()]
            values[variable] = sorted(f.relative_to(folder).as_posix() for f in found)
        elif command == MACRO:
            words = expand(arguments)
            start = words.index("SCRIPTS") + 1
            end = words.index("WITH_GENERIC_TESTS")
            return {w for w in words[start:end] if w != "RESOURCES"}
    raise AssertionError(f"{folder.name}/CMakeLists.txt calls no {MACRO}")


def installed() -> dict[str, Path]:
    """Path in Slicer's flat folder -> source file, over all modules."""
    files: dict[str, Path] = {}
    for folder in module_folders():
        for name in parse_installed(folder):
            if "__pycache__" not in name:
                assert name not in files, f"{name} would be installed twice"
                files[name] = folder / name
    return files


@pytest.fixture(scope="module")
def flat(tmp_path_factory) -> Path:
    """The folder qt-scripted-modules as an installed package has it."""
    folder = tmp_path_factory.mktemp("package") / "qt-scripted-modules"
    for name, source in installed().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, folder / name)
    return folder


def run_python(code: str, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that sees neither this process's paths nor its variables."""
    command = [sys.executable, "-I", "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_every_file_of_the_modules_is_installed():
    for folder in module_folders():
        files = {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}
        wanted = {f for f in files if not SKIPPED & set(Path(f).parts)}
        assert wanted == {name for name, source in installed().items() if source.is_relative_to(folder)}


def test_nothing_of_testing_is_installed():
    assert module_folders()
    assert not [s for s in installed().values() if "Testing" in s.relative_to(ROOT).parts]
    assert "Testing" not in (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed: parsed only")
def test_cmake_installs_what_the_parser_reads(tmp_path):
    folders = "\n".join(f'add_subdirectory("{f.as_posix()}" {f.name})' for f in module_folders())
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16.3...3.28.0)\nproject(stand_in NONE)\n"
        f"macro({MACRO})\n"
        '  cmake_parse_arguments(MY "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})\n'
        "  if(MY_UNPARSED_ARGUMENTS)\n    message(FATAL_ERROR ${MY_UNPARSED_ARGUMENTS})\n  endif()\n"
        '  file(APPEND ${CMAKE_BINARY_DIR}/installed.txt "${MY_SCRIPTS};${MY_RESOURCES};")\n'
        f"endmacro()\nmacro(slicer_add_python_unittest)\nendmacro()\n{folders}\n",
        encoding="utf-8",
    )
    build = tmp_path / "build"
    command = ["cmake", "-S", str(tmp_path), "-B", str(build), "-DBUILD_TESTING=ON"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = (build / "installed.txt").read_text(encoding="utf-8").split(";")
    assert {n for n in names if n and "__pycache__" not in n} == set(installed())


def test_flat_layout_registers_a_pair(flat, tmp_path):
    done = run_python(USE, flat, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("registered")


def test_flat_layout_opens_the_panel_and_clicks_register(flat, tmp_path):
    done = run_python(CLICK, ROOT / "Testing", flat, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "clicked"


def test_source_tree_registers_a_pair(tmp_path):
    done = run_python(USE, ROOT / "HetRegUncertainty", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_pip_installs_hetreg_alone_and_it_registers_a_pair(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "HetRegUncertainty", source / "HetRegUncertainty", ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, source)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "-w", str(tmp_path)]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("hetreg-*.whl")
    zipfile.ZipFile(wheel).extractall(target)
    names = {f.relative_to(target).as_posix() for f in target.rglob("*") if f.is_file()}
    packaged = {n for n in names if ".dist-info" not in n}
    assert packaged == {n for n in installed() if n.startswith("hetreg/")}
    done = run_python(USE, target, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_files_opened_by_the_core_are_installed(tmp_path):
    """Watches every file that is opened below the module's folder while a pair is registered."""
    folder = ROOT / "HetRegUncertainty"
    watch = (
        "import sys, atexit; seen = set()\n"
        "sys.addaudithook(lambda e, a: seen.add(str(a[0])) if e == 'open' else None)\n"
        "atexit.register(lambda: print(*('OPENED ' + s for s in seen), sep='\\n'))\n"
    )
    done = run_python("import sys; sys.dont_write_bytecode = True\n" + watch + USE, folder, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    opened = {Path(line[7:]) for line in done.stdout.splitlines() if line.startswith("OPENED ")}
    inside = {
        p.relative_to(folder) for p in opened if p.is_relative_to(folder) and "__pycache__" not in p.parts
    }
    assert any(p.suffix == ".pt" for p in inside), "the weights were not opened: the watch does not work"
    assert {p.as_posix() for p in inside} <= set(installed())


def test_extension_description_is_consistent():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    values = dict(re.findall(r'set\(EXTENSION_(\w+) "([^"\n]*)"\)', text))
    entry_text = (ROOT / "HetRegUncertainty.json").read_text(encoding="utf-8")
    entry = json.loads(entry_text)
    assert entry_text == json.dumps(entry, indent=2) + "\n"  # as the index's formatter wants it
    name = re.search(r"^project\((\w+)\)", text, re.MULTILINE).group(1)
    assert entry["build_dependencies"] == values["DEPENDS"].split()
    assert entry["scm_url"].startswith("https://")
    assert entry["scm_url"].endswith(f"/Slicer{name}.git")
    assert (ROOT / f"{name}.json").is_file()
    for address in (values["ICONURL"], *values["SCREENSHOTURLS"].split()):
        file = ROOT / address.split("/main/", 1)[1]
        assert file.read_bytes().startswith(b"\x89PNG"), address


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("linux", "x86_64", ["2.3.0", "2.4.0", "2.4.1"]),
        ("win32", "AMD64", ["2.4.1"]),
        ("darwin", "arm64", ["2.3.0", "2.4.0", "2.4.1"]),
        ("darwin", "x86_64", ["2.2.2"]),
    ],
)
def test_pip_takes_no_pytorch_that_does_not_work_with_numpy_2(system, machine, expected):
    """It asks for no NumPy, so that pip itself would see nothing; NumPy 1 comes to Macs with Intel alone."""
    place = {"sys_platform": system, "platform_machine": machine}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [Requirement(text) for text in project["dependencies"]]
    asked = [one for one in asked if one.marker is None or one.marker.evaluate(place)]

    def accepted(name, versions):
        return [v for v in versions if all(v in one.specifier for one in asked if one.name == name)]

    assert accepted("torch", ["2.2.2", "2.3.0", "2.4.0", "2.4.1"]) == expected
    assert accepted("numpy", ["2.0.0"]) == ([] if "2.2.2" in expected else ["2.0.0"])


def test_version_and_dependencies_of_the_pip_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "hetreg"
    pinned = (ROOT / "Testing" / "requirements.txt").read_text(encoding="utf-8").lower()
    for requirement in project["dependencies"]:
        assert re.match(r"[\w-]+", requirement.lower()).group() in pinned
