"""Samples that are made when they are looked at: any number of phantoms in a fixed amount of memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from .base import ARRAYS, PairSample


class Kept:
    """make(n) -> sample, the last `most` kept. For several threads: training draws while it validates."""

    def __init__(self, make: Callable[[int], PairSample], most: int) -> None:
        self._make, self._most = make, max(1, most)
        self._samples: OrderedDict[int, PairSample] = OrderedDict()
        self._lock = threading.Lock()

    def share(self, parts: int) -> None:
        """Keep that part of what was kept: one of so many copies of it in as many processes."""
        self._most = max(1, self._most // parts)

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

    _n: int
    _ndim: int
    kept: Kept

    def __init__(self, kept: Kept, n: int, name: str, ndim: int) -> None:
        known = {"patient": name, "case": name, "split": "", "simulated": True}
        for field, value in (known | {"kept": kept, "_n": n, "_ndim": ndim}).items():
            object.__setattr__(self, field, value)

    @property
    def ndim(self) -> int:
        """2 or 3, without making the pair."""
        return self._ndim

    @property
    def made(self) -> PairSample:
        """The pair with its arrays, for one who needs several: one asked for here may make the pair anew."""
        return self.kept.get(self._n)


def _made(name: str) -> property:
    return property(lambda self: getattr(self.made, name))


for _name in (*ARRAYS, "spacing_mm"):
    setattr(OnDemand, _name, _made(_name))
