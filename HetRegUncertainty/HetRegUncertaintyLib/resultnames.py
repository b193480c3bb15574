"""Names of the nodes of a result."""

from itertools import count

import slicer
from slicer.i18n import tr as _


def free(roles, fixed, moving):
    """{role: name} for the new nodes of one run, not those it updates; fixed, moving: names of the inputs.

    All end alike, with nothing or with the first number that makes all of them new to the scene: outputs of
    several runs of a pair are told apart by it, also as files.
    """
    names = {role: _name(role, fixed, moving) for role in roles}
    for number in count():
        numbered = {role: f"{name}_{number}" if number else name for role, name in names.items()}
        if not any(slicer.mrmlScene.GetFirstNodeByName(name) for name in numbered.values()):
            return numbered


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
