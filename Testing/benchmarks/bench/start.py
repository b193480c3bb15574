"""A process that prints the seconds of each step of its first registration; nothing is loaded before it
begins."""

from __future__ import annotations

import time
from collections.abc import Iterator

STEPS = (
    "import hetreg, fill the menus",
    "import hetreg.register (NumPy, SciPy, SimpleITK, PyTorch)",
    "load the 2D model",
    "first registration, 128 x 128",
    "second registration, 128 x 128",
)


def steps() -> Iterator[None]:
    """Each step, when it is done."""
    import hetreg.registry
    import hetreg.zoo

    hetreg.zoo.list_models()
    yield
    from hetreg.register import register_pair

    yield
    from hetreg.model import RegistrationModel

    model = RegistrationModel.load(hetreg.zoo.locate(hetreg.zoo.default_model(2).name))
    yield
    import numpy as np

    from hetreg.image import Image

    array = np.random.default_rng(0).random((1, 128, 128), np.float32)
    pair = [Image(np.roll(array, shift, 2), np.eye(4)) for shift in (0, 2)]
    for _ in range(2):
        register_pair(*pair, model)
        yield


def main() -> None:
    """One line per step."""
    before = time.perf_counter()
    for _ in steps():
        now = time.perf_counter()
        print(now - before)
        before = now


if __name__ == "__main__":
    main()
