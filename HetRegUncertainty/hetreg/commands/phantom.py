"""`hetreg phantom`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..registry import PHANTOMS
from .console import keep_files_of_others, output_folder, written

HELP = "Write a simulated pair with its true field and noise variance."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("--kind", choices=PHANTOMS, default="mri2d", help="what to simulate (default: mri2d)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same pair (default: 0)")
    parser.add_argument("--size", type=int, help="voxels per side (default: 128 in 2D, 64 in 3D)")
    text = "slices of a short-axis stack (mri2d; default: 1)"
    parser.add_argument("--slices", type=int, default=1, help=text)
    parser.add_argument("--output", type=Path, required=True, help="folder for the files")


def run(arguments: argparse.Namespace) -> None:
    """Make the pair and write it."""
    from ..datasets.phantom import FILES, make_pair, save_pair

    if arguments.seed < 0:
        raise ValueError(f"--seed is {arguments.seed}: a whole number from 0 is accepted.")
    with output_folder(arguments.output):
        keep_files_of_others(arguments.output, FILES, "phantom.json", "seed")
        pair = make_pair(arguments.kind, arguments.seed, size=arguments.size, slices=arguments.slices)
        files = save_pair(pair, arguments.output)
    written(arguments, files)
