"""The numbers of a run, in the table of the scene and in the panel: each by its name, before and after."""

import re

import pytest

from HetRegUncertaintyLib import results

PAIRS = {"Correlation": ("ncc", ".3f", ""), "Mean squared difference": ("mse", ".3g", "")}
SINGLES = {
    "Displacement, mean": ("displacement_mean_mm", ".1f", "mm"),
    "Displacement, 95th percentile": ("displacement_p95_mm", ".1f", "mm"),
    "Displacement, largest": ("displacement_max_mm", ".1f", "mm"),
    "Displacement SD, median": ("displacement_sd_median_mm", ".2f", "mm"),
    "Noise SD, median": ("noise_sd_median", ".3g", "intensity"),
    "Folded voxels": ("folded_percent", ".2f", "%"),
    "Inverse error, 99th percentile": ("inverse_error_p99_mm", ".3f", "mm"),
    "Inverse error, largest": ("inverse_error_max_mm", ".3f", "mm"),
}


@pytest.fixture
def run(panel, uncertainModel):
    """(parameter node, summary, names of its labels) of a run that gives all numbers there are."""
    panel.ui.sampleButton.click()
    p = panel.logic.getParameterNode()
    p.model = uncertainModel
    panel.ui.registerButton.click()
    return p, *results.summaryOf(p.transform)


def written(table):
    """{measure: (before, after, unit)}"""
    titles = [table.GetColumnName(i) for i in range(table.GetNumberOfColumns())]
    rows = [
        [table.GetValue(row, i).ToString() for i in range(len(titles))]
        for row in range(table.GetNumberOfRows())
    ]
    assert titles == ["Measure", "Before", "After", "Unit"]
    return {measure: tuple(rest) for measure, *rest in rows}


def test_theTableHasEveryNumberOfTheRun(run):
    p, summary, names = run
    found = written(p.numbers.GetTable())
    assert set(found) == {*PAIRS, *SINGLES, *(f"Dice, {name}" for name in names.values())}
    for label, (key, form, unit) in PAIRS.items():
        before, after = summary[f"{key}_before"], summary[f"{key}_after"]
        assert before != after
        assert found[label] == (format(before, form), format(after, form), unit)
    for label, (key, form, unit) in SINGLES.items():
        assert found[label] == ("", format(summary[key], form), unit)
    for value, name in names.items():
        before, after = summary["dice_before"][value], summary["dice_after"][value]
        assert found[f"Dice, {name}"] == (format(before, ".3f"), format(after, ".3f"), "")


def test_thePanelHasThemWithoutTheDetails(panel, run):
    p, _summary, _names = run
    found = written(p.numbers.GetTable())
    for detail in ("Mean squared difference", "Displacement, mean"):
        del found[detail]
    rows = re.findall("<tr><td>(.*?)</td>(.*?)</tr>", panel.ui.numbersLabel.text)
    shown = {label: tuple(re.sub("<.*?>", " ", cells).split()) for label, cells in rows}
    assert shown.pop("") == ("before", "after")
    shown = {label.replace("\u200b", ""): cells for label, cells in shown.items()}
    assert shown == {label: tuple(filter(None, cells)) for label, cells in found.items()}
