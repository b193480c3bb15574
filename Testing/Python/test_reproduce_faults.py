"""What fails once in a reproduction and not the next time, and what is damaged in its folder."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from builders import TINY_REPRODUCTION, assert_sentence, pair_2d, tiny_model
from hetreg.evaluate import evaluate
from hetreg.image import write_image
from hetreg.progress import Cancelled, Progress
from hetreg.reproduce import gallery, scoring
from hetreg.reproduce.plan import Job, jobs
from hetreg.reproduce.runs import run_folder

UNDEFORMED = Job("undeformed", "", "undeformed", 0, None)


@pytest.fixture
def config(tmp_path):
    """Of a reproduction in tmp_path / "out" that tests the pairs of a and b."""
    root = tmp_path / "data"
    for case in ("a", "b"):
        for phase, image in zip(("ES", "ED"), pair_2d(), strict=True):
            root.mkdir(exist_ok=True)
            write_image(image.like(image.array + ord(case), "x"), root / f"{case}_{phase}.nrrd")
    (tmp_path / "out").mkdir()
    split = {"training": [], "validation": [], "test": ["a", "b"]}
    (tmp_path / "out" / "split.json").write_text(json.dumps(split), encoding="utf-8")
    return replace(TINY_REPRODUCTION, dataset="pairs", root=str(root), methods=("undeformed",))


def measured(config, tmp_path):
    """({case: error} of a call of its own, the files of rows that are kept)."""
    with scoring.Scorer(config, tmp_path / "out") as scorer:
        score = scorer.score(UNDEFORMED, "pairs", "", Progress())
    return {row["case"]: row["error"] for row in score.rows}, list((tmp_path / "out").glob("scores/*"))


@pytest.mark.parametrize("back_at_once", [True, False])
def test_a_file_that_is_gone_for_a_moment_is_read_the_next_time(config, tmp_path, monkeypatch, back_at_once):
    file, away = tmp_path / "data" / "b_ES.nrrd", tmp_path / "away.nrrd"

    def meanwhile(*given, **how):
        file.rename(away)
        found = evaluate(*given, **how)
        if back_at_once:
            away.rename(file)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(scoring, "evaluate", meanwhile)
        errors, kept = measured(config, tmp_path)
    assert errors["a"] == ""
    assert "ES" in errors["b"]
    assert kept == []
    if not back_at_once:
        away.rename(file)
    errors, kept = measured(config, tmp_path)
    assert errors == {"a": "", "b": ""}
    assert len(kept) == 1


def test_a_file_that_is_cut_off_for_good_is_not_measured_again(config, tmp_path):
    file = tmp_path / "data" / "b_ES.nrrd"
    file.write_bytes(file.read_bytes()[:-20])
    errors, kept = measured(config, tmp_path)
    assert_sentence(errors["b"], "cut off")
    assert len(kept) == 1


@pytest.fixture
def trained(config, tmp_path):
    """(configuration, job, weight file) of a run whose model is there."""
    config = replace(config, methods=("mse",))
    (job,) = jobs(config, tmp_path / "out")
    path = run_folder(tmp_path / "out", job) / "best.pt"
    path.parent.mkdir(parents=True)
    tiny_model().save(path)
    return config, job, path


def test_a_damaged_model_is_the_error_of_its_run_alone(trained, tmp_path):
    config, job, path = trained
    path.write_bytes(path.read_bytes()[:-100])
    with scoring.Scorer(config, tmp_path / "out") as scorer:
        score = scorer.score(job, "pairs", "", Progress())
        (path.parent / "done.json").write_text('{"steps": 1, "seconds": 1}', encoding="utf-8")
        assert not gallery._is_ready(job, scorer)  # the pictures are of the others
    assert not score.rows
    assert_sentence(score.error, "best.pt is damaged", f"Remove runs/{job.name} to train it anew")


def test_a_case_can_be_cancelled_while_it_is_registered(trained, tmp_path):
    config, job, _ = trained
    asked = iter([False])  # when the first case begins
    with scoring.Scorer(config, tmp_path / "out") as scorer, pytest.raises(Cancelled, match="the images"):
        scorer.score(job, "pairs", "", Progress(cancelled=lambda: next(asked, True)))


def test_rows_that_are_not_whole_are_measured_again(config, tmp_path):
    _, (path,) = measured(config, tmp_path)
    whole = path.read_bytes()
    for name in ("rows", "slices", "curves"):
        path.write_text(json.dumps({k: v for k, v in json.loads(whole).items() if k != name}))
        errors, _ = measured(config, tmp_path)
        assert errors == {"a": "", "b": ""}
        assert json.loads(path.read_bytes()).keys() == json.loads(whole).keys()
