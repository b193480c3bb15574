"""`hetreg models`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from .. import zoo
from ..progress import JsonLines

HELP = "List the models."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(arguments: argparse.Namespace) -> None:
    """Print the list."""
    cards = zoo.list_models()
    if arguments.json:
        JsonLines(sys.stdout).event("models", models=[asdict(card) for card in cards])
        return
    width = max((len(card.name) for card in cards), default=0)
    for card in cards:
        print(f"{card.name:{width}} {card.ndim}D  {card.bytes / 1e6:5.2f} MB  {card.description}")
