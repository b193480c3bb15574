"""One tool in a process of its own: a line of JSON in, a line of JSON out, the arrays in files.

python -m bench.peers.worker ADAPTER        (in Testing/benchmarks, by the tool's own environment)
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np


def answer(adapter: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Register one pair; the seconds are those of the call alone."""
    with np.load(request["pair"]) as pair:
        fixed, moving, spacing = pair["fixed"], pair["moving"], tuple(pair["spacing"].tolist())
    began = time.perf_counter()
    disp = np.asarray(adapter.register(fixed, moving, spacing, **request["settings"]), np.float32)
    seconds = time.perf_counter() - began
    if disp.shape != (fixed.ndim, *fixed.shape) or not np.isfinite(disp).all():
        return {"error": f"the field has shape {disp.shape} or is not finite"}
    np.save(request["field"], disp)
    return {"seconds": seconds}


def main() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the tools print is no answer
    try:
        adapter = importlib.import_module(f"bench.peers.{sys.argv[1]}")
        answers.write(json.dumps({"versions": {name: version(name) for name in adapter.PACKAGES}}) + "\n")
    except ImportError as error:
        answers.write(json.dumps({"error": str(error)}) + "\n")
        return
    for line in sys.stdin:
        try:
            told = answer(adapter, json.loads(line))
        except Exception as error:  # whatever a foreign tool raises becomes a row of the table
            told = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
