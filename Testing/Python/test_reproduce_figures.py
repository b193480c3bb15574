"""Figures of a reproduction whose methods are not all of the paper's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from builders import TINY_REPRODUCTION, stack
from hetreg.reproduce import figures, gallery
from hetreg.reproduce.baselines import undeformed
from hetreg.reproduce.book import Book
from hetreg.reproduce.pictures import draw, middling
from hetreg.reproduce.plan import Job
from hetreg.reproduce.run import reproduce
from hetreg.reproduce.scores import Score
from hetreg.reproduce.scoring import Scorer

SOURCE = "phantom:mri2d"


def book(**runs: dict[str, float]) -> Book:
    """{variant: {case: DSC}}."""
    scores = []
    for variant, found in runs.items():
        slices = [{"case": c, "patient": c, "slice": 0, "dice_published_2": v} for c, v in found.items()]
        cases = [{"case": c, "patient": c, "error": ""} for c in found]
        scores.append(Score("voxelmorph", variant, 0, SOURCE, cases, slices))
    return Book(TINY_REPRODUCTION, scores)


def test_the_middling_case_is_that_of_ours_or_of_the_first_method_that_was_measured():
    mse, nll = {"a": 0.7, "b": 0.8, "c": 0.9}, {"a": 0.9, "b": 0.7, "c": 0.8}
    ours = {"b": 0.9, "a": 0.8, "c": 0.7}
    variants = ("adareg", "mse", "nll")
    assert middling(book(mse=mse, nll=nll, ours=ours), SOURCE, "voxelmorph", variants) == "a"
    assert middling(book(nll=nll, mse=mse), SOURCE, "voxelmorph", variants) == "b"
    assert middling(book(nll=nll), SOURCE, "voxelmorph", variants) == "c"
    assert middling(book(), SOURCE, "voxelmorph", variants) == ""


def test_figures_2_3_and_7_are_drawn_of_a_method_that_is_not_in_table_1(tmp_path, monkeypatch):
    titles = []
    contours = gallery.figures.contours

    def noted(rows, path):
        titles.extend(picture.title for row in rows.values() for picture in row)
        return contours(rows, path)

    monkeypatch.setattr(gallery.figures, "contours", noted)
    config = replace(TINY_REPRODUCTION, methods=("undeformed", "gamma_1"), budget=1, test_phantoms=1)
    files = reproduce(config, tmp_path)
    for name in ("figure2-phantom-mri2d", "figure3", "figure7-phantom-mri2d"):
        assert files[f"{name}.png"].is_file()
    assert titles == 2 * ["Undeformed", "Ours, gamma 1"]
    assert "noise SD and weight of Ours, gamma 1 on" in files["README"].read_text(encoding="utf-8")


def test_the_figures_show_table_1_first_and_as_many_others_as_can_be_told_apart():
    job = Job("undeformed", "", "undeformed", 0, None)
    others = ["precision_blind", "precision_weight", *(f"gamma_{n}" for n in range(9))]
    ready = dict.fromkeys([("voxelmorph", v) for v in (*others, "ours", "mse")], job)
    shown = gallery._shown_variants("voxelmorph", {**ready, ("transmorph", "nll"): job})
    assert shown == ["mse", "ours", *others[:4]]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slice_is_drawn_whatever_axis_the_slices_lie_along(axis, tmp_path):
    case, job = stack(axis), Job("undeformed", "", "undeformed", 0, None)
    shown = draw(case, job, Scorer(TINY_REPRODUCTION, tmp_path), 3)
    assert np.array_equal(shown.fixed, case.fixed.array.take(2, axis))
    assert np.array_equal(shown.truth, case.fixed_label.array.take(2, axis) == 3)
    assert shown.found.sum() == (undeformed(case).apply(case.moving_label).array.take(2, axis) == 3).sum()
    assert shown.aspect == 1
    assert shown.note.startswith("DSC")
    assert shown.case == case.name
    assert (shown.noise_sd, shown.weight, shown.displacement_sd) == (None, None, None)


def test_a_figure_that_fails_is_a_note(monkeypatch, tmp_path):
    def broken(*_):
        raise TypeError("Input z must be at least a (2, 2) shaped array")

    monkeypatch.setattr(gallery, "_noise", broken)
    drawn, notes = gallery.draw_all(book(), Scorer(TINY_REPRODUCTION, tmp_path), [])
    assert drawn == {}
    assert notes == ["A figure was not drawn: TypeError: Input z must be at least a (2, 2) shaped array"]


def test_a_figure_is_whole_and_the_same_whatever_settings_matplotlib_has(tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    panels = {"network": [figures.Curve("method", np.arange(3.0), np.arange(3.0))]}
    plain = figures.training(panels, tmp_path / "plain.png").read_bytes()
    with matplotlib.rc_context({"font.family": "monospace", "axes.facecolor": "black", "axes.grid": True}):
        path = figures.training(panels, tmp_path / "own.png")
    assert path.read_bytes() == plain

    def broken(self, stream, **_):
        stream.write(b"half") if hasattr(stream, "write") else Path(stream).write_bytes(b"half")
        raise RuntimeError

    monkeypatch.setattr(Figure, "savefig", broken)
    with pytest.raises(RuntimeError):  # which `draw_all` makes a note of
        figures.training(panels, path)
    assert path.read_bytes() == plain
    assert len(list(tmp_path.iterdir())) == 2


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved."""
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    found, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda f, *a, **k: found.append(f) or save(f, *a, **k))
    return found


def test_methods_next_to_each_other_differ_in_style_and_all_in_style_and_colour(drawn, tmp_path):
    steps = np.arange(3.0)
    curves = [figures.Curve(f"method {n}", steps, steps + n) for n in range(12)]
    figures.training({"network": [*curves, figures.Curve("", steps, steps, dashed=True)]}, tmp_path / "t.png")
    *lines, oracle = drawn[0].axes[0].lines
    dashes, colours = [str(line._dash_pattern) for line in lines], [line.get_color() for line in lines]
    for n in range(len(lines) - 3):
        assert len(set(dashes[n : n + 4])) == 4
    assert len(set(zip(dashes, colours, strict=True))) == 12
    assert str(oracle._dash_pattern) not in dashes
    assert oracle.get_color() == colours[-1]


def test_the_moved_contour_is_dashed_in_the_picture_and_in_its_legend(drawn, tmp_path):
    image, mask = np.zeros((8, 8)), np.zeros((8, 8), bool)
    mask[2:5, 2:5] = True
    shown = figures.Picture(title="x", fixed=image, moving=image, moved=image, truth=mask, found=mask.T)
    figures.contours({"network": [shown]}, tmp_path / "c.png")
    assert [str(c.get_linestyles()[0][1]) == "None" for c in drawn[0].axes[0].collections] == [True, False]
    assert [line.get_linestyle() for line in drawn[0].legends[0].get_lines()] == ["-", "--"]


def test_each_row_names_its_case_also_one_with_dollars(drawn, tmp_path):
    of = {"title": "x", "fixed": (image := np.eye(8)), "moving": image, "moved": image, "truth": image}
    shown = [
        figures.Picture(**of, found=image, case=name) for name in ("one", r"a$\none$ of a very long name")
    ]
    figures.contours({"first": shown[:1], "second": shown[1:]}, tmp_path / "c.png")
    figures.noise(
        {"data": (shown[0], [figures.Curve("m", np.arange(3.0), np.arange(3.0))])}, tmp_path / "n.png"
    )
    figures.displacement_sd({"data": shown[:1]}, tmp_path / "d.png")
    texts = [text.get_text() for figure in drawn for axis in figure.axes for text in axis.texts]
    rows = [text for text in texts if text != "none"]
    assert rows == ["first\none", "second\na$\\none$ of a very long\nname", "data\none", "data\none"]


def test_the_legend_of_sparsification_lies_on_no_curve(drawn, tmp_path):
    image, x = np.eye(8), np.arange(4) / 4
    shown = figures.Picture(title="x", fixed=image, moving=image, moved=image, truth=image, found=image)
    curves = [figures.Curve(f"a method of a long name {n}", x, 0.01 + n + 0 * x) for n in range(6)]
    figures.noise({"data": (shown, curves)}, tmp_path / "n.png")
    axis = drawn[0].axes[4]
    assert axis.get_legend().get_window_extent().x0 > axis.get_window_extent().x1


def test_of_a_flat_map_no_contrast_is_made_up():
    """As that of a variance network that has collapsed: its values differ by rounding alone."""
    axis = pytest.importorskip("matplotlib.figure").Figure().subplots()
    flat = np.full((8, 8), 0.0641)
    flat[3] += 1e-9
    figures._map(axis, flat, 1.0, "magma")
    (shown,) = axis.get_images()
    assert shown.get_clim() == pytest.approx((0.0, 0.0641))  # all as bright as the bar's end


def test_faint_images_are_shown_as_others_are():
    image = np.linspace(0, 1, 101).reshape(1, 101)
    assert figures._limits(image * 1e-9) == pytest.approx((5e-12, 9.95e-10))
    assert figures._limits(np.eye(50)) == (0.0, 1.0)  # hardly anything but background
