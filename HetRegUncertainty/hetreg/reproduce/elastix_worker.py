"""elastix (itk-elastix) in a process of its own: ITK's Python packages and SimpleITK crash in one process.

Run as a script, by a Python that has itk-elastix; it imports nothing of hetreg. Each line of standard input
is a JSON object {"pair": FILE.npz with fixed and moving, "disp": FILE.npy to write}; the answer is one line,
"hetreg ok" or "hetreg error REASON".
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

# Best mean Dice of seven settings (metric, grid 8 or 16, bending 0, 0.1 or 1) on training phantoms and pairs.
SETTINGS: dict[str, Any] = {"metric": "AdvancedMeanSquares", "grid": 8.0, "bending": 0.1, "iterations": 200}
_SAMPLES = {2: 4096, 3: 8192}
_INSTALL = 'pip install "hetreg[elastix]" or a Python that has it (--elastix-python) is accepted'


def register(fixed: np.ndarray, moving: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """(ndim, *spatial) displacement in voxels, array order, pull-back on the fixed grid.

    fixed, moving: (*spatial) float32 in [0, 1]. settings: metric; grid: spacing of the B-spline's control
    points, voxels; bending: weight of the bending energy; iterations of each of the resolutions.
    """
    import itk

    images = [itk.image_from_array(np.ascontiguousarray(a, dtype=np.float32)) for a in (fixed, moving)]
    parameters = itk.ParameterObject.New()
    parameters.AddParameterMap(_parameters(parameters, fixed, settings))
    _, found = itk.elastix_registration_method(*images, parameter_object=parameters, log_to_console=False)
    field = itk.array_from_image(itk.transformix_deformation_field(images[1], found))
    return np.ascontiguousarray(np.moveaxis(field[..., ::-1], -1, 0), dtype=np.float32)


def _parameters(parameters: Any, fixed: np.ndarray, settings: dict[str, Any]) -> Any:
    """elastix's own B-spline map with these settings."""
    resolutions = max(1, min(4, int(np.log2(min(fixed.shape) / 8))))
    values = parameters.GetDefaultParameterMap("bspline", resolutions, float(settings["grid"]))
    changes: dict[str, list[str]] = {
        "Metric": [settings["metric"], "TransformBendingEnergyPenalty"],
        "Metric0Weight": ["1"],
        "Metric1Weight": [str(settings["bending"])],
        "Registration": ["MultiMetricMultiResolutionRegistration"],
        "MaximumNumberOfIterations": [str(settings["iterations"])],
        "NumberOfSpatialSamples": [str(_SAMPLES[fixed.ndim])],
        "NewSamplesEveryIteration": ["true"],
        "ImageSampler": ["RandomCoordinate"],
        "RandomSeed": ["1"],
        "WriteResultImage": ["false"],
    }
    for name, value in changes.items():
        values[name] = value
    return values


def main() -> int:
    """Answer each line until the input ends."""
    for line in sys.stdin:
        task = json.loads(line)
        try:
            with np.load(task["pair"]) as pair:
                disp = register(pair["fixed"], pair["moving"], SETTINGS)
            np.save(task["disp"], disp)
            answer = "ok"
        except ImportError as error:
            answer = f"error its Python cannot import itk-elastix ({error}): {_INSTALL}"
        except (RuntimeError, ValueError, OSError, KeyError) as error:
            answer = "error " + " ".join(f"{type(error).__name__}: {error}".split())
        print(f"hetreg {answer}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
