"""The core's sentences in the words of the training panel: names of rows for the names of options."""

import re
from dataclasses import fields

from slicer.i18n import tr as _

from hetreg.config import TrainConfig
from hetreg.registry import METHODS, NETWORKS, SIZES

from . import words
from .trainingparameters import parameterOf
from .words import rowName

OPTIONS = tuple(f.name for f in fields(TrainConfig))
# Other names of options are words of English too: they are changed only where they are a sentence's subject.
UNLIKE_WORDS = tuple(name for name in OPTIONS if "_" in name)
FLAG = re.compile(r"(?<!\S)--([a-z][a-z-]*[a-z])")
SUBJECT = re.compile(
    rf"(?:(?<=^)|(?<=: )|(?<=\. )|(?<= and ))({'|'.join(OPTIONS)})(?= (?:is|needs|would|=|\d))"
)
NAME = re.compile(rf"(?<![\w/\\.'-])(?<!\bin )({'|'.join(UNLIKE_WORDS)}|clip(?=, or))(?![\w/\\'-]|\.\w)")
CHOICE = {
    re.compile(rf"(?<=\bmethod )({'|'.join(METHODS)})\b"): METHODS,
    re.compile(rf"(?<=\bfor )({'|'.join(NETWORKS)})(?= of size )"): NETWORKS,
    re.compile(rf"(?<=\bof size )({'|'.join(SIZES)})\b"): SIZES,
}


def inWords(ui, text):
    """A sentence of the core for the user of the panel; any other text as it is."""
    text = words.inWords(ui, text)
    for pattern in (FLAG, SUBJECT, NAME):
        text = pattern.sub(lambda found: _named(ui, found), text)
    for pattern, table in CHOICE.items():
        text = pattern.sub(lambda found, table=table: _quoted(_label(table[found[1]])), text)
    return text.replace(": False is accepted.", _(": it has to be off."))


def _named(ui, found):
    parameter = parameterOf(found[1].replace("-", "_"))
    name = rowName(ui, parameter)
    return found[0] if name == parameter else _quoted(name)


def _label(entry):
    return getattr(entry, "label", entry)


def _quoted(name):
    return f"'{name}'"
