"""What numbers were made with."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from . import __version__

_PACKAGES = ("torch", "numpy", "scipy", "SimpleITK", "monai")


def versions() -> dict[str, str]:
    """{"hetreg", "python" and each package that is there: its version}."""
    found = {name: _version(name) for name in _PACKAGES}
    own = {"hetreg": __version__, "python": platform.python_version()}
    return own | {name: text for name, text in found.items() if text}


def _version(package: str) -> str:
    """As the package in use says, which an application may ship without its metadata, else by these."""
    if text := getattr(sys.modules.get(package), "__version__", ""):
        return str(text)
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
