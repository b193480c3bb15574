"""A run that goes on keeps its patients and its settings; what it says of pairs that it cannot use."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import layouts
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from builders import PLAIN, TINY, assert_sentence, tiny_model, tiny_training, train_samples
from hetreg import cli
from hetreg.config import NetworkConfig
from hetreg.progress import Control
from hetreg.training import loop
from hetreg.training.data import dry_run
from hetreg.training.loop import train
from hetreg.training.validation import validate

SMALL = NetworkConfig(**TINY)


def parts_of(folder) -> dict[str, list[str]]:
    """The patients of a run's parts."""
    return json.loads((folder / "split.json").read_text())


def unreadable_voxels(path) -> None:
    """Every voxel is no number: the headers do not tell."""
    image = sitk.ReadImage(str(path))
    array = np.full(sitk.GetArrayFromImage(image).shape, np.nan, np.float32)
    made = sitk.GetImageFromArray(array)
    made.CopyInformation(image)
    sitk.WriteImage(made, str(path))


@pytest.fixture
def pairs(tmp_path):
    """A folder of four pairs."""
    for n, case in enumerate("abcd"):
        layouts.plain_pair(tmp_path / "data", case, n)
    return tmp_path / "data"


def test_new_patients_are_left_out_of_a_run_that_goes_on(tmp_path, pairs):
    config = tiny_training(dataset="pairs", root=str(pairs), steps=3, crop=32)
    train(config, tmp_path / "run", network=SMALL)
    before = parts_of(tmp_path / "run")
    for n, case in enumerate("efghijkl"):
        layouts.plain_pair(pairs, case, 10 + n)
    longer = tiny_training(dataset="pairs", root=str(pairs), steps=4, crop=32)
    events = []
    train(longer, tmp_path / "run", network=SMALL, emit=lambda event, **row: events.append((event, row)))
    assert parts_of(tmp_path / "run") == before
    (note,) = [row["text"] for event, row in events if event == "note"]
    assert "8 patients were not there" in note
    assert "e, f, g, h, i and others" in note


def test_a_patient_without_usable_voxels_keeps_its_part(tmp_path, pairs):
    unreadable_voxels(pairs / "b_ES.nii.gz")
    config = tiny_training(dataset="pairs", root=str(pairs), steps=3, crop=32)
    train(config, tmp_path / "run", network=SMALL)
    parts = parts_of(tmp_path / "run")
    assert sorted(name for members in parts.values() for name in members) == list("abcd")
    layouts.plain_pair(pairs, "b", 1)  # mended
    train(tiny_training(dataset="pairs", root=str(pairs), steps=4, crop=32), tmp_path / "run", network=SMALL)
    assert parts_of(tmp_path / "run") == parts


def test_without_a_validation_pair_the_last_weights_are_kept_and_said_to_be_unmeasured(tmp_path):
    events = []
    samples = [s for s in train_samples() if s.patient == train_samples()[0].patient]
    config = tiny_training(steps=6, validate_every=2)
    train(
        config,
        tmp_path,
        network=SMALL,
        samples=samples,
        emit=lambda event, **row: events.append((event, row)),
    )
    assert any("no pair for validation" in row["text"] for event, row in events if event == "note")
    assert "6 of 6 steps" in (tmp_path / "model_card.md").read_text()
    assert "No validation pair" in (tmp_path / "model_card.md").read_text()


def test_the_split_is_kept_although_a_draw_would_now_be_another(tmp_path):
    config = tiny_training()
    train(config, tmp_path, network=SMALL, samples=train_samples())
    swapped = parts_of(tmp_path)
    swapped["validation"], swapped["test"] = swapped["test"], swapped["validation"]
    (tmp_path / "split.json").write_text(json.dumps(swapped))
    train(tiny_training(steps=7), tmp_path, network=SMALL, samples=train_samples())
    assert parts_of(tmp_path) == swapped


def test_a_split_file_may_have_moved_but_not_changed(tmp_path):
    names = sorted({s.patient for s in train_samples()})
    parts = {"training": names[1:], "validation": names[:1], "test": []}
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text(json.dumps(parts))
    train(tiny_training(split=str(first)), tmp_path / "run", network=SMALL, samples=train_samples())
    first.rename(second)
    train(tiny_training(steps=7, split=str(second)), tmp_path / "run", network=SMALL, samples=train_samples())
    parts["training"], parts["validation"] = names[:-1], names[-1:]
    first.write_text(json.dumps(parts))
    with pytest.raises(ValueError, match="started with split"):
        train(
            tiny_training(steps=8, split=str(first)), tmp_path / "run", network=SMALL, samples=train_samples()
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [("gamma", 1.5), ("smoothness", 5.0), ("batch", 1), ("phantoms", 12), ("augment", False)],
)
def test_a_run_does_not_go_on_with_other_settings(tmp_path, name, value):
    train(tiny_training(), tmp_path, network=SMALL, samples=train_samples())
    kept = (tmp_path / "config.json").read_bytes()
    with pytest.raises(ValueError, match=f"started with {name}") as error:
        train(tiny_training(steps=8, **{name: value}), tmp_path, network=SMALL, samples=train_samples())
    assert_sentence(error.value, repr(value), "accepted")
    assert (tmp_path / "config.json").read_bytes() == kept


def test_the_log_of_a_run_that_was_killed_before_its_first_checkpoint_starts_anew(tmp_path):
    config = tiny_training()
    train(config, tmp_path, network=SMALL, samples=train_samples())
    (tmp_path / "last.ckpt").unlink()
    train(config, tmp_path, network=SMALL, samples=train_samples())
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [3, 3, 6, 6]
    assert (tmp_path / "log.csv").read_text().startswith("event,step")


@pytest.mark.parametrize("text", [None, "{", "[1]"], ids=["whole", "cut off", "no object"])
def test_run_json_keeps_what_it_said_of_earlier_parts_and_another_code_is_noted(tmp_path, text):
    config = tiny_training(steps=2, validate_every=1)
    train(config, tmp_path, network=SMALL, samples=train_samples())
    about = json.loads((tmp_path / "run.json").read_text())
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    told: list[str] = []

    def emit(kind, **fields):
        if kind == "note":
            told.append(fields["text"])

    longer = tiny_training(steps=3, validate_every=1)
    train(longer, tmp_path, network=SMALL, samples=train_samples(), emit=emit)
    after = json.loads((tmp_path / "run.json").read_text())
    assert after["code"] == about["code"]
    assert after["earlier"] == [about if text is None else {"code": "unknown"}]
    assert any("code has changed" in text for text in told) == (text is not None)


def test_length_and_place_may_change(tmp_path):
    train(tiny_training(), tmp_path, network=SMALL, samples=train_samples())
    config = tiny_training(steps=8, validate_every=2, accumulate=2, root=str(tmp_path))
    train(config, tmp_path, network=SMALL, samples=train_samples())
    steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert max(steps) == 8


def test_pairs_without_numbers_are_told_and_the_parts_are_those_of_the_dry_run(tmp_path, pairs, capsys):
    config = tiny_training(dataset="pairs", root=str(pairs), steps=2, crop=32)
    promised = {row["patient"]: row["split"] for row in dry_run(config)["pairs"]}
    lost = next(name for name, part in promised.items() if part == "training")
    unreadable_voxels(pairs / f"{lost}_ES.nii.gz")
    events = []
    train(config, tmp_path / "run", network=SMALL, emit=lambda kind, **fields: events.append((kind, fields)))
    parts = parts_of(tmp_path / "run")
    found = {patient: part for part, members in parts.items() for patient in members}
    assert found == promised
    (told,) = [fields for kind, fields in events if kind == "left_out"]
    assert f"{lost}_ES" in told["file"]
    assert json.loads((tmp_path / "run" / "left_out.json").read_text()) == [told]
    arguments = ["--steps", "2", "--crop", "32", "--size", "tiny", "--device", "cpu", "--batch", "1"]
    arguments += ["--dataset", "pairs", "--root", str(pairs), "--output", str(tmp_path / "other")]
    assert cli.main(["train", *arguments]) == 0
    assert f"{lost}_ES" in next(line for line in capsys.readouterr().out.splitlines() if "left out" in line)


def test_if_all_training_pairs_are_unusable_it_says_so(tmp_path, pairs):
    config = tiny_training(dataset="pairs", root=str(pairs), steps=2, crop=32)
    for row in dry_run(config)["pairs"]:
        if row["split"] == "training":
            unreadable_voxels(pairs / f"{row['patient']}_ES.nii.gz")
    with pytest.raises(ValueError, match="All training pairs are unusable") as error:
        train(config, tmp_path / "run", network=SMALL)
    assert_sentence(error.value)


@pytest.mark.parametrize(
    ("network", "size", "multiple"),
    [("voxelmorph", "paper", 16), ("transmorph", "tiny", 8), ("pyramid", "tiny", 4)],
)
def test_a_crop_that_does_not_divide_is_refused_before_any_pair_is_made(
    tmp_path, monkeypatch, network, size, multiple
):
    if network == "transmorph":
        pytest.importorskip("monai")
    monkeypatch.setattr(loop, "load_run", lambda *_: pytest.fail("data were made"))
    with pytest.raises(ValueError, match="crop is 17") as error:
        train(tiny_training(crop=17, network=network, size=size), tmp_path / "run")
    assert_sentence(error.value, f"multiple of {multiple} is accepted")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("steps", "noted"), [(2, True), (3, False)])
def test_a_run_that_is_all_warm_up_is_noted(tmp_path, steps, noted):
    events = []
    config = tiny_training(steps=steps)
    train(
        config, tmp_path, network=SMALL, samples=train_samples(), emit=lambda kind, **_: events.append(kind)
    )
    assert ("note" in events) == noted


def test_the_best_model_is_forgotten_once_at_the_end_of_the_warm_up(tmp_path, monkeypatch):
    """Validations at 5 and 6 of 6 steps, both less than an interval after the warm-up of 2."""
    scores = iter([0.9, 0.1])
    monkeypatch.setattr(loop, "validate", lambda *_: {"dice": next(scores), "folding": 0.0, "loss": 0.0})
    config = tiny_training(steps=6, warmup=2, validate_every=5)
    train(config, tmp_path, network=SMALL, samples=train_samples())
    assert "5 of 6 steps" in (tmp_path / "model_card.md").read_text()


@pytest.mark.parametrize("stop", [1, 3])
def test_the_best_model_of_the_warm_up_is_forgotten_also_after_a_stop(tmp_path, monkeypatch, stop):
    at_the_stop = [0.95] if stop == 1 else []  # there was no model yet
    scores = iter([*at_the_stop, 0.9, 0.1, 0.05])
    monkeypatch.setattr(loop, "validate", lambda *_: {"dice": next(scores), "folding": 0.0, "loss": 0.0})
    config = tiny_training(steps=6, warmup=2, validate_every=2, variance_warmup=1)
    control = Control()

    def emit(kind, **fields):
        if kind == "step" and fields["step"] == stop:
            control.obey("stop")

    monkeypatch.setattr(loop, "EMIT_EVERY_S", 0.0)
    train(config, tmp_path, network=SMALL, samples=train_samples(), emit=emit, control=control)
    train(config, tmp_path, network=SMALL, samples=train_samples())
    assert "4 of 6 steps" in (tmp_path / "model_card.md").read_text()


def test_a_pause_is_not_counted_in_the_time_that_is_left(tmp_path, monkeypatch):
    now, left = [0.0], []
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(loop, "EMIT_EVERY_S", 0.0)

    class Paused(Control):
        paused = True

        def wait(self):
            now[0] += 1000.0

    def emit(kind, **fields):
        if kind == "step":
            left.append(fields["eta_seconds"])
            now[0] += 1.0

    config = tiny_training(steps=6, validate_every=6)
    train(config, tmp_path, network=SMALL, samples=train_samples(), emit=emit, control=Paused())
    assert max(left) < 10


def test_dice_is_of_the_heart_or_of_whatever_labels_there_are():
    torch.manual_seed(0)
    samples = train_samples(1)
    model, cpu = tiny_model(), torch.device("cpu")
    heart = validate(model, samples, 16, cpu, PLAIN)["dice"]
    for other in (1, 7):
        renamed = train_samples(1)
        for label in (renamed[0].fixed_label, renamed[0].moving_label):
            label[label == 2] = other
        assert validate(model, renamed, 16, cpu, PLAIN)["dice"] == heart
    renamed[0].fixed_label[10, 10] = 2  # now the heart counts, but one frame lacks it
    assert "dice" not in validate(model, renamed, 16, cpu, PLAIN)
    renamed[0].moving_label[3, 3] = 2  # and here it is not met
    assert validate(model, renamed, 16, cpu, PLAIN)["dice"] == pytest.approx(0.0)
    assert math.isfinite(heart)
