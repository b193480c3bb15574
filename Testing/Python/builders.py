"""Small images, models and checks that several tests share."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

import hetreg
from hetreg import cli
from hetreg.config import GridConfig, NetworkConfig, TrainConfig
from hetreg.datasets.base import PairSample
from hetreg.datasets.phantom import make_pair
from hetreg.evaluation.case import Case
from hetreg.image import Image, geometry
from hetreg.model import LOG_VARIANCE_Z_RANGE, RegistrationModel
from hetreg.networks.variance import before_clamp
from hetreg.reproduce.config import ReproduceConfig
from hetreg.training.objective import Objective

TINY: dict[str, Any] = {"encoder": (4, 8), "decoder": (8, 4), "tail": (4,)}
PLAIN = Objective({"mse": 1.0}, weight="")  # the loss of a validation
FULL_RANGE = GridConfig(low_percentile=0.0, high_percentile=100.0)
OBLIQUE = np.linalg.qr(np.array([[0.72, -0.35, 0.6], [0.1, 0.9, 0.42], [-0.68, -0.24, 0.69]]))[0]
FLIPPED = np.diag([-1.0, 1.0, -1.0])
SWAPPED = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


TINY_REPRODUCTION = ReproduceConfig(
    methods=("undeformed", "mse", "ours"),
    seeds=1,
    budget=3,
    size="tiny",
    batch=2,
    phantoms=4,
    test_phantoms=2,
    device="cpu",
)


def tiny_model(
    ndim: int = 2,
    *,
    shift: tuple[float, ...] = (),
    rough: float = 0.0,
    grid: GridConfig | None = None,
    **network,
) -> RegistrationModel:
    """A small model, seeded. shift: constant velocity in voxels; rough: SD of the head's weights."""
    torch.manual_seed(0)
    model = RegistrationModel(NetworkConfig(ndim=ndim, **TINY | network), grid, {"name": "tiny"})
    head = model.displacement_net.head
    with torch.no_grad():
        head.weight.normal_(0.0, rough) if rough else head.weight.zero_()
        if shift:
            head.bias[:ndim].copy_(torch.tensor(shift))
    return model.eval()


def spread_model(ndim: int = 2, log_variance: float = -10.0, **options: Any) -> RegistrationModel:
    """A small model whose z has this log-variance at every voxel."""
    model = tiny_model(ndim, sigma_z=True, **options)
    bias = before_clamp(log_variance, *LOG_VARIANCE_Z_RANGE)
    torch.nn.init.constant_(model.displacement_net.head.bias[ndim:], bias)
    return model


def points_of(image: Image) -> np.ndarray:
    """(K, J, I, 3) LPS positions of the voxels, by matrix and index alone."""
    k, j, i = np.indices(image.array.shape)
    return np.stack([i, j, k], axis=-1) @ image.ijk_to_lps[:3, :3].T + image.ijk_to_lps[:3, 3]


def scene(points: np.ndarray) -> np.ndarray:
    """A smooth, bumpy function of LPS position (..., 3), about 0 to 110."""
    x, y, z = np.moveaxis(points, -1, 0)
    value = 60 * np.exp(-((x - 3) ** 2 + (y + 2) ** 2 + z**2) / 200)
    value += 40 * np.exp(-((x + 6) ** 2 + (y - 5) ** 2 + (z - 3) ** 2) / 90)
    return value + 5 + 5 * np.sin(x / 4) * np.cos(y / 5)


def sampled(
    size_ijk: tuple[int, int, int],
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    direction: np.ndarray | None = None,
    *,
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
    function: Callable[[np.ndarray], np.ndarray] = scene,
    name: str = "image",
) -> Image:
    """The function on a grid of that size around `centre`, float32."""
    direction = np.eye(3) if direction is None else direction
    step = direction * np.array(spacing)
    origin = np.array(centre) - step @ ((np.array(size_ijk) - 1) / 2)
    blank = Image(np.zeros(size_ijk[::-1], np.float32), geometry(origin, spacing, direction), name)
    return blank.like(function(points_of(blank)).astype(np.float32), name)


def pair_2d(size: int = 32) -> tuple[Image, Image]:
    """(fixed, moving): one slice each, moving shifted by 1.5 mm along x."""
    fixed = sampled((size, size, 1), name="fixed")
    return fixed, sampled((size, size, 1), function=lambda p: scene(p + np.array([1.5, 0, 0])), name="moving")


def pair_3d(size: int = 16) -> tuple[Image, Image]:
    """(fixed, moving): isotropic volumes, moving shifted by 1.5 mm along x."""
    fixed = sampled((size, size, size), (2.0, 2.0, 2.0), name="fixed")
    moved = sampled(
        (size,) * 3, (2.0,) * 3, function=lambda p: scene(p + np.array([1.5, 0, 0])), name="moving"
    )
    return fixed, moved


def stack(axis: int) -> Case:
    """Four slices along an axis of the array; the label 3 is largest in the third, 1 in the fourth."""
    pair = make_pair("mri2d", 0, size=32, slices=4)
    labels = np.zeros_like(pair.fixed_label.array)
    labels[1, 10:14, 10:14], labels[2, 10:20, 10:20], labels[3, 2:30, 2:30] = 3, 3, 1
    images = (pair.fixed, pair.moving, pair.fixed_label.like(labels, "labels"), pair.moving_label)
    matrix = np.diag([*np.roll([1.5, 1.5, 8.0], -axis), 1.0])
    turned = [Image(np.ascontiguousarray(np.moveaxis(i.array, 0, axis)), matrix, i.name) for i in images]
    return Case("x", "x", *turned)


def resample(moving: Image, fixed: Image, transform: sitk.Transform) -> np.ndarray:
    """What SimpleITK makes of the moving image on the fixed grid: (K, J, I) float32."""
    source = sitk.Cast(moving.to_sitk(), sitk.sitkFloat32)
    return sitk.GetArrayFromImage(sitk.Resample(source, fixed.to_sitk(), transform, sitk.sitkLinear, 0.0))


def assert_sentence(error: object, *words: str) -> None:
    """One line that ends as a sentence does and has the words in it."""
    text = str(error).rstrip("\n")
    assert "\n" not in text, text
    assert text.endswith((".", "?")), text
    assert 20 < len(text) < 400, text
    for word in words:
        assert word in text, f"'{word}' is not in: {text}"


def train_samples(count: int = 4, size: int = 20, ndim: int = 2) -> list[PairSample]:
    """Pairs of a disc that grows, with labels, from seeded noise; one patient each."""
    rng = np.random.default_rng(0)
    distance = np.sqrt(sum((a - size / 2) ** 2 for a in np.indices((size,) * ndim)))
    made = []
    for n in range(count):
        images = [0.8 * (distance < r) + 0.1 * rng.random(distance.shape) for r in (3 + n % 3, 5 + n % 3)]
        labels = [(2 * (distance < r)).astype(np.uint8) for r in (3 + n % 3, 5 + n % 3)]
        made.append(PairSample(*(i.astype(np.float32) for i in images), *labels, patient=f"p{n}"))
    return made


def tiny_training(**changes: Any) -> TrainConfig:
    """A run of a few steps on the CPU."""
    values = {"steps": 6, "warmup": 2, "batch": 2, "crop": 16, "validate_every": 3, "learning_rate": 1e-3}
    return TrainConfig(**values | {"device": "cpu"} | changes)


def row(*values: float) -> torch.Tensor:
    """(1, 1, 1, n) image of these values, float64."""
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


def sigmoid(x: float) -> float:
    """The logistic function."""
    return 1 / (1 + math.exp(-x))


def error_of(capsys, arguments: list[str], *words: str) -> str:
    """Run a command that has to fail with code 2 and one sentence on stderr and nothing on stdout."""
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("hetreg: ")
    assert err.count("\n") == 1
    assert_sentence(err, *words)
    return err


def run_python(*arguments: str, **options) -> subprocess.CompletedProcess:
    """Python in a process of its own that finds hetreg where this one does."""
    environment = os.environ | {"PYTHONPATH": str(Path(hetreg.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, **options)


def events_of(text: str) -> list[dict]:
    """The JSON lines."""
    return [json.loads(line) for line in text.splitlines()]
