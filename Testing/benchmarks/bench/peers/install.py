"""The environments of the peers: none of their packages is installed beside hetreg."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]
ENVIRONMENTS = {".venv-peers": "requirements.txt", ".venv-peers-fireants": "requirements-fireants.txt"}


def python_of(environment: str) -> Path:
    """The interpreter of one of ENVIRONMENTS. Raises FileNotFoundError if it was not made yet."""
    folder = ROOT / environment
    for path in (folder / "bin" / "python", folder / "Scripts" / "python.exe"):
        if path.exists():
            return path
    raise FileNotFoundError(f"There is no {environment}: make it with `accuracy.py --install`.")


def install() -> None:
    """Make the environments, or bring them up to date."""
    for environment, requirements in ENVIRONMENTS.items():
        folder = ROOT / environment
        if not folder.exists():
            print(f"Making {environment}", file=sys.stderr)
            venv.create(folder, with_pip=True)
        command = [python_of(environment), "-m", "pip", "install", "--quiet", "-r", HERE / requirements]
        subprocess.run([str(c) for c in command], check=True)


if __name__ == "__main__":
    install()
