"""What the configurations accept beside the names in the registry, mostly with what each means."""

from __future__ import annotations

import re


class _Devices(tuple[str, ...]):
    """Also "cuda:0", "cuda:1" and so on, where a machine has several GPUs."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or bool(re.fullmatch(r"cuda:\d+", str(name)))


DEVICES = _Devices(("auto", "cpu", "cuda", "mps"))
INTEGRATE = {
    "auto": "as in the paper: all but TransMorph",
    "yes": "output is a velocity",
    "no": "output is the displacement",
}
DECAYS = {
    "cosine": "to 2 % by a cosine",
    "poly": "(1 - epoch / epochs)^0.9, as TransMorph",
    "none": "constant",
}
MOST_BLIND = 0.5  # of the voxels; with more hidden too little is seen
MOST_PHANTOMS = 10**6
DIMENSIONS = ("auto", "2d", "3d")
SPREADS = ("velocity", "displacement")
SMOOTH = {"displacement": "the displacement", "velocity": "the velocity on its own grid"}
SPLITS = {"test": "test", "train": "training", "val": "validation", "all": ""}
PROTOCOLS = {"native": "files as they are", "published": "prepared as in the paper"}
