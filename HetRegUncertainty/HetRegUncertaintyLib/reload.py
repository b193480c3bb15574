"""Drops this extension's own packages, so that Reload in developer mode loads the edited files."""

import sys

PACKAGES = ("hetreg", "HetRegUncertaintyLib")


def dropPackages():
    """Remove the packages and everything below them from sys.modules; returns the names removed."""
    names = [name for name in sys.modules if name.split(".")[0] in PACKAGES]
    for name in names:
        del sys.modules[name]
    return names
