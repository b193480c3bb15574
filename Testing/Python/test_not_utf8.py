"""Names that are not UTF-8, as out of old archives: SimpleITK would end the process at one."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import pytest
from test_cli_evaluate import evaluate_arguments

from builders import assert_sentence, error_of, pair_2d
from hetreg import cli
from hetreg.image import write_image

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no file has such a name there")
ODD = os.fsdecode(b"p\xe4")
SHOWN = r"p\udce4"


def pairs(folder: Path, *cases: str) -> list[list[Path]]:
    """The files of pairs with these names, (ES, ED) each."""
    folder.mkdir()
    made = []
    for n, case in enumerate(cases, 1):
        made.append([folder / f"{case}_{phase}.nrrd" for phase in ("ES", "ED")])
        for image, file, plain in zip(pair_2d(), made[-1], "ab", strict=True):
            write_image(image.like(n * image.array, "x"), folder / f"{plain}.nrrd").rename(file)
    return made


def test_register_refuses_such_an_image_and_such_a_folder_in_one_sentence(tmp_path, capsys):
    good, odd = pairs(tmp_path / "data", "good", ODD)
    for (fixed, moving), name in ((odd, "out"), (good, ODD)):
        output = tmp_path / name
        error_of(
            capsys,
            ["register", f"--fixed={fixed}", f"--moving={moving}", f"--output={output}"],
            SHOWN,
            "UTF-8 is accepted",
        )
        assert not output.exists()
    with pytest.raises(ValueError, match="UTF-8") as caught:
        write_image(pair_2d()[0], tmp_path / f"{ODD}.nrrd")
    assert_sentence(caught.value, SHOWN)
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_one_such_patient_of_a_data_set_is_a_row_with_its_error(tmp_path, capsys):
    root = tmp_path / "data"
    pairs(root, "good", ODD)
    assert cli.main(["train", "--dry-run", "--dataset", "pairs", "--root", str(root)]) == 0
    assert f"{SHOWN}_ES.nrrd: The path {root}/{SHOWN}_ES.nrrd is not in UTF-8" in capsys.readouterr().out
    assert cli.main(evaluate_arguments(tmp_path, dataset="pairs", root=root, split="all")) == 0
    with (tmp_path / "out" / "metrics.csv").open(encoding="utf-8") as file:
        errors = {row["case"]: row["error"] for row in csv.DictReader(file)}
    assert_sentence(errors.pop(SHOWN), SHOWN, "UTF-8 is accepted")
    assert errors == {"good": ""}
