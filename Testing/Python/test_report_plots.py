"""The plots of a report show every number that they are of."""

from __future__ import annotations

import numpy as np
import pytest

from hetreg.report import alternatives, plots

pytest.importorskip("matplotlib")
NAN = float("nan")


@pytest.fixture(autouse=True)
def figures(monkeypatch):
    """A plot gives its figure, not the bytes of it."""
    monkeypatch.setattr(plots, "drawn", lambda figure, kind: figure)


@pytest.mark.parametrize(
    ("name", "rows", "limits"),
    [
        ("hd_mm_2", [(4.0, 2.0), (2.0, 3.0)], (0.0, 4.2)),
        ("ncc_after", [(-0.4, 0.6), (0.1, 0.2)], (-0.42, 0.63)),  # of two modalities
        ("dice_2", [(0.5, 0.9)], (0.0, 1.0)),
        ("hd_mm_2", [], (0.0, 1.05e-9)),
    ],
)
def test_a_case_that_has_both_numbers_is_a_dot_within_the_axes(name, rows, limits):
    cases = [{"before": x, name: y} for x, y in [*rows, (9.0, NAN), (NAN, 9.0)]] + [{name: 9.0}]
    (axes,) = plots.before_after_plot(cases, "before", name, "x").axes
    dots, equal = axes.lines
    assert list(zip(dots.get_xdata(), dots.get_ydata(), strict=True)) == rows
    assert axes.get_xlim() == axes.get_ylim() == pytest.approx(limits)
    assert list(equal.get_xdata()) == list(equal.get_ydata()) == pytest.approx(limits)
    words, ending = alternatives.before_after_text(cases, "before", name), f" of {len(rows)} cases"
    assert words.endswith(f"{ending} (3 more without one of these numbers).")
    assert alternatives.before_after_text(cases[: len(rows)], "before", name).endswith(f"{ending}.")


@pytest.mark.parametrize(("worst", "top"), [(8.0, 10.8), (20.0, 21.0), (0.0, 1.0)])
def test_a_curve_that_rises_above_that_at_random_is_within_the_axes(worst, top):
    """Where the SD finds the small errors first."""
    first = min(worst, 8.0)
    curve = {"fraction": [0.0, 0.5], "by_uncertainty": [first, worst], "oracle": [first, 0.0]}
    (axes,) = plots.sparsification_plot({"sparsification": curve}).axes
    assert axes.get_ylim() == pytest.approx((0.0, top))
    assert [line.get_ydata()[-1] for line in axes.lines] == [worst, 0.0, first]
    assert [line.get_label().split()[0] for line in axes.lines] == ["most", "largest", "at"]
    for line in axes.lines[:2]:
        np.testing.assert_allclose(line.get_xdata(), [0.0, 50.0])


def test_the_calibration_by_hand():
    curves = {
        "reliability": {"predicted_sd": [0.1, 0.2], "observed_sd": [0.3, 0.4]},
        "coverage": {"level": [0.5, 0.95], "found": [41.0, 88.0]},
    }
    left, right = plots.calibration_plot(curves).axes
    assert [list(left.lines[0].get_data()[n]) for n in (0, 1)] == [[0.1, 0.2], [0.3, 0.4]]
    assert [list(right.lines[0].get_data()[n]) for n in (0, 1)] == [[50.0, 95.0], [41.0, 88.0]]
    assert (left.get_title(), right.get_title()) == ("Noise SD", "Coverage")
    assert left.get_xlim() == left.get_ylim() == pytest.approx((0.0, 0.42))
    assert right.get_xlim() == right.get_ylim() == (0.0, 100.0)
