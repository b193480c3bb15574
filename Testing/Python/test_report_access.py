"""What a report tells who cannot see its pictures or its colours, and on paper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders import stack
from hetreg.assemble import result_from_field
from hetreg.evaluation.cut import Cut, cut
from hetreg.report import alternatives, pictures
from hetreg.report.page import keys, page, paragraph, picture, table_figure
from hetreg.tables import Column, Table

FRACTION = [0.0, 0.25, 0.5, 0.75]


@pytest.fixture
def shown() -> Cut:
    """A slice without labels, moved by (1, 0) voxels of 2 mm, with a noise SD of 1 to 3."""
    case = stack(0)
    made = cut(case, result_from_field(case.fixed, case.moving, np.zeros((3, 4, 32, 32))))
    disp = np.stack([np.ones((32, 32)), np.zeros((32, 32))])
    noise = np.linspace(1.0, 3.0, 32 * 32).reshape(32, 32)
    none = dict.fromkeys(("fixed_label", "moving_label", "moved_label", "weight"))
    return replace(made, **none, noise_sd=noise, disp=disp, spacing_mm=(2.0, 1.0))


def test_a_picture_tells_its_numbers_and_not_its_caption_again():
    text = picture(b"", "svg", "Calibration", 'found "0.1" & more')
    assert 'alt="found &quot;0.1&quot; &amp; more"' in text
    assert "<figcaption>Calibration</figcaption>" in text
    assert "note" not in text
    assert '<p class="note">a &lt; b</p></figure>' in picture(b"", "svg", "Calibration", "", "a < b")


def test_parts_of_a_page_that_have_nothing_are_not_there():
    assert keys([]) == ""
    box = "<li><small>Dice</small><b>0.9</b><small>of &lt;2&gt;</small></li>"
    assert keys([("Dice", "0.9", "of <2>")]) == f'<ul class="keys">{box}</ul>'
    assert (paragraph("a"), paragraph("a", "lead")) == ("<p>a</p>", '<p class="lead">a</p>')
    table = table_figure(Table((Column("n"), Column("Why")), ((1, "x"),)))
    assert "figcaption" not in table
    assert '<tr><th scope="col">n</th><th class="text" scope="col">Why</th></tr>' in table


def test_before_and_after_in_words():
    distances, overlaps = (
        ((4.0, 2.0), (2.0, 3.0), (9.0, 4.0)),
        ((0.5, 0.9), (0.9, 0.5), (0.6, 0.8), (0.7, 0.7)),
    )
    rows = [*({"hd_mm_before": x, "hd_mm": y} for x, y in distances), {"hd_mm": 9.0}]
    text = alternatives.before_after_text(rows, "hd_mm_before", "hd_mm")
    assert "on average 5 before and 3 after registration, better after it in 2 of 3 cases" in text
    assert text.endswith("cases (1 more without one of these numbers).")
    dice = [{"dice_2_before": x, "dice_2": y} for x, y in overlaps]
    assert "better after it in 2 of 4" in alternatives.before_after_text(dice, "dice_2_before", "dice_2")


def test_sparsification_in_words():
    curve = {"fraction": FRACTION, "by_uncertainty": [8.0, 4.0, 3.0, 1.0], "oracle": [8.0, 2.0, 1.0, 1.0]}
    text = alternatives.sparsification_text({"sparsification": curve})
    assert text.startswith("Inside the mask: AUSE 1.00e+00.")
    assert "8.00e+00 of all voxels, 3.00e+00 without the most uncertain half, 1.00e+00 without" in text


def test_calibration_in_words():
    curves = {
        "reliability": {"predicted_sd": [0.1, 0.15, 0.2], "observed_sd": [0.3, 0.3, 0.4]},
        "coverage": {"level": [0.5, 0.9, 0.95], "found": [41.0, 80.0, 88.0]},
    }
    text = alternatives.calibration_text(curves)
    assert "0.3000 where 0.1000 is promised and 0.4000 where 0.2000 is promised" in text
    assert "41.0 % inside the 50 % interval and 88.0 % inside the 95 % interval" in text
    assert "simulated" not in text


def test_a_case_in_words(shown):
    row = {"dice_2": 0.9, "dice_2_before": 0.6}
    text = alternatives.case_text(shown, row, "dice_2_before", "dice_2")
    assert text.startswith("Dice, label 2: 0.9000, before 0.6000. Noise SD: 1 to 3, median 2. Disp")
    assert text.endswith("Displacement in the slice, mm: 2 to 2, median 2.")
    assert "weight" not in text
    assert "before" not in alternatives.case_text(shown, {"ncc_after": 0.9}, "", "ncc_after")


def test_contours_of_one_picture_differ_in_style_too(shown, monkeypatch):
    pytest.importorskip("matplotlib")
    from matplotlib.axes import Axes

    styles = []
    monkeypatch.setattr(pictures, "drawn", lambda figure, kind: b"")
    monkeypatch.setattr(
        Axes, "contour", lambda ax, where, *_, **k: styles.append((id(ax), k["linestyles"], where.sum()))
    )
    label = np.zeros((32, 32), np.uint8)
    label[8:20, 8:20] = 2
    pictures.case_picture(replace(shown, fixed_label=label, moving_label=label, moved_label=label))
    assert len(styles) == len(set(styles)) == 5
    assert {count for *_, count in styles} == {144}
    pictures.case_picture(replace(shown, fixed_label=np.ones((32, 32), np.uint8)))
    assert len(styles) == 5  # what is everywhere has no outline


@pytest.mark.parametrize(("spacing", "bar"), [((2.0, 1.0), 5), ((1.0, 1.25), 10), ((0.1, 0.1), 1)])
def test_a_case_is_drawn_to_scale(shown, monkeypatch, spacing, bar):
    """32 x 32 pixels, each of which the moving image has one row further."""
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(pictures, "drawn", lambda figure, kind: figure)
    figure = pictures.case_picture(replace(shown, moved=0.5 * shown.moved, spacing_mm=spacing))
    moving, fixed, moved, noise, grid, empty = figure.axes[:6]
    titles = ["Moving, before registration", "Fixed", "Moved", "Noise SD (intensity)"]
    assert [ax.get_title() for ax in (moving, fixed, moved, noise)] == titles
    assert grid.get_title() == "Fixed grid carried to moving (1 voxels)"
    assert not empty.has_data()
    for ax in (moving, grid):
        assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, 31.5), (31.5, -0.5))
        assert ax.get_aspect() == pytest.approx(spacing[0] / spacing[1])
    start, end = moving.lines[0].get_xdata()
    assert end - start == pytest.approx(bar / spacing[1])
    assert moving.texts[0].get_text() == f"{bar} mm"
    low, high = np.percentile(shown.moving, (1, 99.5))
    assert moving.images[0].get_clim() == moved.images[0].get_clim() == pytest.approx((low, high))
    assert noise.images[0].get_clim() == pytest.approx((0.0, np.percentile(shown.noise_sd, 99.5)))
    rows, columns = grid.lines[:32], grid.lines[32:]
    assert len(columns) == 32
    assert rows[3].get_xydata().tolist() == [[n, 4] for n in range(32)]
    assert columns[3].get_xydata().tolist() == [[3, n + 1] for n in range(32)]


def test_no_cell_of_a_table_holds_its_column_wide_on_paper():
    printed = page("x", []).split("@media print")[1]
    assert "th, td { padding: 2px 4px; white-space: normal; }" in printed
    assert "overflow-wrap: anywhere" in printed
