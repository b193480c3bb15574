"""Slicer glue of HetReg: between MRML, Qt and the core `hetreg`. Nothing here imports torch at file scope."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (Slicer 5.8 has 3.9)
    raise ImportError(
        "HetReg Uncertainty and HetReg Training need 3D Slicer 5.10 or newer, with Python 3.11 or newer: "
        f"this one has Python {sys.version_info[0]}.{sys.version_info[1]}."
    )
