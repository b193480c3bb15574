"""The near side of a peer: its worker process, and what it found before, on disk."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import THREADS, TOOLS
from .install import python_of

BENCHMARKS = Path(__file__).parents[2]
LIMIT_SECONDS = 900.0
_THREADS = ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "OPENBLAS_NUM_THREADS")


class Peer:
    """A tool of TOOLS. Its process starts when a pair is not in the cache; close it with `with`.

    A failed pair is tried again in the next run. Changing an adapter's code asks for an empty cache: the key
    is the adapter's name, the settings and the pair.
    """

    def __init__(self, name: str, cache: Path, threads: int = THREADS) -> None:
        self.name, self.tool, self.cache, self.threads = name, TOOLS[name], cache, threads
        self._process: Any = None  # the Popen of the worker
        self._litter: Any = None  # the folder that it works in: some tools leave files there
        self.versions: dict[str, str] = {}  # of the packages that made the last result

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._litter is not None:
            self._litter.cleanup()
            self._litter = None

    def check(self) -> None:
        """Raises OSError with what is missing if the tool is not installed and nothing of it is kept."""
        if any((self.cache / self.tool.adapter).glob("*.npz")):
            return  # perhaps all that is asked for
        with Peer(self.name, self.cache) as trial:
            try:
                trial._start()
            except RuntimeError as error:
                raise OSError(f"{error}: `accuracy.py --install` installs what is missing.") from error

    def register(
        self, fixed: np.ndarray, moving: np.ndarray, spacing: Sequence[float]
    ) -> tuple[np.ndarray, float]:
        """(field, seconds) of a pair, as `peers` says of an adapter.

        Raises RuntimeError with the tool's own words if it fails, OSError if its environment is missing.
        """
        pair = {"fixed": fixed, "moving": moving, "spacing": np.asarray(spacing, np.float64)}
        file = self.cache / self.tool.adapter / f"{self.key(pair)}.npz"
        if not file.exists():
            field, seconds = self.compute(pair)
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(".partial.npz")
            np.savez(partial, field=field, seconds=seconds, versions=json.dumps(self.versions))
            partial.replace(file)
        with np.load(file) as found:
            self.versions.update(json.loads(str(found["versions"])))
            return found["field"], float(found["seconds"])

    def key(self, pair: dict[str, np.ndarray]) -> str:
        """What a result is found by."""
        digest = hashlib.sha256(json.dumps([self.tool.adapter, self.tool.settings], sort_keys=True).encode())
        for name in sorted(pair):
            array = np.ascontiguousarray(pair[name])
            digest.update(f"{name}{array.dtype}{array.shape}".encode() + array.tobytes())
        return digest.hexdigest()[:32]

    def compute(self, pair: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
        """(field, seconds) of {"fixed", "moving", "spacing"} without the cache. Raises as `register`."""
        with tempfile.TemporaryDirectory(prefix="hetreg-peer-") as folder:
            names = {"pair": f"{folder}/pair.npz", "field": f"{folder}/field.npy"}
            np.savez(names["pair"], **pair)
            told = self._ask({**names, "settings": self.tool.settings})
            if "error" in told:
                raise RuntimeError(f"{self.name}: {told['error']}")
            return np.load(names["field"]), told["seconds"]

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._process is None:
            self._start()
            self._exchange(request)  # the first call also loads and compiles, which is not to be timed
        return self._exchange(request)

    def _start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        environment |= dict.fromkeys(_THREADS, str(self.threads)) | {"PYTHONPATH": str(BENCHMARKS)}
        self._litter = tempfile.TemporaryDirectory(prefix="hetreg-peer-")
        command = [str(python_of(self.tool.environment)), "-m", "bench.peers.worker", self.tool.adapter]
        self._process = subprocess.Popen(
            command, cwd=self._litter.name, env=environment, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        told = self._read()
        if "error" in told:
            self.__exit__()
            raise RuntimeError(f"{self.name}: {told['error']}")
        self.versions.update(told["versions"])

    def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise RuntimeError(f"{self.name}: its process ended") from error
        return self._read()

    def _read(self) -> dict[str, Any]:
        """The next answer. Raises RuntimeError if the process ends or takes longer than LIMIT_SECONDS."""
        process = self._process
        watch = threading.Timer(LIMIT_SECONDS, process.kill)
        watch.start()
        try:
            line = process.stdout.readline()
        finally:
            watch.cancel()
        if not line:
            self.__exit__()
            raise RuntimeError(f"{self.name}: its process ended, or took over {LIMIT_SECONDS:.0f} s")
        return json.loads(line)
