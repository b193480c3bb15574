"""What a command writes does not take the place of a user's own files; of a former result it does."""

from __future__ import annotations

import pytest
from test_cli import register_arguments
from test_cli_evaluate import evaluate_arguments

from builders import error_of, pair_2d, tiny_model
from hetreg import cli
from hetreg.image import write_image


def phantom_arguments(folder):
    """`phantom` into its folder `out`."""
    return ["phantom", "--size", "32", "--output", str(folder / "out")]


@pytest.mark.parametrize(
    ("command", "own"),
    [
        ("evaluate", "patients.csv"),
        ("evaluate", "slices.csv"),
        ("register", "report.json"),
        ("register", "moved.nrrd"),
        ("phantom", "fixed.nrrd"),
    ],
)
def test_a_file_of_the_user_is_kept_and_the_sentence_names_it(tmp_path, capsys, command, own):
    make = {"register": register_arguments, "evaluate": evaluate_arguments, "phantom": phantom_arguments}
    arguments = make[command](tmp_path)
    path = tmp_path / "out" / own
    path.parent.mkdir()
    for content in ("my notes", "[1]", "{}"):
        path.write_text(content, encoding="utf-8")
        error_of(
            capsys,
            arguments,
            f"has {own}, which is not from an earlier result",
            "a folder without such files is accepted",
        )
    assert path.read_text(encoding="utf-8") == "{}"
    assert [p.name for p in path.parent.iterdir()] == [own]


def test_a_former_result_is_replaced_beside_files_of_the_user(tmp_path):
    for name, image in zip(("fixed", "moving"), pair_2d(), strict=True):
        write_image(image, tmp_path / f"{name}.nrrd")
    tiny_model(rough=1.0).save(tmp_path / "tiny.pt")
    for arguments in (f(tmp_path) for f in (register_arguments, evaluate_arguments, phantom_arguments)):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / "notes.txt").write_text("mine", encoding="utf-8")
        assert [cli.main(arguments), cli.main(arguments)] == [0, 0]
    assert (tmp_path / "out" / "notes.txt").read_text(encoding="utf-8") == "mine"
