"""The core's sentences in the words of a panel: rows and choices for names of options and their values."""

import re

from slicer.i18n import tr as _

from hetreg.errors import with_remedy

from .parameters import Device, Dimension

NO_DEVICE = re.compile(r"Device '(\w+)' is not available here: accepted are ([\w, ]+)\.")
OTHER_DIMENSION = re.compile(
    r"The model works in (\d)D, but dimension is '\w+': choose 'auto' or another model\."
)
NAMED = ("Label", "CheckBox", "Widget")  # endings of the widgets with a row's name


def inWords(ui, text):
    """A sentence of the core for the user of a panel; any other text as it is."""
    text = NO_DEVICE.sub(lambda found: _noDevice(ui, *found.groups()), text)
    return OTHER_DIMENSION.sub(lambda found: otherDimension(int(found[1])), with_remedy(text))


def rowName(ui, parameter):
    """What the form calls a parameter: the label of its row, or the text of its check box."""
    texts = [getattr(getattr(ui, parameter + kind, None), "text", "") for kind in NAMED]
    return next((text.rstrip(":") for text in texts if text), parameter)


def otherDimension(ndim):
    """That a model of this dimension cannot register as was chosen."""
    accepted = Dimension.AUTO.label(), Dimension(f"{ndim}d").label()
    return _("The model works in {ndim}D: choose '{automatic}', '{own}' or another model.").format(
        ndim=ndim, automatic=accepted[0], own=accepted[1]
    )


def _noDevice(ui, name, accepted):
    labels = [Device(n).label() for n in accepted.split(", ")]
    return _("'{row}' is '{device}', which is not available here: accepted are {labels}.").format(
        row=rowName(ui, "device"), device=Device(name).label(), labels=", ".join(labels)
    )
