"""What an error says in one line, and whether it is for a lack of memory, a lack of readers, or the path."""

from __future__ import annotations

import errno
import re
import sys
from pathlib import Path

# PyTorch has a type for it on NVIDIA's GPUs alone; the first words are those of all GPUs, the last ones
# those of the loader of libraries, before them SimpleITK's, the rest the CPU's.
_NO_MEMORY = (
    "out of memory",
    "not enough memory",
    "DefaultCPUAllocator",
    "Failed to allocate memory",
    "failed to map segment",
    "Cannot allocate memory",
)
# The system's words, in its language, then PyTorch's.
_UNLOADED = re.compile(r"\[WinError (126|127|1114)\].*Error loading", re.DOTALL)
_LONG = 220  # letters; Windows mostly takes 259, also for what a file is called until it is whole
_REMEDY = " Is Microsoft's Visual C++ Redistributable (https://aka.ms/vc14/vc_redist.x64.exe) missing or old?"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the memory of the computer or of its GPU was not enough."""
    said = isinstance(error, RuntimeError | ImportError) and any(words in str(error) for words in _NO_MEMORY)
    return said or isinstance(error, MemoryError)


def is_unread(error: BaseException) -> bool:
    """Whether nobody is left to read what was written. For that Windows mostly has the reason of an invalid
    argument (issue 79935 of Python)."""
    invalid = sys.platform == "win32" and isinstance(error, OSError) and error.errno == errno.EINVAL
    return isinstance(error, BrokenPipeError) or invalid


def sentence(error: BaseException) -> str:
    """An error in one line; with its type where it is none of ours."""
    if isinstance(error, ModuleNotFoundError):
        return f"The Python package '{error.name}' is missing."
    if is_out_of_memory(error):
        return "There is too little memory."
    text, name = " ".join(str(error).split()), type(error).__name__
    if not text:
        return f"{name}."
    return text if isinstance(error, ValueError | OSError) else f"{name}: {text}"


def with_remedy(text: str) -> str:
    """What an error says, with what mostly helps where Windows cannot load a library of PyTorch, once."""
    return text.removesuffix(_REMEDY) + _REMEDY if _UNLOADED.search(text) else text


def printable(text: str) -> str:
    """The text with what is not UTF-8 in it, as in the names of files out of old archives, as \\udce4."""
    return text.encode(errors="backslashreplace").decode()


def doubtful_path(path: Path) -> str:
    """Further reasons, for the end of a list, why a file may fail on Windows; else ""."""
    text, reasons = str(path.absolute()), ""
    if sys.platform == "win32" and not text.isascii():  # by SimpleITK
        reasons += ", or its path, with letters beyond ASCII, not understood"
    if sys.platform == "win32" and len(text) > _LONG:
        reasons += f", or its path of {len(text)} letters too long"
    return reasons
