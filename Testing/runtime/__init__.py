"""A stand-in for Slicer's Qt layer over real MRML. Green here is not "runs in Slicer": see README.md."""

from .bring_up import (
    errors,
    grab,
    load_module,
    load_modules,
    process_events,
    reset,
    run,
    screenshot,
    start,
    wait,
    without_window,
)
from .dialogs import answer
from .sample_data import click_sample

__all__ = [
    "answer",
    "click_sample",
    "errors",
    "grab",
    "load_module",
    "load_modules",
    "process_events",
    "reset",
    "run",
    "screenshot",
    "start",
    "wait",
    "without_window",
]
