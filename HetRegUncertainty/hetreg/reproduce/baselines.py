"""The two baselines that train nothing: no displacement at all, and elastix."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Timer

import numpy as np
import torch

from ..assemble import result_from_field
from ..checks import check_pair
from ..config import GridConfig
from ..evaluation.case import Case
from ..image import Image
from ..preprocess import choose_dimension, to_network_grid
from ..result import RegisterResult

_ANSWER = "hetreg "
_LIMIT_S = 3600.0  # for one sample, which takes seconds: a reproduction runs for days with nobody there


def undeformed(case: Case) -> RegisterResult:
    """The moving image where it is."""
    shape = (3, *case.fixed.array.shape)
    return result_from_field(case.fixed, case.moving, np.zeros(shape, np.float32))


class Elastix:
    """Registers cases with elastix in a process of its own, slice by slice or as a volume as the networks do.

    python: an interpreter that has itk-elastix; "" is this one. A context manager; the process ends with it.
    """

    def __init__(self, python: str = "") -> None:
        python = str(Path(python).absolute()) if Path(python).name != python else python
        self._command = [
            python or sys.executable,
            str(Path(__file__).absolute().with_name("elastix_worker.py")),
        ]
        self._process: subprocess.Popen[str] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Elastix:
        return self

    def __exit__(self, *_error: object) -> None:
        self._end()
        if self._folder is not None:
            self._folder.cleanup()

    def __call__(self, case: Case) -> RegisterResult:
        """Raises ValueError in one sentence if elastix fails, OSError if it cannot be started."""
        check_pair(case.fixed, case.moving)
        return result_from_field(case.fixed, case.moving, self.field(case.fixed, case.moving))

    def field(self, fixed: Image, moving: Image) -> np.ndarray:
        """(3, K, J, I) displacement in voxels on the fixed grid."""
        pair = to_network_grid(fixed, moving, GridConfig(), ndim=choose_dimension(fixed)[0], multiple=1)
        images = zip(pair.fixed[:, 0].numpy(), pair.moving[:, 0].numpy(), strict=True)
        return pair.field_to_image(torch.from_numpy(np.stack([self._one(*images_) for images_ in images])))

    def _one(self, fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
        """(ndim, *spatial) of one sample; zero where an image has no content."""
        if np.ptp(fixed) == 0 or np.ptp(moving) == 0:
            return np.zeros((fixed.ndim, *fixed.shape), np.float32)
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="hetreg-elastix-")
        folder = Path(self._folder.name)
        np.savez(folder / "pair.npz", fixed=fixed, moving=moving)
        task = {"pair": str(folder / "pair.npz"), "disp": str(folder / "disp.npy")}
        answer = self._ask(json.dumps(task), folder)
        if answer != "ok":
            raise ValueError(f"elastix failed: {answer.removeprefix('error ').rstrip('.')}.")
        return np.load(folder / "disp.npy")

    def _ask(self, line: str, folder: Path) -> str:
        """The answer of the process to a line; it is started anew if it has died. folder: where it works, as
        transformix writes a file wherever it is."""
        if self._process is None or self._process.poll() is not None:
            try:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    encoding="utf-8",
                    cwd=folder,
                )
            except OSError as error:
                raise OSError(f"{self._command[0]} could not be started: {error.strerror}.") from error
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise OSError("The process of elastix has no pipes.")
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
        except OSError:  # it has ended
            return "error its process ended"
        limit = Timer(_LIMIT_S, process.kill)
        limit.start()
        try:
            for answer in process.stdout:
                if answer.startswith(_ANSWER):
                    return answer.removeprefix(_ANSWER).strip()
        finally:
            limit.cancel()
        process.kill()
        process.wait()  # so that the next call starts another
        return f"error its process ended, or took over {_LIMIT_S:g} s"

    def _end(self) -> None:
        if self._process is not None:
            if self._process.stdin is not None:
                with suppress(OSError):  # what it did not read any more, as it has ended
                    self._process.stdin.close()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
