"""`register_sequence`: one image to every frame of a cine, with one model for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .assemble import Maps, add_segmentation, assemble
from .checks import check_labels
from .choose import choose_model
from .config import RegisterConfig
from .device import resolve_device
from .image import Image, as_image, from_sitk, read_image
from .imagefile import read_file
from .model import RegistrationModel
from .preprocess import to_network_grid
from .progress import Progress
from .register import checked_config, register_pair, run_record, what_ran
from .resample import same_grid
from .result import RegisterResult

_UPRIGHT = 1e-3  # how far the cosine of a slice's angle in space may be off


def read_frames(*paths: str | Path) -> list[Image]:
    """The frames of one file, or one of each file, in order. Of one file the last axis is time: of a 4D one
    these are volumes, of a 3D one, as CAMUS has it, planes.

    Raises ValueError or OSError with one sentence if a file cannot be read, or a single one is no sequence.
    """
    if len(paths) != 1:
        return [read_image(path) for path in paths]
    path = Path(paths[0])
    if not path.is_file():
        raise FileNotFoundError(f"There is no image file {path}.")
    whole = read_file(path)
    if whole.GetDimension() < 3 or whole.GetSize()[-1] < 2:
        raise ValueError(
            f"{path.name} has size {whole.GetSize()}: one 4D file (of planes: 3D) of two frames or more, or "
            "a file for each frame, is accepted."
        )
    if whole.GetDimension() == 3 and abs(abs(whole.GetDirection()[-1]) - 1) > _UPRIGHT:
        raise ValueError(
            f"{path.name} is 3D and its slices lie at an angle in space, where planes in time would lose "
            "their pixel spacing: one 4D file, or a file for each frame, is accepted."
        )
    name = path.name.split(".")[0]
    return [from_sitk(whole[..., t], f"{name} frame {t + 1}") for t in range(whole.GetSize()[-1])]


def register_sequence(
    frames: Iterable[Image | str | Path] | str | Path,
    moving: Image | str | Path,
    model: RegistrationModel | str | Path | None = None,
    config: RegisterConfig | None = None,
    progress: Progress | None = None,
    *,
    moving_seg: Image | str | Path | None = None,
) -> Iterator[RegisterResult]:
    """Register moving, mostly the frame at end-diastole, to each frame: yields a `RegisterResult` of each.

    frames: images or files, at least one, or one 4D file. model: as for `register_pair`; an automatic one is
    chosen once, by the first frame. moving_seg: labels drawn on moving, to carry to every frame. Where a
    frame is the moving image itself nothing moves, and with no residual there is no noise: its maps are 0,
    its weight is 1.

    Raises ValueError or OSError with one sentence: at once on what concerns all frames but the model, and as
    it comes to a frame, which the sentence then names. Cancelled when asked to stop.
    """
    config, progress = checked_config(config), progress or Progress()
    listed = _listed(frames)
    moving = as_image(moving, "moving image")
    if moving_seg is not None:
        moving_seg = as_image(moving_seg, "moving segmentation")
        check_labels(moving_seg, moving, "moving")
    return _each(listed, moving, model, config, progress, moving_seg)


def _listed(frames: Iterable[Image | str | Path] | str | Path) -> Sequence[Image | str | Path]:
    """The frames, in memory where they come one by one, as their number is needed."""
    if isinstance(frames, str | Path):
        return read_frames(frames)
    if not isinstance(frames, Iterable):
        raise ValueError(
            f"frames is a {type(frames).__name__}: one 4D file, or images or files in order, are accepted."
        )
    listed = list(frames)
    if not listed:
        raise ValueError("The sequence has no frames: at least one is accepted.")
    return listed


def _each(
    frames: Sequence[Image | str | Path],
    moving: Image,
    model: RegistrationModel | str | Path | None,
    config: RegisterConfig,
    progress: Progress,
    moving_seg: Image | None,
) -> Iterator[RegisterResult]:
    """The result of each frame, as it comes to it."""
    raised: list[BaseException] = []  # by the caller's own callbacks
    chosen: tuple[RegistrationModel, list[str]] | None = None
    for i, given in enumerate(frames):
        part = _numbered(progress.part(i / len(frames), (i + 1) / len(frames)), i, len(frames), raised)
        with _named(i, len(frames), raised):
            frame = as_image(given, "fixed image")
        chosen = chosen or choose_model(config.model if model is None else model, frame, config)
        with _named(i, len(frames), raised):
            result = _register(frame, moving, chosen[0], config, part, moving_seg)
        yield replace(result, summary=result.summary | {"notes": chosen[1] + result.summary["notes"]})


@contextmanager
def _named(i: int, count: int, raised: list[BaseException]) -> Iterator[None]:
    """Errors in here name the frame, but for those that the caller's own callbacks raised."""
    try:
        yield
    except (ValueError, OSError) as error:
        if any(error is one for one in raised):
            raise
        kind = OSError if isinstance(error, OSError) else ValueError
        raise kind(f"Frame {i + 1} of {count}: {error}") from error


def _numbered(progress: Progress, i: int, count: int, raised: list[BaseException]) -> Progress:
    """Reports with the number of the frame; what a callback raises is noted, too."""

    def noted(callback: Callable[..., Any]) -> Callable[..., Any]:
        def call(*said: Any) -> Any:
            try:
                return callback(*said)
            except Exception as error:
                raised.append(error)
                raise

        return call

    named = f"Frame {i + 1} of {count}: "
    return Progress(noted(lambda f, m: progress.report(f, named + m)), noted(progress.cancelled))


def _register(
    frame: Image,
    moving: Image,
    model: RegistrationModel,
    config: RegisterConfig,
    progress: Progress,
    moving_seg: Image | None,
) -> RegisterResult:
    if not (same_grid(frame, moving) and np.array_equal(frame.array, moving.array)):
        return register_pair(frame, moving, model, config, progress, moving_seg=moving_seg)
    progress.step(0.0, "This is the moving image")
    result = _unmoved(frame, moving, model, config)
    return result if moving_seg is None else add_segmentation(result, frame, moving_seg, None, moving)


def _unmoved(frame: Image, moving: Image, model: RegistrationModel, config: RegisterConfig) -> RegisterResult:
    """The result of an image and itself: nothing moves, nothing differs."""
    started = time.perf_counter()
    pair = to_network_grid(frame, moving, model.grid, ndim=model.ndim, multiple=model.multiple)
    field, map_ = np.zeros((3, *frame.array.shape), np.float32), np.zeros(frame.array.shape, np.float32)
    inverse = field if config.inverse else None
    result = assemble(
        frame, moving, pair, Maps(field, inverse, map_, map_ + 1, field if model.network.sigma_z else None)
    )
    ran = what_ran(model, resolve_device(config.device), time.perf_counter() - started)
    notes = ["The fixed image is the moving image itself: nothing was registered."]
    summary = result.summary | ran | {"notes": notes}
    return replace(result, summary=summary, record=run_record(model, config, summary, frame, moving))
