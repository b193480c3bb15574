"""Names of the nodes of a result."""

from itertools import count

import slicer
from slicer.i18n import tr as _

LONGEST, HEAD = 30, 9  # characters of an input's name in that of a result, and of its beginning in these
DOTS = "..."


def free(roles, fixed, moving):
    """{role: name} for the new nodes of one run, not those it updates; fixed, moving: names of the inputs.

    All end alike, with nothing or with the first number that makes all of them new to the scene: outputs of
    several runs of a pair are told apart by it, also as files.
    """
    short = _short(fixed, moving), _short(moving, fixed)
    names = {role: _name(role, *short) for role in roles}
    for number in count():
        numbered = {role: f"{name}_{number}" if number else name for role, name in names.items()}
        if not any(slicer.mrmlScene.GetFirstNodeByName(name) for name in numbered.values()):
            return numbered


def _short(name, other):
    """A long name, as of a DICOM series, by its beginning and where it begins to differ from the other one,
    or by its end: menus, and files of a saved scene, cut names off where a result's has its role."""
    if len(name) <= LONGEST:
        return name
    room = LONGEST - HEAD - len(DOTS)
    pairs = enumerate(zip(name, other, strict=False))
    start = next((i for i, (a, b) in pairs if a != b), len(name)) - 2
    if HEAD < start < len(name) - room:
        tail = name[start : start + room - len(DOTS)].strip() + DOTS
    else:
        tail = name[-room:].strip()
    return name[:HEAD].rstrip() + DOTS + tail


def _name(role, fixed, moving):
    names = {
        "moved": _("{moving} moved"),
        "transform": _("{moving} to {fixed}"),
        "inverse_transform": _("{fixed} to {moving} (inverse)"),
        "noise_sd": _("{fixed} noise SD"),
        "noise_variance": _("{fixed} noise variance"),
        "snr_weight": _("{fixed} SNR weight"),
        "displacement_mm": _("{fixed} displacement"),
        "displacement_sd_mm": _("{fixed} displacement SD"),
        "log_jacobian": _("{fixed} log-Jacobian"),
        "residual": _("{fixed} residual"),
        "moved_segmentation": _("{moving} moved segmentation"),
        "numbers": _("{fixed} numbers"),
    }
    return names[role].format(fixed=fixed, moving=moving)
