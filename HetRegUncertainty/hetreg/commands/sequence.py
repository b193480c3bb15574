"""`hetreg sequence`."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import RegisterConfig
from ..files import whole_file
from ..lock import FolderLock
from .console import output_folder, progress_for, written
from .flags import add_flags, config_from

if TYPE_CHECKING:
    from ..result import RegisterResult

HELP = "Register one frame of a cine to every other one."
NUMBERS = "frames.csv"
_TEXTS = ("device", "dimension", "model", "notes")  # of a summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument(
        "--frames",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="a 4D file (of planes: 3D), or one per frame",
    )
    parser.add_argument(
        "--moving-frame",
        type=int,
        default=1,
        metavar="N",
        help="the frame that is moved, from 1 on (default: 1)",
    )
    parser.add_argument("--moving-seg", type=Path, help="labels of that frame, to carry to every other one")
    parser.add_argument("--output", type=Path, required=True, help="folder; each frame gets a subfolder")
    add_flags(parser, RegisterConfig)


def run(arguments: argparse.Namespace) -> None:
    """Register frame by frame; what is done is written, also where a later frame fails."""
    from ..sequence import read_frames, register_sequence

    frames, n = read_frames(*arguments.frames), arguments.moving_frame
    if not 1 <= n <= len(frames):
        raise ValueError(f"--moving-frame is {n}: 1 to {len(frames)} is accepted.")
    config, progress = config_from(arguments, RegisterConfig), progress_for(arguments)
    files: dict[str, Path] = {}
    rows: list[dict[str, Any]] = []
    notes: dict[str, list[int]] = {}
    with output_folder(arguments.output), FolderLock(arguments.output):
        _check_free(arguments.output)
        results = register_sequence(
            frames, frames[n - 1], None, config, progress, moving_seg=arguments.moving_seg
        )
        for i, result in enumerate(results):
            name = f"frame-{i + 1:0{max(2, len(str(len(frames))))}d}"
            for kind, path in result.save(arguments.output / name).items():
                files[f"{name}/{kind}"] = path
            rows.append({"frame": i + 1} | _numbers(result))
            for note in result.summary["notes"]:
                notes.setdefault(note, []).append(i + 1)
            files["frames"] = _write(rows, arguments.output / NUMBERS)
    said = [told(note, of, len(rows)) for note, of in notes.items()]
    if len(arguments.frames) == 1 and frames[0].is_2d:
        name = arguments.frames[0].name
        said.insert(0, f"{name} is 3D: its {len(frames)} slices are taken as frames in time.")
    lines = [*extremes(rows), *(f"note: {note}" for note in said)]
    written(arguments, files, lines, frames=len(rows), notes=said)


def told(note: str, frames: list[int], count: int) -> str:
    """A note with the frames that it is about, "2 to 5, 9", where it is not about all."""
    if len(frames) == count:
        return note
    spans: list[list[int]] = []
    for frame in frames:
        if spans and frame == spans[-1][-1] + 1:
            spans[-1][1:] = [frame]
        else:
            spans.append([frame])
    listed = ", ".join(" to ".join(map(str, span)) for span in spans)
    return f"Frame{'s' * (len(frames) > 1)} {listed}: {note}"


def _check_free(folder: Path) -> None:
    """Frames of a former run that had more of them would stay beside those of this one."""
    if found := sorted(path.name for path in (*folder.glob("frame-*"), *folder.glob(NUMBERS))):
        raise ValueError(
            f"{folder} already has {found[0]}: a folder without the frames of an earlier run is accepted."
        )


def _numbers(result: RegisterResult) -> dict[str, Any]:
    """Volumes of the moved labels, ml, of planes areas, cm2, and the numbers of the summary."""
    from ..metrics.overlap import is_plane, sizes

    labels = result.moved_seg
    found = sizes(labels.array, labels.spacing_mm) if labels is not None else {}
    name = "area_{}_cm2" if is_plane(result.moved.array.shape) else "volume_{}_ml"
    numbers = {k: v for k, v in result.summary.items() if k not in _TEXTS}
    return {name.format(label): size for label, size in found.items()} | numbers


def extremes(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The largest and the smallest volume, or area, of each label, with their frames."""
    for name in dict.fromkeys(name for row in rows for name in row if name.endswith(("_ml", "_cm2"))):
        found = [(row.get(name, 0.0), row["frame"]) for row in rows]
        (most, first), (least, last) = max(found, key=lambda v: v[0]), min(found, key=lambda v: v[0])
        what, label, unit = name.split("_")
        yield (
            f"{f'{what} label {label}':22} {most:.5g} {unit} (frame {first}) to {least:.5g} {unit} "
            f"(frame {last})"
        )


def _write(rows: list[dict[str, Any]], path: Path) -> Path:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names, restval=0.0, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path
