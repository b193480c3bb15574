"""slicer.packaging of the stand-in: reads and checks requirements, and asks and shows errors as Slicer does.

runPip(), which would install, raises; a test puts its own in its place.
"""

import importlib.metadata
import subprocess
from pathlib import Path

import slicer
from packaging.requirements import InvalidRequirement, Requirement

from .standin import NotInStandIn


def load_requirements(path):
    lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def _asRequirements(requirements):
    if isinstance(requirements, str):
        try:
            return [Requirement(requirements)]
        except InvalidRequirement:
            return [Requirement(text) for text in requirements.split()]
    if isinstance(requirements, Requirement):
        return [requirements]
    if isinstance(requirements, list):
        return [Requirement(item) if isinstance(item, str) else item for item in requirements]
    raise TypeError(f"Expected str, Requirement or list, got {type(requirements).__name__}")


def pip_check(req):
    """Whether all requirements are satisfied in this environment; asks the metadata, starts no process."""
    return all(_isSatisfied(item) for item in _asRequirements(req))


def _isSatisfied(requirement):
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    if requirement.extras:
        raise NotInStandIn(f"extras in a requirement ({requirement}) are not part of the stand-in")
    try:
        return importlib.metadata.version(requirement.name) in requirement.specifier
    except importlib.metadata.PackageNotFoundError:
        return False


def pip_ensure(
    requirements,
    constraints=None,
    skip_packages=None,
    prompt_install=True,
    prompt_restart=True,
    requester=None,
    skip_in_testing=True,
    show_progress=True,
):
    missing = [item for item in _asRequirements(requirements) if not pip_check(item)]
    if not missing or (skip_in_testing and slicer.app.testingEnabled()):
        return None
    if prompt_install and not slicer.util.confirmOkCancelDisplay(f"Install {missing}?", requester):
        raise RuntimeError("User declined package installation")
    names = [str(item) for item in missing]
    return pip_install(names, constraints, show_progress=show_progress, requester=requester)


def pip_install(requirements, constraints=None, *, show_progress=True, requester=None):
    """As in Slicer a failure is shown, unless without progress or in a test, and raised in any case."""
    held = ["-c", str(constraints)] if constraints is not None else []
    try:
        runPip(["install", *requirements, *held])
    except subprocess.CalledProcessError:
        if show_progress and not slicer.app.testingEnabled():
            slicer.util.errorDisplay("Package installation failed.", windowTitle=requester)
        raise


def runPip(arguments):
    raise NotInStandIn(f"pip {arguments} would change this environment")


def pip_uninstall(requirements, **_options):
    raise NotInStandIn(f"slicer.packaging would uninstall {requirements}")


def isPipInstallInProgress():
    return False
