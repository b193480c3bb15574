"""The command line: files, exit codes, one sentence on stderr, JSON lines on stdout."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from subprocess import PIPE, Popen

import numpy as np
import pytest
import SimpleITK as sitk

import hetreg
from builders import assert_sentence, error_of, events_of, pair_2d, resample, run_python, sampled, tiny_model
from hetreg import cli, zoo
from hetreg.commands.flags import config_from
from hetreg.config import RegisterConfig, TrainConfig
from hetreg.image import Image, read_image, write_image
from hetreg.progress import Cancelled

WRITTEN = {
    "moved.nrrd",
    "transform.h5",
    "inverse_transform.h5",
    "noise_variance.nrrd",
    "noise_sd.nrrd",
    "snr_weight.nrrd",
    "log_jacobian.nrrd",
    "residual.nrrd",
    "displacement_mm.nrrd",
    "report.json",
}


def register_arguments(folder: Path) -> list[str]:
    """`register` with fixed.nrrd, moving.nrrd and tiny.pt of the folder, into its folder `out`."""
    names = {"fixed": "fixed.nrrd", "moving": "moving.nrrd", "output": "out", "model": "tiny.pt"}
    return ["register", *(a for flag, name in names.items() for a in (f"--{flag}", str(folder / name)))]


@pytest.fixture
def pair(tmp_path):
    """Arguments of `register` for a small pair with labels and a small model; output in tmp_path / out."""
    for name, image in zip(("fixed", "moving"), pair_2d(), strict=True):
        write_image(image, tmp_path / f"{name}.nrrd")
        write_image(image.like((image.array > 50).astype(np.uint8), name), tmp_path / f"{name}_seg.nrrd")
    tiny_model(rough=1.0).save(tmp_path / "tiny.pt")
    return register_arguments(tmp_path)


def test_register_writes_its_files(pair, tmp_path, capsys):
    labels = [
        "--moving-seg",
        str(tmp_path / "moving_seg.nrrd"),
        "--fixed-seg",
        str(tmp_path / "fixed_seg.nrrd"),
    ]
    assert cli.main([*pair, *labels, "--refine", "2"]) == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == WRITTEN | {"moved_seg.nrrd"}
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()]
    assert {"mse_after", "dice_after"} <= {words[0] for words in lines}
    assert {"displacement_max_mm": "mm", "folded_percent": "%", "seconds": "s"}.items() <= {
        words[0]: words[-1] for words in lines
    }.items()
    assert "dice_before label 1" in out
    assert "\nnote: The longest edge of the fixed image" in out
    assert not set("{}[]'") & set(out.replace(str(tmp_path), ""))
    assert err == ""
    fixed, moving = (read_image(tmp_path / f"{n}.nrrd") for n in ("fixed", "moving"))
    transform = sitk.ReadTransform(str(tmp_path / "out" / "transform.h5"))
    moved = read_image(tmp_path / "out" / "moved.nrrd").array
    assert np.abs(moved - resample(moving, fixed, transform)).max() < 1e-3 * np.ptp(moving.array)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["summary"]["dice_after"].keys() == {"1"}
    assert report["record"]["config"]["refine"] == 2


def test_register_in_json_lines(pair, capsys):
    assert cli.main([*pair, "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {e["event"] for e in events[:-1]} == {"progress"}
    fractions = [e["fraction"] for e in events[:-1]]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert events[-1]["event"] == "result"
    assert {Path(p).name for p in events[-1]["files"].values()} == WRITTEN
    assert all(Path(p).is_file() for p in events[-1]["files"].values())
    assert events[-1]["summary"]["model"].endswith("/tiny.pt")


def test_the_flags_make_the_configuration(pair):
    flags = ["--dimension", "2d", "--gamma", "0.25", "--no-inverse", "--refine", "3"]
    arguments = cli.parser().parse_args([*pair, *flags])
    config = config_from(arguments, RegisterConfig)
    assert (config.dimension, config.gamma, config.inverse, config.refine) == ("2d", 0.25, False, 3)
    assert config_from(cli.parser().parse_args(["train", "--output", "x"]), TrainConfig) == TrainConfig()


def test_a_process_of_its_own_exits_with_the_code(pair, tmp_path):
    good = run_python("-m", "hetreg", *pair, "--json")
    assert (good.returncode, good.stderr) == (0, "")
    assert json.loads(good.stdout.splitlines()[-1])["event"] == "result"
    bad = run_python("-m", "hetreg", *pair[:-2], "--model", str(tmp_path / "absent.pt"))
    assert (bad.returncode, bad.stdout) == (2, "")
    assert_sentence(bad.stderr, "absent.pt")
    assert run_python("-m", "hetreg", "--version").stdout == f"hetreg {hetreg.__version__}\n"


def test_a_wrong_flag_is_one_sentence_that_names_what_is_accepted(pair, capsys):
    for wrong in (["--device", "tpu"], ["--weight-mode", "best"], ["--refine", "many"], ["--nonsense"]):
        error_of(capsys, [*pair, *wrong], wrong[0])
    error_of(capsys, ["register"], "--fixed", "--moving", "--output")
    error_of(capsys, [], "COMMAND")
    error_of(capsys, ["regster"], "regster", "register", "phantom")


def test_bad_input_is_an_error_event_of_every_command(pair, tmp_path, capsys):
    out = ["--output", str(tmp_path / "new")]
    for arguments in (
        [*pair, "--moving", "absent.nrrd"],
        ["models", "--nonsense"],
        ["phantom", *out, "--size", "100000"],
        ["train", *out, "--phantoms", "0"],
        ["train", *out, "--phantoms", "0", "--dry-run"],
        ["train", *out, "--steps", "many"],
    ):
        assert cli.main([*arguments, "--json"]) == 2
        out_text, err = capsys.readouterr()
        events = [e for e in events_of(out_text) if e["event"] != "progress"]
        assert [e["event"] for e in events] == ["error"]
        assert err == f"hetreg: {events[0]['message']}\n"
        assert_sentence(err)


def test_too_little_memory_is_one_sentence_and_other_failures_are_raised(pair, capsys, monkeypatch):
    def fail_with(error):
        def fail(*arguments, **options):
            raise error

        monkeypatch.setattr("hetreg.register.register_pair", fail)

    for error in (
        MemoryError("Unable to allocate 9 TiB"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4000 bytes."),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    ):
        fail_with(error)
        error_of(capsys, pair, "memory", "accepted")
    fail_with(RuntimeError("something else"))
    with pytest.raises(RuntimeError, match="something else"):
        cli.main(pair)


def test_bad_input_of_register(pair, tmp_path, capsys):
    write_image(Image(np.ones((1, 8, 8), np.float32), np.eye(4)), tmp_path / "flat.nrrd")
    sitk.WriteImage(sitk.Image([8, 8], sitk.sitkVectorUInt8, 3), str(tmp_path / "colour.png"))
    (tmp_path / "text.nrrd").write_text("hello")
    for name, words in {
        "absent.nrrd": ("absent.nrrd",),
        "fixed.nrrd": ("the same", "two different images"),
        "flat.nrrd": ("moving", "same value"),
        "colour.png": ("3 channels",),
        "text.nrrd": ("text.nrrd",),
    }.items():
        error_of(capsys, [*pair, "--moving", str(tmp_path / name)], *words)
    error_of(
        capsys, [*pair, "--model", "no-such-model"], "no-such-model", *(c.name for c in zoo.list_models())
    )
    error_of(capsys, [*pair, "--model", str(tmp_path / "text.nrrd")], "text.nrrd")
    error_of(capsys, [*pair, "--dimension", "3d"], "2D", "'3d'")
    error_of(capsys, [*pair, "--refine", "-1"], "refine is -1")
    error_of(capsys, [*pair, "--gamma", "nan"], "gamma is nan")
    error_of(capsys, [*pair, "--fixed-seg", str(tmp_path / "fixed_seg.nrrd")], "moving_seg")
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_stays_empty_is_removed_if_it_was_made(pair, tmp_path, capsys, monkeypatch):
    deep = tmp_path / "a" / "b"
    error_of(capsys, [*pair, "--output", str(deep), "--refine", "-1"], "refine")
    error_of(capsys, [*pair, "--output", str(deep), "--moving", "absent.nrrd"], "absent")
    error_of(capsys, ["phantom", "--output", str(deep), "--size", "3"], "16")
    error_of(capsys, ["train", "--output", str(deep), "--phantoms", "0"], "no pairs")
    assert not deep.parent.exists()
    deep.mkdir(parents=True)
    error_of(capsys, [*pair, "--output", str(deep / "c"), "--moving", "absent.nrrd"], "absent")
    error_of(capsys, [*pair, "--output", str(deep), "--moving", "absent.nrrd"], "absent")
    assert list(deep.iterdir()) == []


def test_an_output_that_cannot_be_written_fails_before_the_work(pair, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("hetreg.register.register_pair", lambda *a, **k: pytest.fail("the work was begun"))
    (tmp_path / "out").write_text("mine")
    error_of(capsys, pair, "out", "cannot be written")
    (tmp_path / "out").unlink()
    (tmp_path / "out").mkdir()

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    error_of(capsys, pair, "out", "Permission denied")


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
def test_a_disk_that_fills_up_exits_with_2_and_leaves_no_partial_file(tmp_path):
    import resource
    import signal

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

    rng = np.random.default_rng(0)
    for name in ("fixed", "moving"):
        write_image(sampled((64, 64, 1)).like(rng.random((1, 64, 64)), name), tmp_path / f"{name}.nrrd")
    tiny_model().save(tmp_path / "tiny.pt")
    done = run_python("-m", "hetreg", *register_arguments(tmp_path), preexec_fn=limit)
    assert done.returncode == 2
    assert_sentence(done.stderr, "moved.nrrd", "disk full")
    assert not (tmp_path / "out").exists()


def test_interrupting_and_cancelling_exit_with_130(pair, tmp_path, capsys, monkeypatch):
    for stop in (KeyboardInterrupt, Cancelled):

        def interrupt(*arguments, stop=stop, **options):
            raise stop

        monkeypatch.setattr("hetreg.register.register_pair", interrupt)
        assert cli.main(pair) == 130
        assert capsys.readouterr().err == "hetreg: cancelled\n"
        assert not (tmp_path / "out").exists()
    monkeypatch.setattr(cli, "parser", lambda: interrupt())  # before there is a command
    assert cli.main(pair) == 130


def test_a_missing_package_is_named(pair, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "hetreg.register", None)

    def absent(*arguments, **options):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(cli.COMMANDS["register"], "run", absent)
    assert cli.main(pair) == 2
    assert_sentence(capsys.readouterr().err, "'torch'")


def test_models_are_listed(capsys, monkeypatch):
    assert cli.main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [card.name for card in zoo.list_models()]
    assert cli.main(["models", "--json"]) == 0
    (said,) = (event for event in events_of(capsys.readouterr().out) if event["event"] == "models")
    assert [m["sha256"] for m in said["models"]] == [card.sha256 for card in zoo.list_models()]
    monkeypatch.setattr(sys, "stdout", None)  # closed
    assert [cli.main(words) for words in (["models"], ["models", "--json"], ["--json"])] == [0, 0, 2]


def test_models_are_listed_without_torch():
    block = "import sys; sys.modules['torch'] = sys.modules['numpy'] = None"
    done = run_python("-c", f"{block}; from hetreg.cli import main; sys.exit(main(['models']))")
    assert done.returncode == 0
    assert zoo.list_models()[0].name in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="as a shell does it")
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
def test_a_reader_that_has_gone_is_no_failure(more):
    core = Path(hetreg.__file__).parents[1]
    read, write = os.pipe()
    os.close(read)
    process = Popen([sys.executable, "-m", "hetreg", "models", *more], stdout=write, stderr=PIPE, cwd=core)
    os.close(write)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 141


def test_another_pipe_that_breaks_is_a_failure(capsys, monkeypatch):
    def broken(*_):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("hetreg.commands.models.run", broken)
    assert cli.main(["models"]) == 2
    assert "Broken pipe" in capsys.readouterr().err


def test_phantom_writes_a_pair_with_its_truth(tmp_path, capsys):
    arguments = ["phantom", "--output", str(tmp_path / "p")]
    assert cli.main([*arguments, "--kind", "mri2d", "--seed", "3", "--size", "48", "--json"]) == 0
    event = json.loads(capsys.readouterr().out)
    assert event["event"] == "result"
    assert {Path(p) for p in event["files"].values()} == set((tmp_path / "p").iterdir())
    assert {"fixed", "moving", "true_displacement", "true_noise_variance"} <= event["files"].keys()
    error_of(capsys, [*arguments, "--kind", "echo2d", "--slices", "3"], "3", "mri2d")
    error_of(capsys, [*arguments, "--size", "3"], "3", "16")
    error_of(capsys, [*arguments, "--seed", "-1"], "-1")
