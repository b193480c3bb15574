"""Python packages that some choices need beside PyTorch: what is missing, and installing it, with consent.

Slicer's own packages stay as they are: pip is told the version of everything that is installed, and may add
to it but change nothing.
"""

import contextlib
import importlib
import importlib.metadata
import os
import subprocess
import tempfile

import slicer
from slicer.i18n import tr as _

REQUIREMENTS = {"monai": "monai>=1.4,<2", "matplotlib": "matplotlib>=3.8,<4"}
LABELS = {"monai": "MONAI", "matplotlib": "Matplotlib"}
REQUESTER = "HetReg Training"


def missing(names):
    """Those of the packages that are not installed in an accepted version. Reads metadata only."""
    from packaging.requirements import Requirement

    return [name for name in names if not _isThere(Requirement(REQUIREMENTS[name]))]


def _isThere(requirement):
    try:
        return importlib.metadata.version(requirement.name) in requirement.specifier
    except importlib.metadata.PackageNotFoundError:
        return False


def labels(names):
    """The packages' names for people."""
    return ", ".join(LABELS[name] for name in names)


def install(names):
    """Install packages with pip, after asking. Returns why not, "" if they are there.

    Before Slicer 5.12 it raises subprocess.CalledProcessError if pip fails; later versions show pip's log
    themselves. Nothing that was installed before is changed.
    """
    question = _(
        "{packages} will be downloaded and installed into Slicer's Python ({requirements}). Installed "
        "packages are not changed. Install now?"
    ).format(packages=labels(names), requirements=", ".join(REQUIREMENTS[name] for name in names))
    if not slicer.util.confirmOkCancelDisplay(
        question, _("Install {packages}").format(packages=labels(names))
    ):
        return _("Nothing was installed.")
    with tempfile.TemporaryDirectory(dir=slicer.app.temporaryPath) as folder:
        _pip([REQUIREMENTS[name] for name in names], _constraints(names, folder))
    importlib.invalidate_caches()
    return _("{packages} could not be installed.").format(packages=labels(names)) if missing(names) else ""


def _pip(requirements, constraints):
    from packaging.requirements import Requirement

    try:
        from slicer import packaging
    except ImportError:  # before Slicer 5.12
        slicer.util.pip_install([*requirements, "--constraint", constraints])
    else:
        with contextlib.suppress(subprocess.CalledProcessError):  # Slicer has shown why
            wanted = [Requirement(text) for text in requirements]  # a draft of slicer.packaging takes no text
            packaging.pip_ensure(wanted, constraints=constraints, prompt_install=False, requester=REQUESTER)


def _constraints(names, folder):
    """A file that holds every installed package, apart from these, at its version."""
    from packaging.utils import canonicalize_name

    path, found = os.path.join(folder, "constraints.txt"), {}
    for one in importlib.metadata.distributions():  # of several of one name the first is the one in use
        if (name := one.metadata["Name"]) and one.version:
            found.setdefault(canonicalize_name(name), one.version)
    held = [f"{name}=={version}" for name, version in sorted(found.items()) if name not in names]
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in held if _isValid(line))
    return path


def _isValid(line):
    """False for a version that pip would refuse to read, and with it the whole file."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(line)
    except InvalidRequirement:
        return False
    return True


class PackageButton:
    """A button that installs what is missing of the packages of a choice; hidden where nothing is.

    onChanged() is called after an installation, and onSaid(text) with why nothing was installed.
    """

    def __init__(self, button, onChanged, onSaid):
        self._button, self._onChanged, self._onSaid = button, onChanged, onSaid
        self.missing = []
        button.connect("clicked(bool)", self._onClicked)
        self.show([])

    def show(self, names):
        """The packages that the choice needs."""
        self.missing = missing(names)
        self._button.visible = bool(self.missing)
        self._button.text = _("Install {packages}...").format(packages=labels(self.missing))
        self._button.toolTip = _(
            "Install {packages}. You are asked before anything is downloaded, and no installed package "
            "is replaced."
        ).format(packages=labels(self.missing))

    def _onClicked(self, _checked=False):
        with slicer.util.tryWithErrorDisplay(_("The installation failed."), waitCursor=False):
            reason = install(self.missing)
            self._onChanged()
            if reason:
                self._onSaid(reason)
