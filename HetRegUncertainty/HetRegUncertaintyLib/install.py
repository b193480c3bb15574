"""PyTorch for the panel: what is there, what is missing, and installing it with the PyTorch extension.

Shows nothing itself: functions return a sentence, empty if all is well; the panel shows it and asks for
consent. Looking does not import torch.
"""

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import sys

import qt
import slicer
from slicer.i18n import tr as _

import hetreg
from hetreg.errors import with_remedy

EXTENSION = "PyTorch"
RESUME_KEY = "HetRegUncertainty/ResumeInstall"
FOR_NUMPY_1 = "2.2"  # the last one for Intel Macs
FOR_NUMPY_2 = "2.3"  # the first PyTorch that is built for it, also in pyproject.toml
FOR_NUMPY_2_ON_WINDOWS = "2.4.1"  # https://github.com/pytorch/pytorch/issues/131668


def torchVersion():
    """Version of the installed PyTorch, "" if there is none. Reads metadata only.

    An installation that broke off leaves the folder without metadata: for the PyTorch extension, too, that is
    none.
    """
    if importlib.util.find_spec("torch") is None:
        return ""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""


def torchRequirement():
    """The versions that may be installed; one that is there already is taken as it is.

    On Windows 2.13 cannot be installed into Slicer: https://github.com/Slicer/light-the-torch/issues/176
    """
    least = _forNumPy() or FOR_NUMPY_1
    return f">={least},<2.13" if os.name == "nt" else f">={least}"


def reasonImpossible():
    """Why no PyTorch that works can be installed into this Slicer, "" if one can."""
    import numpy

    if sys.platform != "darwin" or platform.machine() != "x86_64" or not _forNumPy():
        return ""
    return _(
        "PyTorch cannot be installed into this Slicer: the last one for Intel Macs is 2.2, which does not "
        "work with NumPy {numpy}; outside of Slicer, hetreg can be installed with an older NumPy."
    ).format(numpy=numpy.__version__)


def extensionInstalled():
    """True if the PyTorch extension, which installs the right PyTorch for this computer, is there."""
    return importlib.util.find_spec("PyTorchUtils") is not None


def reasonMissing():
    """Why Register cannot run, "" if it can."""
    if version := torchVersion():
        return _misfit(version)
    if reason := reasonImpossible():
        return reason
    if extensionInstalled():
        return _("PyTorch is not installed yet: open Dependencies below and click Install PyTorch.")
    return _(
        "PyTorch is not installed yet: open Dependencies below; it comes with the extension named PyTorch."
    )


def _misfit(version):
    """Why this PyTorch cannot compute with Slicer's NumPy."""
    import numpy

    accepted = _forNumPy()
    found, least = (tuple(map(int, re.findall(r"\d+", text)[:3])) for text in (version, accepted))
    if found >= least:
        return ""
    return _(
        "PyTorch {version} does not work with NumPy {numpy} of this Slicer: PyTorch {accepted} or newer is "
        "accepted."
    ).format(version=version, numpy=numpy.__version__, accepted=accepted)


def _forNumPy():
    """The first PyTorch that is built for Slicer's NumPy, "" if every one is."""
    import numpy

    if numpy.__version__.startswith("1."):
        return ""
    return FOR_NUMPY_2_ON_WINDOWS if os.name == "nt" else FOR_NUMPY_2


def describeDevice():
    """One line on where Register will compute, with the memory. Imports torch."""
    hetreg.prepare_torch()
    try:
        from hetreg.device import available_devices, torch
    except (ImportError, OSError, RuntimeError) as error:
        return _("It is installed but cannot be loaded: {error}").format(error=with_remedy(str(error)))
    if torch.cuda.is_available():
        free, total = (size / 2**30 for size in torch.cuda.mem_get_info())
        name = torch.cuda.get_device_name()
        return _("GPU: {name}, {free:.1f} of {total:.1f} GB free").format(name=name, free=free, total=total)
    if "mps" in available_devices():
        return _("GPU: Apple (MPS)")
    return _(
        "CPU: {cores} cores{memory}. No usable GPU was found; everything works, refinement is slower."
    ).format(cores=os.cpu_count(), memory=_memory())


def installTorch():
    """Install PyTorch through the PyTorch extension, which asks first. Returns why not, "" if it is there."""
    if not extensionInstalled():
        return _("The extension named PyTorch is missing: install it first; Slicer then has to be restarted.")
    import PyTorchUtils

    hetreg.prepare_torch()  # it imports what it has installed
    torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(
        askConfirmation=True, torchVersionRequirement=torchRequirement()
    )
    importlib.invalidate_caches()
    if torch is None:
        return _("PyTorch was not installed. Nothing was changed.")
    setResume(False)
    return ""


def installExtension():
    """Install the PyTorch extension, to go on after the restart. Returns why not, "" if it was installed.

    Neither asks, which the panel has done, nor restarts Slicer, which the caller does.
    """
    manager = extensionsManager()
    interactive, manager.interactive = manager.interactive, False
    try:
        installed = manager.installExtensionFromServer(EXTENSION, False)
        installed = installed and manager.isExtensionInstalled(EXTENSION)  # True also if the download failed
    finally:
        manager.interactive = interactive
    if not installed:
        return _(
            "The extension named PyTorch could not be installed: check the network connection, or install it "
            "with the Extensions Manager."
        )
    setResume(True)
    return ""


def extensionsManager():
    """Slicer's model of the extensions."""
    return slicer.app.extensionsManagerModel()


def resumeWanted():
    """True after the extension was installed and Slicer was restarted to finish."""
    return qt.QSettings().value(RESUME_KEY, "") == "1"


def setResume(wanted):
    """Set or clear the marker that survives a restart."""
    settings = qt.QSettings()
    if wanted:
        settings.setValue(RESUME_KEY, "1")
    else:
        settings.remove(RESUME_KEY)
    settings.sync()


def _memory():
    from hetreg.device import physical_memory_gb

    total = physical_memory_gb()
    return _(", {total:.0f} GB memory").format(total=total) if total else ""
