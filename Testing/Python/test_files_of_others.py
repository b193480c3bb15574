"""What a command writes does not take the place of a user's own files; of a former result it does."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_cli import register_arguments
from test_cli_evaluate import evaluate_arguments

from builders import error_of, pair_2d, tiny_model
from hetreg import cli
from hetreg.image import write_image
from hetreg.lock import FolderLock
from hetreg.training.folder import FILES


def phantom_arguments(folder):
    """`phantom` into its folder `out`."""
    return ["phantom", "--size", "32", "--output", str(folder / "out")]


def train_arguments(folder):
    """`train` for a step into its folder `out`."""
    data = ["--dataset=phantom", "--phantoms=3", "--crop=32", "--size=tiny"]
    return ["train", *data, "--steps=1", "--batch=1", "--device=cpu", f"--output={folder / 'out'}"]


def reproduce_arguments(folder):
    """`reproduce` of no training into its folder `out`."""
    size = ["--phantoms=4", "--test-phantoms=1", "--size=tiny", "--device=cpu"]
    return ["reproduce", "--methods", "undeformed", *size, f"--output={folder / 'out'}"]


ARGUMENTS = {
    "register": register_arguments,
    "evaluate": evaluate_arguments,
    "phantom": phantom_arguments,
    "train": train_arguments,
    "reproduce": reproduce_arguments,
}


@pytest.mark.parametrize(
    ("command", "own"),
    [
        ("evaluate", "patients.csv"),
        ("evaluate", "slices.csv"),
        ("register", "report.json"),
        ("register", "moved.nrrd"),
        ("phantom", "fixed.nrrd"),
        ("train", "config.json"),
        ("train", "best.pt"),
        ("train", "split.json"),
        ("reproduce", "README.md"),
    ],
)
def test_a_file_of_the_user_is_kept_and_the_sentence_names_it(tmp_path, capsys, command, own):
    arguments = ARGUMENTS[command](tmp_path)
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


def test_an_input_is_not_replaced_by_the_result(tmp_path, capsys):
    for name, image in zip(("fixed", "moving"), pair_2d(), strict=True):
        write_image(image, tmp_path / f"{name}.nrrd")
    tiny_model(rough=1.0).save(tmp_path / "tiny.pt")
    arguments, moved = register_arguments(tmp_path), tmp_path / "out" / "moved.nrrd"
    assert cli.main(arguments) == 0
    capsys.readouterr()
    before = moved.read_bytes()
    (tmp_path / "link").symlink_to(tmp_path / "out", target_is_directory=True)
    for folder in ("out", "link"):
        given = [str(moved) if a.endswith("moving.nrrd") else a for a in arguments]
        given[given.index("--output") + 1] = str(tmp_path / folder)
        error_of(capsys, given, "moved.nrrd would be replaced by the result", "another output folder")
    assert moved.read_bytes() == before


def test_a_run_that_was_killed_early_and_a_split_in_its_folder_are_no_hindrance(tmp_path):
    arguments, out = train_arguments(tmp_path), tmp_path / "out"
    assert cli.main(arguments) == 0
    assert {path.name for path in out.iterdir() if path.is_file()} - {".lock"} <= set(FILES)  # all are known
    (out / "last.ckpt").unlink()
    assert cli.main(arguments) == 0
    (tmp_path / "new").mkdir()
    split = (out / "split.json").rename(tmp_path / "new" / "split.json")
    again = [*arguments[:-1], f"--output={tmp_path / 'new'}"]
    assert cli.main([*again, f"--split={split}"]) == 0


@pytest.mark.parametrize("how", [["--resume"], ["--config", "--output"]])
def test_settings_alone_in_a_folder_are_those_of_the_run_to_begin_there(tmp_path, how):
    assert cli.main(train_arguments(tmp_path)) == 0
    new = tmp_path / "new"
    new.mkdir()
    shutil.copy(tmp_path / "out" / "config.json", new)
    given = [f"{flag}={new / 'config.json' if flag == '--config' else new}" for flag in how]
    assert cli.main(["train", *given]) == 0
    assert (new / "last.ckpt").is_file()


def test_a_second_sequence_is_kept_out_of_a_folder_while_the_first_goes_on(tmp_path, capsys):
    images, out = [tmp_path / "a.nrrd", tmp_path / "b.nrrd"], tmp_path / "out"
    for path, image in zip(images, pair_2d(), strict=True):
        write_image(image, path)
    tiny_model(rough=1.0).save(tmp_path / "tiny.pt")
    out.mkdir()
    lock = FolderLock(out)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(lock.take).result()
        given = ["sequence", "--frames", *map(str, images), f"--model={tmp_path / 'tiny.pt'}"]
        error_of(capsys, [*given, f"--output={out}"], "Another process or thread is using out")
        other.submit(lock.release).result()
    assert not list(out.iterdir())
