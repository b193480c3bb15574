"""`hetreg register`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..config import RegisterConfig
from .console import keep_files_of_others, output_folder, progress_for, summary_lines, written
from .flags import add_flags, config_from

HELP = "Register a moving image to a fixed one."
_FILES = {
    "--fixed": "fixed image (end-systole)",
    "--moving": "moving image (end-diastole)",
    "--moving-seg": "labels of the moving image, to carry along",
    "--fixed-seg": "labels of the fixed image, for the Dice before and after",
    "--output": "folder for the results",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    for flag, text in _FILES.items():
        parser.add_argument(flag, type=Path, required=not flag.endswith("-seg"), help=text)
    add_flags(parser, RegisterConfig)


def run(arguments: argparse.Namespace) -> None:
    """Register and write the files."""
    from ..register import register_pair
    from ..result import FILES

    segs = {name: getattr(arguments, name) for name in ("moving_seg", "fixed_seg")}
    config, progress = config_from(arguments, RegisterConfig), progress_for(arguments)
    with output_folder(arguments.output):
        keep_files_of_others(arguments.output, FILES, "report.json", "record")
        replaced = {arguments.output.resolve() / name for name in FILES}
        for path in filter(None, (arguments.fixed, arguments.moving, *segs.values())):
            if path.resolve() in replaced:
                raise ValueError(
                    f"{path} would be replaced by the result: another output folder is accepted."
                )
        result = register_pair(arguments.fixed, arguments.moving, None, config, progress, **segs)
        files = result.save(arguments.output)
    written(arguments, files, summary_lines(result.summary), summary=result.summary)
