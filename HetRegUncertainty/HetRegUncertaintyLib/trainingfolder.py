"""The folders and files that the training panel names: which cannot be used, how far a run is, a free name.

Knows no widget.
"""

import io
import itertools
import os
import pickle
import re
import zipfile
from functools import lru_cache

from slicer.i18n import tr as _

from hetreg.zoo import list_models

from .trainingparameters import PHANTOM
from .trainingrun import CHECKPOINT, canContinue

HOME = re.compile(r"~[/\\]")
NUMBERED = re.compile(r"(.*?)(\d*)", re.DOTALL)
FILES = ("splitFile", "startFile")


def expanded(path):
    """A path with ~/ as the home folder, so that what is shown is where the files go."""
    return os.path.expanduser(path) if HOME.match(path) else path


def reasonAgainstData(parameters, nameOf):
    """Why the data folder cannot be used, "" if it can. nameOf(parameter): what the form calls it."""
    if parameters.dataset.value == PHANTOM:
        return ""
    if not parameters.folder:
        return _("Choose the folder of the data, or the phantom.")
    return _reasonNotWhole(parameters, "folder", nameOf)


def reasonAgainst(parameters, nameOf):
    """Why a training cannot use the paths of the form, "" if it can."""
    return (
        reasonAgainstData(parameters, nameOf)
        or _reasonAgainstOutput(parameters, nameOf)
        or next(filter(None, (_reasonAgainstFile(parameters, n, nameOf) for n in FILES)), "")
    )


def _reasonAgainstOutput(p, nameOf):
    if not p.outputFolder:
        return ""  # Start takes the next free one
    if reason := _reasonNotWhole(p, "outputFolder", nameOf):
        return reason
    if os.path.isfile(p.outputFolder):
        name = os.path.basename(p.outputFolder)
        return _("The output folder '{name}' is a file: choose a folder.").format(name=name)
    if p.dataset.value == PHANTOM or canContinue(p.outputFolder):  # a run that is there may go on
        return ""
    data = os.path.dirname(p.folder) if os.path.isfile(p.folder) else p.folder
    if _place(data) == _place(p.outputFolder):
        return _("The output folder is the folder of the data: choose another, or click New.")
    return ""


def _reasonAgainstFile(p, parameter, nameOf):
    """A run that goes on has its own, which may have been named from the command line. What a training starts
    from may also be a model that comes with HetReg, by name."""
    models = [card.name for card in list_models()] if parameter == "startFile" else []
    if not getattr(p, parameter) or getattr(p, parameter) in models or canContinue(p.outputFolder):
        return ""
    return _reasonNotWhole(p, parameter, nameOf, models)


def _reasonNotWhole(p, parameter, nameOf, models=()):
    path = getattr(p, parameter)
    if os.path.isabs(path):
        return ""
    text = _("{name} is '{path}': a full path, or one that begins with ~/, is accepted.")
    if models:
        text = _(
            "{name} is '{path}': a full path, one beginning with ~/, or a model name is accepted: {models}."
        )
    return text.format(name=nameOf(parameter), path=path, models=", ".join(models))


def _place(path):
    return os.path.normcase(os.path.realpath(path))


def stepOf(folder):
    """The step at which the run in a folder goes on; 0 where there is none or it cannot be read."""
    path = os.path.join(folder, CHECKPOINT)
    return _stepIn(path, os.stat(path).st_mtime_ns) if canContinue(folder) else 0


@lru_cache(maxsize=4)
def _stepIn(path, _changed):
    try:
        with zipfile.ZipFile(path) as archive:
            plain = (p.filename for p in archive.infolist() if p.compress_type == zipfile.ZIP_STORED)
            name = next(n for n in plain if n.endswith("data.pkl"))  # a packed one could fill the memory
            content = _Numbers(io.BytesIO(archive.read(name))).load()
        return int(content["step"])
    except Exception:  # damaged or of another kind: the trainer says so
        return 0


class _Numbers(pickle.Unpickler):
    """A checkpoint's plain numbers, without torch; for all else there is a stand-in: nothing is executed."""

    def find_class(self, module, name):
        return _Nothing

    def persistent_load(self, pid):
        return None


class _Nothing(dict):
    def __init__(self, *_arguments):
        super().__init__()


def nextFolder(current):
    """The next free folder for a run beside the current one, or the first one in the home."""
    current = current.rstrip("/\\")
    if not os.path.splitdrive(current)[1]:  # nothing, or a whole drive
        current = os.path.join(os.path.expanduser("~"), "HetReg", "run-0")
    parent, name = os.path.split(current)
    stem, digits = NUMBERED.fullmatch(name).groups()
    stem = stem if digits or not stem or stem.endswith("-") else f"{stem}-"
    names = (f"{stem}{n:0{len(digits)}d}" for n in itertools.count(int(digits or 0) + 1))
    paths = (os.path.join(parent, name) for name in names)
    return next(path for path in paths if not os.path.exists(path))
