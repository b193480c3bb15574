"""Reload in developer mode: both modules and their packages, since all of it has to be of the same files."""

import sys

import slicer
from slicer.i18n import tr as _

PACKAGES = ("hetreg", "HetRegUncertaintyLib")
MODULES = ("HetRegUncertainty", "HetRegTraining")


def dropPackages():
    """Remove the packages and everything below them from sys.modules; returns the names removed."""
    names = [name for name in sys.modules if name.split(".")[0] in PACKAGES]
    for name in names:
        del sys.modules[name]
    return names


class ReloadMixin:
    """Mixed into the panels, before Slicer's class. They say in `running` whether work would be lost."""

    def onReload(self):
        """Reload this module, the packages, and the other module, whose classes would no longer fit them.

        Raises RuntimeError if the other one has work running; then nothing is reloaded.
        """
        (other,) = {*MODULES} - {self.moduleName}
        panel = getattr(slicer.modules, f"{other}Widget", None)
        if panel is not None and panel.running:
            raise RuntimeError(
                _("{module} is at work and would be reloaded too: stop it first.").format(module=other)
            )
        dropPackages()
        super().onReload()
        if hasattr(slicer.modules, other.lower()):
            slicer.util.reloadScriptedModule(other)
