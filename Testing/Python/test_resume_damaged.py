"""A run goes on although a file beside its checkpoint is damaged, gone or half written."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from builders import TINY, assert_sentence, tiny_training, train_samples
from hetreg.config import NetworkConfig
from hetreg.files import json_lines
from hetreg.model import RegistrationModel
from hetreg.training.loop import train


def go(folder, steps: int) -> list[str]:
    """Train so far in all; the notes."""
    notes = []

    def emit(kind: str, **fields: object) -> None:
        if kind == "note":
            notes.append(str(fields["text"]))

    network, samples = NetworkConfig(**TINY), train_samples()
    train(tiny_training(steps=steps), folder, network=network, samples=samples, emit=emit)
    return notes


@pytest.mark.parametrize("steps", [3, 4])
@pytest.mark.parametrize("length", [None, 9000])
def test_where_the_best_model_was_lost_a_later_one_takes_its_place(tmp_path, steps, length):
    go(tmp_path, 3)
    last, best = tmp_path / "last.ckpt", tmp_path / "best.pt"
    torch.save(torch.load(last, weights_only=True) | {"best": 1e9}, last)  # which no later one reaches
    whole = best.read_bytes()
    best.unlink()
    if length:
        best.write_bytes(whole[:length])
    (note,) = [text for text in go(tmp_path, steps) if "best.pt" in text]
    assert_sentence(note, "best.pt is missing or damaged")
    assert RegistrationModel.load(best).card["steps"] == steps
    assert not [text for text in go(tmp_path, steps) if "best.pt" in text]


def test_without_pairs_for_validation_it_has_the_loss_of_the_last_step(tmp_path):
    network, samples = NetworkConfig(**TINY), [replace(s, patient="p0") for s in train_samples()]
    for _ in range(2):
        train(tiny_training(steps=3), tmp_path, network=network, samples=samples)
        (tmp_path / "best.pt").unlink()
    first, second = (r for r in json_lines(tmp_path / "log.jsonl") if r["event"] == "validation")
    assert first["dice"] is None
    assert first["loss"] == second["loss"] is not None


def test_of_a_damaged_log_the_whole_rows_are_kept(tmp_path):
    go(tmp_path, 3)
    log = tmp_path / "log.jsonl"
    before = json_lines(log)
    damaged = [
        b'{"event": "st\xa2p", "loss": \xa2}',
        b"5",
        b"[]",
        b'{"step": "x"}',
        b'{"step": null}',
        b"\0\0",
    ]
    log.write_bytes(log.read_bytes() + b"\n".join(damaged) + b"\n")
    go(tmp_path, 4)
    after = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert after[: len(before)] == before
    assert {row["step"] for row in after[len(before) :]} == {4}


def test_what_a_killed_process_left_half_written_goes(tmp_path):
    go(tmp_path, 3)
    below = [f"{folder}/.partial-12345678.x" for folder in ("preview", "cache")]
    for name in (".partial-6f8f7055.ckpt", ".partial-c2e09c76.md", *below):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"half")
    go(tmp_path, 4)
    assert not list(tmp_path.rglob(".partial-*"))


def test_a_folder_that_is_moved_while_it_is_written_is_not_made_again(tmp_path):
    run, notes = tmp_path / "run", []

    def emit(kind: str, **fields: object) -> None:
        if kind == "validation" and run.exists():
            run.rename(tmp_path / "moved")
        elif kind == "note":
            notes.append(str(fields["text"]))

    with pytest.raises(OSError, match=r"log\.jsonl could not be written"):
        train(tiny_training(), run, network=NetworkConfig(**TINY), samples=train_samples(), emit=emit)
    assert_sentence(notes[-1].removesuffix(" The training goes on."), "preview could not be written", "moved")
    assert not run.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"step": float("inf")}, "infinity"),
        ({"start": {"network": {}}}, "'grid'"),
        ({"start": {"network": 5, "grid": 5, "card": {}}}, "int"),
        (
            {
                "start": {
                    "network": {"encoder": [40_000] * 2, "decoder": [40_000] * 2},
                    "grid": {},
                    "card": {},
                }
            },
            "fewer",
        ),
    ],
    ids=["step", "no grid", "no network", "58 GB"],
)
def test_a_checkpoint_of_others_that_makes_no_sense_is_a_sentence(tmp_path, change, said):
    go(tmp_path, 3)
    last = tmp_path / "last.ckpt"
    torch.save(torch.load(last, weights_only=True) | change, last)
    with pytest.raises(ValueError, match=r"last\.ckpt is damaged") as caught:
        go(tmp_path, 4)
    assert_sentence(caught.value, said, "a whole checkpoint is accepted")
