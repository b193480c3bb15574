"""The picture of a run's curves has what its log has."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from hetreg.commands import train
from hetreg.report import curves, plots

ROWS = [
    {"event": "step", "step": 20, "loss": 4.0, "variance_loss": None},
    {"event": "step", "step": 40, "loss": 2.0, "variance_loss": -0.5},
    {"event": "validation", "step": 40, "loss": 3.0, "dice": 0.8, "epe": float("nan")},
]


def write_log(folder, rows) -> None:
    """A run's log."""
    folder.mkdir(exist_ok=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_a_series_has_the_finite_values_of_its_event():
    np.testing.assert_array_equal(curves.series(ROWS, "step", "loss"), [[20, 4], [40, 2]])
    np.testing.assert_array_equal(curves.series(ROWS, "step", "variance_loss"), [[40, -0.5]])
    assert curves.series(ROWS, "validation", "epe").shape == (0, 2)
    assert curves.series(ROWS, "validation", "mse").shape == (0, 2)


def test_a_row_that_was_damaged_is_no_point():
    row = {"event": "step", "step": 10, "loss": 1.0}
    damaged = [row | {"step": "1O"}, row | {"loss": [2]}, {"event": "step", "loss": 3.0}]
    np.testing.assert_array_equal(curves.series([row, *damaged], "step", "loss"), [[10, 1]])


def test_the_running_mean_by_hand():
    np.testing.assert_allclose(curves.running_mean(np.array([1.0, 2.0, 6.0]), 3), [1.5, 3.0, 4.0])
    np.testing.assert_array_equal(curves.running_mean(np.array([5.0, 7.0]), 1), [5.0, 7.0])


def test_there_is_a_panel_for_each_curve_of_the_log(tmp_path, monkeypatch):
    """A loss and its mean over 5 of its 40 values; the score of a validation as a dot."""
    pytest.importorskip("matplotlib")
    figures, drawn, steps = [], plots.drawn, list(range(40))
    monkeypatch.setattr(plots, "drawn", lambda *given: figures.append(given[0]) or drawn(*given))
    losses = [{"event": "step", "step": n, "loss": n**2} for n in steps]
    write_log(tmp_path, [*losses, *ROWS[1:]])
    path = curves.draw_curves(tmp_path)
    loss, noise, dice, rest = figures[0].axes
    titles = ["Displacement loss", "Loss of the variance", "Dice of the validation pairs", ""]
    assert [ax.get_title() for ax in figures[0].axes] == titles
    assert [ax.get_xlabel() for ax in (loss, noise, dice)] == ["step"] * 3
    assert [ax.axison for ax in (loss, rest)] == [True, False]
    each, mean = (line.get_xydata().tolist() for line in loss.lines)
    assert each == [[n, n**2] for n in steps] + [[40, 2]]
    assert mean[20] == [20, 402]  # of 18 to 22 squared
    assert len(noise.lines) == 2
    ((dot,),) = (line.get_xydata().tolist() for line in dice.lines)
    assert (dot, dice.lines[0].get_marker()) == ([40, 0.8], "o")
    assert path == tmp_path / "curves.svg"
    assert ElementTree.fromstring(path.read_text(encoding="utf-8")).tag.endswith("svg")


def test_a_line_that_a_kill_cut_off_is_passed_over(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(curves, "_panel", lambda ax, steps, values, smooth: drawn.append(len(values)))
    write_log(tmp_path, ROWS)
    with (tmp_path / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write('{"event": "step", "st')
    assert curves.draw_curves(tmp_path) is not None
    assert drawn == [2, 1, 1]


@pytest.mark.parametrize("error", [OSError("full"), ImportError("broken")])
def test_a_picture_that_cannot_be_drawn_is_no_error_of_the_training(tmp_path, monkeypatch, error):
    told = []

    def fails(folder):
        told.append(folder)
        raise error

    monkeypatch.setattr(curves, "draw_curves", fails)
    emit = train._drawn_at_the_end(lambda kind, **fields: told.append(kind), tmp_path)
    for kind in ("step", "stopped", "done"):
        emit(kind)
    assert told == ["step", "stopped", tmp_path, "done", tmp_path]


@pytest.mark.parametrize("rows", [[], [{"event": "step", "step": 1, "loss": None}]])
def test_nothing_to_draw_is_no_picture(tmp_path, rows):
    assert curves.draw_curves(tmp_path) is None
    write_log(tmp_path / "run", rows)
    assert curves.draw_curves(tmp_path / "run") is None


def test_without_matplotlib_there_is_no_picture(tmp_path, monkeypatch):
    write_log(tmp_path, ROWS)
    monkeypatch.setattr(curves, "find_spec", lambda _: None)
    assert curves.draw_curves(tmp_path) is None
    assert [p.name for p in tmp_path.iterdir()] == ["log.jsonl"]
