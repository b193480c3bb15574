"""The page of the command line names what the commands take and write, and the glossary what they print."""

from __future__ import annotations

import re
import shlex

from hetreg import cli, result
from hetreg.evaluation import results
from hetreg.registry import METRICS


def test_the_commands_of_the_page_are_accepted(root):
    page = (root / "docs" / "command-line.md").read_text(encoding="utf-8")
    commands = [shlex.split(line) for line in page.splitlines() if line.startswith("hetreg ")]
    assert {words[1] for words in commands} == set(cli.COMMANDS)
    for words in commands:
        assert cli.parser().parse_args(words[1:]).command == words[1]


def test_every_file_that_is_written_has_its_line(root):
    page = (root / "docs" / "command-line.md").read_text(encoding="utf-8")
    rows = "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    for name in (*result._IMAGES, *result._OTHERS, *results.FILES):
        assert f"`{name}`" in rows, name
    (of_phantom,) = (line for line in page.splitlines() if line.startswith("| `phantom`"))
    for name in ("fixed", "moving", "body", "phantom.json"):
        assert f"`{name}`" in of_phantom, name


def test_the_glossary_has_every_metric_as_the_program_prints_it(root):
    glossary = (root / "docs" / "glossary.md").read_text(encoding="utf-8")
    terms = " ".join(re.findall(r"\*\*([^*]+)\*\*", glossary))
    for metric in METRICS.values():
        term = re.split(r" in mask| \(| \d|,", metric.label)[0]
        assert re.search(rf"\b{term}\b", terms), term
