"""The benchmarks' own code: what a peer is given and what becomes of its answer, its cache, its numbers."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import accuracy
import gpu_steps
import layout
import numpy as np
import pytest
import torch

from bench import methods, summary
from bench.peers import TOOLS, install, process
from bench.peers.process import Peer
from builders import tiny_model
from hetreg.config import EvaluateConfig, GridConfig
from hetreg.datasets.phantom import make_pair
from hetreg.evaluate import evaluate
from hetreg.evaluation.case import Case
from hetreg.evaluation.results import Evaluation
from hetreg.preprocess import to_network_grid
from hetreg.result import RegisterResult

DEMONS = "demons (SimpleITK)"  # the one peer that the project's own packages can run


@pytest.fixture(scope="module")
def stack() -> Case:
    """Two slices of a phantom."""
    pair = make_pair("mri2d", 1, size=48, slices=2)
    images = (pair.fixed, pair.moving, pair.fixed_label, pair.moving_label)
    return Case("one", "patient", *images, truth=pair)


@pytest.fixture
def demons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """A peer in this Python."""
    monkeypatch.setattr(process, "python_of", lambda _: Path(sys.executable))
    return Peer(DEMONS, tmp_path)


def test_a_stack_is_given_slice_by_slice_and_scaled_together(stack: Case) -> None:
    given = list(methods.samples(stack))
    assert [where for where, *_ in given] == [(k, slice(None), slice(None)) for k in (0, 1)]
    for where, components, fixed, moving, spacing in given:
        assert components == [1, 2]
        assert min(fixed.min(), moving.min()) == 0
        assert max(fixed.max(), moving.max()) == 1
        slope = np.polyfit(stack.fixed.array[where].ravel(), fixed.ravel(), 1)[0]
        assert np.polyfit(stack.moving.array[where].ravel(), moving.ravel(), 1)[0] == pytest.approx(slope)
        assert spacing == pytest.approx(tuple(stack.fixed.spacing_mm[1::-1]))


def test_or_as_the_networks_see_the_stack(stack: Case) -> None:
    """One scale for all slices, and the brightest half percent is cut."""
    given = list(methods.samples(stack, percentiles=True))
    pair = to_network_grid(stack.fixed, stack.moving, GridConfig(), ndim=2, multiple=1)
    for k, (_where, _components, fixed, moving, _spacing) in enumerate(given):
        np.testing.assert_allclose(fixed, pair.fixed[k, 0].numpy(), atol=1e-6)
        np.testing.assert_allclose(moving, pair.moving[k, 0].numpy(), atol=1e-6)
    assert np.mean([fixed == 1 for *_, fixed, _moving, _spacing in given]) > 0


def test_a_volume_is_given_whole() -> None:
    pair = make_pair("echo3d", 1, size=16, with_truth=False)
    ((where, components, fixed, _, spacing),) = methods.samples(Case("v", "v", pair.fixed, pair.moving))
    assert (where, components) == ((slice(None),) * 3, slice(None))
    assert fixed.shape == (16, 16, 16)
    assert len(spacing) == 3


def test_the_true_field_is_better_than_none(stack: Case) -> None:
    still, best = methods.undeformed(stack), methods.true_field(stack)
    assert not still.disp_vox.any()
    np.testing.assert_array_equal(best.disp_vox, stack.truth.disp_vox)
    with pytest.raises(ValueError, match="not known"):
        methods.true_field(Case("one", "patient", stack.fixed, stack.moving))


def test_a_peer_registers_and_is_found_again(stack: Case, demons: Peer, monkeypatch) -> None:
    with demons:
        found = methods.peer(demons)(stack)
    before, after = (np.linalg.norm(d - stack.truth.disp_vox, axis=0) for d in (0, found.disp_vox))
    wall = stack.fixed_label.array == 2
    assert after[wall].mean() < 0.6 * before[wall].mean()
    assert demons.versions.keys() == {"SimpleITK"}
    monkeypatch.setattr(Peer, "_start", lambda _: pytest.fail("the cache was not used"))
    again = methods.peer(Peer(DEMONS, demons.cache))(stack)
    np.testing.assert_array_equal(again.disp_vox, found.disp_vox)
    assert again.summary["seconds"] == pytest.approx(found.summary["seconds"])


def test_other_settings_and_other_pairs_have_other_keys(tmp_path: Path) -> None:
    pair = {"fixed": np.zeros((4, 4), np.float32), "moving": np.ones((4, 4), np.float32)}
    keys = {Peer(name, tmp_path).key(pair) for name in TOOLS}
    keys.add(Peer(DEMONS, tmp_path).key(pair | {"fixed": pair["moving"]}))
    assert len(keys) == len(TOOLS) + 1


def test_a_peer_that_fails_is_an_error_and_goes_on(demons: Peer) -> None:
    image = np.random.default_rng(0).random((24, 24)).astype(np.float32)
    with demons:
        with pytest.raises(RuntimeError, match=r"demons \(SimpleITK\): .+"):
            demons.register(image, image[:, :0], (1.0, 1.0))
        assert demons.register(image, image, (1.0, 1.0))[0].shape == (2, 24, 24)


def test_what_a_tool_leaves_lying_is_removed(demons: Peer, monkeypatch) -> None:
    image, folders = np.random.default_rng(0).random((24, 24), np.float32), []
    popen = subprocess.Popen
    started = lambda *a, **k: folders.append(Path(k["cwd"])) or popen(*a, **k)  # noqa: E731
    monkeypatch.setattr(process.subprocess, "Popen", started)
    with demons:
        demons.register(image, image, (1.0, 1.0))
        (folders[0] / "deformationField.nii").touch()
    assert not folders[0].exists()


def test_a_process_that_ends_is_an_error(demons: Peer, monkeypatch) -> None:
    monkeypatch.setattr(process, "python_of", lambda _: Path("/bin/true"))
    with pytest.raises(RuntimeError, match="its process ended"):
        demons.register(np.zeros((4, 4), np.float32), np.zeros((4, 4), np.float32), (1.0, 1.0))


def test_only_the_run_that_held_a_patient_out_is_asked(tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text('{"training": ["a"], "validation": ["b"], "test": ["c"]}')
    assert methods.held_out(tmp_path) == {"c"}
    (tmp_path / "split.json").write_text('{"training": ["a"], "validation": ["b"], "test": []}')
    assert methods.held_out(tmp_path) == {"b"}
    assert methods.held_out(tmp_path / "split.json") is None


def lines(found: Evaluation) -> dict[str, object]:
    headings = [c.heading for c in summary.COLUMNS]
    return dict(zip(headings, summary.line("tool", found, 2), strict=True))


def test_the_line_of_a_tool() -> None:
    config = EvaluateConfig(kind="mri2d", phantoms=2, phantom_size=48, labels="2")
    found = lines(evaluate(config, register=methods.true_field, pictures=False))
    assert (found["patients"], found["failed"], found["slices"]) == (2, 0, 2)
    assert found["Dice (%)"] > 80
    assert found["end-point error (vox)"] == 0


def test_the_calibration_of_a_tool_that_knows_the_noise() -> None:
    config = EvaluateConfig(kind="mri2d", phantoms=2, phantom_size=48, labels="2")
    assert summary.calibration("none", evaluate(config, register=methods.true_field, pictures=False)) is None

    def twice(case: Case) -> RegisterResult:
        result, truth = methods.true_field(case), case.truth.residual_variance
        return replace(result, noise_variance=truth.like(2 * truth.array, "noise_variance"))

    found = evaluate(config, register=twice, pictures=False)
    headings = [c.heading for c in summary.CALIBRATION]
    cells = dict(zip(headings, summary.calibration("twice", found), strict=True))
    assert cells["Spearman"] == pytest.approx(1.0)
    assert 0 < cells["Spearman, noise of fixed"] < 1
    assert cells["over all noise (nats)"] > 0
    assert cells["all noise in 95 % (%)"] == pytest.approx(99.44, abs=0.01)  # 1.96 sqrt(2) SD
    assert cells["NLL excess (nats)"] == pytest.approx(0.5 * (np.log(2) - 0.5), abs=0.05)
    assert cells["noise in 95 % (%)"] > cells["with the true variance"] > 90
    assert np.isnan(cells["displacement in 95 % (%)"])
    assert len(summary.tables("group", [], [tuple(cells.values())], "")) == 2


def test_a_failed_case_counts_as_no_overlap() -> None:
    config = EvaluateConfig(kind="mri2d", phantoms=2, phantom_size=48, labels="2")

    def half(case: Case):
        if case.name.endswith("1"):
            raise RuntimeError("crashed")
        return methods.true_field(case)

    whole = lines(evaluate(config, register=methods.true_field, pictures=False))
    found = evaluate(config, register=half, pictures=False)
    assert lines(found)["failed"] == 1
    assert lines(found)["Dice (%)"] == pytest.approx(100 * found.rows[0]["dice_2"] / 2)
    assert lines(found)["Dice (%)"] < whole["Dice (%)"]


def still(self: Peer, pair: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
    """A peer that moves nothing."""
    self.versions.update({"OtherITK": "9.8.7"})
    return np.zeros((pair["fixed"].ndim, *pair["fixed"].shape), np.float32), 0.1


def test_a_step_is_timed_and_what_the_device_has_not_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(gpu_steps.BASE, batch=1, crop=32, size="tiny")
    monkeypatch.setattr(gpu_steps, "CASES", {"tiny": gpu_steps.Case(small)})
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)  # some processors have bfloat16
    name, option, ms, memory, drawing = gpu_steps.line("tiny", "plain", 2, torch.device("cpu"))
    assert (name, option, memory) == ("tiny", "plain", None)
    assert ms > 0
    assert drawing > 0
    for option in ("amp", "compile", "graphs"):
        _, text, ms, *_ = gpu_steps.line("tiny", option, 2, torch.device("cpu"))
        assert text.startswith(f"{option}: ")
        assert "NVIDIA GPU" in text
        assert ms is None


def test_the_accuracy_benchmark_writes_a_line_for_each_tool(tmp_path: Path, monkeypatch) -> None:
    tiny_model().save(tmp_path / "mine.pt")
    monkeypatch.setattr(process, "python_of", lambda _: Path(sys.executable))
    monkeypatch.setattr(process.Peer, "compute", still)
    flags = ["--phantoms", "mri2d:1", "--model", str(tmp_path / "mine.pt"), "--refine", "0", "1"]
    flags += ["--peers", DEMONS, "--cache", str(tmp_path / "cache")]
    arguments = accuracy.parser().parse_args([*flags, "--output", str(tmp_path / "out")])
    text = accuracy.run(arguments)
    tools = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    for name in ("undeformed", "true field", DEMONS, "HetReg mine", "HetReg mine, 1 iterations"):
        assert name in tools
    assert ", OtherITK 9.8.7; load" in text  # what a peer ran with
    assert (tmp_path / "out" / "table.md").read_text(encoding="utf-8") == text
    with (tmp_path / "out" / "rows.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["tool"] for row in rows] == [t for t in tools if t in {r["tool"] for r in rows}][:5]
    off = {row["tool"]: float(row["epe_vox_myocardium"]) for row in rows}
    assert off["true field"] < 1e-3 < off["HetReg mine"]
    assert off["undeformed"] > 1


def test_a_tool_that_is_not_installed_is_told_before_the_first_case(tmp_path: Path, monkeypatch) -> None:
    flags = ["--phantoms", "mri2d:1", "--cache", str(tmp_path / "cache"), "--output", str(tmp_path / "out")]
    arguments = accuracy.parser().parse_args([*flags, "--peers", "ANTs SyN CC"])
    monkeypatch.setattr(install, "ROOT", tmp_path)
    with pytest.raises(OSError, match=r"no \.venv-peers: make it with `accuracy\.py --install`\."):
        accuracy.run(arguments)
    monkeypatch.setattr(process, "python_of", lambda _: Path(sys.executable))
    with pytest.raises(OSError, match="ANTs SyN CC: No module named 'ants': `accuracy"):
        accuracy.run(arguments)
    assert not (tmp_path / "out").exists()


def test_why_cases_failed_stands_below_the_table(stack: Case) -> None:
    def register(case: Case) -> RegisterResult:
        raise RuntimeError("its process ended")

    found = evaluate(EvaluateConfig(phantoms=2, phantom_size=32), register=register, pictures=False)
    (reason,) = summary.failures("demons", found)
    assert reason.startswith("demons, 2 failed: ")
    assert "its process ended" in reason
    (table,) = summary.tables("mri2d", [summary.line("demons", found, 2)], [], "Made so.", reason)
    assert table.notes == ("Made so.", reason)


def test_ways_of_a_step_are_timed_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SIZES", {2: (1, 32), 3: (1, 16)})
    ways = [layout.DEFAULT, layout.LAST, layout.WHOLE, layout.AMP]
    halving = layout.convolution.worth_halving
    for ndim in (2, 3):
        (times,) = layout.rounds_of("voxelmorph", "tiny", ndim, ways, 1)
        assert list(times) == ways
        assert min(times.values()) > 0
    assert layout.convolution.worth_halving is halving
    assert layout.trainer("voxelmorph", "tiny", 2, layout.AMP).config.amp
    assert not layout.trainer("voxelmorph", "tiny", 2, layout.LAST).config.amp


def test_the_ratio_of_a_way_is_the_median_of_the_rounds() -> None:
    times = [{"default": 0.4, "bfloat16": b} for b in (0.1, 0.2, 0.8)]
    table = layout.table(["default", "bfloat16"], {"2D": times}, 3)
    assert table.rows == (("2D", 400.0, 200.0, "2.00 (0.50 to 4.00)"),)
