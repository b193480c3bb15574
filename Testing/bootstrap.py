"""Makes the environment that Testing/demo and Testing/run_tests share and starts Python in it.

Standard library only. The environment is `.venv` in the repository's root, from Testing/requirements.txt.
It is made once: a stamp in it holds the hash of the requirements, and a marker stays behind where the making
was interrupted.

python Testing/bootstrap.py --missing-packages    prints the Debian packages that are still to be installed
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "Testing" / "requirements.txt"
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / "hetreg-ready"
UNFINISHED = ENVIRONMENT / "hetreg-unfinished"
PYTHONS = ((3, 11), (3, 12), (3, 13))
IMPORTS = (
    "torch",
    "numpy",
    "SimpleITK",
    "scipy",
    "monai",
    "matplotlib",
    "slicer",
    "vtk",
    "PySide6",
    "pytest",
    "xdist",
    "ruff",
)
CHECK = "import torch, SimpleITK, scipy, matplotlib, vtk, slicer, PySide6.QtWidgets, pytest, xdist"
LIBRARIES = {
    "libegl1": "libEGL.so.1",
    "libgl1": "libGL.so.1",
    "libglib2.0-0": "libglib-2.0.so.0",
    "libfontconfig1": "libfontconfig.so.1",
    "libxkbcommon0": "libxkbcommon.so.0",
    "libx11-6": "libX11.so.6",
    "libdbus-1-3": "libdbus-1.so.3",
}
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts")


class SetupError(Exception):
    """The environment cannot be made; the message says what to do."""


def say(message: str) -> None:
    """One line of progress."""
    print(f"[setup] {message}", flush=True)


# --- system packages ---


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _software_rendering() -> bool:
    """True if EGL opens Mesa's surfaceless display or the default one, as VTK does for offscreen windows."""
    egl = ctypes.CDLL(LIBRARIES["libegl1"])
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    egl.eglGetDisplay.restype = ctypes.c_void_p
    displays = [egl.eglGetDisplay(ctypes.c_void_p(0))]
    address = egl.eglGetProcAddress(b"eglGetPlatformDisplayEXT")
    if address:
        prototype = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)
        surfaceless = 0x31DD
        displays.insert(0, prototype(address)(surfaceless, None, None))
    return any(d and egl.eglInitialize(ctypes.c_void_p(d), None, None) for d in displays)


def _fonts() -> bool:
    folders = [Path(f).expanduser() for f in FONT_FOLDERS]
    return any(f.is_dir() and next(f.rglob("*.[to]tf"), None) for f in folders)


def missing_packages() -> list[str]:
    """Debian packages whose content was tried and is not there; empty on other systems than Linux."""
    if not sys.platform.startswith("linux"):
        return []
    missing = [package for package, library in LIBRARIES.items() if not _loads(library)]
    if "libegl1" in missing or not _software_rendering():
        missing.append("libgl1-mesa-dri")
    if not _fonts():
        missing.append("fonts-dejavu-core")
    return missing


def _may_install() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def _apt_install(packages: list[str]) -> bool:
    """Install Debian packages as root. True on success."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    say("installing Debian packages: " + " ".join(packages))
    for command in (["apt-get", "update", "-q"], install):
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode and command is install:
            print(done.stdout[-2000:] + done.stderr[-2000:], file=sys.stderr)
    return done.returncode == 0


def ensure_packages() -> None:
    """Install the missing system packages, or raise `SetupError` that names them."""
    missing = missing_packages()
    if missing and _may_install() and _apt_install(missing):
        # A library that could not be loaded stays unloadable in some processes: look in a new one.
        command = [sys.executable, __file__, "--missing-packages"]
        missing = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    if missing:
        raise SetupError(
            f"System packages are missing. Install them with: sudo apt-get install {' '.join(missing)}"
        )


# --- Python environment ---


def environment_python() -> Path:
    """The interpreter of the environment."""
    return ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _wanted() -> str:
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


def _runs(code: str, python: str | Path) -> bool:
    try:
        return subprocess.run([str(python), "-c", code], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _complete() -> bool:
    """True if the environment's Python starts and finds every package (nothing is imported)."""
    code = f"import sys, importlib.util as u; sys.exit(not all(u.find_spec(n) for n in {IMPORTS!r}))"
    return _runs(code, environment_python())


def ready() -> bool:
    """True if the environment is finished, belongs to these requirements, and is undamaged."""
    if UNFINISHED.exists() or not STAMP.is_file():
        return False
    return STAMP.read_text(encoding="utf-8").strip() == _wanted() and _complete()


def find_interpreter() -> str:
    """An installed Python of an accepted version that can make environments. Raises SetupError."""
    names = [sys.executable, "python3", *(f"python{a}.{b}" for a, b in PYTHONS)]
    accepted = [
        p for p in names if _runs(f"import sys; sys.exit(sys.version_info[:2] not in {PYTHONS!r})", p)
    ]
    versions = ", ".join(f"{a}.{b}" for a, b in PYTHONS)
    if not accepted:
        found = ".".join(map(str, sys.version_info[:3]))
        raise SetupError(f"Python {versions} is needed and none was found (this is {found}).")
    able = "import venv, ensurepip"
    for python in accepted:
        if _runs(able, python):
            return python
    if _may_install() and _apt_install(["python3-venv"]) and _runs(able, accepted[0]):
        return accepted[0]
    raise SetupError("Python's venv module is missing. Install it with: sudo apt-get install python3-venv")


@contextlib.contextmanager
def _lock():
    """One process at a time makes the environment, the others wait. Freed if the holder dies."""
    with open(REQUIREMENTS, "r+b" if os.name == "nt" else "rb") as file:
        if os.name == "nt":
            import msvcrt

            file.seek(1 << 30)
            while True:
                with contextlib.suppress(OSError):  # gives up after ten tries, one a second
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
        else:
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                say("waiting for another process that is making the environment")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _call(command: list[str], failure: str) -> None:
    """Run a command and show what it says, but not what is there already. Raises SetupError if it fails."""
    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONUNBUFFERED": "1"}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, env=env, text=True, errors="replace", **pipes) as process:
        for line in process.stdout:
            if not line.startswith(("Requirement already satisfied", "Looking in ")):
                print("  " + line.rstrip(), flush=True)
    if process.returncode:
        raise SetupError(failure)


def make_environment() -> None:
    """Create or repair the environment. Raises SetupError."""
    python = environment_python()
    # An interrupted or damaged installation is made anew: pip takes a half-written package for a whole one.
    interrupted = UNFINISHED.exists() or (STAMP.exists() and not _complete())
    if interrupted or not _runs(
        f"import pip, sys; sys.exit(sys.version_info[:2] not in {PYTHONS!r})", python
    ):
        interpreter = find_interpreter()
        say(f"making the environment {ENVIRONMENT.name} (once; a few GB, some minutes)")
        STAMP.unlink(missing_ok=True)
        _call([interpreter, "-m", "venv", "--clear", str(ENVIRONMENT)], "The environment could not be made.")
    UNFINISHED.touch()
    say(f"installing {REQUIREMENTS.relative_to(ROOT)}")
    failure = (
        "The packages could not be installed: see pip's message above (network, disk space), then call again."
    )
    _call([str(python), "-m", "pip", "install", "-r", str(REQUIREMENTS)], failure)
    _call([str(python), "-c", CHECK], "The installed packages cannot be imported: see the message above.")
    STAMP.write_text(_wanted() + "\n", encoding="utf-8")
    UNFINISHED.unlink()
    say("the environment is ready")


def ensure_environment() -> None:
    """Make the environment unless it is there."""
    if not ready():
        with _lock():
            if not ready():
                make_environment()


def child_environment() -> dict[str, str]:
    """Variables for the environment's Python: no foreign packages, a thread per core."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    env.setdefault("OMP_NUM_THREADS", str(min(cores, 8)))
    env.setdefault("MPLBACKEND", "Agg")
    return env


def run(arguments: list[str]) -> int:
    """Start the environment's Python with these arguments; makes the environment first. The exit code."""
    try:
        ensure_packages()
        ensure_environment()
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: call again to go on", file=sys.stderr)
        return 130
    command = [str(environment_python()), *arguments]
    sys.stdout.flush()
    if os.name == "nt":
        return subprocess.run(command, env=child_environment(), check=False).returncode
    os.execve(command[0], command, child_environment())


if __name__ == "__main__":
    if sys.argv[1:] != ["--missing-packages"]:
        sys.exit("usage: bootstrap.py --missing-packages")
    print(" ".join(missing_packages()))
