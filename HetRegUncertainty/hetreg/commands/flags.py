"""Flags from the fields of a configuration, and a configuration from the flags."""

from __future__ import annotations

import argparse
from argparse import SUPPRESS
from collections.abc import Sequence
from dataclasses import MISSING, fields, replace
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """Wrong flags are bad input as any other: one sentence."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message.rstrip('.')}.")


def add_flags(parser: argparse.ArgumentParser, config: type, *, skip: Sequence[str] = ()) -> None:
    """One flag for each field of a configuration: `weight_mode` gives --weight-mode."""
    for f in fields(config):
        if f.name in skip or f.default is MISSING:
            continue
        flag = "--" + f.name.replace("_", "-")
        text = f"{f.metadata['help']} (default: {f.default})".replace("%", "%%")
        if isinstance(f.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=SUPPRESS, help=text)
        else:
            kind = type(f.default)
            parser.add_argument(flag, type=kind, default=SUPPRESS, choices=f.metadata["choices"], help=text)


def config_from(arguments: argparse.Namespace, config: type, base: Any = None) -> Any:
    """The configuration that the given flags make of a configuration; of the defaults if there is none."""
    given = {f.name: getattr(arguments, f.name) for f in fields(config) if hasattr(arguments, f.name)}
    return replace(base or config(), **given)
