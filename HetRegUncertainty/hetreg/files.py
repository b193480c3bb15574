"""Files and sets of files that are there whole or not at all, also for another process that reads them, logs
that may end in the middle of a line, checksums, and damaged archives."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import doubtful_path, printable
from .interrupt import whole_step

PATIENCE_S, _LOOK_S = 3.0, 0.05
_OLD_S = 600.0  # writing takes seconds
PARTIAL = ".partial-"  # begins the names of what is not whole yet


def unwritten(path: Path) -> OSError:
    """The sentence for a file that could not be written."""
    return OSError(
        f"{path} could not be written: is the disk full, the folder read-only or moved, or a file open in "
        f"another program{doubtful_path(path)}?"
    )


def in_utf8(path: Path) -> str:
    """The path as SimpleITK takes it. Raises ValueError where it is not UTF-8: there SimpleITK ends the
    process."""
    given = str(path)
    if (shown := printable(given)) != given:
        raise ValueError(f"The path {shown} is not in UTF-8: rename the file or folder, UTF-8 is accepted.")
    return given


def patiently(act: Callable[..., object], *arguments: object) -> None:
    """Rename, remove or open a file; again and again for some seconds while that is not permitted: Windows
    does not permit it while another program, as a virus scanner, has the file open. Raises OSError."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            act(*arguments)
            return
        except PermissionError:
            if time.monotonic() >= until:
                raise
        time.sleep(_LOOK_S)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """The name beside the target to write to; at the end it becomes the target.

    Raises OSError in one sentence where writing raises that, or RuntimeError as PyTorch and SimpleITK do;
    then, and when the user interrupts, what was there before stays and nothing lies beside it.
    """
    kind = "".join(end for end in path.suffixes[-2:] if len(end) < 8)  # SimpleITK writes by it
    partial = path.with_name(f"{PARTIAL}{secrets.token_hex(4)}{kind}")  # nobody can lay a link there
    try:
        mode = 0o600 if path.exists() else 0o666  # what replaces a private file is private from the start
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        yield partial
        _keep_mode(path, partial)
        patiently(partial.replace, path)
    except (OSError, RuntimeError) as error:
        raise unwritten(path) from error
    finally:
        with suppress(OSError):  # mostly it is the target by now
            partial.unlink()


def _keep_mode(former: Path, new: Path) -> None:
    """Who may read and write the new file is as it was for the one that it replaces, if there is one. Its
    owner can write in any case: a log goes on. Windows has no such bits."""
    if sys.platform != "win32" and former.exists():
        with suppress(OSError):  # nor have some file systems
            new.chmod(stat.S_IMODE(former.stat().st_mode) | stat.S_IWUSR)


def write_whole(path: Path, text: str) -> None:
    """Write a text file. Raises OSError in one sentence; what was there before then stays."""
    with whole_file(path) as partial:
        partial.write_text(printable(text), encoding="utf-8", newline="\n")


@contextmanager
def whole_folder(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """A folder to write files to; at the end they take the place of all of these names in `folder`, which is
    made if it is missing. Ctrl-C waits while they do; a kill in that moment leaves new files and old ones.

    Raises OSError in one sentence where that cannot be written, or where a name is a folder or a file that is
    open in another program; what was there before then stays. If only a name could not be taken, the sentence
    says where the new files are.
    """
    partial = folder / f"{PARTIAL}{secrets.token_hex(4)}"
    with ExitStack() as end:
        end.callback(shutil.rmtree, partial, ignore_errors=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            partial.mkdir(mode=0o700)
        except OSError as error:
            raise unwritten(folder) from error
        try:
            yield partial
        except OSError as error:
            said = OSError(str(error).replace(str(partial), str(folder)))
            raise (unwritten(folder) if error.errno else said) from error
        try:
            with whole_step():
                _take_names(partial, folder, names)
        except OSError as error:
            end.pop_all()
            name = Path(error.filename or folder).name
            raise OSError(
                f"{folder / name} could not be replaced (is it open in another program?): the new files are "
                f"in {_kept(partial)}."
            ) from error
        remove_leftovers(folder)


def _kept(partial: Path) -> Path:
    """The folder under a name that nothing removes."""
    path = partial.with_name(partial.name.replace(PARTIAL, "new-files-"))
    try:
        patiently(partial.rename, path)
    except OSError:
        return partial
    return path


def remove_leftovers(folder: Path, age_s: float = _OLD_S) -> None:
    """Remove what killed processes left in a folder, if it was last changed so long ago, a set of files ten
    minutes in any case: what is younger may belong to a process that is at work."""
    for left in folder.glob(f"{PARTIAL}*"):
        with suppress(OSError):
            age, is_set = time.time() - left.lstat().st_mtime, left.is_dir() and not left.is_symlink()
            if is_set and age >= max(age_s, _OLD_S):
                shutil.rmtree(left)
            elif not is_set and age >= age_s:
                left.unlink()


def _take_names(new: Path, folder: Path, names: Iterable[str]) -> None:
    """Bring the files of `new` to `folder` in place of all of these names. Raises OSError, mostly before the
    first is replaced: Windows moves no file that another program has open, not even onto itself."""
    # .json first: by it the set is known as ours, should the process be killed before the last one
    made = sorted((path.name for path in new.iterdir()), key=lambda name: not name.endswith(".json"))
    former = [path for name in {*names, *made} if (path := folder / name).exists()]
    for path in former:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        with suppress(FileNotFoundError):
            patiently(path.replace, path)
            _keep_mode(path, new / path.name)
    for name in made:
        patiently((new / name).replace, folder / name)
    for path in former:
        if path.name not in made:
            path.unlink(missing_ok=True)


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a log of JSON lines, without a line that a kill cut off or that is damaged; none where
    there is no file."""
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        with suppress(ValueError):
            rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict)]


def check_parts(path: Path) -> None:
    """Raises ValueError if a part of a ZIP archive, as PyTorch writes them, is not what its checksum says:
    PyTorch reads such a part without a word. Or if one is compressed, as PyTorch writes none: a small file
    could then fill the memory. Other files are left to the one who reads them."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [p for p in archive.infolist() if p.compress_type != zipfile.ZIP_STORED]
            broken = None if packed else archive.testzip()
    except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise ValueError(f"{path.name} is a damaged archive.") from error
    if packed:
        raise ValueError(
            f"{path.name} is compressed: a file as PyTorch writes it, uncompressed, is accepted."
        )
    if broken:
        raise ValueError(f"{path.name} is damaged in {broken}.")
