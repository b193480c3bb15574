"""Numbers that a page repeats are those of the table that they come from."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

BLIND = "Ours, precision weight, residual shown, blind spots"
PRECISION = "Ours, precision weight"
DICE, ERROR = "DSC, mask from 0.5 (%)", "End-point error in the myocardium (vox)"


def table(page: Path, heading: str) -> list[list[str]]:
    """The cells of the table at the line of a page that starts so or below it, without marks of emphasis."""
    text = page.read_text(encoding="utf-8")
    below = text[text.index("\n" + heading) + 1 :]
    lines = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE).group().splitlines()
    return [[c.replace("*", "").strip() for c in line.strip("|").split("|")] for line in lines]


def corrected(root: Path, series: str, source: str) -> dict[str, dict[str, str]]:
    """The rows of a reproduction's table of corrected metrics, by method."""
    file = root / "docs" / "results" / "reproduce" / series / "tables" / f"corrected-{source}.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        return {row["Method"]: row for row in csv.DictReader(stream)}


def gains(root: Path, series: str, method: str) -> tuple[float, float]:
    """A method's Dice on Sunnybrook (points) and its error on phantoms (voxels), less those of MSE."""
    hearts, phantoms = (corrected(root, series, s) for s in ("pairs", "phantom-mri2d"))
    dice = float(hearts[method][DICE]) - float(hearts["MSE"][DICE])
    return dice, float(phantoms[method][ERROR]) - float(phantoms["MSE"][ERROR])


def test_the_readme_has_the_means_of_the_sunnybrook_patients(root):
    readme = table(root / "README.md", "| undeformed | demons")
    patients = table(root / "docs" / "results" / "sunnybrook.md", "| case |")[2:]
    assert len(patients) == 33
    for column, written in enumerate(readme[2], 1):
        mean = sum(float(row[column]) for row in patients) / len(patients)
        assert abs(float(written) - mean) < 0.0011, column


def phantom_tables(root: Path) -> dict[str, dict[str, tuple[float, float]]]:
    """Dice and error of each tool on each kind of phantom, from the page of the accuracy."""
    page = root / "docs" / "results" / "accuracy.md"
    found = {}
    for kind in ("mri2d", "echo2d", "echo2d_sax", "echo3d"):
        rows = table(page, f"## {kind}\n")[2:]
        found[kind] = {row[0]: (float(row[1]), float(row[4])) for row in rows}
    rows = table(page, "## Echo of another simulator")[2:]
    found["echo2d_scatterers"] = {row[0]: (float(row[1]), float(row[3])) for row in rows}
    found["echo2d_sax_scatterers"] = {row[0]: (float(row[5]), float(row[7])) for row in rows}
    return found


def test_the_readme_has_the_numbers_of_the_phantoms(root):
    found = phantom_tables(root)
    rows = table(root / "README.md", "| phantom | undeformed")[2:]
    assert {row[0].split(" ")[0] for row in rows} == set(found)
    for row in rows:
        tools = found[row[0].split(" ")[0]]
        peers = {k: v for k, v in tools.items() if not re.match("HetReg|undeformed|true|elastix", k)}
        best = min(peers, key=lambda name: peers[name][1])
        ours = next(name for name in tools if name.startswith("HetReg "))
        assert row[3].startswith(best.split(" (")[0].removesuffix(" CC")), row
        names = ("undeformed", "elastix B-spline", best, ours, f"{ours}, 30 iterations")
        for cell, name in zip(row[1:], names, strict=True):
            assert cell.endswith("{:.1f} / {:.2f}".format(*tools[name])), (row, name)


def test_the_summary_has_the_numbers_of_its_series(root):
    methods = ("MSE", "NLL", "beta-NLL", "Ours (SNR-weighted)", PRECISION, BLIND)
    hearts, phantoms = (corrected(root, "smoothest-lambda", s) for s in ("pairs", "phantom-mri2d"))
    rows = table(root / "docs" / "results" / "paper.md", "| loss | Sunnybrook: Dice (%) | phantoms: Dice (%)")
    columns = (hearts, DICE), (phantoms, DICE), (phantoms, ERROR)
    columns += (hearts, "AUSE in the mask, of 1"), (phantoms, "AUSE in the mask, of 1")
    columns += ((phantoms, "Spearman with the true noise"),)
    for row, method in zip(rows[2:], methods, strict=True):
        for written, (series, name) in zip(row[1:], columns, strict=True):
            digits = len(written.split(".")[1])
            assert written == f"{float(series[method][name]):.{digits}f}", (method, name)


@pytest.mark.parametrize(
    ("label", "steps", "series", "methods"),
    [
        ("weight by the noise alone", "1,500", "smoothest-lambda", [PRECISION]),
        ("the same (Dice", "4,000", "mri-longer", [PRECISION]),
        ("the same with blind spots (", "4,000", "mri-longer", [BLIND]),
        ("NLL, beta-NLL", "1,500", "smoothest-lambda", ["NLL", "beta-NLL"]),
        ("NLL; beta-NLL", "4,000", "mri-longer", ["NLL", "beta-NLL"]),
    ],
)
def test_the_readme_has_the_gains_of_the_series(root, label, steps, series, methods):
    rows = table(root / "README.md", "| cine MRI, VoxelMorph")
    (row,) = (row for row in rows if row[0].startswith(label) and row[1].startswith(steps))
    found = [gains(root, series, method) for method in methods]
    for cell, wanted, digits in zip(row[2:], zip(*found, strict=True), (1, 2), strict=True):
        assert [float(part) for part in cell.split(", ")] == [round(value, digits) for value in wanted]


def test_the_readme_has_the_range_of_the_weight_as_printed(root):
    text = " ".join((root / "README.md").read_text(encoding="utf-8").split())
    said = r"between ([\d.]+) points lower and ([\d.]+) higher, and its error on phantoms at most ([\d.]+)"
    lower, higher, smaller = map(float, re.search(said, text).groups())
    series = ("", "smoothest-lambda", "mri-longer", "mri-30000/seeds-1-2")
    dice, error = zip(*(gains(root, s, "Ours (SNR-weighted)") for s in series), strict=True)
    assert (-lower, higher) == (round(min(dice), 1), round(max(dice), 1))
    assert smaller == round(-min(error), 2)
    assert max(error) < 0


def test_the_readme_has_the_gains_with_transmorph(root):
    text = " ".join((root / "README.md").read_text(encoding="utf-8").split())
    (shorter,) = re.findall(r"With TransMorph \(4,000 steps\) blind spots have ([\d.]+) points more", text)
    said = r"with blind spots ([\d.]+) voxels less error than MSE, with every seed, and ([\d.]+) points more"
    ((less, more),) = re.findall(said, text)
    assert float(shorter) == round(gains(root, "transmorph-4000", BLIND)[0], 1)
    dice, error = gains(root, "transmorph-12000", BLIND)
    assert (float(more), -float(less)) == (round(dice, 1), round(error, 2))
