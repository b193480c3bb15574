"""Flags from the fields of a configuration, and a configuration from the flags."""

from __future__ import annotations

import argparse
from argparse import SUPPRESS
from dataclasses import MISSING, fields, replace
from typing import Any, NoReturn

from ..config import DataConfig
from ..registry import DATASETS


class Parser(argparse.ArgumentParser):
    """Wrong flags are bad input as any other: one sentence."""

    def error(self, message: str) -> NoReturn:
        found, choose, accepted = message.rstrip(".").partition("(choose from ")
        names = accepted.replace("'", "")  # quoted up to Python 3.11
        raise ValueError(f"{found}{choose}{names}.")


def add_flags(parser: argparse.ArgumentParser, config: type) -> None:
    """One flag for each field of a configuration: `weight_mode` gives --weight-mode."""
    for f in fields(config):
        if f.default is MISSING:
            continue
        flag = "--" + f.name.replace("_", "-")
        several = isinstance(f.default, tuple)
        shown = " ".join(map(str, f.default)) if several else f.default
        text = f.metadata["help"] + (f" (default: {shown})" if shown != "" else "")
        text = text.replace("%", "%%")
        if isinstance(f.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=SUPPRESS, help=text)
        else:
            kind = type((f.default or ("",))[0] if several else f.default)
            choices, count = f.metadata["choices"], "+" if several else None
            action = "extend" if several else "store"  # the flag may come twice
            parser.add_argument(
                flag, action=action, type=kind, nargs=count, default=SUPPRESS, choices=choices, help=text
            )


def config_from(arguments: argparse.Namespace, config: type, base: Any = None) -> Any:
    """The configuration that the given flags make of a configuration; of the defaults if there is none."""
    given = {f.name: getattr(arguments, f.name) for f in fields(config) if hasattr(arguments, f.name)}
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    return config(**values) if base is None else replace(base, **values)


def check_root(config: DataConfig) -> None:
    """Raises ValueError on a data folder of which nothing would be read. Not a part of the configuration:
    runs of earlier versions have one, and go on."""
    if config.root and set(config.dataset.split("+")) == {"phantom"}:
        raise ValueError(
            f"root is '{config.root}' and dataset {config.dataset}, which reads no folder: with a root a "
            f"dataset of {', '.join(name for name in DATASETS if name != 'phantom')} is accepted."
        )
