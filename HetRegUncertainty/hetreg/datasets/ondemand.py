"""Samples that are made when they are looked at: any number of phantoms in a fixed amount of memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from .base import PairSample

_ARRAYS = ("fixed", "moving", "fixed_label", "moving_label", "true_variance", "true_disp", "spacing_mm")


class Kept:
    """make(n) -> sample, the last `most` kept. For several threads: training draws while it validates."""

    def __init__(self, make: Callable[[int], PairSample], most: int) -> None:
        self._make, self._most = make, max(1, most)
        self._samples: OrderedDict[int, PairSample] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._samples)

    def get(self, n: int) -> PairSample:
        """The sample, from before or made now."""
        with self._lock:
            if n in self._samples:
                self._samples.move_to_end(n)
                return self._samples[n]
        sample = self._make(n)
        with self._lock:
            self._samples[n] = sample
            while len(self._samples) > self._most:
                self._samples.popitem(last=False)
        return sample


class OnDemand(PairSample):
    """A phantom whose arrays are made when one of them is first asked for; its name is known before."""

    def __init__(self, kept: Kept, n: int, name: str, ndim: int) -> None:
        for field, value in (("patient", name), ("case", name), ("split", ""), ("simulated", True)):
            object.__setattr__(self, field, value)
        object.__setattr__(self, "_source", (kept, n))
        object.__setattr__(self, "_ndim", ndim)

    @property
    def ndim(self) -> int:
        """2 or 3, without making the pair."""
        return int(self._ndim)

    def __getattribute__(self, name: str) -> Any:
        if name not in _ARRAYS:
            return super().__getattribute__(name)
        kept, n = super().__getattribute__("_source")
        return getattr(kept.get(n), name)
