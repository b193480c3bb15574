"""Options of `hetreg reproduce` that would do nothing are refused; a reproduction that has them goes on."""

from __future__ import annotations

import shlex
from dataclasses import fields

import pytest

from builders import error_of
from hetreg import cli
from hetreg.commands.flags import config_from
from hetreg.commands.reproduce import check_flags
from hetreg.config import TrainConfig
from hetreg.reproduce.config import ReproduceConfig
from hetreg.reproduce.documents import _made_how
from hetreg.reproduce.plan import idle_lambdas


def accepted(words: list[str]) -> ReproduceConfig:
    """The configuration of a command. Raises ValueError."""
    arguments = cli.parser().parse_args(words)
    base = ReproduceConfig.load(arguments.config) if arguments.config else None
    config = config_from(arguments, ReproduceConfig, base)
    check_flags(arguments, config)
    return config


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--lambdas", "0.5"], ("--lambdas", "--sweep-lambda", "--smoothness")),
        (["--tolerance", "0.1"], ("--tolerance", "--sweep-lambda", "--smoothness")),
        (["--methods", "mse", "--lambda-of", "nll=3", "mse=0.1"], ("--lambda-of has nll",)),
    ],
)
def test_options_that_would_do_nothing_are_refused(tmp_path, capsys, flags, words):
    out = tmp_path / "out"
    error_of(capsys, ["reproduce", *flags, "--output", str(out)], *words)
    assert not out.exists()


def test_a_flag_that_comes_twice_adds_to_the_first():
    words = [
        "reproduce",
        "--methods",
        "nll",
        "--methods",
        "mse",
        "--lambda-of",
        "nll=3",
        "--lambda-of",
        "mse=1",
    ]
    config = accepted([*words, "--output", "out"])
    assert (config.methods, config.lambda_of) == (("nll", "mse"), ("nll=3", "mse=1"))


def test_a_lambda_is_taken_by_the_variants_that_follow_a_method():
    def idle(*known: str, methods: tuple[str, ...]) -> list[str]:
        return idle_lambdas(ReproduceConfig(methods=methods, lambda_of=known))

    assert idle("ours=1", "nll=3", methods=("gamma_1", "mse")) == ["nll"]
    assert idle("ours=1", "gamma_1=2", methods=("gamma_1",)) == ["ours"]
    assert idle("nll=3", methods=("all",)) == []


def test_a_reproduction_that_has_such_options_goes_on_and_its_command_is_accepted(tmp_path):
    path = tmp_path / "reproduce.json"
    config = ReproduceConfig(methods=("mse",), lambdas=(0.5,), tolerance=0.1)
    config.save(path)
    shared = ["reproduce", "--config", str(path), "--output", "out"]
    assert accepted(shared) == config
    assert accepted([*shared, "--seeds", "4"]).lambdas == (0.5,)
    (line,) = [text for text in _made_how(config, "") if text.startswith("hetreg reproduce ")]
    assert accepted(shlex.split(line)[1:]).methods == ("mse",)


def test_the_commands_of_the_results_are_accepted(root):
    for page in (root / "docs" / "results" / "reproduce").rglob("README.md"):
        lines = page.read_text(encoding="utf-8").splitlines()
        accepted(shlex.split(next(line for line in lines if line.startswith("hetreg reproduce ")))[1:])


def test_the_help_names_no_default_where_there_is_none(capsys):
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["reproduce", "--help"])
    assert "(default: )" not in " ".join(capsys.readouterr().out.split())


def test_an_option_of_a_training_is_explained_as_there():
    of_training = {f.name: f.metadata["help"] for f in fields(TrainConfig)}
    of_these = {f.name: f.metadata["help"] for f in fields(ReproduceConfig)}
    own = {name for name in of_training.keys() & of_these if of_training[name] != of_these[name]}
    assert own == {"split", "smoothness", "phantoms"}
    assert of_these["smoothness"].startswith(of_training["smoothness"])
