"""The patients of a reproduction: of data whose test part has no labels, as older copies of CAMUS, and of
other data than it began with."""

from __future__ import annotations

import json
from dataclasses import replace

import layouts
import pytest
import SimpleITK as sitk

from builders import TINY_REPRODUCTION, assert_sentence
from hetreg import cli
from hetreg.progress import Progress
from hetreg.reproduce.run import estimate, reproduce

CONFIG = replace(TINY_REPRODUCTION, dataset="camus", methods=("mse",), budget=1, batch=1, crop=32)

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def camus(tmp_path):
    """Five patients in training/ and two in testing/, these without labels."""
    for number in range(1, 8):
        folder = layouts.camus_patient(tmp_path / "CAMUS" / ("training" if number < 6 else "testing"), number)
        for path in folder.glob("*_gt.nii.gz") if number > 5 else ():
            path.unlink()
    return tmp_path / "CAMUS"


@pytest.mark.parametrize("protocol", ["native", "published"])
def test_the_parts_are_drawn_from_the_others(camus, tmp_path, protocol):
    config, events = replace(CONFIG, root=str(camus), protocol=protocol), []
    for _ in range(2):
        files = reproduce(config, tmp_path / "out", emit=lambda kind, **fields: events.append((kind, fields)))
        text = files["README"].read_text(encoding="utf-8")
        line = "- CAMUS, patients (pairs): 3 (6) in training, 1 (2) in validation, 1 (2) in test; all drawn"
        why = "none of its 2 patients has labels on both images"
        assert f"{line} (60/20/20), without the data set's own test part: {why}.\n" in text
        assert "What failed or was left out" not in text
        assert json.loads((tmp_path / "out" / "split.json").read_text())["test"] < ["patient0006"]
    assert [fields["reason"] for kind, fields in events if kind == "left_out"] == [why, why]
    row = files["table1-camus.csv"].read_text(encoding="utf-8").splitlines()[1].split(",")
    assert 0 < float(row[4]) <= 100


def test_labels_that_lie_elsewhere_are_told_at_once_and_are_a_line(camus, tmp_path, capsys):
    for path in camus.rglob("patient000[12]_2CH_ED_gt.nii.gz"):
        labels = sitk.ReadImage(str(path))
        labels.SetSpacing([0.5 * s for s in labels.GetSpacing()])
        sitk.WriteImage(labels, str(path))
    arguments = ["--dataset", "camus", "--root", str(camus), "--methods", "undeformed"]
    assert cli.main(["reproduce", *arguments, "--output", str(tmp_path / "out")]) == 0
    note = "2 pairs have labels that lie elsewhere than their image. The first: patient0001_2CH_ED"
    assert f"note: {note}" in capsys.readouterr().out.partition("run: ")[0]
    assert f"- {note}" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_a_dry_run_tells_it(camus, tmp_path, capsys):
    flags = ["--methods", "mse", "--budget", "1", "--crop", "32", "--batch", "1", "--dry-run"]
    root = ["--dataset", "camus", "--root", str(camus), "--output", str(tmp_path / "out")]
    assert cli.main(["reproduce", *root, *flags]) == 0
    assert "none of its 2 patients has labels on both images" in capsys.readouterr().out


def test_without_any_labels_to_test_by_nothing_is_trained(camus, tmp_path):
    config = replace(CONFIG, root=str(camus))
    parts = {"training": ["patient0001"], "validation": ["patient0002"], "test": ["patient0006"]}
    parts["training"] += [f"patient000{n}" for n in (3, 4, 5, 7)]
    (tmp_path / "named.json").write_text(json.dumps(parts))
    with pytest.raises(ValueError, match="None of the 1 test patients of CAMUS has labels") as error:
        reproduce(replace(config, split=str(tmp_path / "named.json")), tmp_path / "out")
    assert_sentence(error.value, "or a split file that tests such, are accepted")
    for path in camus.rglob("*_gt.nii.gz"):
        path.unlink()
    with pytest.raises(ValueError, match="None of the 2 test patients"):
        list(estimate(config, tmp_path / "out", Progress()))
    assert not list((tmp_path / "out").glob("*"))


def test_other_data_than_those_it_began_with_are_told_as_such(camus, tmp_path):
    config = replace(CONFIG, root=str(camus), methods=("undeformed",))
    reproduce(config, tmp_path / "out")
    layouts.acdc_patient(tmp_path / "ACDC", 7)
    with pytest.raises(
        ValueError, match="out holds a reproduction with dataset 'camus', not 'acdc'"
    ) as error:
        reproduce(replace(config, root=str(tmp_path / "ACDC"), dataset="acdc"), tmp_path / "out")
    assert_sentence(error.value, "the same dataset or another output folder is accepted")
    layouts.camus_patient(tmp_path / "other", 8)
    named = "out holds a reproduction of other patients, as patient0001, than other has, as patient0008"
    with pytest.raises(ValueError, match=named) as error:
        reproduce(replace(config, root=str(tmp_path / "other")), tmp_path / "out")
    assert_sentence(error.value, "the same data or another output folder is accepted")
