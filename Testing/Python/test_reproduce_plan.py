"""Which runs a reproduction has: variants, networks, seeds, lambda, names; what its configuration refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builders import assert_sentence
from hetreg.registry import METHODS, WEIGHT_MODES
from hetreg.reproduce.config import ReproduceConfig
from hetreg.reproduce.documents import title
from hetreg.reproduce.plan import (
    Job,
    choose,
    chosen,
    duration,
    further,
    job,
    jobs,
    leader,
    left_out,
    sweep_jobs,
    swept,
    train_config,
)
from hetreg.reproduce.variants import VARIANTS

FOLDER = Path("out")
TABLE_1 = {"ncc", "mi", "mse", "nll", "beta_nll", "adaframe", "adareg", "ours"}
SIGMA_Z = {"ours_sigma_z", "sigma_z", "voxelmorph_diff"}
GAMMA = {"gamma_0.25", "gamma_0.75", "gamma_1"}
RESIDUAL = {"precision_residual", "precision_blind"}
CONTROLS = {"constant_weight", "oracle_weight", "shuffled_weight", "unaugmented"}


def plan(**changes) -> list[Job]:
    return jobs(ReproduceConfig(**changes), FOLDER)


def variants(found: list[Job], network: str) -> set[str]:
    return {j.variant for j in found if j.network == network}


def test_all_methods_are_every_row_of_the_papers_tables_and_the_controls():
    found = plan(networks=("voxelmorph", "transmorph"), seeds=2)
    both = TABLE_1 | CONTROLS | {f"{m}_weight" for m in WEIGHT_MODES if m != "paper"}
    assert variants(found, "transmorph") == both
    assert variants(found, "voxelmorph") == both | SIGMA_Z | GAMMA | RESIDUAL
    assert variants(found, "") == {"undeformed", "elastix"}
    unsupervised = {name for name, method in METHODS.items() if not method.extra}
    assert unsupervised <= variants(found, "voxelmorph")
    assert "supervised" in variants(plan(methods=("all", "supervised")), "voxelmorph")
    assert len(found) == 2 + 2 * (len(both) * 2 + len(SIGMA_Z | GAMMA | RESIDUAL))
    assert len({j.name for j in found}) == len(found)


def test_each_method_is_run_with_each_seed_and_seeds_come_one_after_the_other():
    found = plan(seeds=3, methods=("mse", "ours", "undeformed"))
    assert [(j.variant, j.seed) for j in found] == [
        ("undeformed", 0),
        *[(v, seed) for seed in range(3) for v in ("ours", "mse")],
    ]
    assert [j.config.seed for j in found[1:]] == [0, 0, 1, 1, 2, 2]


def test_a_variant_is_its_method_with_its_options():
    configs = {j.variant: j.config for j in plan(seeds=1, weight_mode="paper")}
    assert configs["gamma_0.25"] == replace(configs["ours"], gamma=0.25)
    assert configs["robust_weight"] == replace(configs["ours"], weight_mode="robust")
    assert configs["unaugmented"] == replace(configs["ours"], augment=False)
    assert not configs["oracle_weight"].augment
    assert configs["mse"].weight_mode == "robust"  # not used by it: the default
    assert (configs["ours"].weight_mode, configs["ours"].gamma) == ("paper", 0.5)


def test_a_variant_that_equals_one_before_is_left_out():
    for mode in WEIGHT_MODES:
        names = variants(plan(seeds=1, weight_mode=mode), "voxelmorph")
        assert f"{mode}_weight" not in names
        assert len({f"{m}_weight" for m in WEIGHT_MODES} & names) == len(WEIGHT_MODES) - 1
    assert "unaugmented" not in variants(plan(seeds=1, augment=False), "voxelmorph")


def test_the_oracle_needs_the_phantom_alone():
    config = ReproduceConfig(dataset="phantom+pairs", root="x")
    names = variants(jobs(config, FOLDER), "voxelmorph")
    assert not {"oracle_weight", "unaugmented"} & names
    assert "phantom" in left_out(config)["oracle_weight"]
    assert not left_out(ReproduceConfig())


def test_named_methods_are_run_with_every_network():
    found = plan(networks=("transmorph",), methods=("gamma_1", "sigma_z"), seeds=1)
    assert [j.variant for j in found] == ["sigma_z", "gamma_1"]


def test_all_runs_of_a_seed_train_on_one_split_for_the_budget():
    configs = [j.config for j in plan(budget=400, seeds=2) if j.config]
    for config in configs:
        assert Path(config.split).name == f"split-seed{config.seed}.json"
        assert (config.total_steps, config.validate_every, config.warmup) == (400, 50, 40)
    assert len({(c.batch, c.crop, c.learning_rate, c.size) for c in configs}) == 1


def test_what_makes_training_faster_is_handed_on():
    for name in ("amp", "compile"):
        configs = [j.config for j in plan(**{name: True}) if j.config]
        assert all(getattr(config, name) for config in configs)
    assert not any(j.config.amp or j.config.compile for j in plan() if j.config)


def test_the_networks_give_a_velocity_where_it_is_asked_for():
    networks = ("voxelmorph", "transmorph")
    for name, velocity in (("auto", [True, False]), ("yes", [True, True]), ("no", [False, False])):
        found = plan(networks=networks, methods=("mse",), seeds=1, integrate=name)
        assert [(j.network, j.config.integrated) for j in found] == list(zip(networks, velocity, strict=True))


def test_the_sweep_tries_every_lambda_for_each_loss_and_shares_its_runs_with_the_seeds():
    config = ReproduceConfig(sweep_lambda=True, lambdas=(0.01, 0.1), seeds=2)
    names = [v for _, v in swept(config)]
    forms = {f"{m}_weight" for m in WEIGHT_MODES if m != config.weight_mode}  # other losses
    assert set(names) == (TABLE_1 | SIGMA_Z | forms) - {"voxelmorph_diff"}  # its prior has no lambda
    tried = sweep_jobs(config, FOLDER)
    assert len(tried) == 2 * len(names)
    assert {j.seed for j in tried} == {0}
    best = {("voxelmorph", v): 0.1 if v == "ours" else 0.01 for v in names}
    runs = {(j.variant, j.seed): j for j in jobs(config, FOLDER, best)}
    assert runs["ours", 0] in tried
    assert runs["ours", 1].config.smoothness == 0.1
    for follower in (*GAMMA, *CONTROLS):
        assert leader(follower, config.weight_mode) == "ours"
        assert runs[follower, 0].config.smoothness == 0.1
    assert runs["mse", 0].config.smoothness == 0.01
    assert runs["precision_weight", 1].config.smoothness == 0.01
    assert leader("precision_residual", "paper") == "precision_weight"
    assert leader("precision_residual", "precision") == "ours"
    assert runs["precision_residual", 1].config.variance_residual
    blind = replace(runs["precision_residual", 0].config, blind_spots=0.2)
    assert job(config, FOLDER, "voxelmorph", "precision_blind", 0, blind.smoothness).config == blind
    assert leader("robust_weight", "paper") == "robust_weight"
    assert leader("robust_weight", "robust") == "ours"
    assert leader("gamma_1", "precision") == "gamma_1"  # another size of the data term
    assert leader("gamma_1", "paper") == "ours"
    assert "paper_weight" not in {v for v, _ in runs}
    assert not sweep_jobs(ReproduceConfig(), FOLDER)


@pytest.mark.parametrize(
    ("scores", "value"),
    [
        ({0.01: 0.9, 0.1: 0.8}, 0.003),
        ({0.003: 0.9, 0.1: 0.8}, 0.001),
        ({0.05: 0.9, 0.1: 0.8}, 0.03),
        ({0.01: 0.8, 0.1: 0.9}, 0.3),
        ({0.1: 0.8, 3.0: 0.9}, 10.0),
        ({0.01: 0.8, 0.1: 0.9, 1.0: 0.85}, None),  # between
        ({0.01: 0.9, 0.1: 0.9}, None),  # level
        ({0.0: 0.9, 0.1: 0.8}, None),  # nothing lies below
        ({0.01: 0.9}, None),
    ],
)
def test_the_sweep_goes_on_beyond_an_edge(scores, value):
    assert further(scores) == value


def test_lambda_is_in_the_name_where_the_method_has_one():
    config = ReproduceConfig()
    assert job(config, FOLDER, "voxelmorph", "mse", 1, 0.03).name == "voxelmorph-mse-lambda0.03-seed1"
    assert job(config, FOLDER, "voxelmorph", "voxelmorph_diff", 1, 0.03).name == (
        "voxelmorph-voxelmorph_diff-seed1"
    )


@pytest.mark.parametrize("name", [n for n, v in VARIANTS.items() if v.method])
@pytest.mark.parametrize("network", ["voxelmorph", "transmorph"])
def test_every_variant_makes_an_accepted_training(name, network):
    config = train_config(ReproduceConfig(), FOLDER, network, name, 0, 0.01)
    assert config.method == VARIANTS[name].method
    assert name in chosen(replace(ReproduceConfig(), methods=(name,)), network)


def test_sources_are_tested_one_by_one():
    config = ReproduceConfig(dataset="phantom+pairs", root="x", kind="mri2d+echo2d")
    assert config.sources == ("phantom:mri2d", "phantom:echo2d", "pairs")


@pytest.mark.parametrize(
    ("tolerance", "taken", "then"),
    [(0.0, 0.1, None), (0.004, 0.1, None), (0.006, 0.3, None), (0.03, 1.0, 3.0)],
)
def test_of_those_that_score_alike_the_largest_lambda_is_taken(tolerance, taken, then):
    scores = {0.03: 0.88, 0.1: 0.9, 0.3: 0.895, 1.0: 0.88}
    assert choose(scores, tolerance) == taken
    assert further(scores, tolerance) == then  # tried on while the largest is taken


def test_a_known_lambda_is_taken_and_not_swept():
    methods = ("mse", "nll", "ours", "gamma_1", "precision_weight", "precision_blind")
    config = ReproduceConfig(methods=methods, lambda_of=("nll=3", "ours=0.1", "precision_blind=1"), seeds=1)
    taken = {j.variant: j.config.smoothness for j in jobs(config, FOLDER)}
    others = dict.fromkeys(("mse", "precision_weight"), config.smoothness)
    assert taken == {"nll": 3.0, "ours": 0.1, "gamma_1": 0.1, "precision_blind": 1.0, **others}
    assert "nll 3, ours 0.1" in title(config)
    sweeping = replace(config, sweep_lambda=True)
    assert [v for _, v in swept(sweeping)] == ["mse", "precision_weight"]
    found = {("voxelmorph", "mse"): 0.03, ("voxelmorph", "precision_weight"): 0.01}
    taken |= {"mse": 0.03, "precision_weight": 0.01}
    assert {j.variant: j.config.smoothness for j in jobs(sweeping, FOLDER, found)} == taken


def test_below_the_lower_edge_is_tried_whatever_the_tolerance():
    assert further({0.03: 0.9, 0.1: 0.89}, 0.05) == 0.01  # a better one would change what is near the best


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"methods": ("best",)}, ("methods is 'best'", "undeformed", "all")),
        ({"networks": ("resnet",)}, ("networks is 'resnet'", "transmorph")),
        ({"networks": ()}, ("networks are none",)),
        ({"methods": ("mse", "mse")}, ("mse, mse", "each once")),
        ({"dataset": "mnist"}, ("dataset is 'mnist'", "acdc")),
        ({"kind": "ct"}, ("kind is 'ct'", "mri2d")),
        ({"seeds": 0}, ("seeds is 0", "at least 1")),
        ({"budget": 0}, ("budget is 0",)),
        ({"lambdas": (0.1, -1.0)}, ("lambdas", "at least 0")),
        ({"lambda_of": ("nll",)}, ("lambda_of has 'nll'", "nll=3")),
        ({"lambda_of": ("best=1",)}, ("lambda_of has 'best=1'",)),
        ({"lambda_of": ("elastix=1",)}, ("lambda_of has 'elastix=1'",)),
        ({"lambda_of": ("mse=-1",)}, ("lambda_of has 'mse=-1'", "at least 0")),
        ({"lambda_of": ("mse=1", "mse=2")}, ("lambda_of has 'mse=2'", "once")),
        ({"tolerance": -0.1}, ("tolerance is -0.1", "at least 0")),
        ({"learning_rate": 0.0}, ("learning_rate is 0.0",)),
        ({"weight_mode": "best"}, ("weight_mode is 'best'", "robust")),
    ],
)
def test_wrong_values_are_refused_in_one_sentence(values, words):
    with pytest.raises(ValueError, match=r"accepted") as error:
        ReproduceConfig(**values)
    assert_sentence(error.value, *words)


def test_json_gives_the_same_configuration_back(tmp_path):
    config = ReproduceConfig(networks=("voxelmorph", "transmorph"), lambdas=(0.1,), seeds=2)
    config.save(tmp_path / "r.json")
    assert ReproduceConfig.load(tmp_path / "r.json") == config


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (40, "40 s"),
        (59.7, "1 min"),
        (119, "2 min"),
        (3569, "59 min"),
        (3571, "1 h 00 min"),
        (3720, "1 h 02 min"),
    ],
)
def test_a_time_is_told_in_the_unit_it_rounds_to(seconds, said):
    assert duration(seconds) == said
