"""Standard output on a full disk: the work goes on, its files are there, and the sentence says where."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import pytest
from test_cli import register_arguments
from test_cli_evaluate import evaluate_arguments

from builders import assert_sentence, pair_2d, tiny_model
from hetreg import cli
from hetreg.image import write_image
from hetreg.progress import Progress

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="that device is Linux's")


def run_full(monkeypatch, arguments: list[str]) -> int:
    """Run a command whose standard output cannot be written."""
    stdout = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        code = cli.main(arguments)
    with suppress(OSError):  # what it still holds
        stdout.close()
    return code


@pytest.mark.parametrize("json", [[], ["--json"]])
@pytest.mark.parametrize("name", ["register", "evaluate"])
def test_the_result_is_kept(tmp_path, capsys, monkeypatch, name, json):
    for role, image in zip(("fixed", "moving"), pair_2d(), strict=True):
        write_image(image, tmp_path / f"{role}.nrrd")
    tiny_model(rough=1.0).save(tmp_path / "tiny.pt")
    how = {"register": register_arguments(tmp_path), "evaluate": evaluate_arguments(tmp_path, phantoms=1)}
    assert run_full(monkeypatch, [*how[name], *json]) == 2
    said = capsys.readouterr().err
    assert said.startswith("hetreg: The output could not be written (No space left on device): the ")
    assert_sentence(said, f"files are in {tmp_path / 'out'}")
    assert {"report.json", "summary.json"} & {path.name for path in (tmp_path / "out").iterdir()}


def test_bad_input_is_still_one_sentence(tmp_path, capsys, monkeypatch):
    assert (
        run_full(monkeypatch, ["evaluate", "--output", str(tmp_path / "out"), "--phantoms", "0", "--json"])
        == 2
    )
    assert_sentence(capsys.readouterr().err, "hetreg: No case")


def test_reproduce_goes_on(tmp_path, capsys, monkeypatch):
    def reproduce(config: object, folder: object, progress: Progress, *, emit) -> dict:
        progress.step(0.5, "Half")
        emit("run", state="tested", run="mse", source="acdc", error="")
        return {}

    monkeypatch.setattr("hetreg.reproduce.run.reproduce", reproduce)
    assert run_full(monkeypatch, ["reproduce", "--output", str(tmp_path), "--json"]) == 2
    assert_sentence(capsys.readouterr().err, "The output could not be written")
