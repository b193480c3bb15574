"""What the documents name is there: linked files, commands and their flags, entries of the panel."""

from __future__ import annotations

import re
import shlex
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from hetreg import cli, zoo
from hetreg.commands.flags import config_from
from hetreg.reproduce.config import ReproduceConfig
from hetreg.reproduce.documents import title

MODULES = ("HetRegUncertainty", "HetRegTraining")
ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", *PAGES)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files_and_headings(root, name):
    text = (root / name).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for target in targets:
        if not target.startswith("https://"):
            file, _, anchor = target.partition("#")
            path = (root / name).parent / file if file else root / name
            assert path.exists(), target
            assert not anchor or anchor in anchors(path), target


def anchors(path):
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.*)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if "/tables/" not in name])
def test_prose_is_wrapped(root, name):
    text = (root / name).read_text(encoding="utf-8").split("\n## Does the paper's")[0]  # below: the program's
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL).splitlines()
    others = ("#", "|", "!", "<", "hetreg 0.1.0 (code", "- Pairs of sunnybrook, patients")
    assert [line for line in prose if len(line) > 120 and not line.startswith(others)] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_in_code_spans_exist(root, name):
    text = (root / name).read_text(encoding="utf-8")
    paths = set(re.findall(r"`((?:Testing|HetRegUncertainty|docs|hetreg|\.github)/[\w./-]*)`", text))
    for path in paths:
        assert (root / path).exists() or (root / "HetRegUncertainty" / path).exists(), path


def test_commands_are_accepted(root):
    pages = [(root / name).read_text(encoding="utf-8") for name in DOCUMENTS]
    text = "\n".join(pages).replace("torchrun --nproc_per_node=2 -m -- ", "")
    commands = re.findall(rf"^hetreg (?:{'|'.join(cli.COMMANDS)})\b.*", text, re.MULTILINE)
    commands += re.findall(r"`(hetreg train [^`]*)`", text.replace("\n", " "))
    assert len(commands) > 30
    parser = cli.parser()
    for command in commands:
        words = shlex.split(re.sub(r"[\[\]]", "", command))
        assert parser.parse_args(words[1:]).command == words[1]


def test_scripts_in_commands_have_the_flags(root):
    text = "\n".join((root / name).read_text(encoding="utf-8") for name in DOCUMENTS)
    commands = re.findall(r"\bpython (Testing/[\w/]+\.py)(.*)", text.replace("\\\n", " "))
    assert len(commands) > 10
    for script, rest in commands:
        source = (root / script).read_text(encoding="utf-8")
        for flag in re.findall(r"(?<!\w)--[a-z][\w-]*", rest):
            assert f'"{flag}"' in source, (script, flag)


def test_each_reproduction_has_the_title_of_its_command_and_no_two_the_same(root):
    titles = []
    for page in sorted((root / "docs" / "results" / "reproduce").rglob("README.md")):
        lines = page.read_text(encoding="utf-8").splitlines()
        words = shlex.split(next(line for line in lines if line.startswith("hetreg reproduce ")))
        titles.append(title(config_from(cli.parser().parse_args(words[1:]), ReproduceConfig, None)))
        assert lines[0] == titles[-1], page
    assert len(set(titles)) == len(titles) > 1


def test_tutorial_names_what_the_panel_shows(root):
    trees = [ElementTree.parse(root / name / "Resources" / "UI" / f"{name}.ui") for name in MODULES]
    shown = " | ".join(e.text or "" for tree in trees for e in tree.iter("string"))
    tutorial = (root / "README.md").read_text(encoding="utf-8").split("## Tutorial")[1].split("\n## ")[0]
    for name in re.findall(r"\*\*([^*]+)\*\*", tutorial):
        assert name in shown, name
    for name in ("Refine on this pair", "Show values", "Deformation", "Fade to moved", "Linked views"):
        assert name in tutorial
        assert name in shown, name


def test_help_and_tooltips_send_whoever_asks_for_errors_to_the_displacement_sd(root):
    module = root / "HetRegUncertainty"
    tree = ElementTree.parse(module / "Resources" / "UI" / "HetRegUncertainty.ui")
    for name in ("noiseSdSelector", "snrWeightSelector", "overlayComboBox"):
        tip = tree.find(f".//widget[@name='{name}']/property[@name='toolTip']/string").text
        assert "Displacement SD" in tip, name
    help_text = (module / "HetRegUncertainty.py").read_text(encoding="utf-8").split("helpText")[1]
    assert "Displacement SD" in help_text.split("acknowledgementText")[0]
    step = (root / "README.md").read_text(encoding="utf-8").split("## Tutorial")[1].split("\n6. ")[0]
    assert "choose *Displacement SD*" in step


def test_the_paper_can_be_followed_and_is_the_same_everywhere(root):
    address = "https://arxiv.org/abs/2312.00836"
    citation = (root / "CITATION.cff").read_text(encoding="utf-8").split("preferred-citation:")[1]
    assert f'url: "{address}"' in citation.split("references:")[0]
    assert f"({address})" in (root / "README.md").read_text(encoding="utf-8").split("## Citation")[1]
    form = root / "HetRegUncertainty" / "HetRegUncertaintyLib" / "panelform.py"
    assert f'PAPER = "{address}"' in form.read_text(encoding="utf-8")


def test_every_model_has_its_card(root):
    for card in zoo.list_models():
        text = card.path.with_suffix(".md").read_text(encoding="utf-8")
        assert card.sha256 in text
        assert card.command in text
        assert "not diagnosis" in text
        assert ("Radau et al." in text) == bool(card.trained_on)


def test_no_path_of_a_machine_is_in_the_documents(root):
    for name in (*DOCUMENTS, "CMakeLists.txt", "pyproject.toml"):
        assert not re.search(r"/(?:root|home|tmp|work)/\w", (root / name).read_text(encoding="utf-8")), name
