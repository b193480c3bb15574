"""The report of an evaluation: one page that needs nothing else, and pictures of the right slice."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from builders import assert_sentence, stack, tiny_model
from hetreg import cli
from hetreg.assemble import result_from_field
from hetreg.config import EvaluateConfig, RegisterConfig
from hetreg.datasets.phantom import make_pair
from hetreg.evaluate import evaluate
from hetreg.evaluation.case import Case
from hetreg.evaluation.cut import cut
from hetreg.measures import OTHERS, split_name
from hetreg.register import register_pair
from hetreg.registry import METRICS
from hetreg.report import document
from hetreg.report.document import html_report, write_report
from hetreg.report.page import table_figure
from hetreg.report.pictures import around_labels, case_picture
from hetreg.report.plots import sparsification_plot
from hetreg.tables import Column, Spread, Table, number

CONFIG = EvaluateConfig(phantoms=4, phantom_size=32, inverse=False)
BAD = "mri2d-50002"


class Page(HTMLParser):
    """The tags of a page that are open at its end, and what its tags hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def evaluation():
    """Of four phantoms, one of which fails."""
    model = tiny_model(rough=0.05)

    def register(case):
        if case.name == BAD:
            raise ValueError("Label 7 < 8 & more.")
        return register_pair(case.fixed, case.moving, model, RegisterConfig(inverse=False))

    return evaluate(CONFIG, register=register)


@pytest.fixture(scope="module")
def text(evaluation):
    return html_report(evaluation)


@pytest.fixture
def undrawn(monkeypatch):
    """No matplotlib is found."""
    monkeypatch.setattr(document, "find_spec", lambda name: None)


def plain(text: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", text.split("</style>")[1]).split())


def images(text: str) -> list[tuple[str, bytes]]:
    found = re.findall(r'src="data:image/([a-z+]+);base64,([^"]+)"', text)
    return [(kind, base64.b64decode(data)) for kind, data in found]


def test_the_page_is_whole_and_needs_no_other_file_and_no_script(text):
    page = Page(text)
    assert not page.open
    assert not {"script", "link", "iframe", "a"} & {tag for tag, _ in page.tags}
    sources = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert len(sources) == 6  # before and after, two of uncertainty, three cases
    assert all(source.startswith("data:image/") for source in sources)
    assert all(attributes["alt"] for tag, attributes in page.tags if tag == "img")
    assert "url(" not in text.split("</style>")[0]


def test_every_number_of_the_tables_is_explained(evaluation, text):
    explained = text.split("What the numbers are")[1]
    shown = {split_name(name)[0] for name in evaluation.summary["cases"]}
    known = {METRICS[s].label if s in METRICS else OTHERS[s][0] for s in shown if s}
    assert {"Time (s)", "Mean displacement (mm)", "Memory (MB)"} <= known
    assert [label for label in known if escape(label) not in explained] == []


def test_the_pictures_are_svg_and_png(text):
    kinds = [kind for kind, _ in images(text)]
    assert kinds == ["svg+xml"] * 3 + ["png"] * 3
    for kind, content in images(text):
        if kind == "png":
            assert content.startswith(b"\x89PNG")
        else:
            assert ElementTree.fromstring(content).tag.endswith("svg")


def test_the_same_evaluation_gives_the_same_plots(evaluation, text):
    assert sparsification_plot(evaluation.curves) == images(text)[1][1]


def test_a_failed_case_is_named_with_its_reason(text):
    assert "4 cases of 4 patients, 1 failed." in plain(text)
    assert f'<th class="text" scope="row">{BAD}</th><td class="text">Label 7 &lt; 8 &amp; more.</td>' in text
    assert "without" in text


def test_the_numbers_are_those_of_the_summary(evaluation, text):
    found = evaluation.summary["cases"]
    dice, before = found["dice_2"], found["dice_2_before"]
    assert f"Dice, label 2 {number(dice['mean'])} before: {number(before['mean'])}" in plain(text)
    known = [row["dice_2"] for row in evaluation.rows if "dice_2" in row]
    cells = f"{before['mean']:.3f} {dice['mean']:.3f} ± {dice['sd']:.3f} {dice['median']:.3f}"
    cells += f" {min(known):.3f} {max(known):.3f}"
    assert f"Dice {cells}" in plain(text)
    assert f"3 1 {dice['low']:.3f} to {dice['high']:.3f}" in plain(text)  # cases, without, interval


def test_the_tables_begin_with_the_main_label_and_end_with_the_cost(text):
    summary = text[text.index("<h2>Summary") : text.index("<h2>Before and after")]
    found = re.findall("<figcaption>(.*?)</figcaption>", summary)
    assert (found[:3], found[-1]) == (["Label 2", "Label 1", "Label 3"], "Cost")
    order = ["dice_3", "slices_left_out_2", "folding_percent", "noise_sd_median", "seconds"]
    assert sorted(order[::-1], key=document._rank) == order  # the first case may have no labels
    assert summary.count("“Simulated noise”: the predicted") == 1
    assert "worst cases" not in text  # of four all are listed


def test_how_it_was_run_is_what_was_set(text):
    rows = re.findall(r'scope="row">(\w+)</th><td class="text">(.*?)</td>', text.split("How it was run")[1])
    shown = dict(rows)
    assert (shown["phantoms"], shown["dataset"]) == ("4", "phantom")
    assert "root" not in shown
    assert "" not in shown.values()


def test_the_cases_that_are_drawn_are_named_with_their_score(evaluation, text):
    for shown in evaluation.pictures:
        score = number(shown.row["dice_2"])
        assert f"{shown.role.capitalize()}: {shown.case.name}, Dice, label 2: {score}" in plain(text)


def test_all_cases_are_listed_and_the_worst_first_where_they_are_many(evaluation, undrawn):
    rows = [r | {"case": f"case{n}"} for n, r in enumerate(evaluation.rows * 4)]
    summary = evaluation.summary | {"notes": ["What <to> know."]}
    given = replace(evaluation, rows=rows, pictures=[], summary=summary)
    many, far = html_report(given), html_report(replace(given, ranked_by="hd95_mm_2"))
    assert '<p class="note">What &lt;to&gt; know.</p>' in many
    for name, sign, page in (("dice_2", 1, many), ("hd95_mm_2", -1, far)):
        worst = re.findall(r"case\d+", page.split("The 10 worst cases")[1].split("All cases")[0])
        found = {row["case"]: sign * row.get(name, np.nan) for row in rows}
        assert len(worst) == 10
        assert [found[case] for case in worst] == sorted(v for v in found.values() if np.isfinite(v))[:10]
    heads = re.findall('<th scope="col">(.*?)</th>', many.split("All cases")[1].split("</thead>")[0])
    assert heads[:4] == ["Dice, label 2, before", "Dice, label 2", "HD95 (mm), label 2", "ASD (mm), label 2"]
    assert all(f">case{n}<" in many.split("All cases")[1] for n in range(16))


def test_without_matplotlib_the_tables_are_there_and_a_sentence(evaluation, undrawn):
    text = html_report(evaluation)
    assert not images(text)
    assert "need the package matplotlib (pip install hetreg[report])" in text
    assert "Dice" in text
    assert "Best, median" not in text


def test_a_tool_without_variance_and_data_without_labels(undrawn):
    def still(case):
        return result_from_field(case.fixed, case.moving, np.zeros((3, *case.fixed.array.shape)))

    pair = make_pair("mri2d", 1, size=32)
    shown = cut(Case("x", "x", pair.fixed, pair.moving), still(pair))
    assert (shown.noise_sd, shown.weight, shown.fixed_label, shown.place) == (None, None, None, "")
    assert around_labels(shown) is shown
    assert case_picture(shown).startswith(b"\x89PNG")
    evaluation = evaluate(replace(CONFIG, phantoms=1), register=still)
    assert not [part for part in document._plots(evaluation) if "Uncertainty" in part]
    text = html_report(evaluation)
    assert "Noise variance" not in text
    assert "1 case of 1 patient, none failed." in text


def test_what_is_drawn_is_a_square_in_mm_around_the_labels():
    shown = cut(stack(0), result_from_field(stack(0).fixed, stack(0).moving, np.zeros((3, 4, 32, 32))))
    label = np.zeros((100, 60), np.uint8)
    label[40:50, 28:32] = 1
    large = replace(
        shown,
        **{n: np.zeros_like(label) for n in ("fixed", "moving", "moved", "moving_label", "moved_label")},
        fixed_label=label,
        disp=np.zeros((2, 100, 60)),
        spacing_mm=(1.0, 2.0),
    )
    near = around_labels(large)
    assert near.fixed_label.shape == (28, 14)  # 10 mm, and 0.9 times that on each side
    assert near.disp.shape == (2, 28, 14)
    assert near.fixed_label.sum() == 40


def test_a_table_is_escaped_and_its_best_is_bold():
    columns = (Column("Method"), Column("Dice", 2, "high", "A & B"))
    table = Table(columns, (("<b>", Spread(0.9, 0.1)), ("x", 0.8)), "Of | all", ("Note <1>.",))
    tree = ElementTree.fromstring(table_figure(table))
    assert ["".join(c.itertext()) for c in tree.iter("td")] == ["", "0.90 ± 0.10", "0.80"]
    assert [b.text for b in tree.iter("b")] == ["0.90 ± 0.10"]
    heads = [(h.text, h.get("scope")) for h in tree.iter("th")]
    assert heads[:3] == [("A & B", "col"), ("Method", "col"), ("Dice", "col")]
    assert heads[3:] == [("<b>", "row"), ("x", "row")]
    assert tree.find("p").text == "Note <1>."


def test_a_report_that_cannot_be_written_says_so(evaluation, undrawn, tmp_path):
    with pytest.raises(OSError, match="report") as caught:
        write_report(evaluation, tmp_path / "no" / "report.html")
    assert_sentence(caught.value, "report.html could not be written")


def test_the_command_writes_the_report(undrawn, tmp_path, capsys):
    model = tmp_path / "tiny.pt"
    tiny_model().save(model)
    flags = [
        "--phantoms",
        "1",
        "--phantom-size",
        "32",
        "--model",
        str(model),
        "--output",
        str(tmp_path / "out"),
    ]
    assert cli.main(["evaluate", *flags]) == 0
    capsys.readouterr()
    assert "1 case of 1 patient" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
