"""What every configuration can: it is checked when made, saved as JSON, and the source of the CLI's flags.

Torch-free. Each field's metadata has `help` and, where the values are few, `choices`.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import sys
from collections.abc import Collection, Iterable
from dataclasses import asdict, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from .files import write_whole

T = TypeVar("T", bound="Config")
_MANY = 20  # more names than a sentence takes


def option(default: Any, help_text: str, choices: Collection[str] | None = None) -> Any:
    """A dataclass field with its help and accepted values. Of a table the names count that are in it when a
    configuration is made, so that it can be added to."""
    return field(default=default, metadata={"help": help_text, "choices": choices})


def command_line(words: Iterable[object]) -> str:
    """A command as it can be pasted into the shell of this system; on Windows either one."""
    texts = [str(word) for word in words]
    if sys.platform != "win32":
        return shlex.join(texts)
    plain = re.compile(r"[\w.:/\\=+-]+")
    return " ".join(text if plain.fullmatch(text) else f'"{text}"' for text in texts)


class Config:
    """Checks, JSON and dictionary conversion shared by the configurations, which are frozen dataclasses."""

    def __post_init__(self) -> None:
        """Make the values those that JSON has, and check their kinds and choices. Raises ValueError."""
        for f in fields(self):  # type: ignore[arg-type]
            value = _plain(getattr(self, f.name), f.default)
            _check_kind(f.name, value, f.default)
            object.__setattr__(self, f.name, value)
        self._check_choices()

    def _check_choices(self) -> None:
        for f in fields(self):  # type: ignore[arg-type]
            choices, value = f.metadata.get("choices"), getattr(self, f.name)
            values = value if isinstance(value, tuple) else (value,)
            if choices and (wrong := [v for v in values if v not in choices]):
                raise ValueError(f"{f.name} is '{wrong[0]}': accepted are {', '.join(choices)}.")

    def _check_min(self, **minimum: float) -> None:
        defaults = {f.name: f.default for f in fields(self)}  # type: ignore[arg-type]
        for name, low in minimum.items():
            value, whole = getattr(self, name), isinstance(defaults[name], int)
            kind = int if whole else int | float
            if not isinstance(value, kind) or isinstance(value, bool) or not low <= value < math.inf:
                number = "whole number" if whole else "number"
                raise ValueError(f"{name} is {value!r}: a {number} of at least {low} is accepted.")

    def _check_max(self, **maximum: float) -> None:
        for name, high in maximum.items():
            if getattr(self, name) > high:
                raise ValueError(f"{name} is {getattr(self, name)!r}: at most {high} is accepted.")

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary, ready for JSON."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls: type[T], values: dict[str, Any]) -> T:
        """The configuration in a dictionary. Raises ValueError on a name that it does not have, or on a value
        of another kind."""
        known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(
                f"{cls.__name__} has no {', '.join(unknown)}: accepted are {_some(unknown, known)}."
            )
        return cls(**values)

    @classmethod
    def checked(cls: type[T], given: object) -> T:
        """What was given, if it is just such a configuration. Raises ValueError for anything else."""
        if type(given) is not cls:  # one of a derived class has fields that nothing here would read
            raise ValueError(f"config is a {type(given).__name__}: a {cls.__name__} is accepted.")
        return given

    def save(self, path: str | Path) -> None:
        """Write as JSON. Raises OSError in one sentence; what was there before then stays."""
        write_whole(Path(path), json.dumps(self.to_dict(), indent=2) + "\n")

    @classmethod
    def load(cls: type[T], path: str | Path) -> T:
        """Read from JSON. Raises FileNotFoundError, or ValueError if the file is not such a configuration."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"There is no configuration file {path}.")
        try:
            values = json.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path.name} is not a JSON file ({error}).") from error
        if not isinstance(values, dict):
            raise ValueError(f"{path.name} holds a {type(values).__name__}: a JSON object is accepted.")
        return cls.from_dict(values)


_KINDS = {bool: "true or false", str: "a text", tuple: "a list"}  # numbers: `_check_min`


def _plain(value: Any, default: Any) -> Any:
    """A path as a text, a number of NumPy as one of Python, a list as a tuple where the default is one."""
    if isinstance(default, tuple) and isinstance(value, list | tuple):
        return tuple(_plain(v, None) for v in value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value


def _check_kind(name: str, value: Any, default: Any) -> None:
    kind = type(default)
    if kind in _KINDS and not isinstance(value, kind):
        shown = list(value) if isinstance(value, tuple) else value
        raise ValueError(f"{name} is {shown!r}: {_KINDS[kind]} is accepted.")


def _some(unknown: list[str], known: Iterable[str]) -> str:
    """The known names; of many, those that are most like the unknown ones."""
    names = list(known)
    if len(names) <= _MANY:
        return ", ".join(names)
    near = [n for name in unknown for n in get_close_matches(name, names, 4, 0.0)]
    return f"{', '.join(dict.fromkeys(near))} and {len(names) - len(set(near))} others, which --help lists"
